"""What the visible part holds before and after: two small power spectra side by side, and histograms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from napari.utils.theme import get_theme
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QGraphicsEllipseItem, QVBoxLayout, QWidget

from napari_gandenoise.layers import block_means
from napari_gandenoise.widgets.plots.graph import new_graph, take_theme

__all__ = ["HistogramPlot", "Pair", "SpectraPlot", "pair_of", "rings"]

HEIGHT = 170
SHOWN = 0.6  # of the highest frequency: what lies beyond is noise, and a turn of the wheel away
LARGEST = 512  # pixels along a side that are looked at: a spectrum of more says nothing else at this size
BINS = 64
NOISY, DENOISED = "#e69f00", "#56b4e9"


@dataclass(frozen=True)
class Pair:
    """The same part of an image before and after.

    Attributes
    ----------
    before, after : ndarray
        ``(Y, X)``, of one sampling.
    pixel_size_nm : float or None
        Side of their pixels, nm.
    """

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    pixel_size_nm: float | None

    @property
    def nyquist(self) -> float:
        """Highest spatial frequency: in 1/nm, or in 1/pixel where the size of a pixel is unknown."""
        return 0.5 / (self.pixel_size_nm or 1.0)

    def spectra(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return both power spectra as they are drawn: logarithms, from 0 (median of the noisy one) to 1."""
        before, after = (_power(image) for image in (self.before, self.after))
        low, high = np.percentile(before, 50), before.max()
        return tuple(np.clip((power - low) / max(high - low, 1e-6), 0, 1) for power in (before, after))

    def histograms(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the edges of the bins and the share of pixels in each, before and after."""
        both = np.concatenate([self.before.ravel(), self.after.ravel()])
        low, high = np.percentile(both, (0.1, 99.9))
        edges = np.linspace(low, max(high, low + 1e-6), BINS + 1)
        before, after = (np.histogram(image, edges)[0] / image.size for image in (self.before, self.after))
        return edges, before, after


def pair_of(
    before: NDArray[np.float32], after: NDArray[np.float32], side: int, pixel_size_nm: float | None
) -> Pair | None:
    """Cut the middle of a part to a handy size, and bring both images to one sampling.

    Parameters
    ----------
    before : ndarray
        ``(Y, X)``.
    after : ndarray
        ``(side · Y, side · X)`` or a little more, or of colours with a last axis more, as before.
    side : int
        Pixels of `after` along the side of one of `before`.
    pixel_size_nm : float or None
        Side of a pixel of `before`.

    Returns
    -------
    Pair or None
        None if there is nothing to look at.
    """
    if before.ndim == 3:
        before, after = before.mean(axis=-1), after.mean(axis=-1)
    rows, columns = (min(length, LARGEST) for length in before.shape)
    top, left = (before.shape[0] - rows) // 2, (before.shape[1] - columns) // 2
    part = before[top : top + rows, left : left + columns]
    fine = after[top * side : (top + rows) * side, left * side : (left + columns) * side]
    coarse = block_means(fine, side)
    seen = np.isfinite(part) & np.isfinite(coarse)
    if min(part.shape) < 8 or not seen.any():
        return None
    filled = [np.where(seen, image, image[seen].mean()).astype(np.float32) for image in (part, coarse)]
    return Pair(filled[0], filled[1], pixel_size_nm)


def rings(nyquist: float) -> list[float]:
    """Return two or three round spatial frequencies to draw rings at."""
    step = 10 ** np.floor(np.log10(nyquist))
    step = next(step * factor for factor in (0.2, 0.5, 1, 2, 5, 10) if nyquist / (step * factor) < 4)
    return [float(step * number) for number in range(1, int(nyquist / step) + 1)]


class SpectraPlot(QWidget):
    """Two power spectra of the visible part, before and after, which zoom together; rings tell the frequency.

    Parameters
    ----------
    theme : str
        napari's theme.
    """

    def __init__(self, theme: str = "dark", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.graph = pg.GraphicsLayoutWidget()
        self.graph.setFixedHeight(HEIGHT)
        self.graph.setToolTip(
            "Power spectra of what the canvas shows, noisy and denoised, on one scale. Spots that both have are of "
            "the specimen; rings count in 1/nm. Drag and turn the wheel to zoom both."
        )
        self._images, self._views = [], []
        for place, title in enumerate(("noisy", "denoised")):
            plot = self.graph.addPlot(row=0, col=place, title=title)
            plot.hideAxis("left")
            plot.hideAxis("bottom")
            plot.setAspectLocked(True)
            plot.setMenuEnabled(False)
            image = pg.ImageItem()
            image.setLookupTable(pg.colormap.get("viridis").getLookupTable())
            plot.addItem(image)
            self._images.append(image)
            self._views.append(plot)
        self._views[1].setXLink(self._views[0])
        self._views[1].setYLink(self._views[0])
        self._reach = 0.0
        self._marks: list[tuple[pg.PlotItem, QGraphicsEllipseItem | pg.TextItem]] = []
        self.graph.ci.layout.setContentsMargins(0, 0, 0, 0)
        self.graph.ci.layout.setSpacing(0)
        colours = get_theme(theme)
        self.graph.setBackground(colours.background.as_hex())
        for plot in self._views:
            plot.setTitle(plot.titleLabel.text, color=colours.text.as_hex(), size="8pt")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.graph)

    def show_pair(self, pair: Pair) -> None:
        """Draw both spectra."""
        reach = pair.nyquist
        for item, power in zip(self._images, pair.spectra(), strict=True):
            item.setImage(power.T, levels=(0, 1), autoLevels=False)
            item.setRect(-reach, -reach, 2 * reach, 2 * reach)
        self._draw_rings(pair)
        if reach != self._reach:  # what the user has zoomed to stays
            shown = (-SHOWN * reach, SHOWN * reach)
            self._views[0].setRange(xRange=shown, yRange=shown, padding=0)
            self._reach = reach

    def _draw_rings(self, pair: Pair) -> None:
        for plot, mark in self._marks:
            plot.removeItem(mark)
        self._marks = []
        unit = "/nm" if pair.pixel_size_nm else "/px"
        for plot in self._views:
            for radius in rings(SHOWN * pair.nyquist):
                ring = QGraphicsEllipseItem(-radius, -radius, 2 * radius, 2 * radius)
                pen = pg.mkPen("w", width=1, style=Qt.PenStyle.DotLine)
                pen.setCosmetic(True)
                ring.setPen(pen)
                label = pg.TextItem(f"{radius:g}{unit}", color="w", anchor=(0.5, 1))
                label.setPos(0, radius)
                label.setFont(_small(label))
                for mark in (ring, label):
                    plot.addItem(mark, ignoreBounds=True)
                    self._marks.append((plot, mark))


class HistogramPlot(QWidget):
    """The histograms of the visible part, before and after, over each other."""

    def __init__(self, theme: str = "dark", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.graph = new_graph(HEIGHT)
        self.plot: pg.PlotItem = self.graph.getPlotItem()
        self.plot.addLegend(offset=(-4, 2), labelTextSize="8pt")
        self.plot.setLabel("bottom", "value")
        self.plot.hideAxis("left")
        take_theme(self.graph, theme)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.graph)

    def show_pair(self, pair: Pair) -> None:
        """Draw both histograms."""
        self.plot.clear()
        edges, before, after = pair.histograms()
        for shares, name, colour in ((before, "noisy", NOISY), (after, "denoised", DENOISED)):
            fill = QColor(colour)
            fill.setAlpha(70)
            self.plot.plot(edges, shares, stepMode="center", pen=pg.mkPen(colour), fillLevel=0, brush=fill, name=name)


def _power(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logarithm of the power spectrum, zero frequency in the middle, without that of the mean."""
    windows = (np.hanning(side + 2)[1:-1].astype(np.float32) for side in image.shape)
    rows, columns = windows
    flat = (image - image.mean()) * rows[:, None] * columns
    # Of a padded square, so that both axes have one scale.
    side = max(image.shape)
    power = np.abs(np.fft.fftshift(np.fft.fft2(flat, (side, side)))) ** 2
    return np.asarray(np.log(power + 1e-12), np.float32)


def _small(label: pg.TextItem) -> object:
    font = label.textItem.font()
    font.setPointSize(7)
    return font
