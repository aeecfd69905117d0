"""A line that is drawn on images with the mouse, and shown over every image of a grid."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["ProfileLine"]

COLOUR, WIDTH = "#e69f00", 2
ABOVE = 10_000  # in the order of drawing: over the image
GRABBED = 0.06  # of the image's longer side: how near to an end the mouse has to be to move that end
Ends = NDArray[np.float64]


class ProfileLine(QObject):
    """A line from one pixel to another, over images of one shape and place.

    napari has each layer in one cell of its grid, so that a line of a Shapes layer would lie in a cell of its own: this
    one is drawn with each image.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where it is drawn; without a window nothing is seen of it.

    Signals
    -------
    moved : ndarray
        The ends ``(2, 2)``, ``(y, x)`` in pixels, when somebody has moved them.
    """

    moved = Signal(object)

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Image | None = None
        self._visuals: WeakKeyDictionary[Image, Any] = WeakKeyDictionary()
        self.ends: Ends = np.zeros((2, 2))
        self.in_hand = False
        # Once napari has laid out its cells anew, in whatever order events come.
        self._laid_out = QTimer(self)
        self._laid_out.setSingleShot(True)
        self._laid_out.timeout.connect(self._attach)
        events, grid = viewer.layers.events, viewer.canvas.grid.events
        for event in (events.inserted, events.removed, events.reordered, grid.enabled, grid.shape, grid.stride):
            event.connect(self._on_laid_out)
        viewer.mouse_drag_callbacks.append(self._on_drag)

    def lie_on(self, layer: Image, shape: tuple[int, ...]) -> None:
        """Lay the line through the middle of an image."""
        self._layer = layer
        middle = (shape[0] - 1) / 2
        self.ends = np.array([(middle, 0.0), (middle, shape[1] - 1.0)])

    def show(self, layers: Iterable[Image]) -> None:
        """Draw the line over these layers, and over no others."""
        wanted = list(layers)
        for layer in [layer for layer in self._visuals if layer not in wanted]:
            self._visuals.pop(layer).parent = None
        for layer in wanted:
            visual = self._visuals.get(layer) or self._new_visual(layer)
            if visual is not None:
                visual.set_data(pos=self.ends[:, ::-1].astype(np.float32))

    def hide(self) -> None:
        """Draw it no more."""
        self.show(())

    def nudge(self, rows: float, columns: float) -> None:
        """Move it by some pixels."""
        self._move(self.ends + np.array([rows, columns]))

    def forget(self) -> None:
        """Leave the viewer as it was."""
        self.hide()
        if self._on_drag in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_drag)

    def _on_laid_out(self, _event: Any = None) -> None:
        self._laid_out.start(0)

    def _attach(self) -> None:
        """Attach the lines anew: what is drawn with a layer would be cut off at the edges of its former cell."""
        for visual in self._visuals.values():
            node = visual.parent
            visual.parent = None
            visual.parent = node

    def _new_visual(self, layer: Image) -> Any:
        """Draw a line with a layer: in napari a child of what draws the layer, as its own overlays are."""
        window = getattr(self._viewer, "window", None)
        canvas = None if window is None else window._qt_viewer.canvas
        drawn = None if canvas is None else canvas.layer_to_visual.get(layer)
        if drawn is None:
            return None
        from vispy.scene.visuals import Line
        from vispy.visuals.transforms import MatrixTransform

        visual = Line(pos=np.zeros((2, 2), np.float32), color=COLOUR, width=WIDTH, parent=drawn.node)
        visual.set_gl_state("translucent", depth_test=False)
        visual.order = ABOVE
        visual.transform = MatrixTransform()
        drawn._on_matrix_change()  # puts children where the centres of pixels are
        self._visuals[layer] = visual
        layer.events.visible.connect(self._on_laid_out)
        self._on_laid_out()
        return visual

    def _on_drag(self, viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        """Draw the line anew, or move the end that the mouse is near, as long as a button is held."""
        if not self.in_hand or self._layer is None or self._layer not in viewer.layers:
            return
        camera = viewer.scene.camera
        could_pan, camera.mouse_pan = camera.mouse_pan, False
        start = self._pixel(event.position)
        reach = GRABBED * max(self._layer.data.shape[:2] if self._layer.rgb else self._layer.data.shape[-2:])
        away = np.linalg.norm(self.ends - start, axis=1)
        grabbed = int(away.argmin()) if away.min() < reach else None
        yield
        while event.type == "mouse_move":
            here = self._pixel(event.position)
            if grabbed is None:
                self._move(np.stack([start, here]))
            else:
                ends = self.ends.copy()
                ends[grabbed] = here
                self._move(ends)
            yield
        camera.mouse_pan = could_pan

    def _pixel(self, position: Iterable[float]) -> Ends:
        assert self._layer is not None
        return np.asarray(self._layer.world_to_data(np.asarray(list(position))), np.float64)[-2:]

    def _move(self, ends: Ends) -> None:
        self.ends = ends
        self.moved.emit(ends)
