"""Noise models: what a detector makes of a rate, and how likely it is to have made an image."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ConfigDict, Field, field_validator

from napari_gandenoise.settings.base import Settings, setting

__all__ = ["AnyNoise", "Gaussian", "NoiseKind", "NoiseMixture", "Poisson", "PoissonGaussian", "camera"]

FloatArray = NDArray[np.floating[Any]]


class _Noise(Settings):
    """What all noise models share: they are immutable, finite, compare by value and refuse unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Counts(_Noise):
    """A detector that counts electrons, ``image = gain · electrons + offset``."""

    gain: float = setting(1.0, "Input units per electron.", gt=0)
    offset: float = setting(0.0, "Input units without any electron.")

    def to_electrons(self, image: ArrayLike) -> FloatArray:
        """Convert an image into electrons per pixel, ``(image - offset) / gain``.

        Parameters
        ----------
        image : array_like
            Input units, any shape.

        Returns
        -------
        ndarray
            Electrons per pixel, the same shape; float32 stays float32, all else becomes float64.
        """
        return (_floating(image) - self.offset) / self.gain

    def from_electrons(self, rate: ArrayLike) -> FloatArray:
        """Convert electrons per pixel into input units, ``gain · rate + offset``; the inverse of `to_electrons`."""
        return _floating(rate) * self.gain + self.offset


