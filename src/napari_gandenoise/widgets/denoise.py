"""The Denoise panel: choose, see the plan, run, watch, trust."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QWidget

from napari_gandenoise.denoising import DenoiseResult, Plan, calibrated, denoise_steps, plan, white_level
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import list_models
from napari_gandenoise.noise import Calibration
from napari_gandenoise.widgets._form import DenoiseForm, Remembered
from napari_gandenoise.widgets._inspector import Answer, Inspector
from napari_gandenoise.widgets._intensity_field import IntensityField
from napari_gandenoise.widgets._layer_run import LayerRun
from napari_gandenoise.widgets._live_layer import LiveLayer
from napari_gandenoise.widgets._parts import refusals_shown, to_clipboard
from napari_gandenoise.widgets._run_panel import RunPanel
from napari_gandenoise.widgets._scroll import scrolled
from napari_gandenoise.widgets._settings import recall, remember
from napari_gandenoise.widgets._snippets import as_command, as_python, as_yaml
from napari_gandenoise.widgets._source import LayerData, Source, as_micrograph, cut, follow_view, found_pixel_size

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["DenoiseWidget"]

PANEL = "denoise"


class DenoiseWidget(QWidget):
    """Denoise an image or a movie of a viewer.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose layers are denoised and that gets the results.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.form = DenoiseForm(napari_viewer, list_models())
        self.panel = RunPanel()
        self.intensity = IntensityField()
        scrolled(self, self.form, self.panel, self.intensity)
        self._run = LayerRun("Denoise", napari_viewer, self.panel, self)
        self._calibrator = Inspector(self)
        self._planner = Inspector(self)
        self._plan: Plan | None = None
        self.form.restore(recall(PANEL, Remembered))
        self._connect()
        self._look_at_layer()

    def _connect(self) -> None:
        self.form.layer.chosen.connect(self._look_at_layer)
        self.form.layer.altered.connect(self._look_at_layer)
        self.form.changed.connect(self._on_changed)
        self.form.model.failed.connect(show_error)
        self.panel.run_clicked.connect(self.run)
        self.panel.cancel_clicked.connect(self.cancel)
        self.panel.copy_clicked.connect(self._on_copy)
        self._run.finished.connect(self._on_finished)
        self._calibrator.answered.connect(self._on_calibrated)
        self._planner.answered.connect(self._on_planned)
        follow_view(self._viewer, self._on_view_moved)

    @property
    def busy(self) -> bool:
        """Whether anything goes on in the background."""
        return self._run.running or self._calibrator.busy or self._planner.busy

    # The image and the plan

    def _look_at_layer(self, _layer: Any = None) -> None:
        """Fill in what the layer knows, and start the calibration."""
        layer = self.form.layer.layer()
        self.form.noise.set_waiting()
        self._calibrator.forget()
        if layer is None:
            self.form.show_frames(1)
            self._refuse("Open an image to denoise, for instance from File ▸ Open Sample.")
            return
        self.form.pixel_size.set_value(*found_pixel_size(layer))
        try:
            micrograph = as_micrograph(layer)
        except GanDenoiseError as error:
            self.form.show_frames(1)
            self._refuse(str(error))
            return
        self.form.show_frames(micrograph.frames)
        self._calibrator.ask(partial(calibrated, micrograph))
        self._on_changed()

    def _on_calibrated(self, answer: Answer) -> None:
        if isinstance(answer.value, Calibration):
            self.form.noise.set_calibration(answer.value)
        else:
            self.form.noise.set_unknown(answer.refusal)
        self._on_changed()

    def _on_view_moved(self, _event: Any = None) -> None:
        follows_view = self.form.region.currentData() == "viewport" or self.form.frames.currentData() == "current"
        if follows_view and not self._run.running:
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
        self.panel.show_plan(answer.value.sentence(), answer.value.warnings)

    def _refuse(self, sentence: str) -> None:
        self._planner.forget()
        self.panel.show_plan(sentence)

    def _source(self) -> Source:
        layer = self.form.layer.layer()
        if layer is None:
            raise GanDenoiseError("Open an image to denoise, for instance from File ▸ Open Sample.")
        current = self.form.frames.currentData() == "current"
        return cut(self._viewer, layer, self.form.region.currentData(), current_frame=current)

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
        remember(PANEL, self.form.remembered())
        self.intensity.forget()
        name = f"{source.layer.name} · denoised ({Path(config.model).stem})"
        provenance = {"napari-gandenoise": {"partial": True, "config": config.model_dump(mode="json")}}
        self._run.start(
            denoise_steps(source.micrograph, config),
            LiveLayer(self._viewer, source, name, provenance),
            self._layers,
            seconds=self._plan.seconds if self._plan else None,
            white=white_level(source.micrograph, config),
        )

    def _layers(self, result: DenoiseResult) -> list[LayerData]:
        return result.to_layers(fit_map=self.form.fit_map.isChecked(), residual=self.form.residual.isChecked())

    def _on_finished(self, result: DenoiseResult) -> None:
        self.intensity.follow(result, self._run.shown)

    def cancel(self) -> None:
        """Stop the run and keep what is done: at once for the user, a moment later for the computation."""
        self._run.cancel()

    # The settings elsewhere

    def _on_copy(self, kind: str) -> None:
        with refusals_shown():
            source, config = self._source(), self.form.config()
            text = {
                "python": lambda: as_python(source, config),
                "command": lambda: as_command(source, config),
                "yaml": lambda: as_yaml(config),
            }[kind]()
            note = "" if kind != "command" or source.is_whole else " It denoises the whole file, not the region."
            to_clipboard(text, kind, note)
