"""What becomes of latents that a step has taken beyond the bounds of the uniform prior.

- *projected*: they are put onto the bounds (projected gradient).
- *stochastic*: components beyond the bounds are drawn again, uniformly within them.  The prior has hardly any latents
  with components on the bounds, which is where projection leaves them (Lipton, Tripathi 2017, "Precise recovery of
  latent vectors from generative adversarial networks").
- *none*: they stay where they are.

A normal prior has no bounds, and nothing is done.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_gandenoise.models.file import Model
from napari_gandenoise.settings.recover import Clipping

__all__ = ["beyond_bounds", "clip"]


def beyond_bounds(model: Model, latents: Tensor) -> Tensor:
    """Which components of latents ``(N, d)`` a uniform prior cannot have drawn, bool ``(N, d)``."""
    return model.within_prior(latents) != latents


def clip(model: Model, latents: Tensor, clipping: Clipping, generator: torch.Generator | None = None) -> Tensor:
    """Bring latents back within the bounds of the model's prior.

    Parameters
    ----------
    model : Model
        Knows its prior.
    latents : Tensor
        ``(N, d)``.
    clipping : {"projected", "stochastic", "none"}
        How.
    generator : torch.Generator, optional
        Source of what is drawn again, on the CPU; torch's own by default.
    """
    if clipping == "none":
        return latents
    if clipping == "projected":
        return model.within_prior(latents)
    beyond = beyond_bounds(model, latents)
    redrawn = 2 * torch.rand(int(beyond.sum()), generator=generator) - 1
    return latents.masked_scatter(beyond, redrawn.to(latents))
