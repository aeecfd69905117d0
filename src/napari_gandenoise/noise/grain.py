"""Grain: how far the noise of neighbouring pixels hangs together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["estimate_grain", "noise_spectrum"]

PATCH = 32
FLATTEST = 0.25  # share of patches that are taken to hold little but noise
WHITE = 0.3  # pixels: finer grain cannot be told from white noise
LARGEST_GRAIN = 5.0  # pixels
RINGS = np.arange(0.16, 0.34, 0.02)  # cycles per pixel: beyond most specimens, and before the blur has left nothing
STRAIGHT = 0.5  # of the logarithm of the power, from a line


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


def noise_spectrum(blocks: NDArray[Any]) -> tuple[float, float] | None:
    """Measure noise that neighbouring pixels share by the spectrum of an image.

    A blur by a Gaussian of standard deviation ``g`` multiplies the power at the frequency ``f`` by
    ``exp(-4 π² g² f²)``.  Medians over rings of the spectrum do not see the spots of a lattice, and beyond the
    frequencies of the specimen their logarithm falls along that line, which leads back to the power of large sums.

    Parameters
    ----------
    blocks : ndarray
        ``(N, n, n)`` squares of the image.

    Returns
    -------
    variance : float
        Of the noise of a sum of many pixels, over their number; input units².
    grain : float
        ``g``, pixels.
    None
        If the power does not fall along a line.
    """
    side = blocks.shape[-1]
    window = np.outer(*[np.hanning(side + 2)[1:-1]] * 2)
    centred = blocks - blocks.mean(axis=(1, 2), keepdims=True)
    power = np.square(np.abs(np.fft.rfft2(centred * window))).mean(axis=0) / np.square(window).sum()
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    rings = [(low + 0.01, np.median(power[(frequency >= low) & (frequency < low + 0.02)])) for low in RINGS]
    squared, levels = (np.array(column) for column in zip(*rings, strict=True))
    usable = levels > levels.max() * 1e-12
    if usable.sum() < 5:
        return None
    slope, start = np.polyfit(np.square(squared[usable]), np.log(levels[usable]), 1)
    apart = float(np.std(np.log(levels[usable]) - slope * np.square(squared[usable]) - start))
    if slope >= 0 or apart > STRAIGHT:
        return None
    # The median of a mean of many periodograms is their mean.
    return float(np.exp(start)), float(np.sqrt(-slope) / (2 * np.pi))
