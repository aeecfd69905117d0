"""Masks: what a Labels or a Shapes layer marks, in the pixels of an image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from napari.layers import Labels, Shapes
from napari.utils import DirectLabelColormap
from numpy.typing import NDArray
from skimage.measure import points_in_poly

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.widgets.viewer.coordinates import carry_over
from napari_gandenoise.widgets.viewer.source import whole

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["MaskLayer", "add_mask", "mask_of"]

MaskLayer: TypeAlias = Labels | Shapes
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Box = tuple[slice, slice]
Covers = Callable[[Floats], Bools]
Inside = Callable[[Floats, Floats, float], Bools]  # points (N, 2), vertices (V, 2), half the line's width

BATCH = 2**20  # points at once
COLOUR = "cyan"  # rare in images, light and dark
BRUSH = 24  # brush widths along the shorter side of an image


def mask_of(layer: MaskLayer, image: Image, frame: int = 0) -> Bools:
    """Mark the pixels of an image that lie under labels or shapes, as the viewer shows them.

    Parameters
    ----------
    layer : napari.layers.Labels or napari.layers.Shapes
        Any label but 0 marks; shapes mark their inside, lines and paths as wide as they are drawn.
    image : napari.layers.Image
        An image or a movie; scale, translation, rotation and units of both layers may differ.
    frame : int
        Frame of a movie.

    Returns
    -------
    ndarray
        ``(Y, X)``, bool: true where the centre of the pixel is marked.

    Raises
    ------
    GanDenoiseError
        If the layer is of another kind.
    """
    if not isinstance(layer, Labels | Shapes):
        raise GanDenoiseError(f"The layer {layer.name!r} is no mask: choose a Labels or a Shapes layer.")
    marked = np.zeros(_sides(image), bool)
    for (rows, columns), covers in _marks(layer, image):
        few = max(1, BATCH // max(1, columns.stop - columns.start))
        for start in range(rows.start, rows.stop, few):
            part = slice(start, min(start + few, rows.stop)), columns
            there = carry_over(_centres(part, image.ndim, frame), image, layer)
            marked[part] |= covers(there).reshape(marked[part].shape)
    return marked


def _centres(part: Box, axes: int, frame: int) -> Floats:
    """Return the centres ``(N, axes)`` of some pixels of a frame."""
    grid = np.mgrid[part].reshape(2, -1)
    return np.stack([np.full(grid.shape[1], frame)] * (axes - 2) + [*grid], axis=1).astype(float)


def _marks(layer: MaskLayer, image: Image) -> Iterator[tuple[Box, Covers]]:
    """Return for each mark which pixels of the image it may cover, and the test whether it does, in its own points."""
    sides = _sides(image)
    if isinstance(layer, Labels):
        labels = layer.data[0] if layer.multiscale else layer.data
        yield (slice(0, sides[0]), slice(0, sides[1])), partial(_labelled, np.asarray(labels))
        return
    for vertices, kind, width in zip(layer.data, layer.shape_type, layer.edge_width, strict=True):
        reach = width / 2 if kind in ("line", "path") else 0.0
        corners = np.asarray(vertices, float)
        low, high = corners.min(axis=0) - reach, corners.max(axis=0) + reach
        around = np.repeat(corners[:1], 4, axis=0)
        around[:, -2:] = [(y, x) for y in (low[-2], high[-2]) for x in (low[-1], high[-1])]
        seen = carry_over(around, layer, image)[:, -2:]
        start = np.clip(np.floor(seen.min(axis=0)).astype(int), 0, sides)
        stop = np.clip(np.ceil(seen.max(axis=0)).astype(int) + 1, 0, sides)
        box = slice(int(start[0]), int(stop[0])), slice(int(start[1]), int(stop[1]))
        yield box, partial(_shaped, _INSIDE.get(kind, _in_polygon), corners, reach)


def _sides(image: Image) -> tuple[int, int]:
    height, width = whole(image).box[-2:]
    return height.stop, width.stop


def _labelled(labels: NDArray[Any], points: Floats) -> Bools:
    # A centre on the edge of two labels belongs to the further one, against rounding to even.
    index = [np.floor(axis + 0.5).astype(np.intp) for axis in points.T]
    inside = np.ones(len(points), bool)
    for axis, side in zip(index, labels.shape, strict=True):
        inside &= (axis >= 0) & (axis < side)
    marked = np.zeros(len(points), bool)
    marked[inside] = labels[tuple(axis[inside] for axis in index)] != 0
    return marked


def _shaped(inside: Inside, corners: Floats, reach: float, points: Floats) -> Bools:
    """Test against a shape, which in a layer of more than two axes lies in one plane."""
    marked = inside(points[:, -2:], corners[:, -2:], reach)
    for axis in range(points.shape[1] - 2):
        marked &= np.rint(points[:, axis]) == np.rint(corners[0, axis])
    return marked


def _in_polygon(points: Floats, corners: Floats, _: float) -> Bools:
    marked: Bools = points_in_poly(points, corners)
    return marked


def _in_ellipse(points: Floats, corners: Floats, _: float) -> Bools:
    """Test against the ellipse that touches the middles of a parallelogram's sides."""
    centre = (corners[0] + corners[2]) / 2
    half_axes = np.stack([corners[1] - corners[0], corners[3] - corners[0]], axis=1) / 2
    if abs(np.linalg.det(half_axes)) < 1e-12:
        return np.zeros(len(points), bool)
    along = np.linalg.solve(half_axes, (points - centre).T)
    return np.asarray(np.sum(along**2, axis=0) <= 1)


def _on_path(points: Floats, corners: Floats, reach: float) -> Bools:
    marked = np.zeros(len(points), bool)
    for start, end in pairwise(corners):
        step = end - start
        share = np.clip((points - start) @ step / max(float(step @ step), 1e-12), 0, 1)
        marked |= np.linalg.norm(points - start - share[:, None] * step, axis=1) <= reach
    return marked


_INSIDE: dict[str, Inside] = {"ellipse": _in_ellipse, "line": _on_path, "path": _on_path}


def add_mask(viewer: ViewerModel, image: Image) -> Labels:
    """Add an empty Labels layer that lies on an image, ready to be painted on.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where it is added, and selected.
    image : napari.layers.Image
        An image or a movie.

    Returns
    -------
    napari.layers.Labels
        The layer, of the image's scale, units and place.
    """
    source = whole(image)
    shape = tuple(part.stop for part in source.box)
    options: dict[str, Any] = {"name": f"{image.name} · mask", "opacity": 0.6, **source.placement()}
    colours = DirectLabelColormap(color_dict={0: "transparent", None: COLOUR})
    labels = Labels(np.zeros(shape, np.uint8), colormap=colours, **options)
    viewer.add_layer(labels)
    labels.brush_size = max(2, min(shape[-2:]) // BRUSH)
    labels.mode = "paint"
    viewer.layers.selection.active = labels
    return labels
