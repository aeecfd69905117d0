"""What the stages of a direct denoiser share: networks, optimisers and data."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_gandenoise.models.denoisers import Denoiser, UNet
from napari_gandenoise.models.sampler import Sampler
from napari_gandenoise.settings.train import (
    AutoencoderRecipe,
    DirectTrainConfig,
    PosteriorGanRecipe,
    RestorationGanRecipe,
    SupervisedRecipe,
    WassersteinRecipe,
)
from napari_gandenoise.training.clock import Clock
from napari_gandenoise.training.device import precision
from napari_gandenoise.training.direct.exposure import Exposure, Pairs
from napari_gandenoise.training.direct.objectives import estimate_loss
from napari_gandenoise.training.distributed import Ranks
from napari_gandenoise.training.draws import Draws
from napari_gandenoise.training.schedule import follow
from napari_gandenoise.training.supply import Supply

__all__ = ["Branch", "DirectParts", "unknown_if_estimated"]

LARGEST_GRADIENT = 1.0


class Branch(NamedTuple):
    """A sampler beside a denoiser that is not trained, its average, and what steers it."""

    sampler: Sampler
    mean: Sampler
    steering: nn.Module


class DirectParts:
    """Networks, optimisers and data that the stages share.

    Parameters
    ----------
    config : DirectTrainConfig
        The run.
    network, mean : Denoiser
        The denoiser and its average.
    judge : nn.Module, optional
        Critic or discriminator.
    supply, exposure, draws, clock, ranks
        Tiles, their noise, random numbers, the time, and the processes that share the work.
    branch : Branch, optional
        What is trained in place of the denoiser.
    """

    def __init__(
        self,
        config: DirectTrainConfig,
        network: Denoiser,
        mean: Denoiser,
        judge: nn.Module | None,
        supply: Supply,
        exposure: Exposure,
        draws: Draws,
        clock: Clock,
        ranks: Ranks,
        branch: Branch | None = None,
    ) -> None:
        self.config, self.network, self.mean, self.judge, self.branch = config, network, mean, judge, branch
        self.supply, self.exposure, self.draws, self.clock = supply, exposure, draws, clock
        self.batch = ranks.share(config.batch)
        self.estimates = isinstance(network, UNet) and network.estimator is not None
        self.shared: nn.Module
        if branch is not None:
            self.shared = ranks.wrap(branch.sampler, draws.device)
        else:
            self.shared = ranks.wrap(_WithEstimate(network) if isinstance(network, UNet) else network, draws.device)
        if config.compiled:
            self.shared = torch.compile(self.shared)  # type: ignore[assignment]
        self.shared_judge = None if judge is None else ranks.wrap(judge, draws.device)
        recipe = config.recipe
        self.optimiser: torch.optim.Optimizer
        self.judge_adam: torch.optim.Optimizer | None = None
        match recipe:
            case SupervisedRecipe():
                self.optimiser = torch.optim.Adam(network.parameters(), lr=config.rate)
            case RestorationGanRecipe():
                self.optimiser = torch.optim.Adam(network.parameters(), lr=config.rate)
                # Huang et al. 2024, appendix: no momentum.
                self.judge_adam = _adam(judge, recipe.critic_rate, (0.0, 0.99))
            case PosteriorGanRecipe():
                self.optimiser = torch.optim.Adam(self.trained.parameters(), lr=config.rate)
                self.judge_adam = _adam(judge, recipe.critic_rate, (0.0, 0.99))
            case WassersteinRecipe():
                # Gulrajani et al. 2017, algorithm 1.
                self.optimiser = torch.optim.Adam(network.parameters(), lr=config.rate, betas=(0.0, 0.9))
                self.judge_adam = _adam(judge, recipe.critic_rate, (0.0, 0.9))
            case AutoencoderRecipe():
                self.optimiser = torch.optim.RMSprop(network.parameters(), lr=config.rate)
                self.judge_adam = _adam(judge, recipe.judge_rate, (0.5, 0.999))

    @property
    def trained(self) -> nn.Module:
        """What is trained."""
        return self.network if self.branch is None else self.branch.sampler

    def pairs(self) -> Pairs:
        """Draw a batch."""
        return self.exposure.expose(self.supply.draw(self.batch))

    def precision(self) -> AbstractContextManager[object]:
        """Return the context that networks run in."""
        return precision(self.draws.device, self.config.half_precision)

    def clean(self, pairs: Pairs) -> Tensor:
        """Clean a batch with the network in training."""
        return self.clean_and_estimate(pairs)[0]

    def clean_and_estimate(self, pairs: Pairs) -> tuple[Tensor, Tensor | None]:
        """Clean a batch with the network in training; return also the loss of its estimate of the noise, if it has one.

        In training, too, a network that estimates the noise is not told what it is.
        """
        told = unknown_if_estimated(self.network, pairs)
        with self.precision():
            found = self.shared(pairs.noisy, told, pairs.grain)
        if not isinstance(found, tuple):
            return found.float(), None
        cleaned, estimated = found
        return cleaned.float(), estimate_loss(estimated.float(), pairs) if self.estimates else None

    def step(self, loss: Tensor, rate: float, step: int) -> None:
        """Update what is trained, and its average."""
        self.optimiser.param_groups[0]["lr"] = rate
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()
        follow(self.mean if self.branch is None else self.branch.mean, self.trained, self.config.average, step)


class _WithEstimate(nn.Module):
    """A U-Net as what several processes average the gradients of: one pass, all that comes out of it."""

    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, noisy: Tensor, strength: Tensor, grain: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Clean, and estimate if the network does."""
        if self.network.estimator is None:
            cleaned: Tensor = self.network(noisy, strength, grain)
            return cleaned
        return self.network.with_estimate(noisy, strength, grain)


def _adam(judge: nn.Module | None, rate: float, betas: tuple[float, float]) -> torch.optim.Adam:
    assert judge is not None
    return torch.optim.Adam(judge.parameters(), lr=rate, betas=betas)


def unknown_if_estimated(network: Denoiser, pairs: Pairs) -> Tensor:
    """Return the strengths that a network is told: none, if it estimates them by itself."""
    return torch.full_like(pairs.grain, torch.nan) if "estimated" in network.conditions else pairs.strength
