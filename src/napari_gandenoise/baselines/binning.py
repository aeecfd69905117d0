"""Sum counts in blocks, denoise there, interpolate the rate back: oversampled frames need it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_gandenoise.errors import GanDenoiseError

__all__ = ["checked_counts", "denoise_binned"]


def checked_counts(counts: ArrayLike) -> NDArray[np.float64]:
    """Return counts ``(Y, X)`` as float64.

    Raises
    ------
    GanDenoiseError
        If they are not one image of finite, non-negative numbers.
    """
    image = np.asarray(counts)
    if image.ndim != 2 or image.size == 0 or image.dtype.kind not in "uif":
        raise GanDenoiseError(
            f"A baseline needs one grey image (Y, X) of electron counts, got shape {image.shape} of {image.dtype}; "
            "pass one frame of a stack at a time."
        )
    if not np.isfinite(image).all() or image.min() < 0:
        raise GanDenoiseError("The counts hold negative or non-finite values; convert the image to electrons first.")
    return image.astype(np.float64)


def denoise_binned(
    counts: ArrayLike, bin_factor: int, denoise: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float32]:
    """Apply a denoiser of counts to ``bin_factor`` x ``bin_factor`` sums and bring its rate back to the input grid.

    Sums of Poisson counts are Poisson counts, so the denoiser sees the same noise at a higher dose.

    Parameters
    ----------
    counts : array_like
        Electrons per pixel ``(Y, X)``; sides that ``bin_factor`` does not divide are continued by reflection.
    bin_factor : int
        Side of a block, at least 1 and at most the shorter side of the image.
    denoise : callable
        Takes summed counts, returns their rate, same shape.

    Returns
    -------
    ndarray of float32
        Rate ``(Y, X)`` in electrons per input pixel (cubic spline), non-negative.
    """
    image = checked_counts(counts)
    height, width = image.shape
    if not 1 <= bin_factor <= min(height, width):
        raise GanDenoiseError(
            f"The bin factor must be between 1 and {min(height, width)} for this image, got {bin_factor}."
        )
    padded = np.pad(image, ((0, -height % bin_factor), (0, -width % bin_factor)), mode="symmetric")
    rows, columns = (side // bin_factor for side in padded.shape)
    rate = denoise(padded.reshape(rows, bin_factor, columns, bin_factor).sum(axis=(1, 3))) / bin_factor**2
    if bin_factor > 1:
        # grid_mode puts the coarse pixel's centre on the centre of its block.
        rate = ndimage.zoom(rate, bin_factor, order=3, mode="nearest", grid_mode=True)
    return np.maximum(rate[:height, :width], 0).astype(np.float32)
