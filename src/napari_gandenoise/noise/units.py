"""The units of a frame: how its values stand for electrons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.noise import AnyNoise, Gaussian

__all__ = ["Units"]

GAUSSIAN_SHARE = 0.01  # counting noise over Gaussian noise, whose images have no electrons
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
        That dose depends on the image's mean.
        """
        if not isinstance(noise, Gaussian):
            return cls(noise.gain, noise.offset, float(noise.read_variance))
        mean = float(np.mean(image, dtype=np.float32))
        gain = GAUSSIAN_SHARE * noise.sigma**2 / max(mean, GAUSSIAN_SHARE * noise.sigma)
        return cls(gain, 0.0, (noise.sigma / gain) ** 2)

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
        image = np.asarray(image, dtype=np.float32)
        bad = int(image.size - np.isfinite(image).sum())
        if bad:
            raise GanDenoiseError(f"{name or 'The image'} has {bad} NaN or infinite pixels: replace them first.")
        electrons: NDArray[np.float32] = (image - np.float32(self.offset)) / np.float32(self.gain)
        if counted and self.read_variance == 0 and float(electrons.min()) < LEAST:
            raise GanDenoiseError(
                f"{name or 'The image'} has negative counts (down to {float(image.min()):.4g}), which no counting "
                "detector gives: set the offset and the read noise of the camera."
            )
        return electrons

    def from_electrons(self, rate: Any) -> Any:
        """Turn electrons per pixel into the file's units, of an array or of one number."""
        found = rate * self.gain + self.offset
        return found.astype(np.float32) if isinstance(found, np.ndarray) else found

    def electrons(self, value: float) -> float:
        """Turn one value of the file into electrons."""
        return (value - self.offset) / self.gain
