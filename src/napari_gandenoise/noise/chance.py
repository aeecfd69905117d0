"""Chance for a batch: numbers that every image draws for itself, from one generator and on its device."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

__all__ = ["Chance"]


class Chance:
    """Draws for a batch of images.

    Parameters
    ----------
    generator : torch.Generator
        Where all numbers come from; they lie on its device.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.device = generator.device

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Draw numbers uniform in [low, high)."""
        return low + (high - low) * torch.rand(shape, generator=self.generator, device=self.device)

    def log_uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Draw numbers whose logarithm is uniform, ``0 < low <= high``."""
        return self.uniform(log(low), log(high), *shape).exp()

    def normal(self, *shape: int) -> Tensor:
        """Draw numbers of mean 0 and variance 1."""
        return torch.randn(shape, generator=self.generator, device=self.device)

    def happens(self, probability: float, *shape: int) -> Tensor:
        """Draw truths."""
        return torch.rand(shape, generator=self.generator, device=self.device) < probability

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Draw whole numbers from ``low`` to ``high - 1``."""
        return torch.randint(low, high, shape, generator=self.generator, device=self.device)

    def power_law(self, low: Tensor, high: Tensor, exponent: float) -> Tensor:
        """Draw from a density ``r^-exponent`` between two tensors of limits, ``exponent > 1``, by its inverse."""
        u = torch.rand(torch.broadcast_shapes(low.shape, high.shape), generator=self.generator, device=self.device)
        a, b = low ** (1 - exponent), high ** (1 - exponent)
        return (a + u * (b - a)) ** (1 / (1 - exponent))
