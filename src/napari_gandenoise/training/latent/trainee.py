"""What is trained, networks with their averages and optimisers, and what the stages that train it share."""

from __future__ import annotations

from contextlib import AbstractContextManager
from copy import deepcopy

import torch
from torch import Tensor, nn

from napari_gandenoise.datasets.tiles import Tiles
from napari_gandenoise.models.networks import (
    Discriminator,
    Encoder,
    Generator,
    standardise,
    start_from_principal_components,
)
from napari_gandenoise.orientation import tile_mask
from napari_gandenoise.settings.train import Recipe, TrainConfig
from napari_gandenoise.training.checkpoint import Parts
from napari_gandenoise.training.device import precision
from napari_gandenoise.training.distributed import Ranks
from napari_gandenoise.training.draws import Draws, prior_deviation
from napari_gandenoise.training.schedule import follow, learning_rate
from napari_gandenoise.training.supply import Supply

__all__ = ["Exposer", "LatentStage", "Trainee"]

LARGEST_GRADIENT = 5.0  # norm over the networks that are updated together
# First and second moments of Adam: Radford et al. 2016, section 4, Gulrajani et al. 2017, algorithm 1, and Huang et al.
# 2024, appendix, with a first moment that DCGAN prefers.
BETAS: dict[Recipe, tuple[float, float]] = {"stable": (0.5, 0.99), "bce": (0.5, 0.999), "wgan-gp": (0.0, 0.9)}


class Trainee:
    """Networks, averages and optimisers of one run, on its device: what a checkpoint holds.

    Parameters
    ----------
    config : TrainConfig
        The run; its seed decides on the first weights.
    device : torch.device
        Where to compute.
    """

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.config = config
        a = config.architecture
        # The caller's random numbers are left alone, and do not decide on ours.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.generator = Generator(a)
            self.encoder = Encoder(a)
            self.discriminator = Discriminator(a, norm=config.recipe == "bce")
        for network in (self.generator, self.encoder, self.discriminator):
            network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean_generator, self.mean_encoder = deepcopy(self.generator).eval(), deepcopy(self.encoder).eval()
        betas = BETAS[config.recipe]
        joint: list[nn.Module] = [self.generator]
        if config.encoder == "evidence":
            joint.append(self.encoder)
        self.generator_adam = _adam(joint, config.generator_rate, betas)
        self.discriminator_adam = _adam([self.discriminator], config.discriminator_rate, betas)
        self.encoder_adam = _adam([self.encoder], config.generator_rate, BETAS["stable"])

    def parts(self) -> Parts:
        """Return what has a state."""
        parts: dict[str, nn.Module | torch.optim.Optimizer] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "mean_generator": self.mean_generator,
            "generator_adam": self.generator_adam,
            "discriminator_adam": self.discriminator_adam,
            # Without an encoder this one still holds the power of the templates.
            "encoder": self.encoder,
        }
        if self.config.encoder != "none":
            parts["mean_encoder"] = self.mean_encoder
        if self.config.encoder == "samples":
            parts["encoder_adam"] = self.encoder_adam
        return parts

    def networks(self) -> list[nn.Module]:
        """Return all networks."""
        return [self.generator, self.encoder, self.discriminator, self.mean_generator, self.mean_encoder]

    def start(self, templates: Tensor) -> None:
        """Take from the first templates ``(M, C, H, W)`` their power and, for linear paths, their components."""
        with torch.no_grad():
            self.encoder.template_power.copy_(templates.square().mean().clamp(min=1e-4))
        if self.config.architecture.principal:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.config.seed)
                deviation = prior_deviation(self.config.prior)
                start_from_principal_components(self.generator, self.encoder, templates, deviation)
        self.mean_generator.load_state_dict(self.generator.state_dict())
        self.mean_encoder.load_state_dict(self.encoder.state_dict())

    def follow_generator(self, step: int) -> None:
        """Move the generator's average."""
        follow(self.mean_generator, self.generator, self.config.average, step)

    def follow_encoder(self, step: int) -> None:
        """Move the encoder's average."""
        follow(self.mean_encoder, self.encoder, self.config.average, step)


def _adam(networks: list[nn.Module], rate: float, betas: tuple[float, float]) -> torch.optim.Adam:
    return torch.optim.Adam([p for n in networks for p in n.parameters() if p.requires_grad], lr=rate, betas=betas)


class Exposer:
    """Makes noisy tiles of clean ones, as the encoder is to see them.

    Parameters
    ----------
    config : TrainConfig
        The run.
    draws : Draws
        Source of doses and counts.
    """

    def __init__(self, config: TrainConfig, draws: Draws) -> None:
        self.config = config
        self.draws = draws
        self.inside = tile_mask(config.tiles.pose, config.architecture.size, draws.device)

    def expose(self, tiles: Tiles) -> tuple[Tensor, Tensor | None, Tensor]:
        """Expose tiles, each at a dose of its own.

        Returns
        -------
        noisy : Tensor
            ``(N, C, H, W)``, standardised counts.
        amplitude : Tensor or None
            ``(N, 1, 1, 1)``, for absolute tiles: what a template of one is worth in ``noisy``.
        weight : Tensor
            ``(N, 1, 1, 1)``, the evidence weight ``s c²``.
        """
        level = self.draws.dose(len(tiles.template), self.config.dose) * tiles.mean
        counts = self.draws.counts(level * (1 + tiles.contrast * tiles.template))
        weight = level * tiles.contrast.square()
        if self.config.tiles.intensity == "absolute":
            return standardise(counts, self.inside, level), weight.sqrt(), weight
        return standardise(counts, self.inside), None, weight


class LatentStage:
    """What the stages share; each says how many steps it takes.

    Parameters
    ----------
    config : TrainConfig
        The run.
    trainee : Trainee
        Networks and optimisers.
    supply : Supply
        Real tiles.
    draws : Draws
        Source of latents and noise.
    ranks : Ranks
        The processes that share the work.
    """

    steps: int

    def __init__(self, config: TrainConfig, trainee: Trainee, supply: Supply, draws: Draws, ranks: Ranks) -> None:
        self.config = config
        self.trainee = trainee
        self.supply = supply
        self.draws = draws
        self.batch = ranks.share(config.batch)
        self.exposer = Exposer(config, draws)

    def rate(self, step: int) -> float:
        """Learning rate of what the stage trains; a discriminator has its own."""
        return learning_rate(self.config.generator_rate, step, self.steps)

    def latents(self) -> Tensor:
        """Draw a batch of latents."""
        return self.draws.latents(self.batch, self.config.architecture.latent, self.config.prior)

    def precision(self) -> AbstractContextManager[object]:
        """Return the context that networks run in."""
        return precision(self.draws.device, self.config.half_precision)
