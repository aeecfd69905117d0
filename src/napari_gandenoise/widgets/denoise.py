"""The Denoise panel: choose, see the plan, run, watch, trust."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from napari_gandenoise.denoising import (
    Adaptation,
    DenoiseResult,
    Plan,
    Region,
    denoise_steps,
    plan,
    white_level,
)
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import user_folder
from napari_gandenoise.models.bundled import SUFFIX
from napari_gandenoise.settings.denoise import REPLICATES, SAMPLES, DenoiseConfig
from napari_gandenoise.widgets.before_after.panel import BeforeAfter
from napari_gandenoise.widgets.fields.base import FieldWidget
from napari_gandenoise.widgets.fields.layers import LayerField
from napari_gandenoise.widgets.fields.pixel_size import PixelSizeField
from napari_gandenoise.widgets.fields.region import RegionField
from napari_gandenoise.widgets.forms.form import ADVANCED, SettingsForm
from napari_gandenoise.widgets.forms.make import chooser
from napari_gandenoise.widgets.forms.snippets import ADD, as_yaml, call, command_line, console, files, image_of, pixels
from napari_gandenoise.widgets.layout.rows import refusals_shown, to_clipboard
from napari_gandenoise.widgets.layout.scroll import scrolled
from napari_gandenoise.widgets.plots.movie_plot import MoviePlot
from napari_gandenoise.widgets.running.inspector import Answer, Inspector
from napari_gandenoise.widgets.running.layer_run import LayerRun
from napari_gandenoise.widgets.running.looking import Looking
from napari_gandenoise.widgets.running.run_panel import RunPanel
from napari_gandenoise.widgets.running.verdict_card import VerdictCard
from napari_gandenoise.widgets.viewer.live_layer import LiveLayer
from napari_gandenoise.widgets.viewer.source import (
    LayerData,
    Source,
    cut,
    follow_view,
    shown_frame,
    whole,
)

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["DenoiseWidget"]

PANEL = "denoise"
FRONT = ("pixel_size_nm", "model")
NO_IMAGE = "Open an image to denoise, for instance from File ▸ Open Sample."


class DenoiseWidget(QWidget):
    """Denoise an image or a movie of a viewer.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose layers are denoised and that gets the results.

    Signals
    -------
    batch_wanted : str
        The file of the layer is too large for the window.
    """

    batch_wanted = Signal(str)

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.form = self._make_form()
        self.panel = RunPanel("Denoise", large=True)
        self.card = VerdictCard()
        self.course = MoviePlot(napari_viewer.theme)
        self.before_after = BeforeAfter(napari_viewer)
        self.to_batch = QPushButton("Denoise the file in Batch…")
        self.to_batch.setToolTip("There it is read, denoised and written frame by frame.")
        self.to_batch.setVisible(False)
        scrolled(self, self.form, self.to_batch, self.card, self.before_after, self.course, pinned=self.panel)
        self._run = LayerRun("Denoise", napari_viewer, self.panel, self)
        self._looking = Looking(self.form, self.layer, NO_IMAGE)
        self._planner = Inspector(self)
        self._plan: Plan | None = None
        self._adaptation: Adaptation | None = None
        self._running: Source | None = None
        self._attended = 0
        self.form.recall(PANEL)
        self._connect()
        self._looking.look()

    def _make_form(self) -> SettingsForm:
        form = SettingsForm(DenoiseConfig, {"pixel size": PixelSizeField}, hidden=("image",), front=FRONT)
        self.layer = LayerField(self._viewer, Image)
        form.add("layer", self.layer, "Layer", first=True, kept=False)
        region = FieldWidget(RegionField(self._viewer, self.layer))
        form.add("region", region, "Region", after="noise", group=ADVANCED, kept=False)
        frames = chooser({False: "All frames", True: "Current frame"})
        form.add("current", frames, "Frames", after="region", group=ADVANCED, when={"frames": ("several",)})
        return form

    def _connect(self) -> None:
        self._looking.looked.connect(self._on_looked)
        self.form.changed.connect(self._on_changed)
        self.panel.run_clicked.connect(self.run)
        self.panel.cancel_clicked.connect(self.cancel)
        self.panel.copy_clicked.connect(self._on_copy)
        self._run.finished.connect(self._on_finished)
        self.to_batch.clicked.connect(lambda: self.batch_wanted.emit(self._file()))
        self.card.region_clicked.connect(self._go_to)
        self.card.keep_clicked.connect(self._keep_model)
        self.before_after.uncertainty_wanted.connect(self._on_uncertainty_wanted)
        self._planner.answered.connect(self._on_planned)
        follow_view(self._viewer, self._on_view_moved)

    @property
    def busy(self) -> bool:
        """Whether anything goes on in the background."""
        return self._run.running or self._looking.busy or self._planner.busy

    # The image and the plan

    def _on_looked(self) -> None:
        """Name the number of frames of the layer."""
        try:
            frames = whole(self._looking.chosen()).micrograph.frames
        except GanDenoiseError:  # which the plan tells
            frames = 1
        self.form["current"].native.setItemText(0, f"All {frames} frames")
        self._on_changed()

    def _file(self) -> str | None:
        """Return the file that the layer comes from, if it does."""
        layer = self.layer.value
        return None if layer is None or not layer.source.path else str(layer.source.path)

    def _on_uncertainty_wanted(self) -> None:
        """Ask the next run for samples, or for repetitions if the model draws none."""
        draws = "samples" in self.form.names()
        name, count = ("samples", SAMPLES) if draws else ("replicates", REPLICATES)
        self.form[name].value = count
        show_info(f"Press Denoise once more: {count} {'samples' if draws else 'repeated runs'} tell the uncertainty.")

    def _on_view_moved(self, _event: Any = None) -> None:
        if self._running is not None and self._run.running:
            self._attended = shown_frame(self._viewer, self._running)
        if (self.form["region"].value == "viewport" or self._current_frame()) and not self._run.running:
            self._on_changed()

    def _on_changed(self) -> None:
        """Plan the run anew."""
        self._plan = None
        try:
            source, config = self._source(), self.form.config()
        except GanDenoiseError as error:
            self._refuse(str(error))
            return
        self.panel.show_plan("planning…")
        self._planner.ask(partial(plan, source.micrograph, config))

    def _on_planned(self, answer: Answer) -> None:
        if answer.refusal:
            self._refuse(answer.refusal)
            return
        self._plan = answer.value
        assumed = self._plan.work.assumed
        self.form.field("pixel_size_nm").show_guess(None if assumed is None else assumed.pixel_size_nm)
        planned: Plan = answer.value
        self.panel.show_plan(planned.sentence(), planned.warnings, details=planned.details())
        self.to_batch.setVisible(planned.too_large and self._file() is not None)
        self.form.field("model").show_time(f"{planned.duration()} on this machine")

    def _refuse(self, sentence: str) -> None:
        self._planner.forget()
        self.form.field("model").show_time("")
        self.to_batch.setVisible(False)
        self.panel.show_plan(sentence, possible=False)

    def _source(self) -> Source:
        return cut(self._viewer, self._looking.chosen(), self.form["region"].value, current_frame=self._current_frame())

    def _current_frame(self) -> bool:
        return "current" in self.form.names() and bool(self.form["current"].value)

    # The run

    def run(self) -> None:
        """Denoise what is chosen, in the background; nothing happens while a run is under way."""
        if self._run.running:
            return
        try:
            source, config = self._source(), self.form.config()
        except GanDenoiseError as error:
            show_error(str(error))
            return
        self.form.remember(PANEL)
        self.before_after.forget()
        self.card.clear()
        # Followed in the window's thread; the computation only looks at the number.
        self._running, self._attended = source, shown_frame(self._viewer, source)
        name = f"denoised · {Path(config.model).stem}"
        provenance = {"napari-gandenoise": {"partial": True, "config": config.model_dump(mode="json")}}
        self._run.start(
            denoise_steps(source.micrograph, config, attended=lambda: self._attended),
            LiveLayer(self._viewer, source, name, provenance),
            self._layers,
            seconds=self._plan.seconds if self._plan else None,
            white=white_level(source.micrograph, config),
        )

    def _layers(self, result: DenoiseResult) -> list[LayerData]:
        return [result.layer_of("rate"), *result.outlines()]

    def _on_finished(self, result: DenoiseResult) -> None:
        self.before_after.follow(result, self._run.shown, self._run.earlier)
        self._adaptation = result.adaptation
        self.course.show_result(result)
        kept = result.adaptation is not None and result.adaptation.kept
        self.card.show_verdict(result.verdict, kept, result.summary())
        # In short: the card has the rest.
        self.panel.show_idle(f"Done in {result.report['seconds']:.0f} s. {result.report['choice']}".rstrip())

    def _go_to(self, region: Region) -> None:
        """Bring a region that the verdict names to the middle of the canvas."""
        shown = self._run.shown
        if shown is None or shown.layer is None:
            return
        layer, (top, left, bottom, right) = shown.layer, region.box
        middle = [region.frame, (top + bottom - 1) / 2, (left + right - 1) / 2][-layer.ndim :]
        world = layer.data_to_world([0] * (layer.ndim - len(middle)) + middle)
        self._viewer.dims.point = tuple(world) if layer.ndim == self._viewer.dims.ndim else self._viewer.dims.point
        self._viewer.scene.camera.center = tuple(world[-2:])

    def _keep_model(self) -> None:
        """Save the model as it was adapted, and say how it is used."""
        if self._adaptation is None:
            return
        folder = user_folder()
        folder.mkdir(parents=True, exist_ok=True)
        suggested = folder / f"{self._adaptation.base.name}-adapted{SUFFIX}"
        path, _ = QFileDialog.getSaveFileName(self, "Keep the adapted model", str(suggested), f"Models (*{SUFFIX})")
        if not path:
            return
        with refusals_shown():
            kept = self._adaptation.save(Path(path).with_suffix(SUFFIX), overwrite=True)
            show_info(f"{kept}: choose it as the model for more images of this kind.")

    def cancel(self) -> None:
        """Stop the run and keep what is done: at once for the user, a moment later for the computation."""
        self._run.cancel()

    # The settings elsewhere

    def _on_copy(self, kind: str) -> None:
        with refusals_shown():
            source, config = self._source(), self.form.config()
            remark = ""
            if kind == "python":
                text = console("", "result = " + call("gd.denoise", [pixels(source)], config), *ADD)
            elif kind == "command":
                words = ["denoise", *files(source, "denoised.tif"), *image_of(source)]
                if config.replicates or config.samples:
                    words += ["--uncertainty", files(source, "uncertainty.tif")[1]]
                text = command_line(words, config)
                remark = "" if source.is_whole else " It denoises the whole file, not the region."
            else:
                text = as_yaml(config)
            to_clipboard(text, kind, remark)
