"""Missing pixels of a micrograph: which tiles are left, and what stands in for counts that were never made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.tiling import Layout

__all__ = ["around_holes", "reached", "stand_in"]

LEAST_SEEN = 0.1  # share of a tile: with less, its template is a guess
RADIUS = 0.45  # of a disk's side: beyond it, its weight in a blend is next to nothing
FURTHER = 1.5  # from one shift to the next


def around_holes(layout: Layout, missing: NDArray[np.bool_]) -> Layout:
    """Leave out tiles that hardly see anything.

    Parameters
    ----------
    missing : ndarray of bool
        ``(Y, X)``, of the layout's shape.

    Raises
    ------
    GanDenoiseError
        If no tile is left.
    """
    side = layout.side * layout.summed
    seen = ndimage.uniform_filter((~missing).astype(np.float32), side, mode="constant")
    inside = ndimage.uniform_filter(np.ones(missing.shape, np.float32), side, mode="constant")
    places = ((layout.centres + 0.5) * layout.summed - 0.5).round().long().cpu().numpy()
    y, x = (np.clip(places[:, axis], 0, missing.shape[axis] - 1) for axis in (0, 1))
    kept = (seen / inside)[y, x] >= LEAST_SEEN
    if not kept.any():
        raise GanDenoiseError("The mask leaves too little of the image to go by: mask less of it.")
    return replace(layout, centres=layout.centres[kept])


def reached(layout: Layout) -> NDArray[np.bool_]:
    """Say which pixels of the summed grid a tile lies on, ``(Y, X)``."""
    apart = np.ones(layout.grid, bool)
    if layout.pose == "upright":
        for y, x in (layout.centres - (layout.side - 1) / 2).round().long().tolist():
            apart[max(0, y) : y + layout.side, max(0, x) : x + layout.side] = False
        return ~apart
    centres = layout.centres.round().long().cpu().numpy()
    apart[tuple(np.clip(centres[:, axis], 0, layout.grid[axis] - 1) for axis in (0, 1))] = False
    disks: NDArray[np.bool_] = ndimage.distance_transform_edt(apart) <= RADIUS * layout.side
    return disks


def stand_in(pixels: NDArray[Any], missing: NDArray[np.bool_]) -> NDArray[Any]:
    """Fill holes with pixels from a little further away, so that noise can be calibrated as if there were none.

    Parameters
    ----------
    pixels : ndarray
        ``(Y, X)`` or ``(Y, X, C)``.
    missing : ndarray of bool
        ``(Y, X)``, not everywhere true.
    """
    filled, left = pixels.copy(), missing.copy()
    distance = 1.0
    while left.any() and distance < max(missing.shape):
        for shift in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            move = tuple(round(distance) * step for step in shift)
            found = left & ~np.roll(missing, move, axis=(0, 1))
            filled[found] = np.roll(pixels, move, axis=(0, 1))[found]
            left &= ~found
        distance *= FURTHER
    filled[left] = np.median(pixels[~missing], axis=0)
    return filled
