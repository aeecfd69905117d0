"""Radial power spectra, and how far that of an estimate is from the truth's."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

__all__ = ["radial_spectrum", "spectrum_error"]


def radial_spectrum(image: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average the power spectrum over rings.

    Parameters
    ----------
    image : array_like
        ``(Y, X)``, or ``(Y, X, C)``, whose channels are averaged first; its mean does not matter, and a Hann window
        keeps its edges from mattering.

    Returns
    -------
    frequency : ndarray
        Cycles per pixel, of rings one step of the shorter side wide, from the first step to 1/2.
    power : ndarray
        Mean power of the ring in squared units of the image: white noise of variance 1 has 1 everywhere.
    """
    grey = np.asarray(image, np.float64)
    grey = grey.mean(axis=-1) if grey.ndim == 3 else grey
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in grey.shape))
    inside = (grey - np.average(grey, weights=window)) * window
    power = np.square(np.abs(fft.rfft2(inside))) / np.square(window).sum()
    rows, columns = fft.fftfreq(grey.shape[0]), fft.rfftfreq(grey.shape[1])
    side = min(grey.shape)
    ring = np.rint(np.hypot(rows[:, None], columns[None]) * side).astype(int)
    # Half of the plane is stored; its inner columns stand for two.
    weight = np.broadcast_to(np.where((columns == 0) | (columns == 0.5), 1.0, 2.0), power.shape)
    total = np.bincount(ring.ravel(), (power * weight).ravel())
    count = np.bincount(ring.ravel(), weight.ravel())
    rings = np.arange(1, side // 2 + 1)
    return rings / side, total[rings] / count[rings]


def spectrum_error(truth: ArrayLike, estimate: ArrayLike) -> float:
    """Relative error of the radial amplitude spectrum: 0 is the truth's, 1 is what a flat image has.

    The root of the sum over rings of ``f (√P − √P_truth)²``, over that of ``f P_truth``: rings count by their area.

    Parameters
    ----------
    truth, estimate : array_like
        Images of one shape and unit.
    """
    frequency, true = radial_spectrum(truth)
    _, found = radial_spectrum(estimate)
    missed = (frequency * np.square(np.sqrt(found) - np.sqrt(true))).sum()
    return float(np.sqrt(missed / (frequency * true).sum()))
