"""How far counts may be summed before a network of any sampling sees them: as far as their own spectrum allows."""

from __future__ import annotations

from math import ceil, floor, log

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft

from napari_gandenoise.settings.noise import AnyNoise, Gaussian

__all__ = ["spectral_sum"]

ENOUGH = 5.0  # electrons in a summed pixel: with more, summing gains nothing that a network does not find by itself
SIDE = 512  # pixels of the part that is looked at
SURE = 6.0  # standard errors of a ring's power
RARE = 6.0  # nats beyond the largest of as many noise powers: one spot in 400 such images
MARGIN = 0.7  # of the summed grid's Nyquist frequency: sums dim what lies close to it


def spectral_sum(image: ArrayLike, noise: AnyNoise) -> int:
    """Choose how many pixels along a side are summed.

    Noise of a detector that counts is white: each coefficient of the periodogram over the variance is exponential with
    mean 1.  The highest frequency with more power than that, in its ring or in one spot of a lattice, is the finest
    detail that the image shows; sums keep it well below their Nyquist frequency.

    Parameters
    ----------
    image : array_like
        ``(Y, X)``, input units.
    noise : Poisson, PoissonGaussian or Gaussian
        How it is; Gaussian noise has no electrons to sum.

    Returns
    -------
    int
        1 for an image that has electrons enough, whose detail is fine, or whose noise is another than stated.
    """
    if isinstance(noise, Gaussian):
        return 1
    pixels = np.asarray(image)
    corner = [max(0, (length - SIDE) // 2) for length in pixels.shape]
    part = pixels[corner[0] : corner[0] + SIDE, corner[1] : corner[1] + SIDE]
    electrons = np.asarray(noise.to_electrons(part), np.float64)
    mean = float(electrons.mean())
    if not 0 < mean < ENOUGH:
        return 1
    wanted = ceil((ENOUGH / mean) ** 0.5)
    finest = _finest_detail(electrons, mean + noise.read_variance)
    return int(max(1, min(wanted, floor(MARGIN * 0.5 / finest)))) if finest > 0 else wanted


def _finest_detail(electrons: np.ndarray[tuple[int, ...], np.dtype[np.float64]], variance: float) -> float:
    """Return the highest frequency that shows above noise of a variance, cycles per pixel; 0 if none does."""
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in electrons.shape))
    inside = (electrons - np.average(electrons, weights=window)) * window
    power = np.square(np.abs(fft.rfft2(inside))) / (variance * np.square(window).sum())
    rows, columns = fft.fftfreq(electrons.shape[0]), fft.rfftfreq(electrons.shape[1])
    frequency = np.hypot(rows[:, None], columns[None])
    ring = np.rint(frequency * min(electrons.shape)).astype(int)
    count = np.bincount(ring.ravel())
    mean = np.bincount(ring.ravel(), power.ravel()) / count
    # A Hann window ties neighbouring coefficients: about 2.25 of them tell as much as one (its equivalent noise width
    # along each axis is 1.5).
    bright = mean[ring] > 1 + SURE * np.sqrt(2.25 / count[ring])
    spots = power > log(power.size) + RARE
    return float(frequency[bright | spots].max(initial=0.0))
