"""Random numbers of a run: one generator, whose state a checkpoint can hold."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Draws", "prior_deviation"]

Prior = Literal["normal", "uniform"]


def prior_deviation(prior: Prior) -> float:
    """Return the standard deviation of one latent under its prior."""
    return 1.0 if prior == "normal" else 3**-0.5


class Draws:
    """Random tensors on one device.

    Parameters
    ----------
    seed : int
        Same seed, same device: same numbers.
    device : torch.device
        Where the tensors are wanted.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        # Apple's GPU draws no Poisson numbers: there they come from the processor.
        self.generator = torch.Generator("cpu" if device.type == "mps" else device).manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        """Draw from N(0, 1)."""
        return torch.randn(shape, generator=self.generator, device=self.generator.device).to(self.device)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Draw uniformly."""
        numbers = torch.rand(shape, generator=self.generator, device=self.generator.device).to(self.device)
        return low + (high - low) * numbers

    def latents(self, count: int, length: int, prior: Prior) -> Tensor:
        """Draw latents ``(count, length)`` from a prior."""
        return self.normal(count, length) if prior == "normal" else self.uniform(-1, 1, count, length)

    def dose(self, count: int, limits: tuple[float, float]) -> Tensor:
        """Draw doses ``(count, 1, 1, 1)``, log-uniform."""
        low, high = map(math.log, limits)
        return self.uniform(low, high, count, 1, 1, 1).exp()

    def counts(self, rate: Tensor) -> Tensor:
        """Draw Poisson counts; negative rates count as 0."""
        rate = rate.clamp(min=0).to(self.generator.device)
        return torch.poisson(rate, generator=self.generator).to(self.device)
