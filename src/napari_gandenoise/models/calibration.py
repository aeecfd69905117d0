"""What draws are multiplied by, so that they differ by as much as what they are drawn about is wrong.

A network that draws learns the texture of what was lost before it learns how much of it there is, ring by ring of the
spectrum and place by place: of fine noise, which no microscope passes, there is too much, of slow shading too little.
Both can be measured on simulations, where the error is known, and are made good by two factors: an amplitude for each
ring of the spectrum, at several strengths of the noise, and then, place by place, a power law of the spread that is
left, of the contrast of what is around and of the strength.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy import ndimage, optimize
from torch import Tensor
from torch.nn import functional

__all__ = ["UNCALIBRATED", "Calibration", "Case", "learnt"]

# Pixels that a network sees, but for the numbers.
AROUND = 3.0  # standard deviation of the window in which spread and contrast are means
SHADING = 8.0  # of what is no contrast
RINGS = 24  # from none to half a cycle a pixel
STRENGTHS = 5  # of the noise, at most, at which rings are measured
BEYOND = 32  # of an image's own mirror image on each side, so that its edges do not wrap around
FLAT, FEW = 3e-3, 1e-6  # of contrast and of spread at least: powers have no zero
FARTHEST = 4.0  # a factor, or one over it
MOST, MOST_RINGS = 1e6, 256  # of any number, and how many rings

Image = NDArray[np.floating]


class Case(NamedTuple):
    """Draws of an image of which the truth is known, in the unit that the network sees.

    Attributes
    ----------
    drawn : ndarray
        ``(n, y, x)``: by how much each draw is off their mean.
    cleaned, truth : ndarray
        ``(y, x)``.
    strength : float
        Standard deviation of the noise.
    """

    drawn: Image
    cleaned: Image
    truth: Image
    strength: float


class Calibration(BaseModel):
    """What a network's draws are multiplied by."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    strengths: tuple[float, ...] = Field(
        min_length=1, max_length=64, description="Rising: of the noise, at which rings were measured."
    )
    rings: tuple[tuple[float, ...], ...] = Field(
        description="At each strength, amplitudes of rings of equal width, from none to half a cycle a pixel."
    )
    law: tuple[float, float, float, float] = Field(
        (0.0, 0.0, 0.0, 0.0),
        description="Of the factor's logarithm at a place: a constant, and what the logarithms of spread, contrast "
        "and strength are multiplied by.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Calibration:
        numbers = [*self.strengths, *(one for ring in self.rings for one in ring), *map(abs, self.law)]
        if any(not 0 <= number <= MOST for number in numbers) or self.strengths[0] <= 0:
            raise ValueError(f"numbers from 0 to {MOST:g}, strengths above 0.")
        if any(later <= one for one, later in pairwise(self.strengths)):
            raise ValueError("strengths must rise.")
        if len(self.rings) != len(self.strengths) or not 1 <= len(self.rings[0]) <= MOST_RINGS:
            raise ValueError(f"as many rows of 1 to {MOST_RINGS} rings as strengths.")
        if any(len(ring) != len(self.rings[0]) for ring in self.rings):
            raise ValueError("rows of rings must be equally long.")
        return self

    def apply(self, drawn: Tensor, cleaned: Tensor, strength: float) -> Tensor:
        """Calibrate draws.

        Parameters
        ----------
        drawn : Tensor
            ``(n, C, y, x)``: by how much each is off their mean, in the unit that the network sees.
        cleaned : Tensor
            ``(C, y, x)``: what they are drawn about.
        strength : float
            Of the noise; infinite or not a number if nobody knows it.
        """
        strength = strength if math.isfinite(strength) and strength > 0 else self.strengths[len(self.strengths) // 2]
        rows, place = np.array(self.rings), np.log(strength)
        amplitudes = [float(np.interp(place, np.log(self.strengths), column)) for column in rows.T]
        shaped = torch.stack([_shaped(one, amplitudes) for one in drawn])
        spread = shaped.square().mean(dim=(0, 1)).sqrt().cpu().numpy()
        features = _features(spread, cleaned.mean(dim=0).cpu().numpy(), strength)
        factor = np.exp(features @ np.array(self.law)).clip(1 / FARTHEST, FARTHEST).reshape(spread.shape)
        return shaped * torch.from_numpy(factor.astype(np.float32)).to(drawn.device)


UNCALIBRATED = Calibration(strengths=(1.0,), rings=((1.0,),))  # as they are drawn


def learnt(cases: Sequence[Case]) -> Calibration:
    """Learn it from draws of images of which the truth is known.

    Rings by the power of the errors over that of the draws, images of about the same strength together; the law by the
    likelihood of the errors, which are taken for Gaussian.
    """
    ordered = sorted(cases, key=lambda case: case.strength)
    groups = [[ordered[i] for i in part] for part in np.array_split(np.arange(len(ordered)), STRENGTHS) if len(part)]
    strengths, rings, shaped = [], [], []
    for group in groups:
        errors = np.sum([_power(case.truth - case.cleaned) for case in group], axis=0)
        drawn = np.sum([np.mean([_power(one) for one in case.drawn], axis=0) for case in group], axis=0)
        amplitudes = np.sqrt(errors / np.maximum(drawn, 1e-12)).clip(0, FARTHEST).round(3).tolist()
        strengths.append(round(float(np.exp(np.mean([np.log(case.strength) for case in group]))), 5))
        rings.append(tuple(amplitudes))
        for case in group:
            both = [_shaped(torch.from_numpy(np.ascontiguousarray(one))[None], amplitudes)[0] for one in case.drawn]
            shaped.append((case, torch.stack(both).numpy()))
    kept = [i for i, strength in enumerate(strengths) if i == 0 or strength > strengths[i - 1]]
    return Calibration(
        strengths=tuple(strengths[i] for i in kept), rings=tuple(rings[i] for i in kept), law=_law(shaped)
    )


def _law(shaped: Sequence[tuple[Case, Image]]) -> tuple[float, float, float, float]:
    """Fit the power law by maximum likelihood."""
    parts, ratios = [], []
    for case, drawn in shaped:
        spread = np.sqrt(np.square(drawn).mean(axis=0))
        parts.append(_features(spread, case.cleaned, case.strength))
        near = ndimage.gaussian_filter(np.square(spread), AROUND)
        ratios.append((np.square(case.truth - case.cleaned) / np.maximum(near, FEW**2)).ravel())
    features, ratio = np.concatenate(parts), np.concatenate(ratios)

    def surprise(law: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        variance = 2 * (features @ law)
        left = ratio * np.exp(-variance.clip(-30, 30))
        return float((variance + left).mean()), 2 * features.T @ (1 - left) / len(left)

    found = optimize.minimize(surprise, np.zeros(features.shape[1]), jac=True, method="BFGS").x
    a, b, c, d = (round(float(number), 4) for number in found)
    return a, b, c, d


def _features(spread: Image, cleaned: Image, strength: float) -> NDArray[np.float64]:
    """Return what the law is of, at each place: ``(y * x, 4)``."""
    near = np.sqrt(ndimage.gaussian_filter(np.square(spread, dtype=np.float64), AROUND))
    structure = cleaned - ndimage.gaussian_filter(cleaned, SHADING)
    contrast = np.sqrt(ndimage.gaussian_filter(np.square(structure, dtype=np.float64), AROUND))
    logarithms = [np.log(np.maximum(near, FEW)), np.log(np.maximum(contrast, FLAT))]
    flat = [part.ravel() for part in logarithms]
    return np.stack([np.ones(near.size), *flat, np.full(near.size, np.log(strength))], axis=1)


def _shaped(image: Tensor, amplitudes: Sequence[float]) -> Tensor:
    """Multiply each ring of the spectrum of an image ``(C, y, x)`` by its amplitude."""
    if all(amplitude == 1 for amplitude in amplitudes):
        return image
    height, width = image.shape[-2:]
    above, left = min(BEYOND, height - 1), min(BEYOND, width - 1)
    wide = functional.pad(image[None], (left, left, above, above), mode="reflect")[0]
    rows, columns = torch.fft.fftfreq(wide.shape[-2]), torch.fft.rfftfreq(wide.shape[-1])
    ring = 2 * len(amplitudes) * torch.hypot(rows[:, None], columns[None]).numpy()
    factor = np.interp(ring, np.arange(len(amplitudes)) + 0.5, amplitudes).astype(np.float32)
    spectrum = torch.fft.rfft2(wide) * torch.from_numpy(factor).to(image.device)
    found: Tensor = torch.fft.irfft2(spectrum, s=tuple(wide.shape[-2:]))
    return found[..., above : above + height, left : left + width]


def _power(image: Image) -> NDArray[np.float64]:
    """Return the mean power of an image's spectrum in each ring; its edges fade."""
    window = np.hanning(image.shape[0])[:, None] * np.hanning(image.shape[1])
    power = np.square(np.abs(np.fft.fft2((image - image.mean()) * window)))
    rows, columns = (np.fft.fftfreq(side) for side in image.shape)
    ring = (2 * RINGS * np.hypot(rows[:, None], columns)).astype(int).clip(max=RINGS - 1).ravel()
    met = np.bincount(ring, minlength=RINGS)
    found: NDArray[np.float64] = np.bincount(ring, power.ravel(), minlength=RINGS) / np.maximum(met, 1)
    # Of a ring that a small image has not, the one before tells.
    for number in range(1, RINGS):
        if met[number] == 0:
            found[number] = found[number - 1]
    return found
