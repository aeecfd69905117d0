"""Electron splitting: score a denoiser without a truth, on electrons that it has not seen.

Each electron is kept with some probability and held out otherwise.  The kept and the held-out counts are independent
Poisson counts of the same rate, thinned (Kingman, "Poisson processes" (1993); for denoising Krull et al.,
"Image denoising and the generative accumulation of photons", WACV 2024).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from napari_gandenoise.errors import GanDenoiseError

__all__ = ["split_counts", "split_score"]

LEAST = 0.01  # of the mean rate: an estimate of zero would be impossible after one electron


def split_counts(
    counts: ArrayLike, share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split counts at random into those to denoise and those to score with.

    Parameters
    ----------
    counts : array_like
        Whole electrons per pixel.
    share : float
        Probability that an electron is kept for denoising, between 0 and 1.
    rng : numpy.random.Generator
        Where chance comes from.

    Raises
    ------
    GanDenoiseError
        If they are no whole counts, whose electrons alone can be told apart.
    """
    electrons = np.asarray(counts, np.float64)
    whole = np.rint(electrons)
    if electrons.min() < -1e-3 or np.abs(electrons - whole).max() > 1e-3:
        raise GanDenoiseError(
            "Electrons can be split only where they were counted, in whole numbers: set the noise model, or leave "
            "splitting out."
        )
    kept = rng.binomial(np.maximum(whole, 0).astype(np.int64), share)
    return kept, whole.astype(np.int64) - kept


def split_score(held: ArrayLike, rate: ArrayLike, share: float) -> float:
    """Score a rate from kept electrons by the Poisson log-likelihood of the held-out ones.

    Parameters
    ----------
    held : array_like
        Held-out counts.
    rate : array_like
        Rate of the kept counts, same shape; at least a hundredth of its mean is taken.
    share : float
        Share that was kept.

    Returns
    -------
    float
        Nats per thousand held-out electrons, more than a flat image of the held-out mean has; the higher, the better.
    """
    counts = np.asarray(held, np.float64)
    expected = np.asarray(rate, np.float64) * (1 - share) / share
    expected = np.maximum(expected, LEAST * max(float(expected.mean()), 1e-9))
    level = counts.mean()
    gained = special.xlogy(counts, expected / level).sum() - (expected.sum() - counts.sum())
    return float(1e3 * gained / counts.sum())
