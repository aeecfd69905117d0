"""What becomes of latents that a step has taken beyond the bounds of the uniform prior.

- *projected*: they are put onto the bounds (projected gradient), as on the main road.
- *stochastic*: components beyond the bounds are drawn again, uniformly within them.  The prior has hardly any latents
  with components on the bounds, which is where projection leaves them (Lipton, Tripathi 2017, "Precise recovery of
  latent vectors from generative adversarial networks").
- *none*: they stay where they are.

A normal prior has no bounds, and nothing is done.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_gandenoise.inversion.refine import Bounds, projected
from napari_gandenoise.models.file import Model
from napari_gandenoise.settings.recover import Clipping

__all__ = ["DrawnAgain", "bounds_of", "unbounded"]


@dataclass(frozen=True)
class DrawnAgain:
    """Stochastic clipping.

    Attributes
    ----------
    generator : torch.Generator
        Source of what is drawn again, on the CPU.
    """

    generator: torch.Generator

    def __call__(self, model: Model, latents: Tensor) -> tuple[Tensor, Tensor | None]:
        """Draw components beyond the bounds again."""
        beyond = model.within_prior(latents) != latents
        redrawn = 2 * torch.rand(int(beyond.sum()), generator=self.generator) - 1
        return latents.masked_scatter(beyond, redrawn.to(latents)), beyond


def unbounded(model: Model, latents: Tensor) -> tuple[Tensor, Tensor | None]:  # noqa: ARG001 - a `Bounds`
    """Leave latents where the gradient has led them."""
    return latents, None


def bounds_of(clipping: Clipping, generator: torch.Generator) -> Bounds:
    """Return what a setting stands for."""
    kinds: dict[Clipping, Bounds] = {"projected": projected, "stochastic": DrawnAgain(generator), "none": unbounded}
    return kinds[clipping]
