"""The Train panel: say what you have, start, watch, pause, stop, go on another day, use the model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.finetuning import lay_out
from napari_gandenoise.settings.cif import CIF_MODES, CifTrainConfig
from napari_gandenoise.settings.train import AnyTrainConfig, TrainConfig
from napari_gandenoise.training import TrainPreview
from napari_gandenoise.widgets.fields.paths import PathField
from napari_gandenoise.widgets.forms.make import plain
from napari_gandenoise.widgets.forms.memory import recall
from napari_gandenoise.widgets.layout.rows import Folded, form_rows, refusals_shown, to_clipboard
from napari_gandenoise.widgets.layout.scroll import scrolled
from napari_gandenoise.widgets.running.inspector import Answer, Inspector
from napari_gandenoise.widgets.training.adapt import NoisyFrames
from napari_gandenoise.widgets.training.background import find_background
from napari_gandenoise.widgets.training.close import CloseGuard
from napari_gandenoise.widgets.training.folder import RunFolder, length_of, read_run
from napari_gandenoise.widgets.training.form import TrainingForm
from napari_gandenoise.widgets.training.keep import Keeper, described
from napari_gandenoise.widgets.training.panel import TrainingPanel
from napari_gandenoise.widgets.training.process import TrainingProcess
from napari_gandenoise.widgets.training.run import TrainingRun
from napari_gandenoise.widgets.training.snippets import copied
from napari_gandenoise.widgets.training.target import look_at
from napari_gandenoise.widgets.training.try_on import TryOn
from napari_gandenoise.widgets.viewer.samples_layer import SamplesLayer

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["TrainWidget"]

PANEL = "train"
RUNS = Path.home() / "napari-gandenoise"
NUMBERED = re.compile(r"-\d+$")
BACKGROUND_MS = 2000  # between two looks at a run that goes on without a window


class TrainWidget(QWidget):
    """Train a model, in a process of its own.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose layers may be trained on, and that may show the samples.
    process : TrainingProcess, optional
        What runs the training.
    """

    def __init__(self, napari_viewer: Viewer, process: TrainingProcess | None = None) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.name = plain(str, value="my-model", tooltip="Name of the model.")
        self.output = PathField("d", tooltip="Folder for checkpoints, history and the model.")
        self.form = TrainingForm(napari_viewer)
        self.data = self.form.data
        self.panel = TrainingPanel(napari_viewer.theme)
        self.noisy = NoisyFrames(napari_viewer, self, self.panel)
        self.tries = TryOn(napari_viewer)
        self._lay_out()
        self._process = process or TrainingProcess()
        self._training = TrainingRun(self.panel, self._process, self)
        self._guard = CloseGuard(self, self._process, self._training.described)
        self.keeper = Keeper(napari_viewer, self, self._model)
        self._target = Inspector(self)
        self._background = QTimer(self)
        self._background.setInterval(BACKGROUND_MS)
        self._run: RunFolder | None = None
        self._elsewhere: psutil.Process | None = None
        self._unusable = ""
        self._samples: TrainPreview | None = None
        self._layer = SamplesLayer(napari_viewer)
        self._name = ""
        self._connect()
        self._restore()
        self._on_output()
        self._on_have()

    def _lay_out(self) -> None:
        asked = QWidget()
        column = QVBoxLayout(asked)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.form)
        column.addWidget(self.noisy)
        self.settings = Folded("Settings", asked)
        self.settings.expand()
        where = QWidget()
        self._rows = form_rows(where)
        self._rows.addRow("Name", self.name.native)
        self._rows.addRow("Output", self.output.native)
        self.form.beside = (self._rows,)
        self.panel.add_pictures(self.tries)
        scrolled(self, self.settings, where, self.panel, pinned=self.panel.foot)

    def _connect(self) -> None:
        self.name.changed.connect(self._on_name)
        self.output.changed.connect(self._on_output)
        self.form.changed.connect(self._on_settings)
        self.form.have_changed.connect(self._on_have)
        self.data.layers.changed.connect(self._look_at_target)
        self.noisy.changed.connect(self._show_plan)
        self.panel.start_clicked.connect(self.start)
        self.panel.pause_clicked.connect(self.pause)
        self.panel.stop_clicked.connect(self.stop)
        self.panel.new_clicked.connect(self.new_run)
        self.panel.save_clicked.connect(lambda: self.keeper.ask(self.name.value))
        self.panel.use_clicked.connect(self._on_use)
        self.panel.copy_clicked.connect(self._on_copy)
        self.panel.as_layer.toggled.connect(self._show_layer)
        self._target.answered.connect(self._on_target)
        self._background.timeout.connect(self._on_output)
        self._training.drawn.connect(self._on_drawn)
        self._training.ended.connect(self._on_ended)
        self.noisy.ended.connect(self._on_adaptation_ended)
        self._viewer.events.theme.connect(self._on_theme)
        # The child writes its checkpoint and ends, whether the panel is closed or all of napari.
        self.destroyed.connect(self._process.stop)

    @property
    def busy(self) -> bool:
        """Whether a run, its preparation, an adaptation or a look at images is under way."""
        return self._works or self._target.busy or self.tries.busy

    @property
    def _works(self) -> bool:
        return self._training.busy or self.noisy.busy

    # The settings

    def _restore(self) -> None:
        memory = recall(PANEL)
        self._name = str(memory.own.get("name", "my-model"))
        self.name.value = self._name
        self.output.value = Path(memory.own.get("output", RUNS / self._name))
        if memory.settings:
            kinds = {"have": self.form.have, "kind": self.form["kind"].value}
            self.form.fill({**kinds, **memory.settings})

    def restore(self, config: AnyTrainConfig) -> None:
        """Show the settings of a run, but for its name and folder."""
        self.form.restore(config)
        self._show_plan()

    def _on_name(self, name: str) -> None:
        follows = self.output.value == RUNS / self._name
        self._name = name.strip()
        if follows and self._name:
            self.output.value = RUNS / self._name
        else:
            self._show_plan()

    def _on_have(self, _have: str = "") -> None:
        noisy = self.form.have == "noisy"
        self.noisy.setVisible(noisy)
        self._rows.setRowVisible(self.output.native, not noisy)
        self.panel.show_pictures(shown=not noisy)
        self._on_settings()

    def _on_settings(self) -> None:
        self._look_at_target()
        self._show_plan()

    # The images

    def _look_at_target(self) -> None:
        """Look, in the background, whether the images to learn from are noisy themselves."""
        folder = self.data.folder.get_value() if self.data.kind.currentData() == "folder" else None
        layers = self.data.layers.layers() if self.form.from_layers() else []
        if self.form.have != "images" or self._run is not None or not (layers or folder):
            self._target.forget()
            self.panel.show_warning("")
            return
        self._target.ask(look_at(layers, folder))

    def _on_target(self, answer: Answer) -> None:
        # What cannot be read is said by the plan, or by the run.
        self.panel.show_warning("" if answer.refusal else answer.value)

    # The run in the folder

    def _on_output(self, _path: Any = None) -> None:
        """Look whether the folder holds a run; then show its past, and offer to go on with it."""
        folder = self.output.get_value()
        self.data.output = folder
        if self._works:
            return
        before, elsewhere = self._run, self._elsewhere
        self._unusable = ""
        self._elsewhere = find_background(folder) if folder is not None else None
        try:
            self._run = read_run(folder) if folder is not None else None
        except GanDenoiseError as error:
            self._run, self._unusable = None, str(error)
        unchanged = before is not None and self._run == before and self._elsewhere == elsewhere
        if self._run is not None and not unchanged:
            self._show_past(self._run)
        elif self._run is None and before is not None:
            self._clear()
        (self._background.start if self._elsewhere is not None else self._background.stop)()
        self._look_at_target()
        self._show_plan()

    def _show_past(self, run: RunFolder) -> None:
        with self.name.changed.blocked():
            self.name.value = self._name = run.config.name
        self.restore(run.config)
        self.panel.plot.set_history(run.history)
        self.panel.show_curves(shown=bool(run.history))
        preview = run.preview()
        if preview is not None:
            self._show_samples(preview)
        self.tries.show_model(run.model)

    def _clear(self) -> None:
        self.panel.plot.clear()
        self.panel.show_curves(shown=False)
        self.panel.grid.clear()
        self.tries.show_model(None)
        self._samples = None

    def new_run(self) -> None:
        """Leave the run of this folder as it is, and set up another one like it beside it."""
        before = self._run
        if before is None or self._works:
            return
        stem, number = NUMBERED.sub("", before.config.name), 2
        parent = before.config.output.parent
        while (parent / f"{stem}-{number}").exists():
            number += 1
        with self.name.changed.blocked():
            self.name.value = self._name = f"{stem}-{number}"
        self.panel.show_idle("")
        self.output.value = parent / self._name
        self.form["settings.description"].value = ""
        self.settings.expand()

    def _show_plan(self, _value: Any = None) -> None:
        """Say what *Start* would do."""
        if self._works:
            return
        if self.form.have == "noisy":
            self._plan_adaptation()
            return
        run = self._run
        self.form.setEnabled(run is None and self._elsewhere is None)
        self.name.enabled = run is None
        self.panel.show_model(there=run is not None and run.model is not None, may_leave=run is not None)
        if self._elsewhere is not None:
            self.panel.show_background()
            self.panel.show_plan("A run is beginning in the background." if run is None else run.in_background())
        elif run is not None:
            self.panel.show_idle(start="Resume", may_start=not run.finished)
            self.panel.show_plan(run.summary())
        else:
            self._plan_run()

    def _plan_run(self) -> None:
        try:
            config = self._config()
        except GanDenoiseError as error:
            self.panel.show_idle(may_start=not self._unusable)
            self.panel.show_plan(str(error))
            return
        self.panel.show_idle()
        self.panel.show_plan(_planned(config))

    def _config(self) -> AnyTrainConfig | CifTrainConfig:
        output = self.output.get_value()
        if output is None:
            raise GanDenoiseError("Choose a folder for the run.")
        if self._unusable:
            raise GanDenoiseError(self._unusable)
        return self.config(self.name.value.strip(), output)

    def config(self, name: str, output: Path) -> AnyTrainConfig | CifTrainConfig:
        """Return the settings as the config that every door takes.

        Raises
        ------
        GanDenoiseError
            If something is missing, or the settings do not go together.
        """
        return self.form.config_of(name, output)

    # The run

    def start(self) -> None:
        """Start a run, or go on with the one in the output folder; nothing happens while one is under way."""
        if self._works or self._elsewhere is not None:
            return
        if self.form.have == "noisy":
            with refusals_shown():
                self.noisy.start(self.name.value.strip())
                self._allow(False)
            return
        self._on_output()
        run = self._run
        try:
            asked = run.config if run is not None else self._config()
            config = lay_out(asked) if isinstance(asked, CifTrainConfig) else asked
            layers = self.data.layers.layers() if run is None and self.form.from_layers() else []
        except GanDenoiseError as error:
            show_error(str(error))
            return
        if run is None:
            config = described(config, [layer.name for layer in layers])
            self._clear()
        self.form.remember(PANEL, name=config.name, output=str(config.output))
        self._allow(False)
        self.settings.collapse()
        self._guard.watch()
        self._training.start(config, resume=run is not None, layers=layers)

    def _allow(self, allowed: bool) -> None:
        for widget in (self.form, self.noisy):
            widget.setEnabled(allowed)
        self.name.enabled = self.output.enabled = allowed

    def pause(self) -> None:
        """Let the run wait, or go on if it does."""
        self._training.pause()

    def stop(self) -> None:
        """Stop the run, here or in the background; it writes a checkpoint first, from which it can go on."""
        if self.noisy.busy:
            self.noisy.stop()
        elif self._elsewhere is not None:
            self.panel.show_stopping()
            try:
                self._elsewhere.terminate()  # which it hears as a wish, except on Windows
            except psutil.Error:
                self._on_output()
        else:
            self._training.stop()

    def _on_ended(self, message: str, finished: bool) -> None:
        """Settle a run: whatever it has left in its folder is what is shown."""
        self._allow(True)
        self._on_output()
        run = self._run
        start = "Start" if run is None else "Resume"
        self.panel.show_idle(message, start=start, may_start=run is None or not run.finished)
        if finished:
            self.panel.use.setFocus()

    # The samples

    def _on_drawn(self, preview: TrainPreview) -> None:
        self._show_samples(preview)
        model = self._model()
        if model is not None:
            self.panel.show_saving()
        self.tries.show_model(model)

    def _show_samples(self, preview: TrainPreview) -> None:
        self._samples = preview
        self.panel.grid.show_preview(preview, direct=self.form.is_direct())
        self._show_layer(self.panel.as_layer.isChecked())

    def _show_layer(self, wanted: bool) -> None:
        if not wanted or self._samples is None:
            return
        config = self._training.config or (self._run.config if self._run else None)
        if not self._layer.show(self._samples, self.name.value, config):
            self.panel.as_layer.setChecked(False)

    # Only noisy frames

    def _plan_adaptation(self) -> None:
        self.form.setEnabled(True)
        self.name.enabled = True
        self.panel.show_warning("")
        self.panel.show_model(there=bool(self.noisy.kept), may_leave=False)
        self.panel.save.setVisible(False)
        self.panel.show_idle(start="Adapt")
        try:
            self.panel.show_plan(self.noisy.plan())
        except GanDenoiseError as error:
            self.panel.show_plan(str(error))

    def _on_adaptation_ended(self, message: str) -> None:
        self._allow(True)
        self._show_plan()
        self.panel.show_idle(message, start="Adapt")

    # The model, and the settings elsewhere

    def _on_use(self) -> None:
        if self.form.have == "noisy":
            self.keeper.choose(self.noisy.kept)
        else:
            self.keeper.use(self.name.value.strip())

    def _model(self) -> Path | None:
        """Return the model file of the run under way, or of the one in the folder, if there is one yet."""
        if self._training.config is not None:
            return RunFolder(self._training.config, 0).model
        return self._run.model if self._run is not None else None

    def _on_copy(self, kind: str) -> None:
        with refusals_shown():
            if self.form.have == "noisy":
                to_clipboard(self.noisy.copied(kind, self.name.value.strip()), kind)
                return
            resume = self._run is not None
            text, remark = copied(kind, self._run.config if self._run is not None else self._config(), resume=resume)
            to_clipboard(text, kind, remark)

    def _on_theme(self, _event: Any = None) -> None:
        self.panel.plot.set_theme(self._viewer.theme)


def _planned(config: AnyTrainConfig | CifTrainConfig) -> str:
    """Say how long a run is and what it trains."""
    if isinstance(config, CifTrainConfig):
        names = ", ".join(path.name for path in config.cif)
        time = f"{config.minutes:g} minutes" if config.minutes else "90 minutes on a processor or 5 on a GPU"
        return f"{time} on simulated {CIF_MODES[config.mode]} of {names}, then a comparison"
    colours = "colour" if config.channels == 3 else "grey"
    network = f"latent {config.architecture.latent}" if isinstance(config, TrainConfig) else config.architecture.kind
    return f"{length_of(config)} of {config.batch} {colours} tiles, {config.size}×{config.size} pixels, {network}"
