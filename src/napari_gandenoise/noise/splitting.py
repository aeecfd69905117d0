"""Score a denoiser without a truth, on evidence that it has not seen.

Where electrons were counted each is kept with some probability and held out otherwise.  The kept and the held-out
counts are independent Poisson counts of the same rate, thinned (Kingman, "Poisson processes" (1993); for denoising
Krull et al., "Image denoising and the generative accumulation of photons", WACV 2024).  Gaussian noise of a known
deviation is split by more noise: ``y + τ σ n`` and ``y - σ n / τ`` have independent errors (Pang et al.,
"Recorrupted-to-recorrupted", CVPR 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, special

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.noise import AnyNoise, Gaussian, Poisson, PoissonGaussian

__all__ = ["HeldOut", "hold_out", "split_counts", "split_score"]

AROUND = 9  # pixels, of the mean that says how noisy a pixel is
WHOLE = 1e-3  # electrons: files of counts in single precision are off by less
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
    if not _whole(electrons):
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


@dataclass(frozen=True)
class HeldOut:
    """An image divided into one to denoise and one to judge by.

    Attributes
    ----------
    seen : ndarray
        ``(Y, X)``, the image to denoise, in units of its noise model.
    noise : Poisson, PoissonGaussian or Gaussian
        How its noise is.
    """

    seen: NDArray[np.float32]
    noise: AnyNoise
    _held: NDArray[Any]
    _variance: NDArray[Any] | None  # of what is held; None: Poisson counts
    _scale: float  # what the rate of the seen image is multiplied with to be that of the other

    def evidence(self, rate: ArrayLike) -> NDArray[np.float64]:
        """Return the log-likelihood of what was held out, nats a pixel up to a constant.

        Parameters
        ----------
        rate : array_like
            ``(Y, X)``, made of ``seen``, in its units.
        """
        expected = np.asarray(self.noise.to_electrons(rate), np.float64) * self._scale
        if self._variance is not None:
            return np.asarray(-((self._held - expected) ** 2) / (2 * self._variance))
        expected = np.maximum(expected, LEAST * max(float(self._held.mean()), 1e-9))
        return np.asarray(special.xlogy(self._held, expected) - expected)


def hold_out(image: ArrayLike, noise: AnyNoise, share: float, rng: np.random.Generator) -> HeldOut:
    """Divide an image by its noise model: electrons where they were counted, else by more noise.

    Parameters
    ----------
    image : array_like
        ``(Y, X)``, whose pixels have independent noise.
    noise : Poisson, PoissonGaussian or Gaussian
        How it is.
    share : float
        Share of the evidence to denoise, between 0 and 1.
    rng : numpy.random.Generator
        Where chance comes from.
    """
    electrons = np.asarray(noise.to_electrons(image), np.float64)
    if isinstance(noise, Poisson) and _whole(electrons):
        kept, held = split_counts(electrons, share, rng)
        return HeldOut(np.asarray(noise.from_electrons(kept), np.float32), noise, held, None, (1 - share) / share)
    variance = np.full(electrons.shape, noise.read_variance)
    if not isinstance(noise, Gaussian):
        # Of the rate around a pixel and not of the pixel itself, whose error the two halves would share.
        variance += np.maximum(ndimage.uniform_filter(electrons, AROUND), LEAST * np.abs(electrons).mean())
    more = (1 / share - 1) ** 0.5
    normal = rng.standard_normal(electrons.shape) * np.sqrt(variance)
    seen = np.asarray(noise.from_electrons(electrons + more * normal), np.float32)
    return HeldOut(seen, _louder(noise, variance, share), electrons - normal / more, variance / (1 - share), 1.0)


def _whole(electrons: NDArray[np.float64]) -> bool:
    return bool(electrons.min() >= -WHOLE and np.abs(electrons - np.rint(electrons)).max() <= WHOLE)


def _louder(noise: AnyNoise, variance: NDArray[np.float64], share: float) -> AnyNoise:
    """Return the noise model of an image that has got more noise, on average over its pixels."""
    added = float(variance.mean()) * (1 / share - 1)
    if isinstance(noise, Gaussian):
        return Gaussian(sigma=(noise.sigma**2 + added) ** 0.5)
    read = noise.gain * (noise.read_variance + added) ** 0.5
    return PoissonGaussian(gain=noise.gain, offset=noise.offset, read_noise=read)
