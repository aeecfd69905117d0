"""The adversarial stage: losses and updates of each recipe, with the evidence lower bound beside them where wanted.

- *stable*: relativistic pairing loss with zero-centred penalties (Huang et al. 2024, "R3GAN", equations 2 and 3).
- *bce*: binary cross-entropy with smoothed real targets and two time scales (Radford et al. 2016; Salimans et al. 2016;
  Heusel et al. 2017).
- *wgan-gp*: Wasserstein distance with gradient penalty (Gulrajani et al. 2017, algorithm 1).  The last of the critic's
  updates and the generator's share their latents.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_gandenoise.orientation import tile_mask
from napari_gandenoise.settings.train import Recipe, TrainConfig
from napari_gandenoise.training import losses
from napari_gandenoise.training.distributed import Ranks
from napari_gandenoise.training.draws import Draws
from napari_gandenoise.training.latent.trainee import LARGEST_GRADIENT, LatentStage, Trainee
from napari_gandenoise.training.schedule import learning_rate
from napari_gandenoise.training.supply import Supply

__all__ = ["Adversarial", "Judgement", "Rendering", "Verdict", "diversity"]

PENALTY_EVERY = 4  # updates between zero-centred penalties, weighted up to match (Karras et al. 2020, appendix B)
DIVERSITY_EVERY = 25  # steps


class Verdict(NamedTuple):
    """The discriminator's loss, that without the penalty, and the share of images it judged rightly."""

    loss: Tensor
    plain: Tensor
    accuracy: Tensor


