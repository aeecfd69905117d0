"""What the plots of several panels have in common."""

from __future__ import annotations

import pyqtgraph as pg
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor

__all__ = ["new_graph", "take_theme"]


def new_graph(height: int) -> pg.PlotWidget:
    """Make an empty plot with a faint grid, of a height in pixels of the screen."""
    graph = pg.PlotWidget()
    graph.setFixedHeight(height)
    graph.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
    graph.getPlotItem().showGrid(x=True, y=True, alpha=0.15)
    return graph


def take_theme(graph: pg.PlotWidget, theme: str) -> QColor:
    """Give a plot the colours of a napari theme; return that of its text."""
    colours, plot = get_theme(theme), graph.getPlotItem()
    ground, text = QColor(colours.background.as_hex()), QColor(colours.text.as_hex())
    graph.setBackground(ground)
    if plot.legend is not None:
        # Curves pass below the legend, and are still to be guessed.
        ground.setAlpha(190)
        plot.legend.setBrush(ground)
        plot.legend.setLabelTextColor(text)
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setPen(QColor(colours.secondary.as_hex()))
        axis.setTextPen(text)
    return text
