"""The fit map: where a rate disagrees with the counts by more than counting noise allows."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special, stats

__all__ = ["FIT_SIGMA", "fit_map", "fit_threshold"]

FIT_SIGMA = 8.0  # grid pixels: the map is smoothed to an eighth of a tile
ROWS = 256  # of a frame at a time: a large photograph has 24 million pixels a channel

_MEANS = np.geomspace(1e-3, 1e3, 200)


def _unit_deviance(counts: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    deviance: NDArray[np.float64] = 2 * (special.xlogy(counts, counts / mean) - counts + mean)
    return deviance


@lru_cache(maxsize=1)
def _deviances() -> tuple[float, ...]:
    table = []
    for mu in _MEANS:
        counts = np.arange(0, int(mu + 12 * np.sqrt(mu) + 20), dtype=float)
        table.append(float(np.sum(stats.poisson.pmf(counts, mu) * _unit_deviance(counts, np.full_like(counts, mu)))))
    return tuple(table)


def _expected_deviance(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean unit deviance of a Poisson count: one at high means, less or more at low ones."""
    clipped = np.log(np.clip(mean, _MEANS[0], _MEANS[-1]))
    expected: NDArray[np.float64] = np.interp(clipped, np.log(_MEANS), _deviances())
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
    channels = [(c, r) for c, r in zip(*(np.reshape(x, (-1, *exposure.shape)) for x in (counts, rate)), strict=True)]
    deviance, chance = np.zeros(exposure.shape, np.float32), np.zeros(exposure.shape, np.float32)
    for top in range(0, len(exposure), ROWS):
        rows = slice(top, top + ROWS)
        shift = exposure[rows] * read_variance
        seen = exposure[rows] > 0
        # Channels are pooled: a pixel fits as well as its colours do on average.
        for counted, expected in channels:
            mean = np.maximum(exposure[rows] * expected[rows] + shift, 1e-6).astype(float)
            found = _unit_deviance(np.maximum(counted[rows] + shift, 0).astype(float), mean)
            deviance[rows] += seen * found / len(channels)
            chance[rows] += seen * _expected_deviance(mean) / len(channels)
    weight = ndimage.gaussian_filter((exposure > 0).astype(np.float32), FIT_SIGMA)
    smooth, usual = ndimage.gaussian_filter(deviance, FIT_SIGMA), ndimage.gaussian_filter(chance, FIT_SIGMA)
    reduced: NDArray[np.float32] = smooth / np.where(weight > 1e-6, np.maximum(usual, 1e-9), 1.0).astype(np.float32)
    return reduced


def fit_threshold() -> float:
    """Reduced deviance that counting noise alone exceeds nowhere in most frames (five standard deviations)."""
    independent = 4 * np.pi * FIT_SIGMA**2
    return float(1 + 5 * np.sqrt(2 / independent))
