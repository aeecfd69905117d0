"""How close an estimate of the rate is to the truth, and to the counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

__all__ = ["poisson_deviance", "psnr", "ssim"]


def psnr(truth: ArrayLike, estimate: ArrayLike, data_range: float = 1.0) -> float:
    """Peak signal-to-noise ratio, dB.

    Parameters
    ----------
    truth, estimate : array_like
        Images of one shape and unit (electrons per pixel in all tables of this project).
    data_range : float
        The peak, in the images' unit.  With the default 1 an error of 0.01 e-/pixel is 40 dB at any dose.
    """
    from skimage.metrics import peak_signal_noise_ratio

    images = _doubles(truth, estimate)
    return float(peak_signal_noise_ratio(*images, data_range=data_range))  # type: ignore[no-untyped-call]


def ssim(truth: ArrayLike, estimate: ArrayLike, data_range: float = 1.0) -> float:
    """Structural similarity with the Gaussian window (sigma 1.5 pixels) of Wang et al., IEEE TIP 13 (2004) 600.

    Parameters
    ----------
    truth, estimate : array_like
        Images ``(Y, X)`` of one unit, at least 11 pixels a side.
    data_range : float
        Sets the two stabilising constants.
    """
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            *_doubles(truth, estimate),
            data_range=data_range,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def poisson_deviance(counts: ArrayLike, rate: ArrayLike) -> float:
    """Reduced Poisson deviance of counts under a rate: about 1 where the rate explains the counts.

    The deviance ``2 Σ [y ln(y/λ) − (y − λ)]`` is divided by its expectation under the rate itself, not by the number of
    pixels: below one electron per pixel the two differ by tens of percent.

    Parameters
    ----------
    counts : array_like
        Electrons per pixel, non-negative integers.
    rate : array_like
        Expected electrons per pixel, non-negative, of the same shape.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    seen, expected = _doubles(counts, rate)
    if seen.shape != expected.shape:
        raise ValueError(f"Counts {seen.shape} and rate {expected.shape} must have the same shape.")
    expected = np.maximum(expected, 1e-6)
    return float(_deviance(seen, expected).sum() / _expected_deviance(expected).sum())


def _deviance(counts: NDArray[np.float64], rate: NDArray[np.float64]) -> NDArray[np.float64]:
    deviance: NDArray[np.float64] = 2 * (special.xlogy(counts, counts / rate) - (counts - rate))
    return deviance


def _expected_deviance(rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean deviance of one Poisson count of the given rate, interpolated from a table of exact sums."""
    # The Poisson distribution is summed up to a rate of 100, where the mean is 1 + 1/(6 rate) to four digits.
    table = np.geomspace(1e-6, 100, 500)
    counts = np.arange(0, 260, dtype=np.float64)
    mean = (stats.poisson.pmf(counts, table[:, None]) * _deviance(counts, table[:, None])).sum(axis=1)
    expected: NDArray[np.float64] = np.where(
        rate < 100, np.exp(np.interp(np.log(rate), np.log(table), np.log(mean))), 1 + 1 / (6 * rate)
    )
    return expected


def _doubles(*images: ArrayLike) -> list[NDArray[np.float64]]:
    return [np.asarray(image, np.float64) for image in images]
