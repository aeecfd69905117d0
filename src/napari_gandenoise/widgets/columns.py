"""The Columns panel: atom columns as points, with errors and probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer, Points
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.locating import ColumnsResult, columns_steps
from napari_gandenoise.progress import Progress
from napari_gandenoise.settings.columns import ColumnsConfig
from napari_gandenoise.widgets.fields.layers import LayerField
from napari_gandenoise.widgets.fields.pixel_size import PixelSizeField
from napari_gandenoise.widgets.forms.form import SettingsForm
from napari_gandenoise.widgets.forms.make import chooser, plain
from napari_gandenoise.widgets.forms.snippets import (
    ADD_ALL,
    as_yaml,
    call,
    command_line,
    console,
    file_of,
    files,
    image_of,
    pixels,
)
from napari_gandenoise.widgets.layout.rows import note, refusals_shown, save_as, to_clipboard
from napari_gandenoise.widgets.layout.scroll import scrolled
from napari_gandenoise.widgets.plots.occupancy import OccupancyPlot
from napari_gandenoise.widgets.running.activity import Activity
from napari_gandenoise.widgets.running.eta import Eta
from napari_gandenoise.widgets.running.layer_run import frame_of
from napari_gandenoise.widgets.running.looking import Looking
from napari_gandenoise.widgets.running.run_panel import RunPanel
from napari_gandenoise.widgets.running.runner import Runner
from napari_gandenoise.widgets.viewer.live_layer import LiveLayer
from napari_gandenoise.widgets.viewer.source import LayerData, Source, cut

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["ColumnsWidget"]

PANEL = "columns"
NO_IMAGE = "Open an image to find columns in."
DENOISED_FILE = "denoised.tif"
KNOWN = "Look for columns in a layer that shows the image denoised, whoever made it; else it is denoised first."
LEGEND = (
    "Each column is a disk, the larger the less its place is known; the colour of its rim is the probability that it "
    "is there. Hollow ones are doubtful. A point's row stands in the layer's features."
)


class ColumnsWidget(QWidget):
    """Find the atom columns of an image or a movie of a viewer.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose layers are looked at and that gets the results.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.form = self._make_form()
        self.panel = RunPanel("Find columns")
        self.legend = note(LEGEND)
        self.plot = OccupancyPlot(napari_viewer.theme)
        self.save = QPushButton("Save table…")
        self.save.setToolTip("Write a row of figures for each column as CSV, or as Parquet if the name ends so.")
        self.panel.run.setToolTip("Find the columns of the image, and fit each to the counts.")
        self.panel.cancel.setToolTip("Stop; frames that are done stay.")
        after = QWidget()
        column = QVBoxLayout(after)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.legend, self.plot, self.save):
            column.addWidget(widget)
        scrolled(self, self.form, after, pinned=self.panel)
        self._runner = Runner(self)
        self._looking = Looking(self.form, self.layer, NO_IMAGE)
        self._activity = Activity("Columns")
        self._eta = Eta(None)
        self._source: Source | None = None
        self._live: LiveLayer | None = None
        self._points: Points | None = None
        self.result: ColumnsResult | None = None
        self.form.recall(PANEL)
        self._connect()
        self._show_result(None)
        self._looking.look()

    def _make_form(self) -> SettingsForm:
        form = SettingsForm(ColumnsConfig, {"pixel size": PixelSizeField}, hidden=("image",))
        self.layer, self.denoised = LayerField(self._viewer, Image), LayerField(self._viewer, Image)
        form.add("layer", self.layer, "Layer", first=True, kept=False)
        form.add("known", plain(bool, text="Denoised already", tooltip=KNOWN), after="layer", kept=False)
        form.add("denoised", self.denoised, "Denoised", after="known", when={"known": (True,)}, kept=False)
        frames = chooser({False: "All frames", True: "Current frame"})
        form.add("current", frames, "Frames", after="denoised", when={"frames": ("several",)})
        return form

    def _connect(self) -> None:
        self._looking.looked.connect(self._on_looked)
        self.denoised.altered.connect(self._on_changed)
        self.form.changed.connect(self._on_changed)
        self.panel.run_clicked.connect(self.run)
        self.panel.cancel_clicked.connect(self.cancel)
        self.panel.copy_clicked.connect(self._on_copy)
        self.save.clicked.connect(self._on_save)
        self._runner.progressed.connect(self._on_progressed)
        self._runner.finished.connect(self._on_finished)
        self._runner.cancelled.connect(self.panel.show_stopped)
        self._runner.failed.connect(self._on_failed)
        self._viewer.layers.events.inserted.connect(self._look_for_denoised)
        self._viewer.layers.events.removed.connect(self._on_removed)
        self._viewer.events.theme.connect(self._on_theme)

    @property
    def busy(self) -> bool:
        """Whether anything goes on in the background."""
        return self._runner.running or self._looking.busy

    # The image

    def _on_looked(self) -> None:
        self._look_for_denoised()
        self._on_changed()

    def _on_removed(self, event: Any) -> None:
        """Forget the columns of an image that is gone; their points stay as long as the user keeps them."""
        source = self._source
        if source is not None and event.value is source.layer and not self._runner.running:
            self._source = None
            self._show_result(None)
            self.panel.show_idle()

    def _look_for_denoised(self, _event: Any = None) -> None:
        """Choose the latest layer that shows the image denoised, by its name, shape and scale."""
        layer = self.layer.value
        if layer is None or self._runner.running:
            return
        images = [other for other in self._viewer.layers if isinstance(other, Image) and other is not layer]
        alike = [other for other in images if other.data.shape == layer.data.shape and "denoised" in other.name]
        alike = [other for other in alike if np.allclose(other.scale, layer.scale)]
        if alike:
            self.form["known"].value = True
            self.denoised.choose(alike[-1])

    def _on_changed(self, _value: Any = None) -> None:
        """Say anew what a run would do."""
        if self._runner.running:
            return
        try:
            source = self._cut()
            shown = self._shown(source)
        except GanDenoiseError as error:
            self.panel.show_plan(str(error), possible=False)
            return
        frames = source.micrograph.frames
        what = "the image" if frames == 1 else f"{frames} frames"
        self.panel.show_plan(f"Finds columns in {what}{', denoised first' if shown is None else ''}.")

    def _cut(self) -> Source:
        layer = self._looking.chosen()
        current = "current" in self.form.names() and bool(self.form["current"].value)
        return cut(self._viewer, layer, "whole", current_frame=current)

    def _known(self) -> Image | None:
        return self.denoised.value if self.form["known"].value else None

    def _shown(self, source: Source) -> Any:
        """Return the denoised pixels of a source, if a layer has them."""
        layer = self._known()
        if layer is None:
            return None
        if layer is source.layer:
            raise GanDenoiseError("The denoised layer is the image itself: choose another, or untick Denoised already.")
        return layer.data[source.box[0].start] if source.single_frame and layer.ndim > 2 else layer.data

    # The run

    def run(self) -> None:
        """Find columns in what is chosen, in the background; nothing happens while a run is under way."""
        if self._runner.running:
            return
        try:
            source, config = self._cut(), self.form.config()
            shown = self._shown(source)
        except GanDenoiseError as error:
            show_error(str(error))
            return
        self.form.remember(PANEL)
        self._source, self._points = source, None
        self._show_result(None)
        provenance = {"napari-gandenoise": {"partial": True, "config": config.model_dump(mode="json")}}
        name = f"denoised · {Path(config.model).stem}"
        self._live = LiveLayer(self._viewer, source, name, provenance)
        self._eta = Eta(None)
        self.panel.show_running()
        self._runner.start(columns_steps(source.micrograph, config, denoised=shown))

    def cancel(self) -> None:
        """Stop and keep the frames that are done: at once for the user, a moment later for the computation."""
        if not self._runner.running or self._runner.stopping:
            return
        self._runner.cancel()
        self._activity.close()
        kept = self._live is not None and self._live.keep_partial()
        kept = kept or self.result is not None
        self.panel.show_stopping("Cancelled; what was done is kept." if kept else "Cancelled before the first frame.")

    def _on_progressed(self, event: Progress) -> None:
        if isinstance(event.preview, ColumnsResult):
            self._show_result(event.preview)
        elif event.preview is not None and self._live is not None:
            self._live.show(event.preview, frame_of(event))
        self.panel.show_progress(event, self._eta.describe(event))
        self._activity.show(event)

    def _on_finished(self, result: ColumnsResult) -> None:
        self._activity.close()
        if result.denoised is not None and self._live is not None:
            self._live.finish(result.denoised.to_layers())
        self._show_result(result)
        self.panel.show_idle("\n".join([result.summary(), *(f"⚠ {said}" for said in result.report["warnings"])]))

    def _on_failed(self, sentence: str) -> None:
        self._activity.close()
        if self._live is not None:
            self._live.keep_partial()
        self.panel.show_idle()
        show_error(sentence)

    # The result

    def _show_result(self, result: ColumnsResult | None) -> None:
        """Show a result as far as it is: its points, and for a movie the plot."""
        self.result = result
        some = result is not None and len(result) > 0
        self.legend.setVisible(some)
        self.save.setVisible(some)
        self.plot.setVisible(result is not None and result.movie)
        if result is None or self._source is None:
            return
        if result.movie:
            self.plot.show_result(result)
        if self._points is not None and self._points in self._viewer.layers:
            self._viewer.layers.remove(self._points)
        self._points = self._viewer.add_layer(Layer.create(*_placed(result.to_layer_data(), self._source)))

    def _on_theme(self, event: Any) -> None:
        self.plot.set_theme(event.value)

    def _on_save(self) -> None:
        if (result := self.result) is not None:  # the dialogue asks before a file is replaced
            kinds = "Tables (*.csv *.parquet)"
            save_as(self, "Save the table", "columns.csv", kinds, lambda path: result.write(path, overwrite=True))

    def _on_copy(self, kind: str) -> None:
        with refusals_shown():
            source, config, layer = self._cut(), self.form.config(), self._known()
            if kind == "python":
                frame = f"[{source.box[0].start}]" if source.single_frame else ""
                given = [] if layer is None else [f"denoised=viewer.layers[{layer.name!r}].data{frame}"]
                text = console("", "result = " + call("gd.columns", [pixels(source), *given], config), *ADD_ALL)
            elif kind == "command":
                given = [] if layer is None else ["--denoised", file_of(layer, DENOISED_FILE)]
                words = ["columns", *files(source, "columns.csv"), *image_of(source), *given]
                text = command_line(words, config)
            else:
                text = as_yaml(config)
            to_clipboard(text, kind)


def _placed(layer_data: LayerData, source: Source) -> LayerData:
    """Bring points to where their image lies in the viewer."""
    places, options, kind = layer_data
    before = np.zeros((len(places), source.layer.ndim - places.shape[1]))
    return np.column_stack([before, places]), {**options, **source.placement()}, kind
