"""Grain: how far the noise of neighbouring pixels hangs together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["estimate_grain"]

PATCH = 16
FLATTEST = 0.1  # share of patches that are taken to hold noise alone
LEAST = 0.05  # correlation of neighbours below which noise counts as white
LARGEST_GRAIN = 5.0  # pixels


def estimate_grain(image: NDArray[Any]) -> float:
    """Estimate the grain of an image's noise.

    White noise blurred by a Gaussian of standard deviation ``g`` has the correlation ``exp(-1 / (4 g²))`` between
    neighbours; it is measured in the flattest patches.

    Parameters
    ----------
    image : ndarray
        ``(Y, X)`` or ``(Y, X, C)``.

    Returns
    -------
    float
        ``g`` in pixels; 0 for white noise, or an image without any.
    """
    planes = np.atleast_3d(np.asarray(image, dtype=np.float32))
    height, width = (side // PATCH * PATCH for side in planes.shape[:2])
    if not height or not width:
        return 0.0
    found = []
    for plane in np.moveaxis(planes[:height, :width], -1, 0):
        patches = plane.reshape(height // PATCH, PATCH, width // PATCH, PATCH).swapaxes(1, 2).reshape(-1, PATCH, PATCH)
        spread = patches.std(axis=(1, 2))
        noisy = patches[spread > 0]
        if not len(noisy):
            continue
        flat = noisy[np.argsort(spread[spread > 0])[: max(1, int(FLATTEST * len(noisy)))]]
        flat = flat - _plane(flat)
        together = (flat[:, :, 1:] * flat[:, :, :-1]).mean() + (flat[:, 1:] * flat[:, :-1]).mean()
        found.append(together / 2 / max(float(np.square(flat).mean()), 1e-30))
    correlation = float(np.clip(np.mean(found), 0, 0.99)) if found else 0.0
    return 0.0 if correlation < LEAST else min(LARGEST_GRAIN, float(np.sqrt(-0.25 / np.log(correlation))))


def _plane(patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fit a plane to each patch: shading is not grain."""
    axis = np.arange(PATCH, dtype=np.float32) - (PATCH - 1) / 2
    power = np.square(axis).mean()
    down = (patches * axis[:, None]).mean(axis=(1, 2), keepdims=True) / power
    across = (patches * axis).mean(axis=(1, 2), keepdims=True) / power
    fitted: NDArray[np.float32] = patches.mean(axis=(1, 2), keepdims=True) + down * axis[:, None] + across * axis
    return fitted
