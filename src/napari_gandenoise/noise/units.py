"""The units of a frame: how its values stand for electrons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.noise import AnyNoise, Gaussian, PoissonGaussian

__all__ = ["LEAST", "Units"]

GAUSSIAN_SHARE = 0.01  # counting noise over Gaussian noise, whose images have no electrons
LARGE = 1e5  # electrons: single precision resolves a hundredth of one above an offset of that
HUGE = 1e100  # whose square double precision holds
MOST = 1e18  # electrons in a pixel: the squares of more are beyond single precision
LEAST = -1e-3  # electrons: what lies further below zero was not counted


@dataclass(frozen=True)
class Units:
    """Electrons and the units of a file, for one frame.

    Attributes
    ----------
    gain : float
        File units per electron.
    offset : float
        File units without any electron.
    read_variance : float
        Variance of the read noise, electrons² per pixel.
    """

    gain: float = 1.0
    offset: float = 0.0
    read_variance: float = 0.0

    @classmethod
    def of(cls, noise: AnyNoise, image: NDArray[Any]) -> Units:
        """Take them from a noise model.

        Gaussian noise has no electrons: it becomes a dose so high that counting noise is a hundredth of the variance.
        That dose depends on the image's mean, and so does what counts as none in an image with values below zero.
        """
        numbers = [noise.gain, 1 + abs(noise.offset), noise.sigma if isinstance(noise, Gaussian) else noise.gain]
        if isinstance(noise, PoissonGaussian):
            numbers.append(noise.read_noise)
        if not all(1 / HUGE < number < HUGE for number in numbers):
            raise GanDenoiseError(
                "The numbers of the noise are too small or too large to compute with: scale the image."
            )
        if not isinstance(noise, Gaussian):
            return cls(noise.gain, noise.offset, float(noise.read_variance))
        pixels = np.asarray(image, np.float64)
        # What is dark has a rate of about that, noise apart; electrons are counted from there where it is below zero.
        lowest, mean = float(np.quantile(pixels, 0.001)) + 3 * noise.sigma, float(pixels.mean())
        offset = 0.0 if lowest >= 0 else min(lowest, mean) - max(noise.sigma, 0.1 * (mean - lowest))
        gain = GAUSSIAN_SHARE * noise.sigma**2 / max(mean - offset, GAUSSIAN_SHARE * noise.sigma)
        return cls(gain, offset, (noise.sigma / gain) ** 2)

    def to_electrons(self, image: NDArray[Any], name: str = "", *, counted: bool = True) -> NDArray[np.float32]:
        """Turn a frame into electrons per pixel.

        Parameters
        ----------
        image : ndarray
            The frame.
        name : str
            What to call it in an error.
        counted : bool
            Whether the values must be counts, where the noise model says so.

        Raises
        ------
        GanDenoiseError
            If pixels are NaN or infinite, or counted electrons are negative.
        """
        image = np.asarray(image, dtype=np.float64)  # single precision would lose counts above a large offset
        bad = int(image.size - np.isfinite(image).sum())
        if bad:
            raise GanDenoiseError(f"{name or 'The image'} has {bad} NaN or infinite pixels: replace them first.")
        exact = (image - self.offset) / self.gain
        largest = float(np.abs(exact).max(initial=0.0))
        if not (largest < MOST and self.read_variance < MOST**2):
            raise GanDenoiseError(
                f"{name or 'The image'} would have {largest:.2g} electrons in a pixel by its noise: check its gain, "
                "offset and standard deviation."
            )
        electrons: NDArray[np.float32] = exact.astype(np.float32)
        if counted and self.read_variance == 0 and float(electrons.min()) < LEAST:
            raise GanDenoiseError(
                f"{name or 'The image'} has negative counts (down to {float(image.min()):.4g}), which no counting "
                "detector gives: set the offset and the read noise of the camera."
            )
        return electrons

    def from_electrons(self, rate: Any) -> Any:
        """Turn electrons per pixel into the file's units, of an array or of one number."""
        if not isinstance(rate, np.ndarray):
            return rate * self.gain + self.offset
        found = rate.astype(np.float64) * self.gain + self.offset
        return found if abs(self.offset) > LARGE * self.gain else found.astype(np.float32)

    def electrons(self, value: float) -> float:
        """Turn one value of the file into electrons."""
        return (value - self.offset) / self.gain
