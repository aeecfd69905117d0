"""Local moments of an image's noise, with the standard errors that the jackknife gives them.

The image comes in blocks; all moments are averages over a block, and leaving out one block at a time says how sure each
estimate is.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb, inf, isfinite, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["SIGMAS", "Estimate", "Moments", "local_variance", "measure", "per_block", "structure_free_order"]

Array = NDArray[np.float64]

HOLE = 4  # half-width of the pixels left out around the one whose mean is predicted
SIGMAS = 3.0  # two numbers agree when they differ by less than this many standard errors


class Estimate(NamedTuple):
    """A number and its standard error."""

    value: float
    error: float

    def agrees(self, value: float, within: float = 0.0) -> bool:
        """Whether ``value`` lies within three standard errors, or within the tolerance ``within``."""
        return abs(self.value - value) <= max(SIGMAS * self.error, within)


class Moments(NamedTuple):
    """The statistics of an image that the decision rests on."""

    mean: Estimate
    variance: Estimate
    slope: Estimate  # of variance over mean
    gain: Estimate  # of the slope and the ratio of the cumulants together
    fano: Estimate  # variance / mean: the gain of a detector without offset and read noise
    signal: Estimate  # mean less offset, from the third moment and the gain
    skew: Estimate  # third moment / (fano · variance): 1 for a detector without offset and read noise
    read_variance: Estimate  # in input units²
    white: bool  # whether neighbouring pixels have independent noise


def measure(blocks: Array, order: int, white: bool) -> Moments:
    """Measure mean, variance, gain and third cumulant, with jackknife errors."""
    origin = float(np.median(blocks))  # moments of large offsets would cancel to nothing
    centred = blocks - origin
    energy, local = local_variance(centred, order)
    instrument = _instrument(centred, local)
    residual = _residual(centred)
    quantities = [local, energy, instrument, instrument * energy, instrument * local]
    quantities += [residual * _inside(centred), residual**2, residual**3, residual**4, *_distant_products(residual**2)]
    sums = np.stack([per_block(quantity) for quantity in quantities], axis=1)

    def mean(s: Array) -> Any:
        return s[0] + origin

    slope = _jackknife(sums, _slope)
    weight = _weight_of_ratio(slope, _jackknife(sums, _cumulant_ratio), _jackknife(sums, lambda s: _cumulants(s)[0]))

    def gain(s: Array) -> Any:
        return (1 - weight) * _slope(s) + weight * _cumulant_ratio(s)

    def third(s: Array) -> Any:
        return _cumulants(s, gain(s))[0]

    return Moments(
        mean=_jackknife(sums, mean),
        variance=_jackknife(sums, lambda s: s[1]),
        slope=slope,
        gain=_jackknife(sums, gain),
        fano=_jackknife(sums, lambda s: s[1] / mean(s)),
        signal=_jackknife(sums, lambda s: third(s) / gain(s) ** 2),
        skew=_jackknife(sums, lambda s: third(s) * mean(s) / s[1] ** 2),
        read_variance=_jackknife(sums, lambda s: s[1] - third(s) / gain(s)),
        white=white,
    )


def _slope(s: Array) -> Any:
    """Slope of the local variance over the local mean, by the instrument."""
    return (s[3] - s[2] * s[1]) / (s[4] - s[2] * s[0])


def _cumulant_ratio(s: Array) -> Any:
    """Gain as the ratio of the fourth to the third cumulant."""
    third, fourth = _cumulants(s)
    third, fourth = _cumulants(s, fourth / third)
    return fourth / third


def _cumulants(s: Array, gain: Any = 0.0) -> tuple[Any, Any]:
    """Third and fourth cumulants of the noise, from powers of the residuals.

    With noise ``n`` and structure ``d`` in a residual ``r``, ``E[r³] = κ₃ + 3 E[d var(n)] + E[d³]`` and
    ``E[r⁴] = κ₄ + 3 E[var(r)²] + 4 E[d κ₃] + …``.  A variance that changes over the scene would pass for a fourth
    cumulant; the product of two residuals some pixels apart sees the same change and is subtracted.  The noise follows
    the scene by the gain, so the terms of first order in ``d`` are known; those of higher order are left, small where
    noise rules.
    """
    at_pixel = s[5] - s[1]
    around = at_pixel - (s[6] - s[1] * (1 + 1 / 8))
    third = (s[7] - 3 * gain * (at_pixel + around / 8)) / (1 - 1 / 64)
    fourth = (s[8] - 1.5 * (s[9] + s[10]) - 4 * gain**2 * at_pixel) / (1 + 1 / 512)
    return third, fourth


def _weight_of_ratio(slope: Estimate, ratio: Estimate, third: Estimate) -> float:
    """Weigh the two estimates of the gain by their errors: contrast makes the slope sure, a low dose the ratio."""
    if third.value < 5 * third.error or not isfinite(ratio.error):
        return 0.0
    if not isfinite(slope.error):
        return 1.0
    if slope.error == 0:  # an image that repeats itself: all blocks say the same
        return 0.0
    return slope.error**2 / (slope.error**2 + ratio.error**2)


def structure_free_order(blocks: Array) -> tuple[int, bool]:
    """Choose the lowest difference filter that structure does not leak into.

    White noise gives filters of all orders the same energy; a signal, which has little power towards the corner of
    the Fourier plane, gives higher orders less.  Two orders that agree are therefore both free of signal.

    Returns
    -------
    order : int
        Second differences are taken this many times along both axes.
    white : bool
        False when no two orders agree, because the noise itself is correlated between neighbours.
    """
    for order in (1, 2, 3):
        low, high = (per_block(local_variance(blocks, n)[0]) for n in (order, order + 1))
        drop = _jackknife(np.stack([low, high], axis=1), lambda s: s[0] / s[1] - 1)
        if drop.agrees(0.0, within=0.005):
            return order, True
    return 4, drop.agrees(0.0, within=0.03)


def local_variance(blocks: Array, order: int) -> tuple[Array, Array]:
    """Measure the noise variance at each pixel, and the local mean that belongs to it.

    The squared response of a difference filter expects the average of the noise variance under the filter's squared
    weights, and the mean is taken with the same weights: whatever the scene, the two lie on the detector's line.

    Returns
    -------
    variance, mean : ndarray
        ``(N, m, m)`` with ``m`` the side less a margin of `HOLE`.
    """
    weights = np.array([comb(2 * order, k) for k in range(2 * order + 1)], dtype=np.float64)
    weights *= (-1.0) ** np.arange(weights.size)
    response = _separable(blocks, weights)
    squared = weights**2
    return response**2 / squared.sum() ** 2, _separable(blocks, squared / squared.sum())


def _instrument(blocks: Array, local: Array) -> Array:
    """Predict each local mean from pixels that took no part in it.

    Regressing the local variance on the noisy local mean itself would bias the slope twice: noise in the mean
    flattens it, and noise common to both tilts it.  A prediction from other pixels (an instrumental variable) knows
    the scene and none of that noise.  Rings of three widths serve scenes of every sampling.
    """
    inner = ndimage.uniform_filter(blocks, (0, 2 * HOLE + 1, 2 * HOLE + 1))
    inner_area = (2 * HOLE + 1) ** 2
    predictors = [np.ones_like(local)]
    for half in (HOLE + 2, HOLE + 5, HOLE + 11):
        area = (2 * half + 1) ** 2
        outer = ndimage.uniform_filter(blocks, (0, 2 * half + 1, 2 * half + 1), mode="wrap")
        predictors.append(_inside((outer * area - inner * inner_area) / (area - inner_area)))
    design = np.stack([p.ravel() for p in predictors], axis=1)
    coefficients = np.linalg.solve(design.T @ design + 1e-9 * np.eye(4), design.T @ local.ravel())
    predicted: Array = (design @ coefficients).reshape(local.shape)
    return predicted


def _residual(blocks: Array) -> Array:
    """Subtract from each pixel the mean of its eight neighbours."""
    return _inside(blocks - (ndimage.uniform_filter(blocks, (0, 3, 3)) * 9 - blocks) / 8)


def _distant_products(squares: Array) -> tuple[Array, Array]:
    """Multiply squared residuals with those `HOLE` pixels below and to the right, which share no noise with them."""
    return squares[:, HOLE:] * squares[:, :-HOLE], squares[:, :, HOLE:] * squares[:, :, :-HOLE]


def _separable(blocks: Array, weights: Array) -> Array:
    return _inside(ndimage.convolve1d(ndimage.convolve1d(blocks, weights, axis=1), weights, axis=2))


def _inside(blocks: Array) -> Array:
    return blocks[:, HOLE:-HOLE, HOLE:-HOLE]


def per_block(values: Array) -> Array:
    """Average values ``(N, n, n)`` over each block."""
    averages: Array = values.mean(axis=(1, 2))
    return averages


def _jackknife(sums: Array, statistic: Callable[[Array], Any]) -> Estimate:
    """Evaluate a statistic of block averages ``(N, K)`` and, by leaving out each block in turn, its standard error."""
    count = sums.shape[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = float(statistic(sums.mean(axis=0)))
        if count < 2:
            return Estimate(whole, inf)
        left_out = statistic(((sums.sum(axis=0) - sums) / (count - 1)).T)
    error = sqrt((count - 1) / count * float(np.sum((left_out - whole) ** 2)))
    return Estimate(whole, error if isfinite(error) else inf)
