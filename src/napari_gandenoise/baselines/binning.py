"""Sum pixels in blocks, denoise there, interpolate the rate back: oversampled frames need it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_gandenoise.baselines.anscombe import stabilise, unstabilise
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import NoiseModel
from napari_gandenoise.settings.noise import Gaussian, Poisson

__all__ = ["COUNTS", "checked_image", "denoise_binned", "denoise_stabilised", "usual_bin"]

COUNTS = Poisson()
COARSE_NM = 0.0427  # tuned on simulation seed 3: python -m benchmarks.baseline_settings


def usual_bin(pixel_size_nm: float | None) -> int:
    """Return the bin factor that brings pixels closest to 43 pm, 1 where their size is unknown."""
    return 1 if pixel_size_nm is None else max(1, round(COARSE_NM / pixel_size_nm))


def checked_image(image: ArrayLike) -> NDArray[np.float64]:
    """Return an image ``(Y, X)`` or ``(Y, X, 3)`` as float64.

    Raises
    ------
    GanDenoiseError
        If it is not one image of finite numbers.
    """
    pixels = np.asarray(image)
    one = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[-1] == 3)
    if not one or pixels.size == 0 or pixels.dtype.kind not in "uif":
        raise GanDenoiseError(
            f"A baseline needs one image, (Y, X) or (Y, X, 3), got shape {pixels.shape} of {pixels.dtype}; "
            "pass one frame of a stack at a time."
        )
    if not np.isfinite(pixels).all():
        raise GanDenoiseError("The image holds non-finite values; replace them first.")
    return pixels.astype(np.float64)


def denoise_binned(
    image: ArrayLike,
    bin_factor: int,
    denoise: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    noise: NoiseModel = COUNTS,
) -> NDArray[np.float32]:
    """Apply a denoiser to ``bin_factor`` x ``bin_factor`` sums and bring its rate back to the input grid.

    Sums of Poisson counts are Poisson counts, so the denoiser sees the same noise at a higher dose.

    Parameters
    ----------
    image : array_like
        ``(Y, X)`` or ``(Y, X, 3)``; sides that ``bin_factor`` does not divide are continued by reflection.
    bin_factor : int
        Side of a block, at least 1 and at most the shorter side of the image.
    denoise : callable
        Takes sums of electrons (of pixels in input units where the noise is Gaussian), returns their rate, same shape.
    noise : NoiseModel
        Of the image; by default the image counts electrons.

    Returns
    -------
    ndarray of float32
        Rate in the image's shape and units (cubic spline); never below no electrons.

    Raises
    ------
    GanDenoiseError
        If the image is none, the bin factor does not fit, or counts are negative.
    """
    electrons = noise.to_electrons(checked_image(image)).astype(np.float64)
    height, width = electrons.shape[:2]
    if noise.read_variance == 0 and electrons.min() < 0:
        raise GanDenoiseError("The counts hold negative values; convert the image to electrons first.")
    if not 1 <= bin_factor <= min(height, width):
        raise GanDenoiseError(
            f"The bin factor must be between 1 and {min(height, width)} for this image, got {bin_factor}."
        )
    rate = denoise(_sums(electrons, bin_factor)) / bin_factor**2
    if bin_factor > 1:
        # grid_mode puts the coarse pixel's centre on the centre of its block.
        factors = (bin_factor, bin_factor, 1)[: rate.ndim]
        rate = ndimage.zoom(rate, factors, order=3, mode="nearest", grid_mode=True)
    if not isinstance(noise, Gaussian):
        rate = np.maximum(rate, 0)
    return noise.from_electrons(rate[:height, :width]).astype(np.float32)


def denoise_stabilised(
    image: ArrayLike,
    bin_factor: int,
    denoise: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    noise: NoiseModel = COUNTS,
) -> NDArray[np.float32]:
    """Apply a denoiser of Gaussian noise of standard deviation one to sums whose variance was stabilised.

    Parameters, result and errors are those of `denoise_binned`.
    """
    area = bin_factor**2

    def run(summed: NDArray[np.float64]) -> NDArray[np.float64]:
        return unstabilise(denoise(stabilise(summed, noise, area)), noise, area)

    return denoise_binned(image, bin_factor, run, noise)


def _sums(image: NDArray[np.float64], bin_factor: int) -> NDArray[np.float64]:
    height, width, *colours = image.shape
    beyond = ((0, -height % bin_factor), (0, -width % bin_factor), *((0, 0) for _ in colours))
    padded = np.pad(image, beyond, mode="symmetric")
    rows, columns = (side // bin_factor for side in padded.shape[:2])
    summed: NDArray[np.float64] = padded.reshape(rows, bin_factor, columns, bin_factor, *colours).sum(axis=(1, 3))
    return summed
