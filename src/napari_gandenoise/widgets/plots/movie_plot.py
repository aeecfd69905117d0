"""A denoised movie against time: how its specimen has drifted, and the verdict on each frame."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_gandenoise.denoising import DenoiseResult
from napari_gandenoise.widgets.plots.graph import new_graph, take_theme
from napari_gandenoise.widgets.running.verdict_card import COLOURS

__all__ = ["MoviePlot"]

HEIGHT = 150
DOWN, RIGHT = "#56b4e9", "#e69f00"


class MoviePlot(QWidget):
    """Draw the way of the specimen down and right since the first frame; its dots have the colours of the verdicts.

    Hidden as long as there is no movie.

    Parameters
    ----------
    theme : str
        napari's theme, for the colours of ground and axes.
    """

    def __init__(self, theme: str = "dark", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._graph = new_graph(HEIGHT)
        self.plot: pg.PlotItem = self._graph.getPlotItem()
        self.plot.setLabel("bottom", "frame")
        self.plot.addLegend(offset=(-4, 2), labelTextSize="8pt")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._graph)
        take_theme(self._graph, theme)
        self.setVisible(False)

    def show_result(self, result: DenoiseResult) -> None:
        """Draw a movie; of an image nothing is shown."""
        self.plot.clear()
        drift, colours = np.array(result.report["drift"], float), result.report["colours"]
        self.setVisible(len(colours) > 1)
        if len(colours) < 2:
            return
        if len(drift) != len(colours):  # each frame was taken for itself
            drift = np.zeros((len(colours), 2))
        size = result.pixel_size_nm
        self.plot.setLabel("left", "drift, pixels" if size is None else "drift, nm")
        way = np.cumsum(drift, axis=0) * (size or 1.0)
        frames = np.arange(len(way))
        dots = [pg.mkBrush(COLOURS[colour]) for colour in colours]
        for course, name, colour in ((way[:, 0], "down", DOWN), (way[:, 1], "right", RIGHT)):
            self.plot.plot(
                frames, course, pen=pg.mkPen(colour, width=2), name=name, symbol="o", symbolSize=7, symbolBrush=dots
            )
