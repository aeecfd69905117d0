"""A denoised movie against time: how its specimen has drifted, and the verdict on each frame."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_gandenoise.denoising import DenoiseResult
from napari_gandenoise.io import CSV
from napari_gandenoise.widgets.layout.rows import save_as
from napari_gandenoise.widgets.plots.graph import new_graph, take_theme
from napari_gandenoise.widgets.running.verdict_card import COLOURS

__all__ = ["MoviePlot"]

HEIGHT = 150
DOWN, RIGHT = "#56b4e9", "#e69f00"


class MoviePlot(QWidget):
    """Draw the way of the specimen down and right since the first frame; its dots have the colours of the verdicts.

    Hidden as long as there is no movie.  A button writes the way to a table.

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
        self.save = QPushButton("Save drift…")
        self.save.setToolTip("Write where the specimen lies in each frame as CSV; Drift table takes such a file.")
        self.save.clicked.connect(self._on_save)
        column.addWidget(self.save, alignment=Qt.AlignmentFlag.AlignLeft)
        self._result: DenoiseResult | None = None
        take_theme(self._graph, theme)
        self.setVisible(False)

    def show_result(self, result: DenoiseResult) -> None:
        """Draw a movie; of an image nothing is shown."""
        self.plot.clear()
        self._result = result
        drift, colours = result.drift, result.report["colours"]
        self.save.setVisible(drift is not None)
        self.setVisible(len(colours) > 1)
        if len(colours) < 2:
            return
        size = result.pixel_size_nm
        self.plot.setLabel("left", "drift, pixels" if size is None else "drift, nm")
        frames = np.arange(len(colours))
        dots = [pg.mkBrush(COLOURS[colour]) for colour in colours]
        for name, colour in (("down", DOWN), ("right", RIGHT)):
            # None where each frame was taken for itself.
            way = np.zeros(len(frames)) if drift is None else drift[name] * (size or 1.0)
            self.plot.plot(
                frames, way, pen=pg.mkPen(colour, width=2), name=name, symbol="o", symbolSize=7, symbolBrush=dots
            )

    def _on_save(self) -> None:
        if (result := self._result) is not None:  # the dialogue asks before a file is replaced
            kinds = f"Tables (*{CSV})"
            save_as(self, "Save the drift", f"drift{CSV}", kinds, lambda path: result.write_drift(path, overwrite=True))
