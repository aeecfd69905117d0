"""Grain: how far the noise of neighbouring pixels hangs together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["estimate_grain"]

PATCH = 32
FLATTEST = 0.25  # share of patches that are taken to hold little but noise
WHITE = 0.3  # pixels: finer grain cannot be told from white noise
LARGEST_GRAIN = 5.0  # pixels


def estimate_grain(image: NDArray[Any]) -> float:
    """Estimate the grain of an image's noise.

    Noise blurred by a Gaussian of standard deviation ``g`` has the structure function ``S(l) = 1 - exp(-l² / 4 g²)``:
    pixels ``l`` apart differ by that much.  Its ratio at two distances, measured in the flattest patches, gives ``g``
    and does not see shading.

    Parameters
    ----------
    image : ndarray
        ``(Y, X)`` or ``(Y, X, C)``.

    Returns
    -------
    float
        ``g`` in pixels; 0 for white noise, or an image without any.
    """
    planes = np.moveaxis(np.atleast_3d(np.asarray(image, dtype=np.float32)), -1, 0)
    if min(planes.shape[1:]) < PATCH:
        return 0.0
    patches = np.concatenate([_flattest(plane) for plane in planes])
    grain = _grain(patches, 1)
    if grain > 1:
        grain = _grain(patches, 2)  # coarse grain hardly differs from pixel to pixel
    return grain if grain > WHITE else 0.0


def _flattest(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    down, across = (side // PATCH for side in plane.shape)
    cut = plane[: down * PATCH, : across * PATCH].reshape(down, PATCH, across, PATCH)
    patches = cut.swapaxes(1, 2).reshape(-1, PATCH, PATCH)
    order = np.argsort(patches.std(axis=(1, 2)))
    return patches[order[: max(1, int(FLATTEST * len(patches)))]]


def _grain(patches: NDArray[np.float32], lag: int) -> float:
    near, far = _structure(patches, lag), _structure(patches, 2 * lag)
    if near <= 0 or far <= near:
        return 0.0
    # With q = exp(-lag² / 4 g²) the ratio is 1 + q + q² + q³, which grows with q.
    roots = np.roots([1, 1, 1, 1 - min(far / near, 4 - 1e-6)])
    q = float(roots[np.abs(roots.imag).argmin()].real)
    return min(LARGEST_GRAIN, float(lag / np.sqrt(-4 * np.log(q)))) if q > 0 else 0.0


def _structure(patches: NDArray[np.float32], lag: int) -> float:
    """Mean squared difference of pixels so far apart, along both axes."""
    across = np.square(patches[:, :, lag:] - patches[:, :, :-lag]).mean()
    down = np.square(patches[:, lag:] - patches[:, :-lag]).mean()
    return float(across + down)
