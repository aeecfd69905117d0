"""Choose one of the viewer's layers of some kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox
from napari.layers import Labels, Layer, Shapes
from napari.utils.notifications import show_error
from psygnal import Signal
from qtpy.QtWidgets import QPushButton

from napari_gandenoise.widgets.fields.base import Field
from napari_gandenoise.widgets.layout.rows import in_row, refusals_shown, slim
from napari_gandenoise.widgets.viewer.mask import add_mask
from napari_gandenoise.widgets.viewer.source import is_before

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["LayerField", "MaskField"]


class LayerField(ComboBox):
    """A list of the viewer's layers that keeps itself up to date.

    The list that napari gives magicgui finds its viewer once it is docked, and does not look at the layers again.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers are listed.
    *kinds : type of layer
        Which of them.

    Signals
    -------
    changed : layer or None
        Another layer is chosen, whoever chose it.
    altered
        The chosen layer holds other data, or lies elsewhere.
    """

    altered = Signal()

    def __init__(self, viewer: ViewerModel, *kinds: type[Layer], **options: Any) -> None:
        self._viewer = viewer
        self._kinds = kinds
        self._watched: Layer | None = None
        self._named: list[Layer] = []
        self._stopgap = False  # the choice is hidden: there was nothing better
        super().__init__(choices=self._listed, nullable=False, **options)
        slim(self.native)
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self.refresh)
        self.refresh()
        self.changed.connect(self._on_chosen)

    def choose(self, layer: Layer) -> None:
        """Choose a layer, hidden or not."""
        self.value = layer

    @property
    def other(self) -> Layer | None:
        """The topmost layer of the viewer, where there is none that is listed."""
        layers = list(self._viewer.layers)
        return layers[-1] if layers and not self._listed() else None

    def refresh(self, _event: Any = None) -> None:
        """List the layers that there are now; the choice stays if it can."""
        before = self._watched
        for layer in self._named:
            layer.events.name.disconnect(self.refresh)
        listed = self._named = self._listed()
        for layer in listed:
            layer.events.name.connect(self.refresh)
        keeps = before in listed and not (self._stopgap and any(layer.visible for layer in listed))
        after = before if keeps else self._preferred()
        stopgap = self._stopgap or not keeps
        self._follow(after)
        self._stopgap = after is not None and not after.visible and stopgap
        if after is not before:
            self.changed.emit(after)
        elif after is None:
            self.altered.emit()  # there may be one now that is not listed

    def _follow(self, layer: Layer | None) -> None:
        """Show a choice, and listen to it, without telling anyone."""
        with self.changed.blocked():
            self.reset_choices()
            if layer is not None:
                self.value = layer
        self._stopgap = layer is not None and not layer.visible
        self._watch(layer)

    def _listed(self, _widget: Any = None) -> list[Layer]:
        listed = [layer for layer in self._viewer.layers if isinstance(layer, self._kinds)]
        return [layer for layer in listed if not is_before(layer)]

    def _preferred(self) -> Layer | None:
        """Return the active layer if it is listed and shown, else the topmost one that is shown."""
        active, listed = self._viewer.layers.selection.active, self._listed()
        shown = [layer for layer in listed if layer.visible]
        candidates = [layer for layer in shown if layer is active] or shown or listed
        return candidates[-1] if candidates else None

    def _watch(self, layer: Layer | None) -> None:
        if self._watched is not None:
            for event in _events(self._watched):
                event.disconnect(self._on_altered)
        self._watched = layer
        if layer is not None:
            for event in _events(layer):
                event.connect(self._on_altered)

    def _on_chosen(self, layer: Layer | None) -> None:
        if layer is not self._watched:
            self._stopgap = False
            self._watch(layer)

    def _on_altered(self, _event: Any = None) -> None:
        self.altered.emit()


class MaskField(Field):
    """A list of the viewer's Labels and Shapes layers, and a button for a new one.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers are listed.
    image : LayerField
        Where the image is chosen that a new mask lies on.
    """

    def __init__(self, viewer: ViewerModel, image: LayerField) -> None:
        super().__init__()
        self._viewer, self._image = viewer, image
        self.layers = LayerField(viewer, Labels, Shapes)
        self.layers.native.setPlaceholderText("none yet")
        self.layers.tooltip = "A Labels or Shapes layer that covers what is missing."
        self.draw = QPushButton("Draw mask")
        self.draw.setToolTip("Add a Labels layer that lies on the image, and paint on it.")
        row = in_row(self.layers.native, self.draw)
        row.setStretch(0, 1)
        self.setLayout(row)
        self.layers.changed.connect(self._on_changed)
        self.layers.altered.connect(self._on_changed)
        self.draw.clicked.connect(self._on_draw)

    def value(self) -> Labels | Shapes | None:
        """Return the chosen layer."""
        return self.layers.value

    def set_value(self, value: Labels | Shapes) -> None:
        """Choose a layer."""
        self.layers.choose(value)

    def _on_draw(self) -> None:
        if self._image.value is None:
            show_error("Open an image to restore.")
            return
        with refusals_shown():
            self.set_value(add_mask(self._viewer, self._image.value))

    def _on_changed(self, _layer: Any = None) -> None:
        self.changed.emit()


def _events(layer: Layer) -> tuple[Any, ...]:
    """Return the events after which fields that were filled in from a layer have to be filled in again."""
    events = layer.events
    placed = (events.scale, events.units)
    if not isinstance(layer, Labels | Shapes):
        return (events.data, *placed)
    # Undo and redo of painting tell only that the layer was drawn anew.
    drawn = (events.paint, events.set_data) if isinstance(layer, Labels) else (events.edge_width,)
    return (events.data, *placed, events.translate, events.rotate, events.shear, events.affine, *drawn)
