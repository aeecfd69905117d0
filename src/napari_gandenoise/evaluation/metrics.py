"""How close an estimate of the rate is to the truth, and to the counts."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_gandenoise import residual
from napari_gandenoise.micrograph import NoiseModel
from napari_gandenoise.settings.noise import Gaussian

__all__ = ["coverage", "poisson_deviance", "psnr", "reduced_deviance", "ssim", "upsnr"]


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
    return float(peak_signal_noise_ratio(*images, data_range=data_range))


def ssim(truth: ArrayLike, estimate: ArrayLike, data_range: float = 1.0) -> float:
    """Structural similarity with the Gaussian window (sigma 1.5 pixels) of Wang et al., IEEE TIP 13 (2004) 600.

    Parameters
    ----------
    truth, estimate : array_like
        Images ``(Y, X)`` or ``(Y, X, C)`` of one unit, at least 11 pixels a side; channels are averaged.
    data_range : float
        Sets the two stabilising constants.
    """
    from skimage.metrics import structural_similarity

    images = _doubles(truth, estimate)
    return float(
        structural_similarity(
            *images,
            data_range=data_range,
            channel_axis=-1 if images[0].ndim == 3 else None,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def upsnr(estimate: ArrayLike, copies: ArrayLike, data_range: float = 1.0) -> float:
    """PSNR without a truth, from noisy copies of the same view that the estimate was not made from, dB.

    The mean squared difference to the copies is that to the truth plus the variance of their noise, which the copies
    show among themselves.  Noise may depend on the signal, but must be independent from copy to copy.

    Parameters
    ----------
    estimate : array_like
        ``(Y, X)`` or ``(Y, X, C)``.
    copies : array_like
        ``(N, *estimate.shape)``, at least two.
    data_range : float
        The peak, in the images' unit.

    Returns
    -------
    float
        Infinite where the estimate comes closer to the copies than their noise explains, as can happen by chance.

    Raises
    ------
    ValueError
        If there are fewer than two copies, or their shape differs.

    Notes
    -----
    Marcos-Morales et al., "Evaluating unsupervised denoising requires unsupervised metrics" (ICML 2023), with any
    number of copies.
    """
    image, others = _doubles(estimate, copies)
    if len(others) < 2 or others.shape[1:] != image.shape:
        raise ValueError(f"At least two copies of shape {image.shape} are needed, not {others.shape}.")
    error = float(np.square(others - image).mean() - others.var(axis=0, ddof=1).mean())
    return 10 * np.log10(data_range**2 / error) if error > 0 else np.inf


def coverage(truth: ArrayLike, estimate: ArrayLike, error: ArrayLike, within: float = 2.0) -> float:
    """Share of pixels whose truth lies within some standard errors of the estimate; 0.954 for two of a Gaussian.

    Parameters
    ----------
    truth, estimate : array_like
        Images of one shape and unit.
    error : array_like
        Standard error of each pixel, in that unit.
    within : float
        How many of them.
    """
    clean, image, spread = _doubles(truth, estimate, error)
    return float((np.abs(image - clean) <= within * spread).mean())


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
    pixels, mean = (torch.from_numpy(part.reshape(1, len(part), -1)) for part in (seen, expected))
    return residual.reduced_deviance(pixels, torch.ones_like(pixels[0]), mean, 0.0)


def reduced_deviance(image: ArrayLike, estimate: ArrayLike, noise: NoiseModel) -> float:
    """Reduced deviance of an image under an estimate of its rate, about 1 where noise explains their difference.

    `poisson_deviance` of counts; for a camera its read variance is added to counts and rate, which makes them about
    Poisson; for Gaussian noise the reduced chi-square.

    Parameters
    ----------
    image, estimate : array_like
        Input units, one shape.
    noise : NoiseModel
        Of the image.
    """
    if isinstance(noise, Gaussian):
        seen, expected = _doubles(image, estimate)
        return float(np.square(seen - expected).mean() / noise.sigma**2)
    counts, rate = (noise.to_electrons(values) + noise.read_variance for values in _doubles(image, estimate))
    return poisson_deviance(np.maximum(counts, 0), rate)


def _doubles(*images: ArrayLike) -> list[NDArray[np.float64]]:
    return [np.asarray(image, np.float64) for image in images]
