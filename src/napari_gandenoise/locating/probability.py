"""Whether a column that a denoised image shows is there, by the counts."""

from __future__ import annotations

import numpy as np
from scipy import special

from napari_gandenoise.locating.fitting import Array
from napari_gandenoise.locating.measuring import Measured

__all__ = ["as_drawn", "column_probability", "places_looked_at"]

# Logarithm of the odds that a drawn column is there = PRIOR + WEIGHT × log-likelihood ratio.  Learnt as
# `python -m benchmarks.columns --learn` does it, on those of its frames (simulation seed 3, 0.1 to 1 electron a pixel,
# both bundled models of HRTEM) that were done when the numbers were set: columns taken out of and put into the truth,
# false ones painted into the results.  The weight is below one since what is drawn was drawn by the same counts.
PRIOR, WEIGHT = 2.27, 0.85
CLIPPED = 15.0  # nats: odds beyond were not seen often enough to be learnt
CHANCE = 0.025  # columns in a frame that chance alone may show as clearly, where one is to be sure: one in 40 frames
DOUBT = 0.05  # probability that is left where chance shows as much


def as_drawn(measured: Measured) -> Array:
    """Return the log-likelihood ratio of each column as it is drawn against none there, nats.

    In standard errors of the height: seen ``s`` where ``e`` is drawn, ``(s² - (s - e)²) / 2``.
    """
    ratio: Array = measured.seen * measured.expected - measured.expected**2 / 2
    return ratio


def places_looked_at(shape: tuple[int, ...], spacing: float) -> float:
    """Return the number of places in a frame that a column could have, each a disk of the spacing across."""
    return float(max(1.0, shape[0] * shape[1] / (np.pi * (spacing / 2) ** 2)))


def column_probability(measured: Measured, places: float) -> Array:
    """Return the probability that each column is there: that the rate has at least half of it.

    The denoised image was drawn by the same counts, and a column was looked for everywhere: it is sure only where
    chance alone would not show one as clearly anywhere in the frame.

    Parameters
    ----------
    measured : Measured
        K columns.
    places : float
        How many places were looked at.

    Returns
    -------
    ndarray
        ``(K,)``.
    """
    ratio = as_drawn(measured)
    learnt = special.expit(PRIOR + WEIGHT * np.clip(ratio, -CLIPPED, CLIPPED))
    # Chance shows a gain of more than g nats in about exp(-g) of the places.
    spare = np.minimum(measured.gain, ratio) - np.log(places / CHANCE)
    allowed: Array = 1 - DOUBT * np.exp(-np.clip(spare, 0, None))
    probability: Array = np.minimum(learnt, np.where(spare > 0, allowed, 1 - DOUBT))
    return probability
