"""Choose one of the viewer's layers of some kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from napari.layers import Labels, Layer, Shapes
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["LayerField"]


Kind = TypeVar("Kind", bound=Layer)


class LayerField(QComboBox, Generic[Kind]):
    """A list of the viewer's layers that keeps itself up to date.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers are listed.
    *kinds : type of layer
        Which of them.

    Signals
    -------
    chosen : layer or None
        Another layer is chosen, whoever chose it.
    altered
        The chosen layer holds other data, or lies elsewhere.
    """

    chosen = Signal(object)
    altered = Signal()

    def __init__(self, viewer: ViewerModel, *kinds: type[Kind], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._kinds = kinds
        self._layers: list[Kind] = []
        self._watched: Kind | None = None
        self._stopgap = False  # the choice is hidden: there was nothing better
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
        self._watch(None)

    def layer(self) -> Kind | None:
        """Return the chosen layer."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def choose(self, layer: Kind) -> None:
        """Choose a layer, hidden or not."""
        self._stopgap = False
        self.setCurrentIndex(self._layers.index(layer))

    def _refresh(self, _event: Any = None) -> None:
        before = self.layer()
        for layer in self._layers:
            layer.events.name.disconnect(self._rename)
        self._layers = [layer for layer in self._viewer.layers if isinstance(layer, self._kinds)]
        for layer in self._layers:
            layer.events.name.connect(self._rename)
        self.blockSignals(True)
        self.clear()
        self.addItems([layer.name for layer in self._layers])
        keeps = before in self._layers and not (self._stopgap and any(layer.visible for layer in self._layers))
        after = before if keeps else self._preferred()
        self._stopgap = after is not None and not after.visible and (self._stopgap or not keeps)
        self.setCurrentIndex(self._layers.index(after) if after is not None else -1)
        self.blockSignals(False)
        if after is not before:
            self._watch(after)
            self.chosen.emit(after)

    def _watch(self, layer: Kind | None) -> None:
        if self._watched is not None:
            for event in _events(self._watched):
                event.disconnect(self._on_altered)
        self._watched = layer
        if layer is not None:
            for event in _events(layer):
                event.connect(self._on_altered)

    def _on_altered(self, _event: Any = None) -> None:
        self.altered.emit()

    def _preferred(self) -> Kind | None:
        """Return the active layer if it is listed and shown, else the topmost one that is shown."""
        active = self._viewer.layers.selection.active
        shown = [layer for layer in self._layers if layer.visible]
        candidates = [layer for layer in shown if layer is active] or shown or self._layers
        return candidates[-1] if candidates else None

    def _rename(self, _event: Any = None) -> None:
        for index, layer in enumerate(self._layers):
            self.setItemText(index, layer.name)

    def _on_index_changed(self, _index: int) -> None:
        self._stopgap = False
        self._watch(self.layer())
        self.chosen.emit(self.layer())


def _events(layer: Layer) -> tuple[Any, ...]:
    """Return the events after which fields that were filled in from a layer have to be filled in again."""
    events = layer.events
    placed = (events.scale, events.units)
    if not isinstance(layer, Labels | Shapes):
        return (events.data, *placed)
    # Undo and redo of painting tell only that the layer was drawn anew.
    drawn = (events.paint, events.set_data) if isinstance(layer, Labels) else (events.edge_width,)
    return (events.data, *placed, events.translate, events.rotate, events.shear, events.affine, *drawn)
