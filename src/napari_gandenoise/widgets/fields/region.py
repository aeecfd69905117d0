"""Which part of an image a run is for, and a button to draw a rectangle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Shapes
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton

from napari_gandenoise.widgets.fields.base import Field
from napari_gandenoise.widgets.layout.rows import combo, in_row
from napari_gandenoise.widgets.viewer.source import OWN, RegionKind

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_gandenoise.widgets.fields.layers import LayerField

__all__ = ["RegionField"]

REGIONS = {"whole": "Whole image", "viewport": "What the canvas shows", "rectangle": "Rectangle"}
COLOUR = "#56b4e9"


class RegionField(Field):
    """A list of regions, and a button that lets the user draw one.

    It has changed, too, when a rectangle is drawn, moved or taken away.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the rectangle is drawn.
    image : LayerField
        Where the image is chosen.
    """

    def __init__(self, viewer: ViewerModel, image: LayerField) -> None:
        super().__init__()
        self._viewer, self._image = viewer, image
        self.combo = combo(REGIONS)
        tip = "The selected rectangle of a Shapes layer, or the last one."
        self.combo.setItemData(self.combo.findData("rectangle"), tip, Qt.ItemDataRole.ToolTipRole)
        self.draw = QPushButton("Draw")
        self.draw.setToolTip("Draw a rectangle on the image with the mouse: only this part is denoised.")
        row = in_row(self.combo, self.draw)
        row.setStretch(0, 1)
        self.setLayout(row)
        self.combo.currentIndexChanged.connect(lambda _: self.changed.emit())
        self.draw.clicked.connect(self._on_draw)
        for layer in viewer.layers:
            self._watch(layer)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_shapes)

    def value(self) -> RegionKind:
        """Return the kind of region."""
        kind: RegionKind = self.combo.currentData()
        return kind

    def set_value(self, value: RegionKind) -> None:
        """Choose a kind of region."""
        self.combo.setCurrentIndex(max(0, self.combo.findData(value)))

    def _on_draw(self) -> None:
        """Add a layer to draw on, ready for the mouse, and choose its rectangle."""
        image: Image | None = self._image.value
        if image is None:
            return
        shapes = Shapes(
            ndim=image.ndim,
            name="region",
            face_color="transparent",
            edge_color=COLOUR,
            edge_width=2 / self._viewer.scene.camera.zoom / float(image.scale[-1]),
            **{name: getattr(image, name) for name in ("scale", "translate", "rotate", "shear", "affine", "units")},
        )
        self._viewer.add_layer(shapes)
        shapes.mode = "add_rectangle"
        self.set_value("rectangle")

    def _on_inserted(self, event: Any) -> None:
        self._watch(event.value)

    def _watch(self, layer: Any) -> None:
        if isinstance(layer, Shapes) and OWN not in layer.metadata:
            layer.events.data.connect(self._on_shapes)

    def _on_shapes(self, _event: Any = None) -> None:
        if self.value() == "rectangle":
            self.changed.emit()
