"""Curves of a run: what was measured, faint, and the smoothed course above it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget
from scipy.signal import lfilter

from napari_gandenoise.widgets.layout.rows import combo
from napari_gandenoise.widgets.plots.graph import new_graph, take_theme

__all__ = ["LossPlot"]

REDRAW_MS = 300
HEIGHT = 210
MOST_POINTS = 2000  # drawn of a smoothed curve: more than the panel has pixels
# Told apart by most eyes, and on dark ground as on light (after Okabe and Ito).
COLOURS = ("#56b4e9", "#e69f00", "#2fb68a", "#cc79a7", "#d55e00", "#8a7ff0", "#9aa51b", "#b0836b")
PACE = ("learning rate", "steps per second", "waiting")
SHARES = ("accuracy", "diversity")
VIEWS = {
    "losses": "Losses",
    "shares": "Accuracy, diversity",
    "draws": "What the mean of 8 samples gains (dB)",
    "coverage": "Validation: truth within 2 deviations (%)",
    "validation": "Validation (dB)",
    "fringes": "Validation: share of tiles with fringes",
    "spacing": "Validation: spacing of the fringes",
    "pace": "Pace",
}
AXIS_HEIGHT = 36  # numbers and the word below them


def view_of(name: str) -> str:
    """Say in which view a value is drawn: things of one scale together."""
    if "mean of 8" in name or "coverage" in name:
        return "draws" if "mean of 8" in name else "coverage"
    if name.startswith("validation"):
        return next((view for view in ("fringes", "spacing") if view in name), "validation")
    if name in PACE:
        return "pace"
    return "shares" if name in SHARES else "losses"


def smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exponential average over about a fiftieth of the run, free of the start's bias."""
    window = max(len(values) / 50, 1.0)
    decay = 1 - 1 / window
    weights = lfilter([1 - decay], [1, -decay], np.ones_like(values)) if decay else np.ones_like(values)
    return np.asarray(lfilter([1 - decay], [1, -decay], values) / weights if decay else values)


class _Curve:
    """The points of one value, and the two lines that show them."""

    def __init__(self, plot: pg.PlotItem, name: str, colour: str) -> None:
        self.steps, self.values = array("d"), array("d")
        faint = QColor(colour)
        faint.setAlpha(70)
        self._raw = plot.plot(pen=pg.mkPen(faint, width=1), autoDownsample=True, clipToView=True)
        self._smooth = plot.plot(pen=pg.mkPen(colour, width=2), name=name)
        # A click on the legend hides both.
        self._smooth.visibleChanged.connect(self._follow)

    def _follow(self) -> None:
        self._raw.setVisible(self._smooth.isVisible())

    def draw(self) -> None:
        """Bring the lines up to date."""
        # Copies: an array that lends out its memory cannot grow.
        steps, values = np.array(self.steps), np.array(self.values)
        self._raw.setData(steps, values)
        every = max(1, len(steps) // MOST_POINTS)
        kept = np.unique(np.append(np.arange(0, len(steps), every), len(steps) - 1)).astype(int)
        sparse = len(steps) < 3
        self._smooth.setData(steps[kept], smoothed(values)[kept], symbol="o" if sparse else None, symbolSize=5)


class LossPlot(QWidget):
    """A plot of the values of a run by step: drag to move, wheel to zoom, right click for the whole.

    Parameters
    ----------
    theme : str
        napari's theme, for the colours of ground and axes.
    """

    def __init__(self, theme: str = "dark", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._points: dict[str, _Curve] = {}
        self._stored: list[tuple[int, dict[str, float]]] = []
        self._dirty = False
        self.view = combo()
        self.log = QCheckBox("log")
        self.log.setToolTip("Logarithmic vertical axis; only for positive values.")
        self._graph = new_graph(HEIGHT)
        self.plot: pg.PlotItem = self._graph.getPlotItem()
        self.plot.setMenuEnabled(True)
        self.plot.setLabel("bottom", "step")
        # pyqtgraph lets the word below the axis hang over its edge.
        self.plot.getAxis("bottom").setHeight(AXIS_HEIGHT)
        self.plot.layout.setContentsMargins(0, 0, 0, 6)
        self.plot.addLegend(offset=(-4, 2), labelTextSize="8pt", verSpacing=-6, colCount=2)
        row = QHBoxLayout()
        row.addWidget(self.view, stretch=1)
        row.addWidget(self.log)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self._graph)
        self._timer = QTimer(self)
        self._timer.setInterval(REDRAW_MS)
        self._timer.timeout.connect(self._redraw)
        self._timer.start()
        self.view.currentIndexChanged.connect(self._on_view_chosen)
        self.log.toggled.connect(self._on_log)
        self.set_theme(theme)

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        take_theme(self._graph, theme)

    def clear(self) -> None:
        """Forget the run."""
        self.set_history(())

    def set_history(self, history: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        """Show the past of a run."""
        self._stored = [(step, dict(values)) for step, values in history]
        self._rebuild()

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Add the values of a step; they are drawn a moment later."""
        self._stored.append((step, dict(values)))
        self._offer(values)
        chosen = self.view.currentData()
        for name, value in values.items():
            if view_of(name) == chosen and np.isfinite(value):
                curve = self._points.get(name) or self._new_curve(name)
                curve.steps.append(step)
                curve.values.append(value)
                self._dirty = True

    def names(self) -> list[str]:
        """Return the names of the curves in the present view."""
        return list(self._points)

    def points(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return steps and values of a curve in the present view."""
        curve = self._points[name]
        return np.array(curve.steps), np.array(curve.values)

    def _offer(self, values: Mapping[str, float]) -> None:
        """Offer the views that there is something to see in."""
        for name in values:
            view = view_of(name)
            if self.view.findData(view) < 0:
                self.view.addItem(VIEWS[view], view)

    def _new_curve(self, name: str) -> _Curve:
        colour = COLOURS[len(self._points) % len(COLOURS)]
        curve = self._points[name] = _Curve(self.plot, name.removeprefix("validation "), colour)
        return curve

    def _rebuild(self) -> None:
        """Draw the chosen view from all that is stored."""
        self.plot.clear()
        self._points = {}
        stored, self._stored = self._stored, []
        for step, values in stored:
            self.add(step, values)
        self.plot.enableAutoRange()
        self._dirty = True
        self._redraw()

    def _redraw(self) -> None:
        if not self._dirty:
            return
        self._dirty = False
        for curve in self._points.values():
            curve.draw()
        positive = bool(self._points) and all(min(c.values) > 0 for c in self._points.values() if c.values)
        self.log.setEnabled(positive)
        if not positive:
            self.log.setChecked(False)

    def _on_view_chosen(self, _index: int) -> None:
        if self.view.count() > 1:
            self._rebuild()

    def _on_log(self, logarithmic: bool) -> None:
        self.plot.setLogMode(y=logarithmic)

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Stop drawing."""
        self._timer.stop()
        super().closeEvent(event)