class Poisson(_Counts):
    """A counting detector without read noise: ``image = gain · Poisson(rate) + offset``."""

    kind: Literal["poisson"] = "poisson"

    @property
    def read_variance(self) -> float:
        """Variance of the read noise in electrons² per pixel: none."""
        return 0.0

    def sample(self, rate: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Draw an image.

        Parameters
        ----------
        rate : array_like
            Expected electrons per pixel, not negative, any shape.
        rng : numpy.random.Generator
            Where chance comes from.

        Returns
        -------
        ndarray of float64
            An image in input units, the shape of ``rate``.
        """
        return self.from_electrons(rng.poisson(_floating(rate)))

    def log_likelihood(self, image: ArrayLike, rate: ArrayLike) -> FloatArray:
        """Score an image: ``k log(rate) - rate - log Γ(k + 1)`` with ``k`` its electrons.

        Between whole counts this is the usual continuous extension, so that an image with an estimated gain,
        or one that was resampled, can be scored too.

        Parameters
        ----------
        image : array_like
            Input units.
        rate : array_like
            Expected electrons per pixel, broadcast against ``image``.

        Returns
        -------
        ndarray
            Nats per pixel; minus infinity where the image lies below the offset.
        """
        from scipy import special  # settings load at once

        counts, rate = self.to_electrons(image), _floating(rate)
        possible = counts >= 0
        k = np.where(possible, counts, 0)
        return np.where(possible, special.xlogy(k, rate) - rate - special.gammaln(k + 1), -np.inf)


class PoissonGaussian(_Counts):
    """A camera: ``image = gain · Poisson(rate) + offset + N(0, read_noise²)``."""

    kind: Literal["poisson-gaussian"] = "poisson-gaussian"
    read_noise: float = setting(..., "Standard deviation of the read noise, in input units.", title="Read σ", gt=0)

    @property
    def read_variance(self) -> float:
        """Variance of the read noise in electrons² per pixel."""
        return (self.read_noise / self.gain) ** 2

    def sample(self, rate: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Draw an image; parameters and result as in `Poisson.sample`."""
        signal = self.from_electrons(rng.poisson(_floating(rate)))
        return signal + rng.normal(0.0, self.read_noise, np.shape(rate))

    def log_likelihood(self, image: ArrayLike, rate: ArrayLike) -> FloatArray:
        """Score an image by the density ``Σ_k Poisson(k; rate) N(image; gain · k + offset, read_noise²)``.

        The terms are log-concave in ``k`` with a curvature of at least ``1 / read_variance``.  Those within eight
        standard deviations of the largest one are added up; what is left out is below 1e-13 of the sum.

        Parameters
        ----------
        image : array_like
            Input units.
        rate : array_like
            Expected electrons per pixel, broadcast against ``image``.

        Returns
        -------
        ndarray of float64
            Nats per pixel, of a density per input unit.
        """
        from scipy import special  # settings load at once

        x = np.asarray(self.to_electrons(image), dtype=np.float64)
        x, rate = np.broadcast_arrays(x, np.asarray(rate, dtype=np.float64))
        centre = np.rint(_likeliest_count(x, rate, self.read_variance))
        spread = min(np.sqrt(self.read_variance), np.sqrt(centre.max(initial=0) + 1) + 2)
        reach = int(np.ceil(8 * spread)) + 1
        total = np.full(x.shape, -np.inf)
        for shift in range(-reach, reach + 1):
            k = np.maximum(centre + shift, 0)
            term = special.xlogy(k, rate) - special.gammaln(k + 1) - (x - k) ** 2 / (2 * self.read_variance)
            total = np.logaddexp(total, np.where(centre + shift < 0, -np.inf, term))
        density: FloatArray = total - rate - np.log(self.read_noise * np.sqrt(2 * np.pi))
        return density


class Gaussian(_Noise):
    """Noise that does not depend on the signal: ``image = rate + N(0, sigma²)``, the rate in input units."""

    kind: Literal["gaussian"] = "gaussian"
    sigma: float = setting(..., "Standard deviation of Gaussian noise, in input units.", title="σ", gt=0)

    @property
    def gain(self) -> float:
        """Input units per unit of the rate: one."""
        return 1.0

    @property
    def offset(self) -> float:
        """Input units at rate zero: none."""
        return 0.0

    @property
    def read_variance(self) -> float:
        """Variance per pixel, in input units²."""
        return self.sigma**2

    def sample(self, rate: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Draw an image of the expected signal ``rate``, in input units."""
        return _floating(rate) + rng.normal(0.0, self.sigma, np.shape(rate))

    def log_likelihood(self, image: ArrayLike, rate: ArrayLike) -> FloatArray:
        """Score an image by the normal density, in nats per pixel."""
        deviation = (_floating(image) - _floating(rate)) / self.sigma
        density: FloatArray = -(deviation**2) / 2 - np.log(self.sigma * np.sqrt(2 * np.pi))
        return density

    def to_electrons(self, image: ArrayLike) -> FloatArray:
        """Return the image as it is: there is no gain to divide by."""
        return _floating(image)

    def from_electrons(self, rate: ArrayLike) -> FloatArray:
        """Return the rate as it is: there is no gain to multiply by."""
        return _floating(rate)


AnyNoise = Annotated[Poisson | PoissonGaussian | Gaussian, Field(discriminator="kind")]


def camera(gain: float = 1.0, offset: float = 0.0, read_noise: float = 0.0) -> Poisson | PoissonGaussian:
    """Make the noise model of a detector from its three numbers.

    Parameters
    ----------
    gain : float
        Input units per electron.
    offset : float
        Input units without any electron.
    read_noise : float
        Standard deviation of the read noise in input units; with 0 the detector only counts.

    Returns
    -------
    Poisson or PoissonGaussian
    """
    if read_noise == 0:
        return Poisson(gain=gain, offset=offset)
    return PoissonGaussian(gain=gain, offset=offset, read_noise=read_noise)


def _floating(values: ArrayLike) -> FloatArray:
    array = np.asarray(values)
    return array if array.dtype == np.float32 else array.astype(np.float64, copy=False)


def _likeliest_count(x: FloatArray, rate: FloatArray, variance: float) -> FloatArray:
    """Find the count ``k >= 0`` where ``Poisson(k; rate) N(x; k, variance)`` is largest, by Newton's method.

    The slope of the logarithm falls and is convex in ``k``, so steps from below the root never pass it.
    """
    from scipy import special  # settings load at once

    k = np.maximum(np.minimum(x, rate - 1), 0)
    log_rate = np.log(np.maximum(rate, np.finfo(np.float64).smallest_subnormal))
    for _ in range(12):
        slope = log_rate - special.digamma(k + 1) - (k - x) / variance
        k = np.maximum(k + slope / (special.polygamma(1, k + 1) + 1 / variance), 0)
    return np.where(rate > 0, k, 0)


NoiseKind = Literal["gaussian", "poisson", "speckle", "salt", "salt-and-pepper"]
NOISES: dict[NoiseKind, str] = {
    "gaussian": "Gaussian",
    "poisson": "Poisson",
    "speckle": "Speckle",
    "salt": "Salt",
    "salt-and-pepper": "Salt, pepper",
}


class NoiseMixture(Settings):
    """Which noise images get, and how much of it.

    The strength is the standard deviation at mid-grey with black 0 and white 1.  A combination of kinds shares it out
    among them by random parts, whose variances add up; `napari_gandenoise.noise.mixtures` draws it.
    """

    kinds: tuple[NoiseKind, ...] = setting(
        ("gaussian",), "Kinds of noise to draw from.", title="Noise", choices=NOISES, min_length=1
    )
    strength: tuple[float, float] = setting((0.02, 0.5), "Weakest and strongest, uniform.")
    grain: tuple[float, float] = setting((0.0, 0.0), "Finest and coarsest grain, pixels, uniform.", unit="px")
    combined: float = setting(0.0, "Share of images with all kinds at once.", ge=0, le=1)

    @field_validator("strength", "grain")
    @classmethod
    def _ordered(cls, limits: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= limits[0] <= limits[1]:
            raise ValueError(f"two numbers from 0 up, the smaller first, got {limits}.")
        return limits
