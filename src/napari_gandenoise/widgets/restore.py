"""The Restore panel: choose what is missing, and have a model draw it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.utils.notifications import show_error, show_warning
from numpy.typing import NDArray
from qtpy.QtWidgets import QWidget

from napari_gandenoise.denoising import plan, white_level
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io.intensities import SAME
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import Model, ModelCard, load_latent_model
from napari_gandenoise.restoration import RestoreResult, restore_steps
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.restore import DONE, RestoreConfig, Task
from napari_gandenoise.widgets.fields.base import FieldWidget
from napari_gandenoise.widgets.fields.layers import LayerField, MaskField
from napari_gandenoise.widgets.fields.pixel_size import PixelSizeField
from napari_gandenoise.widgets.forms.form import SettingsForm
from napari_gandenoise.widgets.forms.make import chooser, plain
from napari_gandenoise.widgets.forms.snippets import (
    ADD,
    as_yaml,
    call,
    command_line,
    console,
    file_of,
    files,
    image_of,
    marked,
    pixels,
)
from napari_gandenoise.widgets.layout.rows import note, refusals_shown, to_clipboard
from napari_gandenoise.widgets.layout.scroll import scrolled
from napari_gandenoise.widgets.running.inspector import Answer, Inspector
from napari_gandenoise.widgets.running.layer_run import LayerRun
from napari_gandenoise.widgets.running.looking import Looking
from napari_gandenoise.widgets.running.run_panel import RunPanel
from napari_gandenoise.widgets.viewer.live_layer import LiveLayer
from napari_gandenoise.widgets.viewer.mask import MaskLayer, mask_of
from napari_gandenoise.widgets.viewer.source import LayerData, Source, cut, follow_view, whole

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["RestoreWidget"]

PANEL = "restore"
NO_IMAGE = "Open an image to restore."
MASK_FILE = "mask.tif"
REGIONS = {"whole": "Whole image", "viewport": "What the canvas shows"}
EXPLAINED: dict[Task, str] = {
    "inpaint": "Draws what a mask marks as missing; the rest stays.",
    "colorize": "Gives colours to brightness.",
    "super-resolve": "Draws an image of more pixels that looks like this one when it is made smaller.",
    "denoise": "Takes away noise of any kind. For counted electrons the Denoise panel knows more.",
    "dequantize": "Draws the steps between few levels of brightness.",
}
DRAWN = "A hidden layer: the image as the model draws it, before it is made to fit the input."
NO_MASK = "Mark what is missing: press Draw mask and paint, or choose a Labels or Shapes layer."
GET_COLOURS = "open one of colour images with Open…, or train one on such images in the Train panel."
# Why no model is offered: whether one of colours would have to be.
NO_MODEL = {
    False: "None of your models draws photographs, and one for micrographs can only inpaint and denoise: open one of "
    "photographs with Open…, or train one in the Train panel.",
    True: f"None of your models draws colours: {GET_COLOURS}",
}


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
        self.form = self._make_form()
        self.panel = RunPanel()
        self.panel.run.setToolTip("Have the model draw what is missing.")
        self.panel.cancel.setToolTip("Stop; what is drawn so far stays.")
        scrolled(self, self.form, pinned=self.panel)
        self._run = LayerRun("Restore", napari_viewer, self.panel, self)
        self._planner = Inspector(self)
        self._looking = Looking(self.form, self.layer, NO_IMAGE, noise=False)
        self._plan: _Plan | None = None
        self.form.recall(PANEL)
        self._connect()
        self._looking.look()

    def _make_form(self) -> SettingsForm:
        form = SettingsForm(RestoreConfig, {"pixel size": PixelSizeField}, hidden=("image",))
        self.layer = LayerField(self._viewer, Image)
        self.explained = note()
        form.add("layer", self.layer, "Layer", after="task", kept=False)
        mask = FieldWidget(MaskField(self._viewer, self.layer))
        form.add("mask", mask, "Mask", after="layer", when={"task": ("inpaint",)}, kept=False)
        form.add("region", chooser(REGIONS), "Region", kept=False)
        form.add("drawn", plain(bool, text="What the model drew", tooltip=DRAWN), "Also add")
        form.add_below("task", self.explained)
        return form

    def _connect(self) -> None:
        self._looking.looked.connect(self._on_looked)
        self.form["task"].changed.connect(self._offer_models)
        self.form.changed.connect(self._on_changed)
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

    def _on_looked(self) -> None:
        self._offer_models()
        self._on_changed()

    def _offer_models(self, _task: Any = None) -> None:
        """List the models that can do what is wanted; one that the user has opened stays, and is judged by the plan."""
        task, channels = self.form["task"].value, self._channels()
        self.form.field("model").restrict(lambda card: card.channels in channels and _can(card, task))

    def _on_view_moved(self, _event: Any = None) -> None:
        layer = self.layer.value
        movie = layer is not None and layer.ndim > 2
        if (movie or self.form["region"].value == "viewport") and not self._run.running:
            self._on_changed()

    def _on_changed(self) -> None:
        """Look anew at what a run would do."""
        self.explained.setText(EXPLAINED[self.form["task"].value])
        self._plan = None
        try:
            question = partial(_plan, self._source(), self._config(), self._mask_layer())
        except GanDenoiseError as error:
            self._planner.forget()
            self.panel.show_plan(str(error), possible=False)
            return
        self._planner.ask(question)

    def _on_planned(self, answer: Answer) -> None:
        self._plan = answer.value
        if answer.refusal:
            self.panel.show_plan(answer.refusal, possible=False)
            return
        self.panel.show_plan(answer.value.sentence, answer.value.warnings)

    def _source(self) -> Source:
        return cut(self._viewer, self._looking.chosen(), self.form["region"].value, current_frame=True)

    def _config(self) -> RestoreConfig:
        if not self.form["model"].value:
            raise GanDenoiseError(NO_MODEL[self._channels() == {3}])
        config: RestoreConfig = self.form.config()
        return config

    def _channels(self) -> set[int]:
        """Return how many channels a model may have: those of the layer, three for colours to be drawn."""
        try:
            micrograph = whole(self._looking.chosen()).micrograph
        except GanDenoiseError:
            return {1, 3}
        if micrograph.rgb or self.form["task"].value == "colorize":
            return {3}
        return {1, 3} if SAME in micrograph.notes else {1}

    def _mask_layer(self) -> MaskLayer | None:
        layer: MaskLayer | None = self.form["mask"].value if "mask" in self.form.names() else None
        return layer

    # The run

    def run(self) -> None:
        """Restore what is chosen, in the background; nothing happens while a run is under way."""
        if self._run.running:
            return
        try:
            source, config = self._source(), self._config()
            # A mask takes a moment where the image is large: it is known already unless the user was quicker.
            known = self._plan if self._plan is not None and self._plan.box == source.box else None
            planned = known or _plan(source, config, self._mask_layer())
        except GanDenoiseError as error:
            show_error(str(error))
            return
        self.form.remember(PANEL)
        name = f"{source.layer.name} · {DONE[config.task]} ({Path(config.model).stem})"
        provenance = {"napari-gandenoise": {"partial": True, "config": config.model_dump(mode="json")}}
        self._run.start(
            restore_steps(source.micrograph, config, mask=planned.mask),
            LiveLayer(self._viewer, source, name, provenance, finer=config.finer),
            self._layers,
            seconds=planned.seconds,
            white=white_level(source.micrograph, DenoiseConfig(white=config.white)),
        )

    def _on_finished(self, result: RestoreResult) -> None:
        for warning in result.report["warnings"]:
            show_warning(warning)

    def _layers(self, result: RestoreResult) -> list[LayerData]:
        return result.to_layers(drawn=self.form["drawn"].value)

    def cancel(self) -> None:
        """Stop the run and keep what is done: at once for the user, a moment later for the computation."""
        self._run.cancel()

    # The settings elsewhere

    def _on_copy(self, kind: str) -> None:
        with refusals_shown():
            source, config = self._source(), self.form.config()
            mask = self._mask_layer()
            remarks = ""
            if kind == "python":
                given = [pixels(source)] + ([] if mask is None else [marked(source, mask)])
                lines = [] if mask is None else ["from napari_gandenoise.widgets import mask_of"]
                text = console(*lines, "", "result = " + call("gd.restore", given, config), *ADD)
            elif kind == "command":
                masks = [] if mask is None else ["--mask", file_of(mask, MASK_FILE)]
                text = command_line(["restore", *files(source, "restored.tif"), *image_of(source), *masks], config)
                remarks = _remarks(source, mask)
            else:
                text = as_yaml(config)
            to_clipboard(text, kind, remarks)


def _remarks(source: Source, mask: MaskLayer | None) -> str:
    """Say how a command differs from a run of the panel."""
    remarks = "" if source.is_whole else " It restores the whole file, not the region."
    if mask is not None and not mask.source.path:
        remarks += f" It reads {MASK_FILE}: save the mask there."
    return remarks


def _can(card: ModelCard, task: Task) -> bool:
    """Whether a model can do a task at all: a direct denoiser draws nothing, and micrographs have no colours."""
    return card.latent is not None and (card.pixel_size_nm is None or task in ("inpaint", "denoise"))


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
    if coloured and not micrograph.rgb and SAME not in micrograph.notes and config.task != "colorize":
        raise GanDenoiseError(
            f"The model {model.name} draws colours, and the layer has none: choose a model of grey images, or the task "
            "Colourise."
        )


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
