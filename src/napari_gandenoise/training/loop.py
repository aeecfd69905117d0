"""The training loop of the latent GAN: a generator of events, stopped by closing it, resumed from its checkpoint."""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_gandenoise.datasets.pool import TilePool
from napari_gandenoise.datasets.tiles import FrameSet, TileSampler, normalise
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models.file import Model, ModelHeader, save_model
from napari_gandenoise.models.networks import (
    Discriminator,
    Encoder,
    Generator,
    standardise,
    start_from_principal_components,
)
from napari_gandenoise.orientation import disk
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.training import losses
from napari_gandenoise.training.checkpoint import load_checkpoint, save_checkpoint
from napari_gandenoise.training.config import TrainConfig

__all__ = ["train_steps"]

WARM_UP = 200  # steps over which the learning rates rise
PENALTY_EVERY = 4  # adversarial steps between gradient penalties, weighted up to match (Karras et al. 2020, appendix B)


class Trainee:
    """Networks, averages and optimisers of one run: everything a checkpoint holds."""

    def __init__(self, config: TrainConfig) -> None:
        torch.manual_seed(config.seed)
        a = config.architecture
        self.generator = Generator(a)
        self.encoder = Encoder(a)
        self.discriminator = Discriminator(a, norm=config.recipe == "bce")
        for network in (self.generator, self.encoder, self.discriminator):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean_generator, self.mean_encoder = deepcopy(self.generator), deepcopy(self.encoder)
        self.average = nn.ModuleDict({"generator": self.mean_generator, "encoder": self.mean_encoder})
        trained = [p for n in (self.generator, self.encoder) for p in n.parameters() if p.requires_grad]
        betas = (0.5, 0.999) if config.recipe == "bce" else (0.5, 0.99)
        self.generator_adam = torch.optim.Adam(trained, lr=config.generator_rate, betas=betas)
        self.discriminator_adam = torch.optim.Adam(
            self.discriminator.parameters(), lr=config.discriminator_rate, betas=betas
        )
        self.step = 0

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return what has a state."""
        return {
            "generator": self.generator,
            "encoder": self.encoder,
            "discriminator": self.discriminator,
            "average": self.average,
            "generator_adam": self.generator_adam,
            "discriminator_adam": self.discriminator_adam,
        }

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the averages towards the networks; early on they follow faster."""
        decay = min(decay, (1 + self.step) / (10 + self.step))
        for name, live in (("generator", self.generator), ("encoder", self.encoder)):
            for mean, now in zip(self.average[name].state_dict().values(), live.state_dict().values(), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(now, 1 - decay)


def train_steps(config: TrainConfig, resume: bool = False) -> Steps[Path]:
    """Train a latent GAN.

    Parameters
    ----------
    config : TrainConfig
        The run.
    resume : bool
        Continue from the checkpoint in ``config.output``.

    Yields
    ------
    Progress
        Stage "tiles", then "train" (values: losses; preview: samples ``(16, C, H, W)`` at checkpoints).

    Returns
    -------
    pathlib.Path
        The model file, ``config.output / (config.name + ".safetensors")``.

    Raises
    ------
    GanDenoiseError
        If the data or the checkpoint cannot be used.
    FloatingPointError
        If a loss is no longer a number; the last checkpoint is kept.
    """
    checkpoint = config.output / "checkpoint.safetensors"
    if checkpoint.exists() and not resume:
        raise GanDenoiseError(f"{config.output} already holds a run: resume it, or choose another output folder.")
    if not config.data.exists():
        raise GanDenoiseError(f"There is no training set at {config.data}: simulate one first, or correct its path.")
    config.output.mkdir(parents=True, exist_ok=True)
    trainee = Trainee(config)
    if resume and checkpoint.exists():
        trainee.step = load_checkpoint(checkpoint, trainee.parts())
    generator = torch.Generator().manual_seed(config.seed + 7919 * trainee.step)
    frames = FrameSet.open(config.data)
    if len(frames.frames) <= config.held_out:
        raise GanDenoiseError(
            f"{config.data} has {len(frames.frames)} images, of which {config.held_out} are held out: none is left to "
            "train on; simulate more, or lower held_out."
        )
    training = FrameSet(frames.frames[config.held_out :], frames.pixel_size_nm)
    pool = TilePool(
        TileSampler(training, config.architecture.size, config.pixel_size_nm), config.pool, config.fresh, generator
    )
    yield from _first_tiles(config, pool, trainee)
    samples = torch.randn(16, config.architecture.latent, generator=torch.Generator().manual_seed(config.seed))
    while trainee.step < config.steps:
        values = _step(config, trainee, normalise(pool.draw(config.batch)), generator)
        trainee.step += 1
        if not all(map(math.isfinite, values.values())):
            raise FloatingPointError(
                f"Training diverged at step {trainee.step}; resume from {checkpoint} with lower learning rates."
            )
        preview = None
        if trainee.step % config.checkpoint_every == 0 or trainee.step == config.steps:
            save_checkpoint(checkpoint, trainee.parts(), trainee.step)
            preview = _export(config, trainee, samples)
        yield Progress("train", trainee.step, config.steps, preview, values)
    return config.output / f"{config.name}.safetensors"


def _first_tiles(config: TrainConfig, pool: TilePool, trainee: Trainee) -> Steps[None]:
    """Fill the pool far enough to begin, and start the linear paths from the principal components of these tiles."""
    wanted = min(config.pool, 40 * config.architecture.latent)
    tiles: list[Tensor] = []
    while pool.added < wanted:
        tiles.append(pool.fill(min(250, wanted - pool.added)))
        yield Progress("tiles", pool.added, wanted)
    if config.architecture.principal and trainee.step == 0:
        start_from_principal_components(trainee.generator, trainee.encoder, normalise(torch.cat(tiles)).template)


def _step(config: TrainConfig, trainee: Trainee, tiles: Any, generator: torch.Generator) -> dict[str, float]:
    """One update of generator and encoder, and on adversarial steps of the discriminator."""
    decay = 0.5 + 0.5 * math.cos(math.pi * trainee.step / config.steps)
    factor = decay * min(1.0, (trainee.step + 1) / WARM_UP)
    for adam, rate in (
        (trainee.generator_adam, config.generator_rate),
        (trainee.discriminator_adam, config.discriminator_rate),
    ):
        adam.param_groups[0]["lr"] = rate * factor
    adversarial = config.adversarial_weight > 0 and trainee.step % config.adversarial_every == 0
    latents = torch.randn(config.batch, config.architecture.latent, generator=generator)
    values: dict[str, float] = {}
    loss = torch.zeros(())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        if config.encoder:
            weight, noisy = _expose(config, tiles, generator)
            mean, log_variance = trainee.encoder(noisy)
            noise = torch.randn(mean.shape, generator=generator)
            posterior = mean + noise * (log_variance / 2).exp()
            # One batch through the generator, so that batch norm sees both kinds of latents.
            both = torch.cat([posterior, latents]) if adversarial else posterior
            rendered = trainee.generator(both).float() * disk(config.architecture.size)
            evidence = losses.evidence_loss(
                tiles.template, rendered[: config.batch], weight, mean.float(), log_variance.float()
            )
            values["evidence"] = evidence.item()
            loss = loss + evidence
            fake = rendered[config.batch :]
        else:
            fake = trainee.generator(latents).float() * disk(config.architecture.size)
        if adversarial:
            values["discriminator"] = _discriminate(config, trainee, tiles.template, fake.detach())
            on_fake = trainee.discriminator(fake)
            if config.recipe == "stable":
                with torch.no_grad():
                    on_real = trainee.discriminator(tiles.template)
                cheat = losses.relativistic(on_fake.float(), on_real.float())
            else:
                cheat = losses.bce_generator(on_fake.float())
            values["generator"] = cheat.item()
            loss = loss + (config.adversarial_weight if config.encoder else 1.0) * cheat
    if loss.requires_grad:
        trainee.generator_adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trainee.generator_adam.param_groups[0]["params"], 5.0)
        trainee.generator_adam.step()
        trainee.follow(config.average)
    return values


