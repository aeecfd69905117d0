"""Baselines at their best setting, chosen **with the truth**: upper limits, out of reach for an image alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from napari_gandenoise.baselines.binning import COUNTS, checked_image
from napari_gandenoise.baselines.methods import gaussian_blur
from napari_gandenoise.micrograph import NoiseModel
from napari_gandenoise.settings.noise import Gaussian

__all__ = ["BINS", "SIGMAS", "OracleChoice", "closest_to_truth", "oracle_bin", "oracle_blur", "oracle_wiener"]

BINS = tuple(range(1, 11))
Setting = TypeVar("Setting", int, float)
SIGMAS = tuple(np.geomspace(1, 32, 21).round(2).tolist())


class OracleChoice(NamedTuple):
    """The setting closest to the truth and its rate ``(Y, X)``."""

    setting: float
    rate: NDArray[np.float32]


def oracle_bin(
    method: Callable[[ArrayLike, int], NDArray[np.float32]],
    counts: ArrayLike,
    truth: ArrayLike,
    bins: Iterable[int] = BINS,
) -> OracleChoice:
    """Run ``method(counts, bin_factor)`` for every bin factor and keep the closest to the truth.

    Parameters
    ----------
    method : callable
        `bm3d`, `nlm` or `tv`.
    counts, truth : array_like
        Electrons per pixel ``(Y, X)``: noisy, and the rate they were drawn from.
    bins : iterable of int
        Bin factors to try.
    """
    return closest_to_truth(lambda bin_factor: method(counts, bin_factor), truth, bins)


def oracle_blur(counts: ArrayLike, truth: ArrayLike) -> OracleChoice:
    """Blur with every sigma of `SIGMAS` (pixels) and keep the one closest to the truth."""
    return closest_to_truth(lambda sigma: gaussian_blur(counts, sigma), truth, SIGMAS)


def oracle_wiener(image: ArrayLike, truth: ArrayLike, noise: NoiseModel = COUNTS) -> NDArray[np.float32]:
    """Wiener filter with the true power at every frequency: the best that any linear filter can do.

    Parameters
    ----------
    image, truth : array_like
        ``(Y, X)`` or ``(Y, X, 3)``, in the same units: noisy, and the rate.
    noise : NoiseModel
        Of the image.
    """
    pixels, clean = checked_image(image), checked_image(truth)
    electrons = max(float(noise.to_electrons(clean).mean()), 0)
    white = noise.read_variance if isinstance(noise, Gaussian) else (electrons + noise.read_variance) * noise.gain**2
    power = np.square(np.abs(fft.fft2(clean, axes=(0, 1)))) / (clean.shape[0] * clean.shape[1])
    spectrum = fft.fft2(pixels, axes=(0, 1)) * power / (power + white)
    return np.asarray(fft.ifft2(spectrum, axes=(0, 1)).real, np.float32)


def closest_to_truth(
    run: Callable[[Setting], NDArray[np.float32]], truth: ArrayLike, settings: Iterable[Setting]
) -> OracleChoice:
    """Run a method with every setting and keep the one of least squared error.

    Parameters
    ----------
    run : callable
        Takes a setting, returns the rate.
    truth : array_like
        The true rate, of the rates' shape and units.
    settings : iterable of number
        To try.
    """
    # Least squared error is largest PSNR, whatever the data range.
    return min(
        (OracleChoice(setting, run(setting)) for setting in settings),
        key=lambda choice: float(np.mean((choice.rate - np.asarray(truth, np.float64)) ** 2)),
    )
