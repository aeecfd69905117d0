"""The fit map: where a rate disagrees with the counts by more than counting noise allows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special, stats

__all__ = ["FIT_THRESHOLD", "fit_map", "reduced_deviance"]

FIT_THRESHOLD = 4.5  # standard deviations: chance alone gets there now and then somewhere in a frame
SIGMA = 2.0  # grid pixels of the window: an atom column where a pixel is 24 pm
COARSER = 4  # the second window is so many times as wide: an eighth of a tile
REACH = 8  # grid pixels: four times the width of the window, beyond which it is cut off
ROWS = 256  # of a frame at a time: a large photograph has 24 million pixels a channel

Array = NDArray[np.float64]


def _unit_deviance(counts: Array, mean: Array) -> Array:
    deviance: Array = 2 * (special.xlogy(counts, counts / mean) - counts + mean)
    return deviance


@lru_cache(maxsize=1)
def _deviances() -> tuple[Array, Array]:
    """Tabulate means up to 100 and the mean unit deviances that they have, as logarithms."""
    means = np.geomspace(1e-6, 100, 500)
    counts = np.arange(0, 260, dtype=np.float64)
    chances = stats.poisson.pmf(counts, means[:, None])
    return np.log(means), np.log((chances * _unit_deviance(counts, means[:, None])).sum(axis=1))


def _expected_deviance(mean: Array) -> Array:
    """Mean unit deviance of a Poisson count: one at high means, less or more at low ones."""
    # Beyond the table it is 1 + 1/(6 mean) to four digits.
    expected: Array = np.where(mean < 100, np.exp(np.interp(np.log(mean), *_deviances())), 1 + 1 / (6 * mean))
    return expected


def _strips(
    counts: NDArray[Any], exposure: NDArray[Any], rate: NDArray[Any], read_variance: float, halo: int
) -> Iterator[tuple[int, int, Array, Array]]:
    """Yield the first row, the halo above it, and counts and their means ``(C, rows, X)``, zero where unexposed.

    The read noise is counted as further electrons, as many as its variance (Foi et al. 2008, section II).
    """
    shape = (-1, *exposure.shape)
    for top in range(0, len(exposure), ROWS):
        above = min(top, halo)
        rows = slice(top - above, top + ROWS + halo)
        seen = exposure[rows] > 0
        shift = exposure[rows] * read_variance
        mean = np.maximum(exposure[rows] * rate.reshape(shape)[:, rows] + shift, 1e-6) * seen
        yield top, above, np.maximum(counts.reshape(shape)[:, rows] + shift, 0.0) * seen, mean


def reduced_deviance(counts: NDArray[Any], exposure: NDArray[Any], rate: NDArray[Any], read_variance: float) -> float:
    """Poisson deviance of a whole frame over the one that is expected; one where the rate explains the counts.

    It is divided by its expectation under the rate, not by the number of pixels: below one electron per pixel the two
    differ by tens of percent.

    Parameters
    ----------
    counts, exposure, rate, read_variance
        As for `fit_map`.
    """
    found, expected = 0.0, 0.0
    for *_, counted, mean in _strips(counts, exposure, rate, read_variance, 0):
        inside = mean > 0
        found += float(_unit_deviance(counted[inside], mean[inside]).sum())
        expected += float(_expected_deviance(mean[inside]).sum())
    return found / expected if expected > 0 else 0.0


def fit_map(
    counts: NDArray[Any], exposure: NDArray[Any], rate: NDArray[Any], read_variance: float
) -> NDArray[np.float32]:
    """How far the counts of a neighbourhood are from the rate, in standard deviations of their noise.

    Counts and their means are added up under a Gaussian window, once as wide as an atom column and once four times as
    wide; the map is the larger of the two misfits.

    Parameters
    ----------
    counts, rate : ndarray
        ``(Y, X)`` or ``(C, Y, X)``: electrons and rate (electrons per input pixel) of each grid pixel.  Channels are
        pooled.
    exposure : ndarray
        ``(Y, X)``: input pixels of each grid pixel.
    read_variance : float
        Electrons² per input pixel.

    Returns
    -------
    ndarray
        ``(Y, X)``, not negative.
    """
    height, width = exposure.shape
    fit = np.zeros((height, width), np.float32)
    sums: list[tuple[Array, Array]] = []
    for top, above, counted, mean in _strips(counts, exposure, rate, read_variance, REACH):
        fit[top : top + ROWS] = _misfit(counted, mean)[above : above + ROWS]
        own = slice(above, above + ROWS)
        sums.append((_summed(counted[:, own]), _summed(mean[:, own])))
    coarse = _misfit(*(np.concatenate(parts, axis=1) for parts in zip(*sums, strict=True)))
    wide = ndimage.zoom(coarse.astype(np.float32), COARSER, order=1, mode="nearest", grid_mode=True)
    larger: NDArray[np.float32] = np.maximum(fit, wide[:height, :width])
    return larger


def _summed(image: Array) -> Array:
    """Sum ``(C, Y, X)`` over squares; beyond the edges nothing was counted."""
    channels, height, width = image.shape
    whole = np.pad(image, ((0, 0), (0, -height % COARSER), (0, -width % COARSER)))
    squares = whole.reshape(channels, -(-height // COARSER), COARSER, -(-width // COARSER), COARSER)
    sums: Array = squares.sum(axis=(2, 4))
    return sums


def _misfit(counts: Array, mean: Array) -> Array:
    """Return the misfit ``(Y, X)`` of counts ``(C, Y, X)`` under the window, in standard deviations."""
    total = np.zeros(counts.shape[1:])
    for counted, expected in zip(counts, mean, strict=True):
        found, usual = (ndimage.gaussian_filter(x, SIGMA, mode="constant") for x in (counted, expected))
        # A weighted sum of counts has the mean and the variance of a Poisson count in another unit.
        variance = ndimage.gaussian_filter(expected, SIGMA / 2**0.5, mode="constant") / (4 * np.pi * SIGMA**2)
        seen = variance > 1e-12
        unit = np.where(seen, usual / np.where(seen, variance, 1.0), 0.0)
        deviance = _unit_deviance(np.maximum(found, 0.0) * unit, np.where(seen, usual * unit, 1.0))
        total += np.where(seen, np.maximum(deviance, 0.0), 0.0)
    misfit: Array = np.sqrt(total / len(counts))
    return misfit
