"""The Compare panel: methods beside each other on one's own image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_gandenoise.comparison import CompareResult, compare_steps
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress
from napari_gandenoise.settings.compare import CompareConfig
from napari_gandenoise.widgets.fields.layers import LayerField
from napari_gandenoise.widgets.fields.methods import MethodsField, MethodTable
from napari_gandenoise.widgets.fields.pixel_size import PixelSizeField
from napari_gandenoise.widgets.forms.form import SettingsForm
from napari_gandenoise.widgets.forms.make import plain
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
    truth,
)
from napari_gandenoise.widgets.layout.rows import in_row, note, refusals_shown, save_as, to_clipboard
from napari_gandenoise.widgets.layout.scroll import scrolled
from napari_gandenoise.widgets.plots.compare_plots import ComparePlots
from napari_gandenoise.widgets.running.activity import Activity
from napari_gandenoise.widgets.running.eta import Eta
from napari_gandenoise.widgets.running.looking import Looking
from napari_gandenoise.widgets.running.run_panel import RunPanel
from napari_gandenoise.widgets.running.runner import Runner
from napari_gandenoise.widgets.viewer.profile_line import ProfileLine
from napari_gandenoise.widgets.viewer.source import Source, cut

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["CompareWidget"]

PANEL = "compare"
NO_IMAGE = "Open an image to compare denoisers on."
TRUTH = "truth"  # in the name of a layer that is likely one
TRUTH_FILE = "truth.tif"
NAME_POINTS = 8  # letters in the cells of the grid
COPIES = "Compare on the current frame; the others give uPSNR, which needs no truth."
CLEAN = "Score against a clean layer of the same size and units."


class CompareWidget(QWidget):
    """Compare denoisers on an image of a viewer.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose layers are denoised and that gets the results.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.form = self._make_form()
        self.panel = RunPanel("Compare")
        self.panel.run.setToolTip("Run the ticked methods one after the other, and score them.")
        self.panel.cancel.setToolTip("Stop; methods that are done stay.")
        self.skip = QPushButton("Skip this method")
        self.skip.setToolTip("Give up the method that runs, and go on with the next.")
        self.caption = note()
        self.plots = ComparePlots(napari_viewer.theme)
        self.csv, self.figure = QPushButton("Export table…"), QPushButton("Export figure…")
        self.csv.setToolTip("Write all figures as CSV.")
        self.figure.setToolTip("Write a piece of every image, profiles and spectra as one PNG.")
        after = QWidget()
        column = QVBoxLayout(after)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.caption)
        column.addWidget(self.plots)
        column.addLayout(in_row(self.csv, self.figure))
        foot = QWidget()
        below = QVBoxLayout(foot)
        below.setContentsMargins(0, 0, 0, 0)
        below.addWidget(self.skip)
        below.addWidget(self.panel)
        scrolled(self, self.form, after, pinned=foot)
        self._runner = Runner(self)
        self._looking = Looking(self.form, self.layer, NO_IMAGE, several=3)
        self._activity = Activity("Compare")
        self._eta = Eta(None)
        self._source: Source | None = None
        self._result: CompareResult | None = None
        self._layers: dict[str, Layer] = {}
        self._unwanted: set[str] = set()
        self._line = ProfileLine(napari_viewer, self)
        # The lists of layers bring themselves up to date first, in whatever order events come.
        self._truth_timer = QTimer(self)
        self._truth_timer.setSingleShot(True)
        self._truth_timer.timeout.connect(self._look_for_truth)
        self.form.recall(PANEL)
        self._connect()
        self._show_result(None)
        self.skip.setVisible(False)
        self._looking.look()

    def _make_form(self) -> SettingsForm:
        form = SettingsForm(CompareConfig, {"pixel size": PixelSizeField, "methods": MethodsField}, hidden=("image",))
        self.methods: MethodsField = form.field("methods")
        self.table: MethodTable = self.methods.table
        self.layer, self.truth = LayerField(self._viewer, Image), LayerField(self._viewer, Image)
        form.add("layer", self.layer, "Layer", first=True, kept=False)
        copies = plain(bool, text="Other frames show the same view", tooltip=COPIES)
        form.add("copies", copies, after="layer", when={"frames": ("several",)}, kept=False)
        form.add("scored", plain(bool, text="Score against a truth", tooltip=CLEAN), after="copies", kept=False)
        form.add("truth", self.truth, "Truth", after="scored", when={"scored": (True,)}, kept=False)
        form.add("grid", plain(bool, text="Show results in a grid", value=True), group="Advanced")
        return form

    def _connect(self) -> None:
        self._looking.looked.connect(self._on_looked)
        self.truth.altered.connect(self._on_changed)
        self.form.changed.connect(self._on_changed)
        self.form["model"].changed.connect(self.methods.name_model)
        self.table.picked.connect(self._on_picked)
        self.methods.ranking.currentTextChanged.connect(self.plots.rank_by)
        self.table.ranked.connect(self.plots.rank_by)
        self.panel.run_clicked.connect(self.run)
        self.panel.cancel_clicked.connect(self.cancel)
        self.panel.copy_clicked.connect(self._on_copy)
        self.skip.clicked.connect(self._on_skip)
        self.plots.line.toggled.connect(self._on_line_wanted)
        self.plots.line.nudged.connect(self._line.nudge)
        self.plots.view.currentIndexChanged.connect(self._show_line)
        self._line.moved.connect(self._show_line)
        self.csv.clicked.connect(self._on_export_table)
        self.figure.clicked.connect(self._on_export_figure)
        self._runner.progressed.connect(self._on_progressed)
        self._runner.finished.connect(self._on_finished)
        self._runner.cancelled.connect(self.panel.show_stopped)
        self._runner.failed.connect(self._on_failed)
        self._viewer.layers.events.inserted.connect(self._on_inserted)
        self._viewer.layers.events.removed.connect(self._on_removed)
        self._grid.events.enabled.connect(self._name_cells)
        self.destroyed.connect(self._line.forget)
        self._viewer.events.theme.connect(self._on_theme)

    @property
    def busy(self) -> bool:
        """Whether anything goes on in the background."""
        return self._runner.running or self._looking.busy or self._truth_timer.isActive()

    @property
    def result(self) -> CompareResult | None:
        """The last comparison, as far as it is."""
        return self._result

    # The image

    def _on_looked(self) -> None:
        if self.layer.value is not None:
            self._truth_timer.start(0)
        self._on_changed()

    def _on_inserted(self, event: Any) -> None:
        if TRUTH in event.value.name.lower():
            self._truth_timer.start(0)

    def _on_removed(self, event: Any) -> None:
        """Forget a comparison whose image is gone; layers that are still there stay."""
        source = self._source
        if source is not None and event.value is source.layer and not self._runner.running:
            self._source = None
            self._show_result(None)
            self.panel.show_idle()

    def _look_for_truth(self) -> None:
        layer = self.layer.value
        if layer is None:
            return
        likely = [other for other in self._images() if TRUTH in other.name.lower() and other is not layer]
        alike = [other for other in likely if other.data.shape == layer.data.shape]
        self.form["scored"].value = bool(alike)
        if alike:
            self.truth.choose(alike[0])

    def _images(self) -> list[Image]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Image)]

    def _on_changed(self, _value: Any = None) -> None:
        """Say anew what a run would do."""
        if not self._runner.running:
            try:
                self.panel.show_plan(self._plan())
            except GanDenoiseError as error:
                self.panel.show_plan(str(error), possible=False)

    def _plan(self) -> str:
        source, config = self._cut(), self._config()
        height, width = source.micrograph.pixels.shape[:2]
        frame = f" of frame {source.box[0].start}" if source.single_frame else ""
        told = [f"{len(config.methods)} methods on {height}×{width} pixels{frame}"]
        told += ["against the truth"] if self._truth(source) is not None else []
        told += ["against the other frames"] if self._with_copies(source) else []
        splits = config.splitting or (config.splitting is None and self._truth(source) is None)
        told += ["on held-out electrons, if they were counted"] if splits else []
        return f"{told[0]}, scored {' and '.join(told[1:]) or 'by their fit alone'}."

    def _config(self) -> CompareConfig:
        if not self.form["methods"].value:
            raise GanDenoiseError("Tick the methods to compare.")
        config: CompareConfig = self.form.config()
        return config

    def _cut(self) -> Source:
        return cut(self._viewer, self._looking.chosen(), "whole", current_frame=True)

    def _truth(self, source: Source) -> np.ndarray[Any, Any] | None:
        layer = self._clean()
        if layer is None:
            return None
        if layer is source.layer:
            raise GanDenoiseError("The truth is the layer itself: choose a clean one, or leave it out.")
        pixels = layer.data[0] if layer.multiscale else layer.data
        clean = pixels[source.box[0].start] if source.single_frame and pixels.ndim > 2 else pixels
        if clean.shape != source.micrograph.pixels.shape:
            theirs, ours = ("×".join(map(str, shape)) for shape in (clean.shape, source.micrograph.pixels.shape))
            raise GanDenoiseError(f"The truth has {theirs} pixels and the image {ours}: they must be alike.")
        return np.asarray(clean)

    def _clean(self) -> Image | None:
        """Return the layer that methods are scored against."""
        return self.truth.value if self.form["scored"].value else None

    def _with_copies(self, source: Source) -> bool:
        return source.single_frame and self.form["copies"].value and len(source.layer.data) > 2

    def _copies(self, source: Source) -> np.ndarray[Any, Any] | None:
        if not self._with_copies(source):
            return None
        return np.delete(np.asarray(source.layer.data), source.box[0].start, axis=0)

    # The run

    def run(self) -> None:
        """Compare what is chosen, in the background; nothing happens while a run is under way."""
        if self._runner.running:
            return
        try:
            source, config = self._cut(), self._config()
            clean, copies = self._truth(source), self._copies(source)
        except GanDenoiseError as error:
            show_error(str(error))
            return
        self.form.remember(PANEL)
        self._source, self._layers, self._unwanted = source, {}, set()
        self._show_result(None)
        self._line.lie_on(source.layer, source.micrograph.pixels.shape)
        self.plots.show_line(None)
        for method in config.methods:
            self.table.show_state(method, "waiting")
        self._waiting = list(config.methods)
        self._eta = Eta(None)
        self.panel.show_running()
        self.skip.setVisible(True)
        self._runner.start(compare_steps(source.micrograph, config, truth=clean, copies=copies, skip=self._unwanted))

    def cancel(self) -> None:
        """Stop and keep the methods that are done: at once for the user, a moment later for the computation."""
        if not self._runner.running or self._runner.stopping:
            return
        self._runner.cancel()
        for method in self._waiting:
            self.table.show_state(method, "cancelled")
        self._end()
        self.methods.rank()
        done = len(self._layers)
        self.panel.show_stopping(
            f"Cancelled; {done} methods are kept." if done else "Cancelled before the first method."
        )

    def _on_skip(self) -> None:
        """Give up the method that runs, and go on with the next."""
        if self._waiting:
            self._unwanted.add(self._waiting[0])
            self.table.show_state(self._waiting[0], "stopping…")

    def _on_progressed(self, event: Progress) -> None:
        if isinstance(event.preview, CompareResult):
            self._waiting = self._waiting[1:]
            self._show_result(event.preview)
            self._add_layers(event.preview)
        if self._waiting and event.stage != "prepare" and self._waiting[0] not in self._unwanted:
            self.table.show_state(self._waiting[0], "running")
        self.panel.show_progress(event, self._eta.describe(event))
        self._activity.show(event)

    def _on_finished(self, result: CompareResult) -> None:
        self._end()
        self.methods.rank()
        self.panel.show_idle(result.summary())

    def _on_failed(self, sentence: str) -> None:
        self._end()
        self._show_result(None)
        self.panel.show_idle()
        show_error(sentence)

    def _end(self) -> None:
        self._activity.close()
        self.skip.setVisible(False)

    # The results

    def _show_result(self, result: CompareResult | None) -> None:
        self._result = result
        some = result is not None and bool(result.images)
        for widget in (self.csv, self.figure, self.plots, self.caption):
            widget.setVisible(some)
        self.plots.show_result(result)
        self.methods.show_result(result)
        if result is None:
            self._line.hide()
            self.plots.line.setChecked(False)
        else:
            self.caption.setText(result.caption())

    def _add_layers(self, result: CompareResult) -> None:
        """Add what is new, linked in contrast with the others and beside them."""
        assert self._source is not None
        for name, layer_data in zip(result.images, result.to_layers(), strict=True):
            if name not in self._layers and name != "noisy":  # that is in the viewer already
                layer = self._viewer.add_layer(Layer.create(*self._source.place(layer_data)))
                self._layers[name] = layer
        shown = [layer for layer in self._layers.values() if layer in self._viewer.layers]
        grey = [layer for layer in shown if not layer.rgb]
        if len(grey) > 1:
            for layer in grey:
                layer.contrast_limits = result.limits()
            self._viewer.layers.link_layers(grey, ("contrast_limits",))
        if self.form["grid"].value and self._layers and not self._grid.enabled:
            if result.truth is not None:
                self._show_truth(result)
            self._grid.enabled = True
            self._viewer.reset_view()
        self._name_cells()
        self._show_line()

    def _shown(self) -> list[Image]:
        """Return the layers of the comparison that are there: the image, its truth, and what methods made of it."""
        image = None if self._source is None else self._source.layer
        return [layer for layer in (image, self._clean(), *self._layers.values()) if layer in self._viewer.layers]

    def _name_cells(self, _event: Any = None) -> None:
        """Write into the cells of the grid what they show."""
        for layer in self._shown():
            layer.name_overlay.font_size = NAME_POINTS
            layer.name_overlay.visible = self._grid.enabled

    def _show_truth(self, result: CompareResult) -> None:
        clean = self._clean()
        if clean is not None:
            clean.visible = True
            if not clean.rgb:
                clean.contrast_limits = result.limits()

    @property
    def _grid(self) -> Any:
        return self._viewer.canvas.grid

    def _on_picked(self, name: str) -> None:
        """Show a method in the plots, and make its layer the active one."""
        self.plots.pick(name)
        layer = self._layers.get(name)
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.selection.active = layer

    # The profile

    def _on_line_wanted(self, wanted: bool) -> None:
        """Give the line into the mouse's hand."""
        self._line.in_hand = wanted

    def _show_line(self, _moved: Any = None) -> None:
        """Draw the line over every image, and the profile along it."""
        profile = self.plots.view.currentData() == "profile"
        if not profile:
            self.plots.line.setChecked(False)
        self._line.show(self._shown() if profile and self._result is not None else ())
        (y0, x0), (y1, x1) = self._line.ends
        self.plots.show_line(((float(y0), float(x0)), (float(y1), float(x1))))

    def _on_theme(self, event: Any) -> None:
        self.plots.set_theme(event.value)
        self.plots.show_result(self._result)

    # Elsewhere

    def _on_export_table(self) -> None:
        self._export("Export the table", "comparison.csv", "Tables (*.csv)", CompareResult.write_csv)

    def _on_export_figure(self) -> None:
        self._export("Export the figure", "comparison.png", "Images (*.png)", CompareResult.write_figure)

    def _export(self, title: str, name: str, kinds: str, write: Callable[[CompareResult, str], None]) -> None:
        if (result := self._result) is not None:
            save_as(self, title, name, kinds, lambda path: write(result, path))

    def _on_copy(self, kind: str) -> None:
        with refusals_shown():
            source, config = self._cut(), self._config()
            clean = self._clean()
            if kind == "python":
                made = "result = " + call("gd.compare", [pixels(source), *truth(source, clean)], config)
                text = console("", made, *ADD_ALL, "result.table()")
            elif kind == "command":
                given, output = files(source, "compared")
                words = ["compare", given, "--output", output, *image_of(source)]
                text = command_line(words + ([] if clean is None else ["--truth", file_of(clean, TRUTH_FILE)]), config)
            else:
                text = as_yaml(config)
            to_clipboard(text, kind)
