"""From the pixels of one layer to those of another, the way the viewer lays them over each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_gandenoise.micrograph import nm_per_unit

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = ["carry_over"]

Floats = NDArray[np.float64]


def carry_over(points: ArrayLike, origin: Layer, target: Layer) -> Floats:
    """Say where points of one layer lie in another.

    Parameters
    ----------
    points : array
        ``(N, D)``, data coordinates of the origin; the centre of the first pixel is 0.
    origin, target : napari.layers.Layer
        Layers of any scale, translation, rotation, shear and affine.  Lengths in different units are
        converted; where one layer has no unit of length, its numbers count in the other's.

    Returns
    -------
    ndarray
        ``(N, E)``, data coordinates of the target.  Axes count from the last; leading ones that the origin lacks are 0
        in the world.
    """
    world = _to_world(np.asarray(points, float), origin)
    seen = np.zeros((len(world), target.ndim))
    shared = min(origin.ndim, target.ndim)
    seen[:, -shared:] = world[:, -shared:] * _unit_ratios(origin, target)[-shared:]
    start, linear = _affine(target)
    return np.asarray(np.linalg.solve(linear, (seen - start).T).T)


def _to_world(points: Floats, layer: Layer) -> Floats:
    start, linear = _affine(layer)
    return np.asarray(start + points @ linear.T)


def _affine(layer: Layer) -> tuple[Floats, Floats]:
    """Return where a layer's origin lies in the world, and the matrix whose columns are the steps along its axes."""
    start = np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    ends = [layer.data_to_world(step) for step in np.eye(layer.ndim)]
    return start, (np.asarray(ends) - start).T


def _unit_ratios(origin: Layer, target: Layer) -> Floats:
    """Units of the target in one of the origin, for each axis that both have; all 1 unless all can be compared."""
    shared = min(origin.ndim, target.ndim)
    ratios = [_ratio(*pair) for pair in zip(origin.units[-shared:], target.units[-shared:], strict=True)]
    # napari, too, compares numbers as they are as soon as the units of one axis do not go together.
    known = [ratio for ratio in ratios if ratio is not None]
    return np.array(known) if len(known) == shared else np.ones(shared)


def _ratio(unit: Any, other: Any) -> float | None:
    if str(unit) == str(other):
        return 1.0
    nm, other_nm = nm_per_unit(unit), nm_per_unit(other)
    return nm / other_nm if nm is not None and other_nm is not None else None
