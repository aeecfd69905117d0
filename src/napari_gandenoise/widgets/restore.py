"""The Restore panel: choose what is missing, and have a model draw it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_error, show_warning
from numpy.typing import NDArray
from qtpy.QtWidgets import QWidget

from napari_gandenoise.denoising import plan, white_level
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import Model, list_models, load_latent_model
from napari_gandenoise.restoration import RestoreResult, restore_steps
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.restore import DONE, RestoreConfig
from napari_gandenoise.widgets.running.inspector import Answer, Inspector
from napari_gandenoise.widgets.running.layer_run import LayerRun
from napari_gandenoise.widgets.viewer.live_layer import LiveLayer
from napari_gandenoise.widgets.viewer.mask import MaskLayer, add_mask, mask_of
from napari_gandenoise.widgets.layout.rows import refusals_shown, to_clipboard
from napari_gandenoise.widgets._restore_form import Remembered, RestoreForm
from napari_gandenoise.widgets.running.run_panel import RunPanel
from napari_gandenoise.widgets.layout.scroll import scrolled
from napari_gandenoise.widgets.forms.memory import recall, remember
from napari_gandenoise.widgets.forms.snippets import MASK_FILE, restoration_command, restoration_python, restoration_yaml
from napari_gandenoise.widgets.viewer.source import LayerData, Source, cut, follow_view, found_pixel_size

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["RestoreWidget"]

PANEL = "restore"
NO_IMAGE = "Open an image to restore."
NO_MASK = "Mark what is missing: press Draw mask and paint, or choose a Labels or Shapes layer."
GET_COLOURS = "open one of colour images with Open…, or train one on such images in the Train panel."


@dataclass(frozen=True)
class _Plan:
    """What a run will do and in how many seconds, for which part of the layer, and the mask that it gets."""

    sentence: str
    warnings: tuple[str, ...]
    seconds: float | None
    box: tuple[slice, ...]
    mask: NDArray[np.bool_] | None


class RestoreWidget(QWidget):
    """Fill holes of an image of a viewer, give it colours, pixels or grey levels, or take its noise away.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose layers are restored and that gets the results.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.form = RestoreForm(napari_viewer, list_models())
        self.panel = RunPanel()
        scrolled(self, self.form, self.panel)
        self._run = LayerRun("Restore", napari_viewer, self.panel, self)
        self._planner = Inspector(self)
        self._plan: _Plan | None = None
        self.form.restore(recall(PANEL, Remembered))
        self._connect()
        self._look_at_layer()

    def _connect(self) -> None:
        self.form.layer.chosen.connect(self._look_at_layer)
        self.form.layer.altered.connect(self._look_at_layer)
        self.form.changed.connect(self._on_changed)
        self.form.marked.draw_clicked.connect(self._on_draw)
        self.form.model.failed.connect(show_error)
        self.panel.run_clicked.connect(self.run)
        self.panel.cancel_clicked.connect(self.cancel)
        self.panel.copy_clicked.connect(self._on_copy)
        self._run.finished.connect(self._on_finished)
        self._planner.answered.connect(self._on_planned)
        follow_view(self._viewer, self._on_view_moved)

    @property
    def busy(self) -> bool:
        """Whether anything goes on in the background."""
        return self._run.running or self._planner.busy

    # The image, the mask and the plan

    def _look_at_layer(self, _layer: Any = None) -> None:
        """Fill in what the layer knows."""
        layer = self.form.layer.layer()
        if layer is not None:
            self.form.pixel_size.set_value(*found_pixel_size(layer))
        self.form.show_fields()
        self._on_changed()

    def _on_draw(self) -> None:
        """Add a layer to paint on."""
        layer = self.form.layer.layer()
        if layer is None:
            show_error(NO_IMAGE)
            return
        with refusals_shown():
            self.form.marked.choose(add_mask(self._viewer, layer))

    def _on_view_moved(self, _event: Any = None) -> None:
        layer = self.form.layer.layer()
        movie = layer is not None and layer.ndim > 2
        if (movie or self.form.region.currentData() == "viewport") and not self._run.running:
            self._on_changed()

    def _on_changed(self) -> None:
        """Look anew at what a run would do."""
        self._plan = None
        try:
            question = partial(_plan, self._source(), self.form.config(), self._mask_layer())
        except GanDenoiseError as error:
            self._planner.forget()
            self.panel.show_plan(str(error))
            return
        self._planner.ask(question)

    def _on_planned(self, answer: Answer) -> None:
        self._plan = answer.value
        if answer.refusal:
            self.panel.show_plan(answer.refusal)
            return
        self.panel.show_plan(answer.value.sentence, answer.value.warnings)

    def _source(self) -> Source:
        layer = self.form.layer.layer()
        if layer is None:
            raise GanDenoiseError(NO_IMAGE)
        return cut(self._viewer, layer, self.form.region.currentData(), current_frame=True)

    def _mask_layer(self) -> MaskLayer | None:
        return self.form.marked.layer() if self.form.task.currentData() == "inpaint" else None

    # The run

    def run(self) -> None:
        """Restore what is chosen, in the background; nothing happens while a run is under way."""
        if self._run.running:
            return
        try:
            source, config = self._source(), self.form.config()
            # A mask takes a moment where the image is large: it is known already unless the user was quicker.
            known = self._plan if self._plan is not None and self._plan.box == source.box else None
            planned = known or _plan(source, config, self._mask_layer())
        except GanDenoiseError as error:
            show_error(str(error))
            return
        remember(PANEL, self.form.remembered())
        name = f"{source.layer.name} · {DONE[config.task]} ({Path(config.model).stem})"
        provenance = {"napari-gandenoise": {"partial": True, "config": config.model_dump(mode="json")}}
        finer = config.factor if config.task == "super-resolve" else 1
        self._run.start(
            restore_steps(source.micrograph, config, mask=planned.mask),
            LiveLayer(self._viewer, source, name, provenance, finer=finer),
            self._layers,
            seconds=planned.seconds,
            white=white_level(source.micrograph, DenoiseConfig(white=config.white)),
        )

    def _on_finished(self, result: RestoreResult) -> None:
        for warning in result.report["warnings"]:
            show_warning(warning)

    def _layers(self, result: RestoreResult) -> list[LayerData]:
        return result.to_layers(drawn=self.form.drawn.isChecked())

    def cancel(self) -> None:
        """Stop the run and keep what is done: at once for the user, a moment later for the computation."""
        self._run.cancel()

    # The settings elsewhere

    def _on_copy(self, kind: str) -> None:
        with refusals_shown():
            source, config = self._source(), self.form.config()
            mask = self._mask_layer()
            text = {
                "python": lambda: restoration_python(source, config, mask),
                "command": lambda: restoration_command(source, config, mask),
                "yaml": lambda: restoration_yaml(config),
            }[kind]()
            to_clipboard(text, kind, _remarks(source, mask) if kind == "command" else "")