class Judgement(nn.Module):
    """A recipe's discriminator loss: one forward that leads to one backward."""

    def __init__(self, discriminator: nn.Module, recipe: Recipe, penalty: float) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.recipe = recipe
        self.penalty = penalty

    def forward(self, real: Tensor, fake: Tensor, mix: Tensor | None, penalise: bool) -> Verdict:
        """Judge real and generated images ``(N, C, H, W)``; ``mix`` ``(N, 1, 1, 1)`` places interpolates."""
        on_real, on_fake = self.discriminator(real).float(), self.discriminator(fake).float()
        loss = self._loss(on_real, on_fake)
        plain = loss.detach()
        if self.recipe == "bce":
            accuracy = ((on_real > 0).float().mean() + (on_fake < 0).float().mean()) / 2
        else:
            accuracy = (on_real > on_fake).float().mean()
        if penalise and mix is not None:
            loss = loss + self.penalty * losses.interpolation_penalty(self.discriminator, real, fake, mix)
        elif penalise:
            zero_centred = [losses.zero_centred_penalty(self.discriminator, images) for images in (real, fake)]
            loss = loss + PENALTY_EVERY * self.penalty / 2 * (zero_centred[0] + zero_centred[1])
        return Verdict(loss, plain, accuracy)

    def _loss(self, on_real: Tensor, on_fake: Tensor) -> Tensor:
        match self.recipe:
            case "stable":
                return losses.relativistic(on_real, on_fake)
            case "bce":
                return losses.bce_discriminator(on_real, on_fake)
            case "wgan-gp":
                return losses.wasserstein_critic(on_real, on_fake)

    def deceived(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the generator's loss; no gradient reaches the discriminator's weights."""
        with losses.frozen(self.discriminator):
            on_fake = self.discriminator(fake).float()
            match self.recipe:
                case "stable":
                    with torch.no_grad():
                        on_real = self.discriminator(real).float()
                    return losses.relativistic(on_fake, on_real)
                case "bce":
                    return losses.bce_generator(on_fake)
                case "wgan-gp":
                    return losses.wasserstein_generator(on_fake)


class Rendering(nn.Module):
    """The generator, and before it the encoder where both are trained together: one forward, one backward."""

    def __init__(self, generator: nn.Module, encoder: nn.Module | None, inside: Tensor) -> None:
        super().__init__()
        self.generator = generator
        self.encoder = encoder
        self.register_buffer("inside", inside, persistent=False)
        self.inside: Tensor

    def forward(
        self,
        latents: Tensor | None,
        noisy: Tensor | None = None,
        amplitude: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Render what the encoder finds in noisy tiles, then latents; return templates, means and log variances."""
        mean = log_variance = None
        parts = [] if latents is None else [latents]
        if self.encoder is not None and noise is not None:
            mean, log_variance = (x.float() for x in self.encoder(noisy, amplitude))
            parts.insert(0, mean + noise * (log_variance / 2).exp())
        # One batch through the generator, so that batch norm sees both kinds of latents.
        return self.generator(torch.cat(parts)).float() * self.inside, mean, log_variance


class Adversarial(LatentStage):
    """The stage that trains the generator; parameters are those of `LatentStage`."""

    name = "train"

    def __init__(self, config: TrainConfig, trainee: Trainee, supply: Supply, draws: Draws, ranks: Ranks) -> None:
        super().__init__(config, trainee, supply, draws, ranks)
        self.steps = config.steps
        self.first = 0
        encoder = trainee.encoder if config.encoder == "evidence" else None
        inside = tile_mask(config.tiles.pose, config.architecture.size, draws.device)
        self.rendering = ranks.wrap(Rendering(trainee.generator, encoder, inside), draws.device)
        self.judgement = Judgement(trainee.discriminator, config.recipe, config.penalty)
        self.shared_judgement = ranks.wrap(self.judgement, draws.device)

    def update(self, step: int) -> dict[str, Tensor]:
        """Update discriminator, generator and, in the mode evidence, encoder; return losses."""
        config, trainee = self.config, self.trainee
        trainee.generator_adam.param_groups[0]["lr"] = self.rate(step)
        trainee.discriminator_adam.param_groups[0]["lr"] = learning_rate(config.discriminator_rate, step, self.steps)
        adversarial = config.adversarial_weight > 0 and step % config.adversarial_every == 0
        if adversarial:
            for _ in range(config.critic_steps - 1):
                self._discriminate(step, self.supply.draw(self.batch).template, self._fakes())
        values: dict[str, Tensor] = {}
        tiles = self.supply.draw(self.batch)
        parts: list[Tensor] = []
        latents = self.latents() if adversarial else None
        if config.encoder == "evidence":
            noisy, amplitude, weight = self.exposer.expose(tiles)
            noise = self.draws.normal(self.batch, config.architecture.latent)
            with self.precision():
                rendered, mean, log_variance = self.rendering(latents, noisy, amplitude, noise)
            drawn, fake = rendered[: self.batch], rendered[self.batch :]
            values["evidence"] = losses.evidence_loss(tiles.template, drawn, weight, mean, log_variance)
            parts.append(values["evidence"])
        else:
            with self.precision():
                fake, _, _ = self.rendering(latents)
        if adversarial:
            values |= self._discriminate(step, tiles.template, fake.detach())
            with self.precision():
                values["generator"] = self.judgement.deceived(tiles.template, fake)
            # Alone, the loss keeps its scale: a weight would only rescale the penalty that Adam divides out.
            parts.append(values["generator"] * (config.adversarial_weight if parts else 1.0))
            if step // config.adversarial_every % DIVERSITY_EVERY == 0:
                values["diversity"] = diversity(fake.detach(), tiles.template)
        self._step_generator(torch.stack(parts).sum(), step)
        return {name: value.detach() for name, value in values.items()}

    def _step_generator(self, loss: Tensor, step: int) -> None:
        adam = self.trainee.generator_adam
        adam.zero_grad()
        loss.backward()
        if self.config.encoder == "evidence" or self.config.recipe == "stable":
            nn.utils.clip_grad_norm_(adam.param_groups[0]["params"], LARGEST_GRADIENT)
        adam.step()
        self.trainee.follow_generator(step)
        if self.config.encoder == "evidence":
            self.trainee.follow_encoder(step)

    def _discriminate(self, step: int, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """One update of the discriminator."""
        recipe = self.config.recipe
        mix = self.draws.uniform(0, 1, len(real), 1, 1, 1) if recipe == "wgan-gp" else None
        lazily = recipe == "stable" and step // self.config.adversarial_every % PENALTY_EVERY == 0
        with self.precision():
            verdict: Verdict = self.shared_judgement(real, fake, mix, recipe == "wgan-gp" or lazily)
        self.trainee.discriminator_adam.zero_grad()
        verdict.loss.backward()
        self.trainee.discriminator_adam.step()
        return {"discriminator": verdict.plain, "accuracy": verdict.accuracy}

    @torch.no_grad()
    def _fakes(self) -> Tensor:
        with self.precision():
            fakes: Tensor = self.trainee.generator(self.latents())
        return fakes.float() * self.exposer.inside


def diversity(samples: Tensor, real: Tensor) -> Tensor:
    """Root-mean-square distance between two samples, over that between two real tiles; 0 is a collapse.

    Parameters
    ----------
    samples, real : Tensor
        ``(N, C, H, W)``; the mean squared distance of a pair is twice the variance summed over pixels.
    """
    between, apart = (images.flatten(1).var(dim=0).sum() for images in (samples, real))
    return (between / apart.clamp(min=1e-6)).sqrt()
