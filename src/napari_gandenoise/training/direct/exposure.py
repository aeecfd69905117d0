"""Pairs of noisy and clean tiles without end: every draw of a tile gets new noise."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from napari_gandenoise.datasets.tiles import Tiles
from napari_gandenoise.noise.mixtures import sample_mixture
from napari_gandenoise.settings.train import DirectTrainConfig
from napari_gandenoise.training.draws import Draws

__all__ = ["Exposure", "Pairs", "peak_signal_noise_ratio"]

# The level that counts are divided by is a frame's in use, a tile's mean in training: off by as much as tiles differ.
LEVELS = (0.75, 1.33)


class Pairs(NamedTuple):
    """Noisy and clean tiles.

    Attributes
    ----------
    noisy, clean : Tensor
        ``(N, C, H, W)``; 1 is white, or about the mean of a micrograph.
    strength, grain : Tensor
        ``(N, 1, 1, 1)``, as `Denoiser.forward` takes them.
    """

    noisy: Tensor
    clean: Tensor
    strength: Tensor
    grain: Tensor


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
        if self.config.tiles.intensity == "absolute":
            noisy, strength, grain = sample_mixture(self.config.noise, clean, self.draws.generator)
            return Pairs(noisy, clean, strength, grain)
        count = len(clean)
        dose = self.draws.dose(count, self.config.dose)
        level = dose * tiles.mean * self.draws.uniform(*LEVELS, count, 1, 1, 1)
        strength = level.rsqrt()
        counts = self.draws.counts(dose * clean)
        return Pairs(counts / level, clean * dose / level, strength, strength.new_zeros(strength.shape))


def peak_signal_noise_ratio(images: Tensor, pairs: Pairs, config: DirectTrainConfig) -> float:
    """PSNR of images made of pairs, dB, with the range of the clean tiles of a micrograph or from black to white."""
    peak = 1.0
    if config.tiles.intensity == "template":
        # Per tile: noisy ones are scaled by levels of their own.
        peak = float((pairs.clean.amax(dim=(1, 2, 3)) - pairs.clean.amin(dim=(1, 2, 3))).mean())
    return float(10 * torch.log10(peak**2 / (images - pairs.clean).square().mean()))