def _expose(config: TrainConfig, tiles: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw a dose for each tile; return the evidence weight ``s c²`` and the standardised noisy tile."""
    low, high = map(math.log, config.dose)
    dose = torch.empty(len(tiles.template), 1, 1, 1).uniform_(low, high, generator=generator).exp() * tiles.mean
    rate = dose * (1 + tiles.contrast * tiles.template)
    counts = torch.poisson(rate.clamp(min=0), generator=generator)
    return dose * tiles.contrast.square(), standardise(counts)


def _discriminate(config: TrainConfig, trainee: Trainee, real: Tensor, fake: Tensor) -> float:
    """One discriminator update; return its loss without the penalty."""
    on_real, on_fake = trainee.discriminator(real).float(), trainee.discriminator(fake).float()
    if config.recipe == "stable":
        loss = losses.relativistic(on_real, on_fake)
    else:
        loss = losses.bce_discriminator(on_real, on_fake)
    value = loss.item()
    if config.recipe == "stable" and (trainee.step // config.adversarial_every) % PENALTY_EVERY == 0:
        penalty = sum(losses.zero_centred_penalty(trainee.discriminator, x) for x in (real, fake))
        loss = loss + PENALTY_EVERY * config.penalty / 2 * penalty
    trainee.discriminator_adam.zero_grad()
    loss.backward()
    trainee.discriminator_adam.step()
    return value


def _export(config: TrainConfig, trainee: Trainee, latents: Tensor) -> Any:
    """Write the averaged networks as a model file and return samples."""
    trainee.average.eval()
    header = ModelHeader(
        name=config.name,
        description=config.description,
        architecture=config.architecture,
        pixel_size_nm=config.pixel_size_nm,
        encoder=config.encoder,
        template_power=float(trainee.encoder.template_power),
        training={**config.model_dump(mode="json", exclude={"data", "output"}), "step": trainee.step},
    )
    model = Model(header, trainee.mean_generator, trainee.mean_encoder if config.encoder else None)
    save_model(config.output / f"{config.name}.safetensors", model)
    with torch.no_grad():
        return trainee.mean_generator(latents).numpy()
