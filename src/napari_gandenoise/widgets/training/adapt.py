"""Only noisy frames: a bundled denoiser is adapted to them, and kept where their own counts are for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_gandenoise.denoising import Adaptation, adapt_steps
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_layer, read_micrograph
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import user_folder
from napari_gandenoise.models.bundled import SUFFIX
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.widgets.fields.paths import PathsField
from napari_gandenoise.widgets.forms.form import SettingsForm
from napari_gandenoise.widgets.forms.snippets import as_yaml, call, command_line, console, file_of
from napari_gandenoise.widgets.layout.rows import combo, form_rows, refusals_shown
from napari_gandenoise.widgets.running.eta import Eta
from napari_gandenoise.widgets.running.runner import Runner
from napari_gandenoise.widgets.training.layers import LayersField
from napari_gandenoise.widgets.training.panel import TrainingPanel

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["NoisyFrames"]

PANEL = "adapt"
PLACES = {"layers": "Image layers", "files": "Files"}
SHOWN = ("model", "adapt_steps", "device")  # what is asked of how the frames will be denoised


class NoisyFrames(QWidget):
    """Choose frames and a model, and adapt the model to the frames in the background.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers may be adapted to.
    panel : QWidget
        As napari docks it; closing it cancels.
    shown : TrainingPanel
        Where the adaptation is shown.

    Signals
    -------
    changed
        Something else is chosen.
    ended : str
        An adaptation has ended; the sentence, if any, is for the user.

    Attributes
    ----------
    kept : str
        Name of the model that the last adaptation has left; empty if it has left none.
    """

    changed = Signal()
    ended = Signal(str)

    def __init__(self, viewer: ViewerModel, panel: QWidget, shown: TrainingPanel) -> None:
        super().__init__()
        self._shown, self._name, self._eta = shown, "", Eta(None)
        self.kept = ""
        self.place = combo(PLACES)
        self.place.setToolTip("Where the noisy frames are.")
        self.layers, self.files = LayersField(viewer), PathsField()
        self.layers.setToolTip("Tick images or movies of one kind; they stay as they are.")
        self.files.tooltip = "Images or movies of one kind, in any format that napari-gandenoise reads."
        self._rows = form_rows(self)
        self._rows.addRow("Frames", self.place)
        self._rows.addRow("", self.layers)
        self._rows.addRow("", self.files.native)
        self._runner = Runner(panel)
        self._show_place()
        self._connect()

    @cached_property
    def form(self) -> SettingsForm:
        """How the frames will be denoised: made when it is first asked for, since listing the models takes seconds."""
        hidden = tuple(name for name in DenoiseConfig.model_fields if name not in SHOWN)
        made = SettingsForm(DenoiseConfig, hidden=hidden)
        made.set_fact("adapt", "on", holds=True)
        made.recall(PANEL)
        made.beside = (self._rows,)
        made.changed.connect(self._on_changed)
        self._rows.addRow(made)
        return made

    def _connect(self) -> None:
        self.place.currentIndexChanged.connect(self._on_place)
        for signal in (self.layers.changed, self.files.changed):
            signal.connect(self._on_changed)
        self._runner.progressed.connect(self._on_progressed)
        self._runner.finished.connect(self._on_finished)
        self._runner.cancelled.connect(partial(self.ended.emit, "Stopped: the model stays as it is."))
        self._runner.failed.connect(self._on_failed)

    @property
    def busy(self) -> bool:
        """Whether a model is being adapted."""
        return self._runner.running

    def plan(self) -> str:
        """Say what would be done.

        Raises
        ------
        GanDenoiseError
            If nothing is chosen.
        """
        config = self.form.config()
        images = len(self._images())
        model = "the model that is best for them" if config.model == "auto" else Path(config.model).stem
        of = "an image or a movie" if images == 1 else f"{images} images or movies"
        return f"{config.adapt_steps} steps of tuning {model} to {of}; a fifth of the electrons judge."

    def start(self, name: str) -> None:
        """Adapt.

        Parameters
        ----------
        name : str
            What to call the model, if it is kept; a number is added to one that is taken.

        Raises
        ------
        GanDenoiseError
            If nothing is chosen, or a layer holds no image.
        """
        images, config = self._images(), self.form.config()
        self.form.remember(PANEL)
        self._name, self.kept, self._eta = name or "adapted", "", Eta(None)
        self._shown.show_running(pauses=False)
        self._runner.start(_read_and_adapt(images, config))

    def stop(self) -> None:
        """Ask the adaptation to stop."""
        self._shown.show_stopping("stopping…")
        self._runner.cancel()

    def copied(self, kind: str, name: str) -> str:
        """Return the settings as "python", "command" or "yaml".

        Raises
        ------
        GanDenoiseError
            If nothing is chosen.
        """
        self._images()
        config = self.form.config()
        if kind == "yaml":
            return as_yaml(config)
        layers = self.layers.layers() if self._from_layers() else []
        files = [file_of(layer, "INPUT.tif") for layer in layers] or [str(path) for path in self.files.get_value()]
        if kind == "command":
            return command_line(["adapt", *files, "--output", f"{name}.safetensors"], config)
        given = [f"viewer.layers[{layer.name!r}]" for layer in layers] or [repr(path) for path in files]
        made = call("gd.adapt", [f"[{', '.join(given)}]"], config)
        return console("", f"adaptation = {made}", f'adaptation.save("{name}.safetensors")')

    def _on_progressed(self, event: Progress) -> None:
        self._shown.show_progress(event, self._eta.describe(event))

    def _on_finished(self, adaptation: Adaptation) -> None:
        """Keep the model if it is a better one, and say so if it is not."""
        sentence = adaptation.sentence()
        sentence = f"{sentence[:1].upper()}{sentence[1:]}."
        if not adaptation.kept:
            self.ended.emit(f"{sentence} Use {adaptation.base.name} as it is.")
            return
        with refusals_shown():
            folder = user_folder()
            folder.mkdir(parents=True, exist_ok=True)
            self.kept = adaptation.save(_free(folder, self._name)).stem
            sentence += f" Saved as {self.kept}."
        self.ended.emit(sentence)

    def _on_failed(self, sentence: str) -> None:
        self.ended.emit("")
        show_error(sentence)

    def _from_layers(self) -> bool:
        return bool(self.place.currentData() == "layers")

    def _images(self) -> list[Callable[[], Micrograph]]:
        """Return what reads the images: layers as they are now, files once the adaptation has begun."""
        if self._from_layers():
            layers = self.layers.layers()
            if not layers:
                raise GanDenoiseError("Tick the image layers that hold your noisy frames.")
            return [partial(_itself, read_layer(layer)) for layer in layers]
        files: tuple[Path, ...] = self.files.get_value()
        if not files:
            raise GanDenoiseError("Choose the files of your noisy frames.")
        return [partial(read_micrograph, path, lazy=True) for path in files]

    def _show_place(self) -> None:
        self._rows.setRowVisible(self.layers, self._from_layers())
        self._rows.setRowVisible(self.files.native, not self._from_layers())

    def _on_place(self, _index: int) -> None:
        self._show_place()
        self.changed.emit()

    def _on_changed(self, _value: Any = None) -> None:
        self.changed.emit()


def _free(folder: Path, name: str) -> Path:
    """Return a file for a model: that of its name, or of the name with the first number that is not taken."""
    paths = (folder / f"{name}{f'-{number}' if number > 1 else ''}{SUFFIX}" for number in count(1))
    return next(path for path in paths if not path.exists())


def _itself(micrograph: Micrograph) -> Micrograph:
    return micrograph


def _read_and_adapt(images: list[Callable[[], Micrograph]], config: DenoiseConfig) -> Steps[Adaptation]:
    yield Progress("read", 0, len(images))
    return (yield from adapt_steps([read() for read in images], config))
