"""Choose one of the viewer's image layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["LayerField"]


class LayerField(QComboBox):
    """A list of the viewer's image layers that keeps itself up to date."""

    chosen = Signal(object)

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layers: list[Image] = []
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self._refresh)
        self.currentIndexChanged.connect(self._on_index_changed)
        self._refresh()

    def disconnect_viewer(self) -> None:
        """Stop listening to the viewer."""
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.disconnect(self._refresh)
        for layer in self._layers:
            layer.events.name.disconnect(self._rename)

    def layer(self) -> Image | None:
        """Return the chosen layer."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def choose(self, layer: Image) -> None:
        """Choose a layer."""
        self.setCurrentIndex(self._layers.index(layer))

    def _refresh(self, _event: Any = None) -> None:
        before = self.layer()
        for layer in self._layers:
            layer.events.name.disconnect(self._rename)
        self._layers = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        for layer in self._layers:
            layer.events.name.connect(self._rename)
        self.blockSignals(True)
        self.clear()
        self.addItems([layer.name for layer in self._layers])
        after = before if before in self._layers else self._preferred()
        self.setCurrentIndex(self._layers.index(after) if after is not None else -1)
        self.blockSignals(False)
        if after is not before:
            self.chosen.emit(after)

    def _preferred(self) -> Image | None:
        """Return the active layer if it is an image, else the topmost one that is shown."""
        active = self._viewer.layers.selection.active
        if active in self._layers:
            return active
        shown = [layer for layer in self._layers if layer.visible]
        return (shown or self._layers or [None])[-1]

    def _rename(self, _event: Any = None) -> None:
        for index, layer in enumerate(self._layers):
            self.setItemText(index, layer.name)

    def _on_index_changed(self, _index: int) -> None:
        self.chosen.emit(self.layer())