def _remarks(source: Source, mask: MaskLayer | None) -> str:
    """Say how a command differs from a run of the panel."""
    remarks = "" if source.is_whole else " It restores the whole file, not the region."
    if mask is not None and not mask.source.path:
        remarks += f" It reads {MASK_FILE}: save the mask there."
    return remarks


def _check_model(model: Model, micrograph: Micrograph, config: RestoreConfig) -> None:
    """Refuse a model that cannot draw what is wanted."""
    coloured = model.channels == 3
    if config.task == "colorize" and not coloured:
        raise GanDenoiseError(f"The model {model.name} draws grey images, and colours are wanted: {GET_COLOURS}")
    if micrograph.rgb and not coloured:
        raise GanDenoiseError(f"The model {model.name} draws grey images, and the layer has colours: {GET_COLOURS}")
    if model.pixel_size_nm is not None and config.task not in ("inpaint", "denoise"):
        raise GanDenoiseError(
            f"The model {model.name} is for micrographs, which can be inpainted and denoised: open one of photographs "
            "with Open…, or train one in the Train panel."
        )
    if coloured and not micrograph.rgb and config.task != "colorize":
        raise GanDenoiseError(
            f"The model {model.name} draws colours, and the layer has none: choose a model of grey images, or the task "
            "Colourise."
        )
    if model.pixel_size_nm is not None and micrograph.pixel_size_nm is None and config.pixel_size_nm is None:
        raise GanDenoiseError("Type the pixel size: the model draws at its own.")


def _mask(source: Source, config: RestoreConfig, layer: MaskLayer | None) -> NDArray[np.bool_] | None:
    """Return which pixels of a source are missing; None if the task has no mask."""
    if config.task != "inpaint":
        return None
    if layer is None:
        raise GanDenoiseError(NO_MASK)
    frame = source.box[0].start if source.single_frame else 0
    marked = mask_of(layer, source.layer, frame)[source.box[-2:]]
    if not marked.any():
        raise GanDenoiseError(f"Nothing of the image is marked in {layer.name!r}: paint or draw over what is missing.")
    if marked.all():
        raise GanDenoiseError(f"All of the image is marked in {layer.name!r}: leave what is not missing.")
    return marked


def _plan(source: Source, config: RestoreConfig, mask_layer: MaskLayer | None) -> _Plan:
    """Find out what a run will do.

    Raises
    ------
    GanDenoiseError
        If there is something missing that it needs.
    """
    model = load_latent_model(config.model)
    _check_model(model, source.micrograph, config)
    mask = _mask(source, config, mask_layer)
    height, width = source.micrograph.frame(0).pixels.shape[:2]
    size = f"{height}×{width} pixels" + (f" of frame {source.box[0].start}" if source.single_frame else "")
    sentences = {
        "inpaint": "" if mask is None else f"Draws {int(mask.sum()):,} of {size}, {100 * mask.mean():.2g} %.",
        "colorize": f"Gives colours to {size}.",
        "super-resolve": f"Makes {config.factor * height}×{config.factor * width} of {size}.",
        "denoise": f"Takes the noise from {size}.",
        "dequantize": f"Draws the steps between {config.levels} levels in {size}.",
    }
    if model.pixel_size_nm is None:
        return _Plan(sentences[config.task], (), None, source.box, mask)
    # Micrographs are restored the way they are denoised.
    denoising = plan(source.micrograph, DenoiseConfig(model=config.model, pixel_size_nm=config.pixel_size_nm))
    return _Plan(
        f"{sentences[config.task]} {denoising.sentence()}", denoising.warnings, denoising.seconds, source.box, mask
    )
