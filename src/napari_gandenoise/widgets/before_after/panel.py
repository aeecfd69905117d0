"""Below a result: what the right half shows, how much of the noise is taken away, spectra and histograms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QButtonGroup, QPushButton, QVBoxLayout, QWidget
from superqt import QFlowLayout

from napari_gandenoise.denoising import DenoiseResult
from napari_gandenoise.widgets.before_after.intensity import IntensityField
from napari_gandenoise.widgets.before_after.spectra import HistogramPlot, Pair, SpectraPlot, pair_of
from napari_gandenoise.widgets.before_after.summed import Summed
from napari_gandenoise.widgets.before_after.swipe import KEY, Swipe
from napari_gandenoise.widgets.layout.rows import Folded, note
from napari_gandenoise.widgets.running.inspector import Answer, Inspector
from napari_gandenoise.widgets.viewer.live_layer import LiveLayer
from napari_gandenoise.widgets.viewer.source import follow_view, shown_frame

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["BeforeAfter"]

DENOISED, SAMPLES = "denoised", "samples"
FLICKER_MS = 150  # for each sample
EXTRAS = {
    "samples": ("Flicker", "Plays samples of what the image could be: what is certain stands still."),
    "residual": ("Residual", "What was taken away: input minus result."),
    "fit_map": ("Fit map", "Where result and counts disagree more than noise allows: 1 is what noise alone gives."),
    "uncertainty": ("Uncertainty", "Standard error of each pixel."),
    "missing": ("Left out", "Spikes, bad lines and pixels without a value, which had no say."),
}


class BeforeAfter(QWidget):
    """What is seen of a result beside its input; hidden as long as there is none.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layers are.

    Signals
    -------
    uncertainty_wanted
        The last result has none.
    """

    uncertainty_wanted = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.swipe: Swipe | None = None
        self._result: DenoiseResult | None = None
        self._live: LiveLayer | None = None
        self._made: dict[str, Layer] = {}
        self._flicker = QTimer(self)
        self._flicker.setInterval(FLICKER_MS)
        self._flicker.timeout.connect(self._next_sample)
        self._results: list[Image] = []
        self.chips: dict[str, QPushButton] = {}
        self._group = QButtonGroup(self)
        self._row = QWidget()
        QFlowLayout(self._row).setContentsMargins(0, 0, 0, 0)
        self.intensity = IntensityField()
        self.spectra, self.histograms = SpectraPlot(viewer.theme), HistogramPlot(viewer.theme)
        self.folded = Folded("Histograms", self.histograms)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        help_line = note(f"Drag the handle on the canvas; hold {KEY} to see the noisy image. On the right:")
        for widget in (help_line, self._row, self.intensity, self.spectra, self.folded):
            column.addWidget(widget)
        self._looker = Inspector(self)
        self._looker.answered.connect(self._on_seen)
        self.folded.toggled.connect(self._look)
        follow_view(viewer, self._look)
        self.setVisible(False)

    def follow(self, result: DenoiseResult, live: LiveLayer | None, earlier: Sequence[Image] = ()) -> None:
        """Hold this result, which a layer shows, against its input from now on, and against earlier ones."""
        self.forget()
        shown = None if live is None else live.layer
        if live is None or shown is None:
            return
        self._result, self._live, self._results = result, live, [*earlier, shown]
        pixels, colours = live.source.micrograph.pixels, bool(shown.rgb)
        seen = np.clip(pixels / result.report["white"], 0, 1) if colours else pixels
        noisy = Summed(live.source.place((seen, {}, "image"))[0], self._side, colours=colours)
        self.swipe = Swipe(self._viewer, noisy, live.source.placement(1 / self._side), shown)
        self.swipe.closed.connect(self.forget)
        self._viewer.canvas.overlays.scale_bar.visible |= result.pixel_size_nm is not None
        self._offer(shown, earlier)
        if result.uncertainty is not None:  # somebody has asked for it, and waited
            self._extra("uncertainty").visible = False
        self.intensity.follow(result, live)
        self.setVisible(True)
        self._look()

    def forget(self) -> None:
        """Let go of the last result, whose layers stay."""
        swipe, self.swipe = self.swipe, None
        self._result = self._live = None
        self._made, self._results = {}, []
        self._flicker.stop()
        self._looker.forget()
        self.intensity.forget()
        if swipe is not None:
            swipe.close()
        self.setVisible(False)

    @property
    def _side(self) -> int:
        """Pixels that were summed, along a side."""
        assert self._result is not None
        return int(self._result.report["summed"])

    # What the right half shows

    def _offer(self, shown: Image, earlier: Sequence[Image]) -> None:
        """Make a button for each image that can be shown."""
        for chip in self.chips.values():
            self._group.removeButton(chip)
            chip.deleteLater()
        self.chips = {}
        self._add_chip(DENOISED, "Denoised", shown.name, lambda: shown)
        for name, (title, tip) in EXTRAS.items():
            if self._result is not None and self._result.has(name):
                self._add_chip(name, title, tip, partial(self._extra, name))
            elif name == "uncertainty":
                self._add_chip(name, f"{title}…", "Needs more runs: asks for them.", None)
        for layer in earlier:
            name = layer.name.removeprefix("denoised · ")
            self._add_chip(layer.name, name, f"An earlier result: {layer.name}", partial(_given, layer))
        self.chips[DENOISED].setChecked(True)

    def _add_chip(self, name: str, title: str, tip: str, layer: Callable[[], Layer] | None) -> None:
        chip = QPushButton(title)
        chip.setCheckable(True)
        chip.setToolTip(tip)
        chip.setStyleSheet("padding: 3px 8px")
        chip.clicked.connect(partial(self._on_chip, layer))
        self._group.addButton(chip)
        self._row.layout().addWidget(chip)  # type: ignore[union-attr]
        self.chips[name] = chip

    def _on_chip(self, layer: Callable[[], Layer] | None, _checked: bool) -> None:
        if layer is not None:
            self._show_only(layer())
            return
        self.chips[DENOISED].click()
        self.uncertainty_wanted.emit()

    def _extra(self, name: str) -> Layer:
        """Return the layer of something else than the result; make it when it is first wanted."""
        if name not in self._made or self._made[name] not in self._viewer.layers:
            assert self._result is not None
            assert self._live is not None
            assert self.swipe is not None
            several = name == SAMPLES
            layer = self._live.add_beside(self._result.layer_of(name), self.swipe.result, several=several)
            layer.colorbar.visible = not several
            self._made[name] = layer
        return self._made[name]

    def _show_only(self, wanted: Layer) -> None:
        """Show one of the images that lie over each other."""
        for layer in (*self._results, *self._made.values()):
            if layer in self._viewer.layers:
                layer.visible = layer is wanted
        if wanted is self._made.get(SAMPLES):
            self._flicker.start()
        else:
            self._flicker.stop()

    def _next_sample(self) -> None:
        """Show the next sample, as long as somebody looks at samples."""
        layer, dims = self._made.get(SAMPLES), self._viewer.dims
        if layer is None or layer not in self._viewer.layers or not layer.visible:
            self._flicker.stop()
            return
        axis = dims.ndim - layer.ndim
        dims.set_current_step(axis, (dims.current_step[axis] + 1) % dims.nsteps[axis])

    # What is visible

    def _look(self, _event: Any = None) -> None:
        """Look at the visible part anew, away from the window's thread."""
        if self.swipe is not None:
            self._looker.ask(partial(self._seen, self.swipe, self._box(self.swipe)))

    def _box(self, swipe: Swipe) -> tuple[int, slice, slice]:
        """Return frame, rows and columns that the canvas shows, in pixels of the noisy image."""
        assert self._live is not None
        corners = np.asarray(swipe.result.corner_pixels, float)[:, -2:]
        first, last = np.floor(corners[0] / self._side), np.ceil((corners[1] + 1) / self._side)
        rows, columns = (slice(max(0, int(a)), max(0, int(b))) for a, b in zip(first, last, strict=True))
        return shown_frame(self._viewer, self._live.source), rows, columns

    def _seen(self, swipe: Swipe, box: tuple[int, slice, slice]) -> Pair | None:
        result = self._result
        if result is None:
            return None
        frame, rows, columns = box
        before = swipe.noisy.frame(frame)[rows, columns]
        rate = result.rate[frame] if result.axes == "TYX" else result.rate
        side = self._side
        after = rate[rows.start * side :, columns.start * side :][: before.shape[0] * side, : before.shape[1] * side]
        size = None if result.pixel_size_nm is None else result.pixel_size_nm * side
        return pair_of(before, after, side, size)

    def _on_seen(self, answer: Answer) -> None:
        pair = answer.value
        for plot in (self.spectra, self.folded):
            plot.setVisible(pair is not None)
        if pair is not None:
            self.spectra.show_pair(pair)
            if self.folded.isExpanded():
                self.histograms.show_pair(pair)


def _given(layer: Layer) -> Layer:
    return layer
