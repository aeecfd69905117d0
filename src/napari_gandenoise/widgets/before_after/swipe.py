"""A handle on the canvas: noisy on its left, denoised on its right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_gandenoise.widgets.before_after.summed import Summed
from napari_gandenoise.widgets.viewer.source import OWN

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["Swipe"]

REACH = 8.0  # pixels of the screen from the handle within which it is taken
EDGE = {"line_color": "#56b4e9", "line_thickness": 1.5, "points": True, "point_color": "#56b4e9", "point_size": 9.0}
KEY = "B"


class Swipe(QObject):
    """Lay the noisy image over the left part of a denoised one, up to a handle that can be drawn.

    The noisy part is a layer of its own, of which only the columns before the handle are there: napari's own means,
    so that pan, zoom, movies and other layers need no care.  The edge of its bounding box is the handle.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layers are.
    noisy : Summed
        The noisy image, in the units of the denoised one.
    placement : dict
        Its scale, units and place: keyword arguments of napari layers.
    result : napari.layers.Image
        The denoised image: gives the contrast.  The swipe goes with it.

    Signals
    -------
    moved : float
        The handle stands elsewhere: which part of the width is noisy.
    closed
        One of the two layers was removed.
    """

    moved = Signal(float)
    closed = Signal()

    def __init__(self, viewer: Viewer, noisy: Summed, placement: dict[str, Any], result: Image) -> None:
        super().__init__()
        self._viewer, self._noisy, self._result = viewer, noisy, result
        self._column = noisy.full_width // 2
        self._held = False  # the key: the whole is shown noisy
        self._took_mouse, self._open = False, True
        options: dict[str, Any] = {"name": noisy.name, "metadata": {OWN: {"before": True}}, **placement}
        shown = ("contrast_limits", "colormap", "gamma", "interpolation2d")
        options |= {"rgb": True} if result.rgb else {name: getattr(result, name) for name in shown}
        self._part = noisy.until(self._column)
        self.layer = Image(self._part, **options)
        active = viewer.layers.selection.active
        viewer.layers.insert(viewer.layers.index(result) + 1, self.layer)
        viewer.layers.selection.active = active
        if not result.rgb:
            viewer.layers.link_layers([self.layer, result], shown)
        for name, value in EDGE.items():
            setattr(self.layer.bounding_box, name, value)
        self._connect()
        self._show()

    def _connect(self) -> None:
        viewer = self._viewer
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.canvas.grid.events.connect(self._show)
        viewer.dims.events.ndisplay.connect(self._show)
        viewer.mouse_move_callbacks.append(self._on_mouse_moved)
        viewer.mouse_drag_callbacks.append(self._on_pressed)
        viewer.bind_key(KEY, self._on_key, overwrite=True)

    def close(self) -> None:
        """Take the noisy part away, and let go of the viewer."""
        if not self._open:
            return
        self._open, viewer = False, self._viewer
        viewer.layers.events.removed.disconnect(self._on_removed)
        viewer.canvas.grid.events.disconnect(self._show)
        viewer.dims.events.ndisplay.disconnect(self._show)
        viewer.mouse_move_callbacks.remove(self._on_mouse_moved)
        viewer.mouse_drag_callbacks.remove(self._on_pressed)
        viewer.bind_key(KEY, None)
        self._let_mouse_go()
        if self.layer in viewer.layers:
            viewer.layers.remove(self.layer)
        self.closed.emit()

    @property
    def result(self) -> Image:
        """The denoised image."""
        return self._result

    @property
    def noisy(self) -> Summed:
        """The noisy image, all of it."""
        return self._noisy

    @property
    def share(self) -> float:
        """Which part of the width is noisy, 0 to 1."""
        return float(self._column / self._noisy.full_width)

    @share.setter
    def share(self, share: float) -> None:
        column = round(min(max(share, 0.0), 1.0) * self._noisy.full_width)
        if column != self._column:
            self._column = column
            # Its extent is within that of the result, and a thumbnail of a part says nothing: neither is made anew.
            self._show(extent=False, thumbnail=False)
            self.moved.emit(self.share)

    # What is shown

    def _columns(self) -> int:
        """Return how many columns are shown noisy."""
        full = int(self._noisy.full_width)
        # Beside each other in a grid both are seen whole; a handle in three dimensions would mean nothing.
        if self._held or self._viewer.canvas.grid.enabled:
            return full
        return self._column if self._viewer.dims.ndisplay == 2 else 0

    def _show(self, _event: Any = None, *, extent: bool = True, thumbnail: bool = True) -> None:
        columns = self._columns()
        if columns > 0:
            self._part.cut(columns)
            self.layer.refresh(extent=extent, thumbnail=thumbnail)
        if self.layer.visible != (columns > 0):
            self.layer.visible = columns > 0
        if self.layer.bounding_box.visible != self._can_be_dragged:
            self.layer.bounding_box.visible = self._can_be_dragged

    @property
    def _can_be_dragged(self) -> bool:
        return not self._held and self._viewer.dims.ndisplay == 2 and not self._viewer.canvas.grid.enabled

    def _on_removed(self, _event: Any = None) -> None:
        if self.layer not in self._viewer.layers or self._result not in self._viewer.layers:
            self.close()

    # The mouse and the key

    def _on_mouse_moved(self, _viewer: Viewer, event: Any) -> None:
        """Take the mouse from the camera while it is near the handle."""
        if self._is_near(event.position):
            self._viewer.scene.camera.mouse_pan = False
            self._viewer.cursor.style = "pointing"
            self._took_mouse = True
        else:
            self._let_mouse_go()

    def _let_mouse_go(self) -> None:
        if self._took_mouse:
            self._took_mouse = False
            active = self._viewer.layers.selection.active
            self._viewer.scene.camera.mouse_pan = True if active is None else active.mouse_pan
            self._viewer.cursor.style = "standard" if active is None else active.cursor

    def _on_pressed(self, _viewer: Viewer, event: Any) -> Iterator[None]:
        """Drag the handle."""
        if not self._is_near(event.position):
            return
        self._viewer.scene.camera.mouse_pan = False
        self._took_mouse = True
        yield
        while event.type == "mouse_move":
            self.share = (self._at(event.position) + 0.5) / self._noisy.full_width
            yield

    def _at(self, position: tuple[float, ...]) -> float:
        """Return the column, in pixels of the noisy image, of a position in the world."""
        return float(self.layer.world_to_data(position)[-1])

    def _is_near(self, position: tuple[float, ...]) -> bool:
        if not self._can_be_dragged:
            return False
        column, row = self._at(position), float(self.layer.world_to_data(position)[-2])
        rows = self._noisy.shape[-3 if self._result.rgb else -2]
        reach = REACH / self._viewer.scene.camera.zoom / float(self.layer.scale[-1])
        return bool(abs(column + 0.5 - self._column) <= reach and -0.5 - reach <= row <= rows - 0.5 + reach)

    def _on_key(self, _viewer: Viewer) -> Iterator[None]:
        """Show the whole noisy as long as the key is held."""
        self._held = True
        self._show()
        yield
        self._held = False
        self._show()
