"""Choose the layer that marks what is missing, or draw one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Shapes
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_gandenoise.widgets._layer_field import LayerField
from napari_gandenoise.widgets._mask import MaskLayer

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["MaskField"]


class MaskField(QWidget):
    """A list of the viewer's Labels and Shapes layers, and a button for a new one.

    Signals
    -------
    changed
        Another layer is chosen, or its marks are others.
    draw_clicked
        The user wants a new layer to draw on.
    """

    changed = Signal()
    draw_clicked = Signal()

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layers: LayerField[MaskLayer] = LayerField(viewer, Labels, Shapes)
        self._layers.setPlaceholderText("none yet")
        self._layers.setToolTip("A Labels or Shapes layer that covers what is missing.")
        self.draw = QPushButton("Draw mask")
        self.draw.setToolTip("Add a Labels layer that lies on the image, and paint on it.")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._layers, stretch=1)
        row.addWidget(self.draw)
        self._layers.chosen.connect(self._on_changed)
        self._layers.altered.connect(self.changed)
        self.draw.clicked.connect(self.draw_clicked)

    def layer(self) -> MaskLayer | None:
        """Return the chosen layer."""
        return self._layers.layer()

    def choose(self, layer: MaskLayer) -> None:
        """Choose a layer."""
        self._layers.choose(layer)

    def _on_changed(self, _layer: Any = None) -> None:
        self.changed.emit()
