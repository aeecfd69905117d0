"""Masks: what a Labels or a Shapes layer marks, in the pixels of an image."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from napari.layers import Labels, Shapes
from numpy.typing import NDArray
from skimage.measure import points_in_poly

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.widgets._coordinates import carry_over
from napari_gandenoise.widgets._source import whole

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["MaskLayer", "add_mask", "mask_of"]

MaskLayer: TypeAlias = Labels | Shapes
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

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
    shape = whole(image).micrograph.frame(0).pixels.shape[:2]
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 2)
    leading = np.full((len(points), image.ndim - 2), frame)
    there = carry_over(np.hstack([leading, points]), image, layer)
    marked = _labelled(layer, there) if isinstance(layer, Labels) else _covered(layer, there)
    return marked.reshape(shape)


def _labelled(labels: Labels, points: Floats) -> Bools:
    data = labels.data[0] if labels.multiscale else labels.data
    # A centre on the edge of two labels belongs to the further one, against rounding to even.
    index = np.floor(points + 0.5).astype(int)
    inside = np.all((index >= 0) & (index < data.shape), axis=1)
    marked = np.zeros(len(points), bool)
    marked[inside] = np.asarray(data)[tuple(index[inside].T)] != 0
    return marked


def _covered(shapes: Shapes, points: Floats) -> Bools:
    marked = np.zeros(len(points), bool)
    for vertices, kind, width in zip(shapes.data, shapes.shape_type, shapes.edge_width, strict=True):
        here = np.all(np.rint(points[:, :-2]) == np.rint(vertices[0, :-2]), axis=1)
        corners = np.asarray(vertices[:, -2:], float)
        reach = width / 2 if kind in ("line", "path") else 0.0
        near = np.all(
            (points[:, -2:] >= corners.min(axis=0) - reach) & (points[:, -2:] <= corners.max(axis=0) + reach), axis=1
        )
        asked = np.flatnonzero(here & near & ~marked)
        marked[asked] = _inside(kind)(points[asked, -2:], corners, reach)
    return marked


def _inside(kind: str) -> Callable[[Floats, Floats, float], Bools]:
    """Return the test for one kind of shape: points ``(N, 2)``, vertices ``(V, 2)`` and half the line width."""
    if kind in ("line", "path"):
        return _on_path
    return _in_ellipse if kind == "ellipse" else _in_polygon


def _in_polygon(points: Floats, corners: Floats, _: float) -> Bools:
    marked: Bools = points_in_poly(points, corners)  # type: ignore[no-untyped-call]
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
    labels = Labels(np.zeros(shape, np.uint8), **options)
    viewer.add_layer(labels)
    labels.brush_size = max(2, min(shape[-2:]) // BRUSH)
    labels.mode = "paint"
    viewer.layers.selection.active = labels
    return labels
