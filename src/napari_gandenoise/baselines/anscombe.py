"""The Anscombe transform of Poisson counts and its exact unbiased inverse.

M. Mäkitalo and A. Foi, "Optimal inversion of the Anscombe transformation in low-count Poisson image denoising",
IEEE Trans. Image Process. 20 (2011) 99; with read noise: "Optimal inversion of the generalized Anscombe transformation
for Poisson-Gaussian noise", IEEE Trans. Image Process. 22 (2013) 91, in its closed form.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from napari_gandenoise.micrograph import NoiseModel
from napari_gandenoise.settings.noise import Gaussian

__all__ = ["anscombe", "stabilise", "unbiased_inverse", "unstabilise"]

# Above this rate the asymptotic inverse is right to better than 1e-3 electrons.
TABLE_END = 400.0


def anscombe(counts: ArrayLike) -> NDArray[np.float64]:
    """Stabilise the variance of Poisson counts to about one: ``2 sqrt(y + 3/8)``."""
    return 2 * np.sqrt(np.asarray(counts, np.float64) + 0.375)


def unbiased_inverse(transformed: ArrayLike) -> NDArray[np.float64]:
    """Rate whose Anscombe-transformed counts have the given mean.

    Parameters
    ----------
    transformed : array_like
        Denoised Anscombe counts, an estimate of ``E[2 sqrt(y + 3/8)]``.

    Returns
    -------
    ndarray of float64
        Expected counts; zero where ``transformed`` is below the transform of no counts at all.
    """
    mean = np.asarray(transformed, np.float64)
    rates, means = _table()
    asymptotic = mean**2 / 4 - 1 / 8
    return np.where(mean < means[-1], np.interp(mean, means, rates), asymptotic)


def stabilise(electrons: ArrayLike, noise: NoiseModel, area: int = 1) -> NDArray[np.float64]:
    """Give sums of pixels noise of standard deviation one.

    Parameters
    ----------
    electrons : array_like
        Sums over ``area`` pixels, in electrons; in input units where the noise is Gaussian.
    noise : NoiseModel
        Of a single pixel.
    area : int
        Pixels of a sum.
    """
    variance = area * noise.read_variance
    if isinstance(noise, Gaussian):
        scaled: NDArray[np.float64] = np.asarray(electrons, np.float64) / np.sqrt(variance)
        return scaled
    return anscombe(np.maximum(np.asarray(electrons, np.float64) + variance, 0))


def unstabilise(transformed: ArrayLike, noise: NoiseModel, area: int = 1) -> NDArray[np.float64]:
    """Undo `stabilise` for the mean: exactly unbiased for counts, in closed form for a camera's."""
    variance = area * noise.read_variance
    if isinstance(noise, Gaussian):
        scaled: NDArray[np.float64] = np.asarray(transformed, np.float64) * np.sqrt(variance)
        return scaled
    return unbiased_inverse(transformed) - variance


@lru_cache(maxsize=1)
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rates and the exact means of their transformed counts (the sum over the Poisson distribution)."""
    # Even steps in sqrt(rate) are even steps in the transform.
    rates = np.linspace(0, np.sqrt(TABLE_END), 1500) ** 2
    counts = np.arange(0, TABLE_END + 12 * np.sqrt(TABLE_END))
    return rates, stats.poisson.pmf(counts[None], rates[:, None]) @ anscombe(counts)
