"""The fit map: where a rate disagrees with the counts by more than counting noise allows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special, stats
from torch import Tensor
from torch.nn import functional

__all__ = ["FIT_THRESHOLD", "blurred", "fit_map", "reduced_deviance"]

FIT_THRESHOLD = 4.5  # standard deviations: chance alone gets there now and then somewhere in a frame
SIGMA = 2.0  # grid pixels of the window: an atom column where a pixel is 24 pm
COARSER = 4  # the second window is so many times as wide: an eighth of a tile
REACH = 8  # grid pixels: four times the width of the window, beyond which it is cut off
ROWS = 256  # of a frame at a time: a large photograph has 24 million pixels a channel


def _unit_deviance(counts: Tensor, mean: Tensor) -> Tensor:
    return 2 * (torch.xlogy(counts, counts / mean) - counts + mean)


@lru_cache(maxsize=1)
def _deviances() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tabulate means up to 100 and the mean unit deviances that they have, as logarithms."""
    means = np.geomspace(1e-6, 100, 500)
    counts = np.arange(0, 260, dtype=np.float64)
    chances = stats.poisson.pmf(counts, means[:, None])
    unit = 2 * (special.xlogy(counts, counts / means[:, None]) - counts + means[:, None])
    return np.log(means), np.log((chances * unit).sum(axis=1))


def _expected_deviance(mean: Tensor) -> Tensor:
    """Mean unit deviance of a Poisson count: one at high means, less or more at low ones."""
    places, values = (torch.from_numpy(part).to(mean) for part in _deviances())
    wanted = mean.log()
    # The table is evenly spaced in the logarithm.
    position = ((wanted - places[0]) / (places[1] - places[0])).clamp(0, len(places) - 1)
    left = position.long().clamp(max=len(places) - 2)
    inside = torch.lerp(values[left], values[left + 1], position - left).exp()
    # Beyond the table it is 1 + 1/(6 mean) to four digits.
    return torch.where(mean < 100, inside, 1 + 1 / (6 * mean))


def _strips(
    counts: Tensor, exposure: Tensor, rate: Tensor, read_variance: float, halo: int
) -> Iterator[tuple[int, int, Tensor, Tensor]]:
    """Yield the first row, the halo above it, and counts and their means ``(C, rows, X)``, zero where unexposed.

    The read noise is counted as further electrons, as many as its variance (Foi et al. 2008, section II).
    """
    for top in range(0, len(exposure), ROWS):
        above = min(top, halo)
        rows = slice(top - above, top + ROWS + halo)
        seen = exposure[rows] > 0
        shift = exposure[rows].double() * read_variance
        # Double precision: the deviance of a million electrons is a small difference of large numbers.
        mean = (exposure[rows] * rate[:, rows].double() + shift).clamp(min=1e-6) * seen
        yield top, above, (counts[:, rows].double() + shift).clamp(min=0) * seen, mean


def reduced_deviance(counts: Tensor, exposure: Tensor, rate: Tensor, read_variance: float) -> float:
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


def fit_map(counts: Tensor, exposure: Tensor, rate: Tensor, read_variance: float) -> Tensor:
    """How far the counts of a neighbourhood are from the rate, in standard deviations of their noise.

    Counts and their means are added up under a Gaussian window, once as wide as an atom column and once four times as
    wide; the map is the larger of the two misfits.

    Parameters
    ----------
    counts, rate : Tensor
        ``(C, Y, X)``: electrons and rate (electrons per input pixel) of each grid pixel.  Channels are pooled.
    exposure : Tensor
        ``(Y, X)``: input pixels of each grid pixel.
    read_variance : float
        Electrons² per input pixel.

    Returns
    -------
    Tensor
        ``(Y, X)``, not negative.
    """
    height, width = exposure.shape
    fit = torch.zeros(height, width, device=exposure.device)
    sums: list[tuple[Tensor, Tensor]] = []
    for top, above, counted, mean in _strips(counts, exposure, rate, read_variance, REACH):
        fit[top : top + ROWS] = _misfit(counted, mean)[above : above + ROWS]
        own = slice(above, above + ROWS)
        sums.append((_summed(counted[:, own]), _summed(mean[:, own])))
    coarse = _misfit(*(torch.cat(parts, dim=1) for parts in zip(*sums, strict=True))).float()
    wide = functional.interpolate(coarse[None, None], scale_factor=COARSER, mode="bilinear", align_corners=False)
    return torch.maximum(fit, wide[0, 0, :height, :width])


def _summed(image: Tensor) -> Tensor:
    """Sum ``(C, Y, X)`` over squares; beyond the edges nothing was counted."""
    whole = functional.pad(image, (0, -image.shape[2] % COARSER, 0, -image.shape[1] % COARSER))
    return functional.avg_pool2d(whole, COARSER) * COARSER**2


def _misfit(counts: Tensor, mean: Tensor) -> Tensor:
    """Return the misfit ``(Y, X)`` of counts ``(C, Y, X)`` under the window, in standard deviations."""
    found, usual = blurred(torch.stack([counts, mean]), SIGMA)
    # A weighted sum of counts has the mean and the variance of a Poisson count in another unit.
    variance = blurred(mean, SIGMA / 2**0.5) / (4 * np.pi * SIGMA**2)
    seen = variance > 1e-12
    unit = torch.where(seen, usual / torch.where(seen, variance, 1.0), 0.0)
    deviance = _unit_deviance(found.clamp(min=0) * unit, torch.where(seen, usual * unit, 1.0))
    total = torch.where(seen, deviance.clamp(min=0), 0.0)
    return total.mean(dim=0).sqrt()


def blurred(image: Tensor, sigma: float) -> Tensor:
    """Weigh the neighbours of each pixel ``(..., Y, X)`` by a Gaussian; beyond the edges there is nothing."""
    taps = _gaussian(sigma).to(image)
    reach = len(taps) // 2
    planes: Any = image.reshape(-1, 1, *image.shape[-2:])
    planes = functional.conv2d(planes, taps.view(1, 1, -1, 1), padding=(reach, 0))
    blurred: Tensor = functional.conv2d(planes, taps.view(1, 1, 1, -1), padding=(0, reach))
    return blurred.view(image.shape)


@lru_cache(maxsize=4)
def _gaussian(sigma: float) -> Tensor:
    reach = round(4 * sigma)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma) ** 2)
    return taps / taps.sum()
