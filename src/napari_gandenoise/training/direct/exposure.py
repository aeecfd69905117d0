"""Pairs of noisy and clean tiles without end: every draw of a tile gets new noise."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from napari_gandenoise.datasets.tiles import Tiles
from napari_gandenoise.models.standard import image_levels
from napari_gandenoise.noise.acquisition import acquire
from napari_gandenoise.noise.mixtures import sample_mixture
from napari_gandenoise.settings.data import ModesData
from napari_gandenoise.settings.train import DirectTrainConfig
from napari_gandenoise.training.draws import Draws

__all__ = ["Exposure", "Pairs", "peak_signal_noise_ratio"]

# The level that counts are divided by is a frame's in use, a tile's mean in training: off by as much as tiles differ.
LEVELS = (0.75, 1.33)
# Likewise centre and scale of images of any units.
OFF_CENTRE, SCALES = 0.5, (0.7, 2.0)
LEAST_MEAN = 0.01  # of the brightest pixel of an image that is made: darker tiles get fewer electrons


class Pairs(NamedTuple):
    """Noisy and clean tiles.

    Attributes
    ----------
    noisy, clean : Tensor
        ``(N, C, H, W)``; 1 is white, or about the mean of a micrograph, or mean and scale are about 0 and 1.
    strength, grain : Tensor
        ``(N, 1, 1, 1)``, as `Denoiser.forward` takes them; strengths of micrographs of any kind are ``(N, 1, H, W)``.
    correlation : Tensor
        ``(N, 2)``: pixels down and across that share their noise, the sum of its autocorrelation; 1 for white noise.
    """

    noisy: Tensor
    clean: Tensor
    strength: Tensor
    grain: Tensor
    correlation: Tensor


class Exposure:
    """Exposes tiles as a run's config says.

    Parameters
    ----------
    config : DirectTrainConfig
        The run.
    draws : Draws
        Source of doses and noise.
    """

    def __init__(self, config: DirectTrainConfig, draws: Draws) -> None:
        self.config = config
        self.draws = draws

    def expose(self, tiles: Tiles) -> Pairs:
        """Expose normalised tiles, each at a dose or a strength of its own."""
        clean = tiles.mean * (1 + tiles.contrast * tiles.template)
        if self.config.tiles.intensity == "standard":
            return self._recorded(clean)
        if self.config.tiles.intensity == "absolute":
            noisy, strength, grain = sample_mixture(self.config.noise, clean, self.draws.generator)
            # The autocorrelation exp(-l²/4g²) of noise that a Gaussian has blurred adds up to 2 g √π.
            shared = (2 * math.pi**0.5 * grain.view(-1, 1)).clamp(min=1).expand(-1, 2)
            return Pairs(noisy, clean, strength, grain, shared)
        count = len(clean)
        dose = self.draws.dose(count, self.config.dose)
        if isinstance(self.config.data, ModesData):
            # Images that are made are relative to their brightest pixel, which is no measure of a dose.
            dose = dose / tiles.mean.clamp(min=LEAST_MEAN)
        level = dose * tiles.mean * self.draws.uniform(*LEVELS, count, 1, 1, 1)
        strength = level.rsqrt()
        counts = self.draws.counts(dose * clean)
        white = strength.new_ones(count, 2)
        return Pairs(counts / level, clean * dose / level, strength, strength.new_zeros(strength.shape), white)

    def _recorded(self, clean: Tensor) -> Pairs:
        """Record tiles by cameras and scans; the network sees them relative to levels like those of a whole frame."""
        # Images relative to vacuum or to their mean reach beyond the range that is recorded, resampled ones below it.
        clean = clean.clamp(min=0) / clean.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1)
        recorded = acquire(clean, self.config.acquisition, self.draws.generator)
        centre, scale = image_levels(recorded.noisy)
        count = len(clean)
        centre = centre + scale * self.draws.uniform(-OFF_CENTRE, OFF_CENTRE, count, 1, 1, 1)
        scale = scale * self.draws.uniform(math.log(SCALES[0]), math.log(SCALES[1]), count, 1, 1, 1).exp()
        noisy, wanted = ((image - centre) / scale for image in (recorded.noisy, recorded.clean))
        unblurred = scale.new_zeros(scale.shape)
        return Pairs(noisy, wanted, recorded.strength / scale, unblurred, recorded.correlation)


def peak_signal_noise_ratio(images: Tensor, pairs: Pairs, config: DirectTrainConfig) -> float:
    """PSNR of images made of pairs, dB, with the range of the clean tiles of a micrograph or from black to white.

    Of micrographs of any kind it is the mean over the tiles' own, since scales of different images cannot be averaged.
    """
    if config.tiles.intensity == "standard":
        ranges = pairs.clean.amax(dim=(1, 2, 3)) - pairs.clean.amin(dim=(1, 2, 3))
        errors = (images - pairs.clean).square().mean(dim=(1, 2, 3))
        return float(10 * torch.log10(ranges.clamp(min=1e-6) ** 2 / errors.clamp(min=1e-12)).mean())
    peak = 1.0
    if config.tiles.intensity == "template":
        # Per tile: noisy ones are scaled by levels of their own.
        peak = float((pairs.clean.amax(dim=(1, 2, 3)) - pairs.clean.amin(dim=(1, 2, 3))).mean())
    return float(10 * torch.log10(peak**2 / (images - pairs.clean).square().mean()))
