"""A line profile and radial spectra of several images of the same view."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget
from skimage.measure import profile_line

from napari_gandenoise.comparison import CompareResult
from napari_gandenoise.comparison.figure import BACKDROP, DEPTH, frequencies
from napari_gandenoise.comparison.scores import BETTER
from napari_gandenoise.evaluation import radial_spectrum
from napari_gandenoise.widgets.layout.rows import combo, in_row
from napari_gandenoise.widgets.plots.graph import new_graph, take_theme

__all__ = ["ComparePlots"]

HEIGHT = 240
# Told apart by most eyes, and on dark ground as on light (after Okabe and Ito).
COLOURS = ("#e69f00", "#56b4e9", "#2fb68a", "#cc79a7", "#d55e00", "#8a7ff0", "#9aa51b", "#b0836b")
SHOWN = 5  # methods that a plot still tells apart
Line = tuple[tuple[float, float], tuple[float, float]]


class LineButton(QPushButton):
    """A button that is down while a line is moved: by the mouse on the image, or by the arrow keys.

    Signals
    -------
    nudged : float, float
        Rows and columns to move the line by.
    """

    nudged = Signal(float, float)
    STEPS: ClassVar = {
        Qt.Key.Key_Up: (-1, 0),
        Qt.Key.Key_Down: (1, 0),
        Qt.Key.Key_Left: (0, -1),
        Qt.Key.Key_Right: (0, 1),
    }

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.setCheckable(True)
        self.setToolTip(
            "While this is down, drag on any image: near an end of the line to move that end, elsewhere to draw it "
            "anew. Arrow keys move it by a pixel, with Shift by ten."
        )

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Move the line with the arrow keys."""
        step = None if event is None or not self.isChecked() else self.STEPS.get(Qt.Key(event.key()))
        if event is None or step is None:
            super().keyPressEvent(event)
            return
        far = 10.0 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1.0
        self.nudged.emit(far * step[0], far * step[1])


class ComparePlots(QWidget):
    """Curves of a comparison: values along a line, or power by frequency.

    Parameters
    ----------
    theme : str
        napari's theme.

    Attributes
    ----------
    line : LineButton
        Down while the mouse draws the line of the profile.
    """

    def __init__(self, theme: str = "dark", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._result: CompareResult | None = None
        self._line: Line | None = None
        self._picked, self._score = "", ""
        self._curves: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        self.view = combo({"profile": "Line profile", "spectrum": "Radial power spectrum"})
        self.view.setToolTip("Values along the line, or power by spatial frequency, of the best few methods.")
        self.line = LineButton("Move line")
        self._graph = new_graph(HEIGHT)
        self.plot: pg.PlotItem = self._graph.getPlotItem()
        for side in ("left", "bottom"):
            self.plot.getAxis(side).enableAutoSIPrefix(False)
        self.plot.addLegend(offset=(-4, 2), labelTextSize="7pt", verSpacing=-7)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(in_row(self.view, self.line))
        column.addWidget(self._graph)
        self.view.currentIndexChanged.connect(self._draw)
        self.set_theme(theme)

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        self._text = take_theme(self._graph, theme)

    def show_result(self, result: CompareResult | None) -> None:
        """Draw a comparison, as far as it is; None for none."""
        self._result = result
        self._draw()

    def rank_by(self, score: str) -> None:
        """Draw the methods that are best by a score."""
        self._score = score
        self._draw()

    def pick(self, method: str) -> None:
        """Draw a method whether or not it is among the best."""
        self._picked = method
        self._draw()

    def show_line(self, line: Line | None) -> None:
        """Draw the profile from one point ``(y, x)`` to another, in pixels; None for the middle row."""
        self._line = line
        if self.view.currentData() == "profile":
            self._draw()

    def names(self) -> list[str]:
        """Return the titles of the curves."""
        return list(self._curves)

    def points(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where a curve goes."""
        return self._curves[name]

    def _draw(self, _index: int = 0) -> None:
        self.plot.clear()
        self._curves = {}
        spectrum = self.view.currentData() == "spectrum"
        self.line.setEnabled(not spectrum)
        self.plot.setLogMode(y=spectrum)
        if self._result is None or not self._result.images:
            return
        for number, (title, image) in enumerate(self._images(self._result)):
            self._curves[title] = along, values = (self._spectrum if spectrum else self._profile)(image)
            colour = self._text if title == "Truth" else QColor(COLOURS[number % len(COLOURS)])
            self.plot.plot(along, values, pen=pg.mkPen(colour, width=2 if title == "Truth" else 1), name=title)
        self._name_axes(self._result, spectrum)
        self.plot.enableAutoRange()

    def _images(self, result: CompareResult) -> list[tuple[str, NDArray[np.float32]]]:
        """Return the truth, the method that was picked, and the best of the others."""
        rows = {row["name"]: row for row in result.rows}
        names = [name for name in result.images if name not in BACKDROP]
        for column in (self._score, "PSNR", "uPSNR", "held-out gain"):
            if any(column in rows[name] for name in names):
                sign = -1 if BETTER.get(column, True) else 1
                names.sort(key=lambda name: sign * rows[name].get(column, sign * np.inf))
                break
        names = [name for name in names if name != self._picked][: SHOWN - (self._picked in result.images)]
        names += [self._picked] if self._picked in result.images else []
        truth = [] if result.truth is None else [("Truth", result.truth)]
        return truth + [(rows[name]["method"], result.images[name]) for name in names]

    def _profile(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        grey = image.mean(axis=-1) if image.ndim == 3 else image
        middle = (grey.shape[0] - 1) / 2
        start, end = self._line or ((middle, 0.0), (middle, grey.shape[1] - 1.0))
        line = profile_line(np.asarray(grey, np.float64), start, end, mode="nearest")
        values: NDArray[np.float64] = np.asarray(line, np.float64)
        size = self._result.pixel_size_nm if self._result is not None else None
        return np.arange(len(values), dtype=np.float64) * (size or 1.0), values

    def _spectrum(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        assert self._result is not None
        frequency, power = radial_spectrum(image)
        along, _ = frequencies(self._result, frequency)
        end = int(np.max(np.nonzero(power > DEPTH * power.max())[0], initial=0)) + 1
        return along[:end], np.maximum(power[:end], 1e-30)

    def _name_axes(self, result: CompareResult, spectrum: bool) -> None:
        unit = frequencies(result, np.ones(1))[1] if spectrum else "nm" if result.pixel_size_nm else "pixels"
        self.plot.setLabel("bottom", unit)
        self.plot.setLabel("left", "power" if spectrum else "image")

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Let go of the images."""
        self._result = None
        super().closeEvent(event)
