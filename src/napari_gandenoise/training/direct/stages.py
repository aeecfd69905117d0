"""The stages that train direct denoisers."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_gandenoise.models.critics import Critic
from napari_gandenoise.models.denoisers import Denoiser
from napari_gandenoise.settings.train import AutoencoderRecipe, DirectTrainConfig, SupervisedRecipe, WassersteinRecipe
from napari_gandenoise.training import losses
from napari_gandenoise.training.device import precision
from napari_gandenoise.training.direct.exposure import Exposure, Pairs, peak_signal_noise_ratio
from napari_gandenoise.training.distributed import Ranks
from napari_gandenoise.training.draws import Draws
from napari_gandenoise.training.schedule import follow, learning_rate, warmed_up
from napari_gandenoise.training.supply import Supply

__all__ = [
    "AdversarialAutoencoder",
    "DirectParts",
    "Judging",
    "Reconstruction",
    "Supervised",
    "Testing",
    "Wasserstein",
]

LARGEST_GRADIENT = 1.0
LEAST_RATE = 1e-3  # of the mean: below that a rate is no rate for the Poisson likelihood


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
    supply, exposure, draws, ranks
        Tiles, their noise, random numbers, and the processes that share the work.
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
        ranks: Ranks,
    ) -> None:
        self.config, self.network, self.mean, self.judge = config, network, mean, judge
        self.supply, self.exposure, self.draws = supply, exposure, draws
        self.batch = ranks.share(config.batch)
        self.shared = ranks.wrap(network, draws.device)
        if config.compiled:
            self.shared = torch.compile(self.shared)  # type: ignore[assignment]
        self.shared_judge = None if judge is None else ranks.wrap(judge, draws.device)
        recipe = config.recipe
        self.optimiser: torch.optim.Optimizer
        self.judge_adam: torch.optim.Optimizer | None = None
        match recipe:
            case SupervisedRecipe():
                self.optimiser = torch.optim.Adam(network.parameters(), lr=config.rate)
            case WassersteinRecipe():
                # Gulrajani et al. 2017, algorithm 1.
                self.optimiser = torch.optim.Adam(network.parameters(), lr=config.rate, betas=(0.0, 0.9))
                self.judge_adam = _adam(judge, recipe.critic_rate, (0.0, 0.9))
            case AutoencoderRecipe():
                self.optimiser = torch.optim.RMSprop(network.parameters(), lr=config.rate)
                self.judge_adam = _adam(judge, recipe.judge_rate, (0.5, 0.999))

    def pairs(self) -> Pairs:
        """Draw a batch."""
        return self.exposure.expose(self.supply.draw(self.batch))

    def precision(self) -> AbstractContextManager[object]:
        """Return the context that networks run in."""
        return precision(self.draws.device, self.config.half_precision)

    def clean(self, pairs: Pairs) -> Tensor:
        """Clean a batch with the network in training."""
        with self.precision():
            cleaned: Tensor = self.shared(pairs.noisy, pairs.strength, pairs.grain)
        return cleaned.float()

    def step(self, loss: Tensor, rate: float, step: int) -> None:
        """Update the denoiser and its average."""
        self.optimiser.param_groups[0]["lr"] = rate
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()
        follow(self.mean, self.network, self.config.average, step)


def _adam(judge: nn.Module | None, rate: float, betas: tuple[float, float]) -> torch.optim.Adam:
    assert judge is not None
    return torch.optim.Adam(judge.parameters(), lr=rate, betas=betas)


class _Stage:
    """A stage with the schedule of all."""

    name = "train"
    first = 0

    def __init__(self, parts: DirectParts) -> None:
        self.own = parts
        self.steps = parts.config.steps

    def rate(self, step: int) -> float:
        """Learning rate of the denoiser."""
        return learning_rate(self.own.config.rate, step, self.steps)


class Supervised(_Stage):
    """Noisy and clean tiles: the network is to turn one into the other."""

    def __init__(self, parts: DirectParts, recipe: SupervisedRecipe) -> None:
        super().__init__(parts)
        self.recipe = recipe

    def update(self, step: int) -> dict[str, Tensor]:
        """Update the denoiser; return its loss."""
        pairs = self.own.pairs()
        cleaned = self.own.clean(pairs)
        loss = likelihood_loss(cleaned, pairs) if self.recipe.loss == "poisson" else pixel_loss(cleaned, pairs)
        self.own.step(loss, self.rate(step), step)
        return {"loss": loss.detach()}


def pixel_loss(cleaned: Tensor, pairs: Pairs) -> Tensor:
    """Mean squared error, each image's over the strength of its noise.

    Errors grow about like the square root of the strength, so that images of all doses have a say.
    """
    error = (cleaned - pairs.clean).square().mean(dim=(1, 2, 3), keepdim=True)
    return (error / pairs.strength.clamp(min=1e-3)).mean()


def likelihood_loss(cleaned: Tensor, pairs: Pairs) -> Tensor:
    """Poisson deviance of the clean rate under the one found, nats a pixel: what new counts would say on average."""
    electrons = pairs.strength.square().clamp(min=1e-6).reciprocal()
    rate, clean = cleaned.clamp(min=LEAST_RATE), pairs.clean.clamp(min=LEAST_RATE)
    deviance = rate - clean - clean * (rate / clean).log()
    # Below the least rate the likelihood has no gradient: the way back is the squared distance.
    below = (LEAST_RATE - cleaned).clamp(min=0).square()
    weight = electrons * pairs.strength  # as in `pixel_loss`
    return (weight * (deviance + below)).mean()


class Wasserstein(_Stage):
    """A critic beside pixel, feature and smoothness losses (Gong, Liu, Lv)."""

    def __init__(self, parts: DirectParts, recipe: WassersteinRecipe) -> None:
        super().__init__(parts)
        self.recipe = recipe
        assert isinstance(parts.judge, Critic)
        self.critic = parts.judge

    def update(self, step: int) -> dict[str, Tensor]:
        """Update critic and denoiser; return their losses."""
        own, recipe = self.own, self.recipe
        for _ in range(recipe.critic_steps - 1):
            pairs = own.pairs()
            with torch.no_grad():
                cleaned = own.clean(pairs)
            self._criticise(pairs.clean, cleaned)
        pairs = own.pairs()
        cleaned = own.clean(pairs)
        values = self._criticise(pairs.clean, cleaned.detach())
        with losses.frozen(self.critic), own.precision():
            features = self.critic.features(cleaned)
            with torch.no_grad():
                wanted = self.critic.features(pairs.clean)
            score = self.critic.score(features[-1]).mean(dim=(1, 2, 3)).float()
        parts = {
            "adversarial": -self._truncated(score).mean(),
            "pixel": functional.mse_loss(cleaned, pairs.clean),
            "feature": torch.stack(
                [functional.mse_loss(f.float(), w.float()) for f, w in zip(features, wanted, strict=True)]
            ).mean(),
            "smoothness": losses.smoothness(cleaned),
        }
        loss = torch.stack([getattr(recipe, name) * part for name, part in parts.items()]).sum()
        own.step(loss, self.rate(step), step)
        return {**values, **{name: part.detach() for name, part in parts.items()}}

    def _truncated(self, score: Tensor) -> Tensor:
        return score.clamp(-self.recipe.truncation, self.recipe.truncation)

    def _criticise(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        own = self.own
        assert own.shared_judge is not None
        assert own.judge_adam is not None
        mix = own.draws.uniform(0, 1, len(real), 1, 1, 1)
        with own.precision():
            scores: Tensor = own.shared_judge(torch.cat([real, fake])).float()
        on_real, on_fake = self._truncated(scores).chunk(2)
        plain = losses.wasserstein_critic(on_real, on_fake)
        loss = plain + self.recipe.penalty * losses.interpolation_penalty(self.critic, real, fake, mix)
        own.judge_adam.zero_grad()
        loss.backward()
        own.judge_adam.step()
        return {"critic": plain.detach()}


class Reconstruction(_Stage):
    """Pre-training of the autoencoder: mean squared error alone."""

    name = "autoencoder"

    def __init__(self, parts: DirectParts, recipe: AutoencoderRecipe) -> None:
        super().__init__(parts)
        self.steps = recipe.pretraining

    def rate(self, step: int) -> float:
        """Learning rate of the denoiser: constant after its rise."""
        return warmed_up(self.own.config.rate, step)

    def update(self, step: int) -> dict[str, Tensor]:
        """Update the denoiser; return its loss."""
        pairs = self.own.pairs()
        loss = functional.mse_loss(self.own.clean(pairs), pairs.clean)
        self.own.step(loss, self.rate(step), step)
        return {"pixel": loss.detach()}


class Judging(_Stage):
    """Pre-training of the discriminator: clean or denoised."""

    name = "discriminator"

    def __init__(self, parts: DirectParts, recipe: AutoencoderRecipe) -> None:
        super().__init__(parts)
        self.recipe = recipe
        self.first, self.steps = recipe.pretraining, recipe.judge_pretraining

    def rate(self, step: int) -> float:  # noqa: ARG002 - constant
        """Learning rate of the discriminator."""
        return self.recipe.judge_rate

    def update(self, step: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Update the discriminator; return its loss."""
        pairs = self.own.pairs()
        with torch.no_grad():
            cleaned = self.own.clean(pairs)
        return self.judge(pairs.clean, cleaned)

    def judge(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Update the discriminator on clean and denoised tiles, with targets a little off 1 and 0."""
        own = self.own
        assert own.shared_judge is not None
        assert own.judge_adam is not None
        with own.precision():
            logits: Tensor = own.shared_judge(torch.cat([real, fake])).float()
        off = own.draws.uniform(0, self.recipe.label_noise, len(logits))
        target = torch.cat([1 - off[: len(real)], off[len(real) :]])
        loss = functional.binary_cross_entropy_with_logits(logits, target)
        own.judge_adam.zero_grad()
        loss.backward()
        own.judge_adam.step()
        return {"discriminator": loss.detach()}


class AdversarialAutoencoder(Judging):
    """n updates of the discriminator, m of the denoiser by squared error and cross-entropy."""

    name = "train"

    def __init__(self, parts: DirectParts, recipe: AutoencoderRecipe) -> None:
        super().__init__(parts, recipe)
        self.first, self.steps = recipe.pretraining + recipe.judge_pretraining, parts.config.steps

    def rate(self, step: int) -> float:
        """Learning rate of the denoiser."""
        return learning_rate(self.own.config.rate, step, self.steps)

    def update(self, step: int) -> dict[str, Tensor]:
        """Update both networks; return the last losses."""
        values: dict[str, Tensor] = {}
        for _ in range(self.recipe.judge_steps):
            values |= super().update(step)
        for _ in range(self.recipe.denoiser_steps):
            values |= self._denoise(step)
        return values

    def _denoise(self, step: int) -> dict[str, Tensor]:
        own = self.own
        assert own.judge is not None
        pairs = own.pairs()
        cleaned = own.clean(pairs)
        pixel = functional.mse_loss(cleaned, pairs.clean)
        with losses.frozen(own.judge), own.precision():
            deceived = losses.bce_generator(own.judge(cleaned).float())
        own.step(pixel + self.recipe.adversarial * deceived, self.rate(step), step)
        return {"pixel": pixel.detach(), "adversarial": deceived.detach()}


class Testing(_Stage):
    """A held-out image a step, all of its tiles in order: the averaged network is scored, nothing is trained."""

    name = "test"

    def __init__(self, parts: DirectParts) -> None:
        super().__init__(parts)
        stages = parts.config.stages
        self.steps = stages[self.name]
        self.first = sum(stages.values()) - self.steps
        self.scores: list[float] = []

    def rate(self, step: int) -> float:  # noqa: ARG002
        """Nothing is learnt."""
        return 0.0

    def update(self, step: int) -> dict[str, Tensor]:
        """Score an image; return its PSNR, dB."""
        # A run that was resumed begins with the first image again.
        while len(self.scores) <= step:
            self.scores.append(self._score(len(self.scores)))
        return {"PSNR": torch.tensor(self.scores[step])}

    def mean(self) -> float:
        """Mean PSNR of the images so far, dB."""
        return sum(self.scores) / len(self.scores)

    @torch.no_grad()
    def _score(self, number: int) -> float:
        own = self.own
        tiles = own.supply.held_out_image(number)
        # The same noise in each run of a config.
        pairs = Exposure(own.config, Draws(own.config.seed + number, own.draws.device)).expose(tiles)
        batches = zip(*(part.split(own.batch) for part in (pairs.noisy, pairs.strength, pairs.grain)), strict=True)
        return peak_signal_noise_ratio(torch.cat([own.mean(*batch) for batch in batches]), pairs, own.config)
