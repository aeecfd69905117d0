"""The fit map: where a rate disagrees with the counts by more than counting noise allows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special, stats

__all__ = ["FIT_SIGMA", "fit_map", "fit_threshold"]

FIT_SIGMA = 8.0  # grid pixels: the map is smoothed to an eighth of a tile

_MEANS = np.geomspace(1e-3, 1e3, 200)


def _unit_deviance(counts: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    deviance: NDArray[np.float64] = 2 * (special.xlogy(counts, counts / mean) - counts + mean)
    return deviance


def _expected_deviance(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean unit deviance of a Poisson count: one at high means, less or more at low ones."""
    table = []
    for mu in _MEANS:
        counts = np.arange(0, int(mu + 12 * np.sqrt(mu) + 20), dtype=float)
        table.append(np.sum(stats.poisson.pmf(counts, mu) * _unit_deviance(counts, np.full_like(counts, mu))))
    expected: NDArray[np.float64] = np.interp(np.log(np.clip(mean, _MEANS[0], _MEANS[-1])), np.log(_MEANS), table)
    return expected


def fit_map(
    counts: NDArray[np.floating], exposure: NDArray[np.floating], rate: NDArray[np.floating], read_variance: float
) -> NDArray[np.float32]:
    """Reduced Poisson deviance, smoothed; one where the rate explains the counts.

    Parameters
    ----------
    counts, rate : ndarray
        ``(Y, X)`` or ``(C, Y, X)``: electrons and rate (electrons per input pixel) of each grid pixel.
    exposure : ndarray
        ``(Y, X)``: input pixels of each grid pixel.
    read_variance : float
        Electrons² per input pixel.
    """
    shift = exposure * read_variance
    mean = np.maximum(exposure * rate + shift, 1e-6).astype(float)
    # Channels are pooled: a pixel fits as well as its colours do on average.
    deviance = (
        _unit_deviance(np.maximum(counts + shift, 0).astype(float), mean).reshape(-1, *exposure.shape).mean(axis=0)
    )
    chance = _expected_deviance(mean).reshape(-1, *exposure.shape).mean(axis=0)
    seen = ndimage.gaussian_filter((exposure > 0).astype(float), FIT_SIGMA)
    smooth = ndimage.gaussian_filter(deviance * (exposure > 0), FIT_SIGMA)
    expected = ndimage.gaussian_filter(chance * (exposure > 0), FIT_SIGMA)
    reduced: NDArray[np.float32] = (smooth / np.where(seen > 1e-6, np.maximum(expected, 1e-9), 1.0)).astype(np.float32)
    return reduced


def fit_threshold() -> float:
    """Reduced deviance that counting noise alone exceeds nowhere in most frames (five standard deviations)."""
    independent = 4 * np.pi * FIT_SIGMA**2
    return float(1 + 5 * np.sqrt(2 / independent))
