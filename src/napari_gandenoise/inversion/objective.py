"""What a template is worth to a tile: the Poisson likelihood of its electrons, and the price of its latent.

The expected electrons of a bin are ``exposure (level + swing t)`` with a template ``t`` of zero mean.  Swing is level
times contrast.  It is set by the tile's variance in excess of Poisson noise and not by the fit: a free swing would
let the latent shrink towards zero, where its prior costs nothing, and overfit from there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from napari_gandenoise.models.file import Model
from napari_gandenoise.orientation import tile_mask
from napari_gandenoise.tiling import TileCounts

__all__ = ["Objective", "mean_rate", "standardise_tiles"]

# The rate never falls below this share of the tile's mean: a template may not forbid electrons.
FLOOR = 0.02
PIXELS = (1, 2, 3)


def standardise_tiles(tiles: TileCounts, read_variance: float, level: Tensor | None = None) -> Tensor:
    """Tiles ``(N, C, H, W)`` with a level taken off and their noise scaled to unit variance.

    Parameters
    ----------
    tiles : TileCounts
        ``(N, C, H, W)``.
    read_variance : float
        Electrons² per input pixel.
    level : Tensor, optional
        Electrons per input pixel, ``(N, 1, 1, 1)``; by default each tile's own mean.
    """
    level = mean_rate(tiles) if level is None else level
    variance = (tiles.exposure * (level + read_variance)).clamp(min=1e-9)
    return (tiles.counts - tiles.exposure * level) / variance.sqrt() * (tiles.exposure > 0)


def mean_rate(tiles: TileCounts) -> Tensor:
    """Electrons per input pixel, ``(N, 1, 1, 1)``."""
    seen = (tiles.exposure.sum(PIXELS, keepdim=True) * tiles.counts.shape[1]).clamp(min=1)
    return (tiles.counts.sum(PIXELS, keepdim=True) / seen).clamp(min=1e-6)


@dataclass(frozen=True)
class Objective:
    """What is to be minimised over the latents of a batch of tiles: a negative log posterior.

    Attributes
    ----------
    model : Model
        Generator and its statistics.
    tiles : TileCounts
        ``(N, C, H, W)``.
    read_variance : float
        Read noise, electrons² per input pixel; 0 for a counting detector.
    mean, swing : Tensor
        ``(N, 1, 1, 1)``, electrons per input pixel.
    """

    model: Model
    tiles: TileCounts
    read_variance: float
    mean: Tensor
    swing: Tensor

    @classmethod
    def of(cls, model: Model, tiles: TileCounts, read_variance: float, white: float = 0.0) -> Self:
        """Set level and swing of each tile: from its mean and variance, or for absolute intensities from the white.

        Parameters
        ----------
        white : float
            Electrons per input pixel of white; only models of absolute intensities ask for it.
        """
        if model.header.intensity == "absolute":
            half = torch.full((len(tiles.counts), 1, 1, 1), white / 2, device=tiles.counts.device)
            return cls(model, tiles, read_variance, half, half)
        seen = tiles.exposure.sum(PIXELS, keepdim=True).clamp(min=1)
        used = (tiles.exposure > 0).sum(PIXELS, keepdim=True).clamp(min=1)
        mean = mean_rate(tiles)
        noisy = standardise_tiles(tiles, read_variance)
        pixels = used * noisy.shape[1]
        excess = (noisy.square().sum(PIXELS, keepdim=True) / pixels - 1).clamp(min=1e-3)
        # Template power is a mean over the whole square, of which the disk is a part.
        mask = tile_mask(model.header.pose, model.size, tiles.counts.device)
        power = model.template_power * mask.numel() / mask.sum()
        swing = (excess / power * (mean + read_variance) * used / seen).sqrt()
        return cls(model, tiles, read_variance, mean, torch.minimum(swing, 5 * mean))

    def standardised(self) -> Tensor:
        """Tiles with their level taken off and their noise scaled to unit variance, ``(N, C, H, W)``."""
        return standardise_tiles(self.tiles, self.read_variance, self.mean)

    def encode(self) -> tuple[Tensor, Tensor] | None:
        """Mean and spread of the latents that the model's encoder proposes, ``(N, d)``; None if it has none."""
        if self.model.encoder is None:
            return None
        amplitude = self._amplitude() if self.model.header.intensity == "absolute" else None
        mean, log_variance = self.model.encoder(self.standardised(), amplitude)
        return self.bounded(mean), (log_variance / 2).exp()

    def noise_level(self) -> Tensor:
        """Noise of a model pixel over the range of the templates, ``(N,)``.

        For absolute intensities this is the noise's standard deviation relative to white.
        """
        return 1 / (2 * self._amplitude().flatten())

    def _amplitude(self) -> Tensor:
        """Return what a template of one is worth in standardised tiles, ``(N, 1, 1, 1)``."""
        used = (self.tiles.exposure > 0).sum(PIXELS, keepdim=True).clamp(min=1)
        exposed = self.tiles.exposure.sum(PIXELS, keepdim=True) / used
        return (self.swing * (exposed / (self.mean + self.read_variance)).sqrt()).clamp(min=1e-3)

    def select(self, index: Tensor) -> Self:
        """Objective of some of the tiles."""
        tiles = TileCounts(self.tiles.counts[index], self.tiles.exposure[index])
        return replace(self, tiles=tiles, mean=self.mean[index], swing=self.swing[index])

    def rate(self, latents: Tensor) -> Tensor:
        """Rate of latents ``(N, d)``: ``(N, C, H, W)``, electrons per input pixel."""
        template = self.model.render(latents)
        if self.model.header.intensity == "absolute":
            return torch.maximum(self.mean + self.swing * template, FLOOR * self.mean)
        shift = (self.tiles.exposure * template).sum(PIXELS, keepdim=True)
        # The level keeps the tile's electron count, so that a template with a mean of its own costs nothing.
        seen = self.tiles.exposure.sum(PIXELS, keepdim=True) * template.shape[1]
        level = self.mean - self.swing * shift / seen.clamp(min=1)
        return torch.maximum(level + self.swing * template, FLOOR * self.mean)

    def gain(self, rate: Tensor) -> Tensor:
        """Log-likelihood gained over a flat tile, ``(N,)``, nats.

        Read noise: counts and their expectation are shifted by its variance and taken as Poisson (Snyder et al. 1993,
        "Image recovery from data acquired with a charge-coupled-device camera", section 3).
        """
        exposure, counts = self.tiles.exposure, self.tiles.counts
        shift = exposure * self.read_variance
        flat = (exposure * self.mean + shift).clamp(min=1e-9)
        added = exposure * (rate - self.mean)
        # Pixel by pixel: the difference of two large sums would drown in single precision.
        likelier = (counts + shift).clamp(min=0) * torch.log1p((added / flat).clamp(min=-1 + 1e-6))
        return (likelier - added).sum(dim=PIXELS)

    def bounded(self, latents: Tensor) -> Tensor:
        """Latents, put onto the bounds of the prior if they are beyond."""
        return self.model.within_prior(latents)

    def __call__(self, latents: Tensor) -> Tensor:
        """Return the negative log posterior ``(N,)`` of latents ``(N, d)`` up to a constant, nats: small is good."""
        return self.model.prior_cost(latents) - self.gain(self.rate(latents))
