"""Second-order steps on the posterior of latents: L-BFGS for a batch of tiles, and Fisher scoring tile by tile.

Kept beside the package, not in it: they find better posteriors in fewer steps than the Adam of
`napari_gandenoise.inversion.refine`, and worse images.  `benchmarks.inversion_speed` has the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.refine import Refined

__all__ = ["fisher_scoring", "lbfgs"]

MEMORY = 10  # steps remembered
FIRST = 0.2  # inverse curvature before anything is known, in units of the spread squared
LONGEST = 0.5  # root mean square of a step, in units of the spread
SUFFICIENT = 1e-4  # share of the decrease that the slope promises which a step must bring (Armijo)


class Memory:
    """Steps and changes of the gradient of ``N`` tiles, each with a history of its own."""

    def __init__(self, tiles: int) -> None:
        self.pairs: list[tuple[Tensor, Tensor, Tensor]] = []
        self.inverse = torch.full((tiles,), FIRST)

    def remember(self, step: Tensor, change: Tensor, taken: Tensor) -> None:
        """Keep a pair ``(N, d)`` where the step was taken and the function curves upwards along it."""
        along, steepness = (step * change).sum(1), change.square().sum(1).clamp(min=1e-12)
        good = taken & (along > 1e-6 * steepness)
        weight = torch.where(good, 1 / along.clamp(min=1e-12), 0.0)
        self.pairs = [*self.pairs[1 - MEMORY :], (step * good[:, None], change * good[:, None], weight)]
        self.inverse = torch.where(good, along / steepness, self.inverse)

    def direction(self, gradient: Tensor) -> Tensor:
        """Direction of descent ``(N, d)`` (Nocedal, Wright 2006, "Numerical optimization", algorithm 7.4)."""
        q, shares = gradient.clone(), []
        for step, change, weight in reversed(self.pairs):
            shares.append(weight * (step * q).sum(1))
            q -= shares[-1][:, None] * change
        q *= self.inverse[:, None]
        for (step, change, weight), share in zip(self.pairs, reversed(shares), strict=True):
            q += (share - weight * (change * q).sum(1))[:, None] * step
        return -q * (LONGEST / q.square().mean(1).sqrt().clamp(min=1e-12)).clamp(max=1)[:, None]


def lbfgs(objective: Callable[[Tensor], Tensor], start: Tensor, spread: Tensor, evaluations: int) -> Iterator[Refined]:
    """Follow the posterior of ``N`` tiles at once, in units of each latent's spread.

    A step that does not lower a tile's value enough is taken back and shortened, so that a tile never gets worse.

    Yields
    ------
    Refined
        After each evaluation of the gradient.
    """
    latents, memory = start, Memory(len(start))
    value, gradient = _slope(objective, latents, spread)
    yield Refined(latents, value, 1, len(start))
    direction, length = memory.direction(gradient), torch.ones(len(start))
    for evaluation in range(2, evaluations + 1):
        step = length[:, None] * direction
        tried, slope = latents + step * spread, (gradient * step).sum(1)
        found, turned = _slope(objective, tried, spread)
        taken = found <= value + SUFFICIENT * slope
        memory.remember(step, turned - gradient, taken)
        # The minimum of the parabola through both values and the slope between them.
        shorter = -slope * length / (2 * (found - value - slope)).clamp(min=1e-9)
        latents = torch.where(taken[:, None], tried, latents)
        gradient = torch.where(taken[:, None], turned, gradient)
        value = torch.where(taken, found, value)
        direction = torch.where(taken[:, None], memory.direction(gradient), direction)
        length = torch.where(taken, torch.ones(()), shorter.clamp(0.1 * length, 0.5 * length))
        yield Refined(latents, value, evaluation, evaluation * len(start))


def _slope(objective: Callable[[Tensor], Tensor], latents: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    latents = latents.detach().requires_grad_(True)
    value = objective(latents)
    (gradient,) = torch.autograd.grad(value.sum(), latents)
    return value.detach(), gradient * spread


def fisher_scoring(objective: Objective, start: Tensor, steps: int) -> Iterator[Refined]:
    """Take Gauss-Newton steps with the Fisher information of Poisson counts, damped (Levenberg, Marquardt).

    The information of the latents is ``J' diag(exposure / rate) J + 1`` with the Jacobian ``J`` of the rate by forward
    differentiation, the one added for the normal prior.

    Yields
    ------
    Refined
        After each step.
    """
    latents, damping = start.clone(), torch.ones(len(start))
    singles = [objective.select(torch.tensor([index])) for index in range(len(start))]
    with torch.no_grad():
        value = objective(latents)
    for step in range(1, steps + 1):
        tried = torch.stack([_scored(one, z, float(d)) for one, z, d in zip(singles, latents, damping, strict=True)])
        with torch.no_grad():
            found = objective(tried)
        better = found < value
        latents = torch.where(better[:, None], tried, latents)
        value = torch.where(better, found, value)
        damping = torch.where(better, damping / 4, damping * 4)
        yield Refined(latents, value, step, step * len(start))


def _scored(objective: Objective, latent: Tensor, damping: float) -> Tensor:
    """One damped step of one tile's latent ``(d,)``."""

    def rate(z: Tensor) -> Tensor:
        return objective.rate(z[None]).flatten()

    _, gradient = _slope(objective, latent[None], torch.ones(()))
    with torch.no_grad():
        jacobian = torch.func.jacfwd(rate)(latent)
        weight = objective.tiles.exposure.flatten() / rate(latent)
        information = jacobian.T @ (weight[:, None] * jacobian) + torch.eye(len(latent))
        information += damping * torch.diag(information.diagonal())
        step: Tensor = torch.linalg.solve(information, gradient[0])
        return latent - step
