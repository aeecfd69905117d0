"""How many columns each frame of a movie shows."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_gandenoise.locating import ColumnsResult
from napari_gandenoise.widgets.plots.graph import new_graph, take_theme

__all__ = ["OccupancyPlot"]

HEIGHT = 170
EXPECTED, SURE = "#56b4e9", "#e69f00"


class OccupancyPlot(QWidget):
    """Columns against time: those that are sure, and the sum of all probabilities.

    Parameters
    ----------
    theme : str
        napari's theme, for the colours of ground and axes.
    """

    def __init__(self, theme: str = "dark", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._graph = new_graph(HEIGHT)
        self.plot: pg.PlotItem = self._graph.getPlotItem()
        self.plot.setLabel("left", "columns")
        self.plot.addLegend(offset=(-4, 2), labelTextSize="8pt")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._graph)
        self.set_theme(theme)

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        take_theme(self._graph, theme)

    def show_result(self, result: ColumnsResult) -> None:
        """Draw the frames that are done."""
        self.plot.clear()
        done = result.report["done"]
        interval = result.frame_interval_s
        self.plot.setLabel("bottom", "frame" if interval is None else "time, s")
        time = np.arange(done) * (interval or 1)
        expected = np.bincount(result.table["frame"], result.table["probability"], minlength=done)
        sure = np.bincount(result.table["frame"], result.table["sure"], minlength=done)
        self.plot.plot(time, expected, pen=pg.mkPen(EXPECTED, width=2), name="expected")
        self.plot.plot(time, sure, pen=pg.mkPen(SURE, width=2), name="sure")
