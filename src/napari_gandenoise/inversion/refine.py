"""Refine: follow the gradient of the posterior in latent space, tile by tile, until nothing is gained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.models.file import Model

__all__ = ["Bounds", "Refined", "projected", "refine"]

PATIENCE = 10  # steps between looks at what was gained
BETA1, BETA2, TINY = 0.9, 0.99, 1e-8


class Bounds(Protocol):
    """What becomes of latents that a step has taken beyond the bounds of a uniform prior."""

    def __call__(self, model: Model, latents: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return latents ``(N, d)``, and which components were drawn anew (bool), or None where none ever are."""


def projected(model: Model, latents: Tensor) -> tuple[Tensor, Tensor | None]:
    """Put latents onto the bounds (projected gradient)."""
    return model.within_prior(latents), None


@dataclass
class Refined:
    """State of a refinement.

    Attributes
    ----------
    latents : Tensor
        ``(N, d)``.
    values : Tensor
        ``(N,)``, negative log posterior, nats.
    steps : int
        Gradient steps of the longest tile.
    tile_steps : int
        Gradient steps summed over tiles.
    """

    latents: Tensor
    values: Tensor
    steps: int = 0
    tile_steps: int = 0


def refine(
    objective: Objective,
    latents: Tensor,
    spread: Tensor,
    steps: int,
    rate: float,
    gain: float = 0.0,
    bounds: Bounds = projected,
) -> Iterator[Refined]:
    """Take Adam steps (Kingma, Ba 2015, algorithm 1) in units of each latent's spread.

    Parameters
    ----------
    objective : Objective
        ``N`` tiles.
    latents, spread : Tensor
        ``(N, d)``: where to start, and the scale of a step.
    steps : int
        At most this many.
    rate : float
        Learning rate; falls linearly to a tenth.
    gain : float
        A tile retires when `PATIENCE` steps have gained less, nats.
    bounds : Bounds
        What becomes of latents beyond the bounds of a uniform prior.

    Yields
    ------
    Refined
        The same object after every step; the last is the result.
    """
    state = Refined(latents.clone(), torch.full((len(latents),), float("inf"), device=latents.device))
    now = latents.clone()
    first, second = torch.zeros_like(latents), torch.zeros_like(latents)
    active = torch.arange(len(latents), device=latents.device)
    before = state.values.clone()
    for step in range(1, steps + 1):
        z = now[active].requires_grad_(True)
        value = objective.select(active)(z) if len(active) < len(latents) else objective(z)
        (gradient,) = torch.autograd.grad(value.sum(), z)
        # A step into NaN would lose the tile: it stays where it is.
        gradient = torch.nan_to_num(gradient) * spread[active]
        first[active] = BETA1 * first[active] + (1 - BETA1) * gradient
        second[active] = BETA2 * second[active] + (1 - BETA2) * gradient.square()
        speed = rate * (1 - 0.9 * (step - 1) / steps)
        move = (first[active] / (1 - BETA1**step)) / ((second[active] / (1 - BETA2**step)).sqrt() + TINY)
        moved = z.detach() - speed * spread[active] * move
        now[active], redrawn = bounds(objective.model, moved)
        if redrawn is not None:
            # Where it was drawn again a component starts anew, without the momentum that drove it out.
            first[active] = first[active].masked_fill(redrawn, 0)
            _keep_best(state, active, z.detach(), value.detach())
        else:
            state.latents[active], state.values[active] = now[active], value.detach()
        state.steps, state.tile_steps = step, state.tile_steps + len(active)
        yield state
        if gain > 0 and step % PATIENCE == 0:
            going = before[active] - state.values[active] > gain
            before = state.values.clone()
            active = active[going]
            if not len(active):
                return


def _keep_best(state: Refined, active: Tensor, latents: Tensor, values: Tensor) -> None:
    """Keep latents that are better than any before: what was drawn again a step ago may be anywhere."""
    better = values < state.values[active]
    state.latents[active[better]], state.values[active[better]] = latents[better], values[better]
