"""Missing pixels: what stands in for counts that were never made."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["stand_in"]

FURTHER = 1.5  # from one shift to the next


def stand_in(pixels: NDArray[Any], missing: NDArray[np.bool_]) -> NDArray[Any]:
    """Fill holes with pixels from a little further away, so that noise can be calibrated as if there were none.

    Parameters
    ----------
    pixels : ndarray
        ``(Y, X)`` or ``(Y, X, C)``.
    missing : ndarray of bool
        ``(Y, X)``, not everywhere true.
    """
    if not missing.any():
        return pixels
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
