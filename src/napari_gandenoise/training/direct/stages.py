"""The stages that train direct denoisers."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_gandenoise.models.critics import Critic, PatchCritic
from napari_gandenoise.models.denoisers import Denoiser, UNet
from napari_gandenoise.settings.train import (
    AutoencoderRecipe,
    DirectTrainConfig,
    RestorationGanRecipe,
    SupervisedRecipe,
    WassersteinRecipe,
)
from napari_gandenoise.training import losses
from napari_gandenoise.training.clock import Clock
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
    "RelativisticRestoration",
    "Supervised",
    "Testing",
    "Wasserstein",
    "unknown_if_estimated",
]

LARGEST_GRADIENT = 1.0
ESTIMATE = 0.1  # weight of the estimate's loss: no matter for its own weights under Adam, but for the longest gradient
UNKNOWN = 10**9  # steps
LEAST_STRENGTH = 1e-3  # of the scale of an image
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
    supply, exposure, draws, clock, ranks
        Tiles, their noise, random numbers, the time, and the processes that share the work.
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
    ) -> None:
        self.config, self.network, self.mean, self.judge = config, network, mean, judge
        self.supply, self.exposure, self.draws, self.clock = supply, exposure, draws, clock
        self.batch = ranks.share(config.batch)
        self.estimates = isinstance(network, UNet) and network.estimator is not None
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
        """Update the denoiser and its average."""
        self.optimiser.param_groups[0]["lr"] = rate
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()
        follow(self.mean, self.network, self.config.average, step)


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


class _Stage:
    """A stage with the schedule of all.

    Parameters
    ----------
    parts : DirectParts
        What stages share.
    first : int
        Steps of the run before it.
    """

    name = "train"
    times: tuple[float, float] | None = (0.0, 1.0)  # shares of the run's seconds; None: steps decide in any case

    def __init__(self, parts: DirectParts, first: int = 0) -> None:
        self.own = parts
        self.first = first
        self.steps = self._planned()

    def _planned(self) -> int:
        clock = self.own.clock
        if self.name in clock.ended:
            return clock.ended[self.name]
        # Of a stage that ends with its seconds nobody knows before its first step, least when it is resumed.
        return UNKNOWN if clock.seconds is not None and self.times is not None else self.own.config.stages[self.name]

    def rate(self, step: int) -> float:
        """Learning rate of the denoiser."""
        return learning_rate(self.own.config.rate, step, self.steps)

    def keep_time(self, step: int) -> None:
        """In a run that has so many seconds, expect as many steps as they will hold, and end with this one at last."""
        clock = self.own.clock
        if clock.seconds is None or self.times is None:
            return
        share = clock.share(*self.times)
        if share < 1:
            self.steps = max(step + 2, round((step + 1) / max(share, 1e-3)))
        else:
            self.steps = clock.ended[self.name] = step + 1


class Supervised(_Stage):
    """Noisy and clean tiles: the network is to turn one into the other."""

    def __init__(self, parts: DirectParts, recipe: SupervisedRecipe, until: float = 1.0) -> None:
        super().__init__(parts)
        self.recipe = recipe
        self.times = (0.0, until)

    def update(self, step: int) -> dict[str, Tensor]:
        """Update the denoiser; return its losses."""
        self.keep_time(step)
        pairs = self.own.pairs()
        cleaned, estimate = self.own.clean_and_estimate(pairs)
        loss = likelihood_loss(cleaned, pairs) if self.recipe.loss == "poisson" else pixel_loss(cleaned, pairs)
        self.own.step(loss if estimate is None else loss + ESTIMATE * estimate, self.rate(step), step)
        return _losses(loss=loss, estimate=estimate)


class RelativisticRestoration(_Stage):
    """Squared error, and a patch critic that compares the restored image with the clean one beside the noisy one.

    The relativistic pairing loss of Jolicoeur-Martineau, "The relativistic discriminator" (2018), with the zero-centred
    penalties on clean and on restored images of Huang et al., "The GAN is dead; long live the GAN!" (2024), equations
    2 and 5, patch by patch (`napari_gandenoise.models.critics.PatchCritic`).  The critic's gradient at each restored
    image is given a fixed length relative to that of the squared error (Esser, Rombach, Ommer, "Taming transformers"
    (2021), equation 7, balance gradients in the same way).  Where both are in balance the image is off the least
    squared error by at most that share of the error: squared errors add up to ``1 + share²``, and 0.15 costs at most
    0.1 dB.
    """

    name = "adversarial"

    def __init__(self, parts: DirectParts, recipe: RestorationGanRecipe, first: int) -> None:
        super().__init__(parts, first)
        assert isinstance(parts.judge, PatchCritic)
        self.recipe, self.critic = recipe, parts.judge
        self.times = (1 - recipe.share, 1.0)

    def rate(self, step: int) -> float:
        """Learning rate of the denoiser."""
        return learning_rate(self.recipe.rate, step, self.steps)

    def update(self, step: int) -> dict[str, Tensor]:
        """Update critic and denoiser; return their losses."""
        self.keep_time(step)
        own = self.own
        pairs = own.pairs()
        cleaned, estimate = own.clean_and_estimate(pairs)
        critic = self._criticise(pairs, cleaned.detach(), step)
        # By themselves at first: only their gradients at the image meet, in the proportion that the recipe says.
        image = cleaned.detach().requires_grad_(True)
        pixel = pixel_loss(image, pairs)
        with losses.frozen(self.critic), own.precision():
            scores = self.critic(torch.cat([image, pairs.clean]), pairs.noisy.repeat(2, 1, 1, 1)).float()
        adversarial = losses.relativistic(*scores.chunk(2))
        (wanted,), (flattered,) = (torch.autograd.grad(part, image, retain_graph=True) for part in (pixel, adversarial))
        gradient = wanted + self.recipe.adversarial * _as_long_as(flattered, wanted)
        loss = (gradient.detach() * cleaned).sum()
        own.step(loss if estimate is None else loss + ESTIMATE * estimate, self.rate(step), self.first + step)
        return _losses(loss=pixel, adversarial=adversarial, critic=critic, estimate=estimate)

    def _criticise(self, pairs: Pairs, restored: Tensor, step: int) -> Tensor:
        """Update the critic; return its loss without the penalties."""
        own = self.own
        assert own.shared_judge is not None
        assert own.judge_adam is not None
        own.judge_adam.param_groups[0]["lr"] = learning_rate(self.recipe.critic_rate, step, self.steps)
        with own.precision():
            scores: Tensor = own.shared_judge(
                torch.cat([pairs.clean, restored]), pairs.noisy.repeat(2, 1, 1, 1)
            ).float()
        compared = losses.relativistic(*scores.chunk(2))
        penalties = [self._penalty(images, pairs.noisy) for images in (pairs.clean, restored)]
        loss = compared + 0.5 * self.recipe.penalty * torch.stack(penalties).sum()
        own.judge_adam.zero_grad()
        loss.backward()
        own.judge_adam.step()
        return compared

    def _penalty(self, images: Tensor, noisy: Tensor) -> Tensor:
        """Mean squared gradient norm of the critic's scores at the images, a patch."""
        patches = 0

        def scores(images: Tensor) -> Tensor:
            nonlocal patches
            found: Tensor = self.critic(images, noisy)
            patches = found[0].numel()
            return found

        return losses.zero_centred_penalty(scores, images) / patches


def unknown_if_estimated(network: Denoiser, pairs: Pairs) -> Tensor:
    """Return the strengths that a network is told: none, if it estimates them by itself."""
    return torch.full_like(pairs.grain, torch.nan) if "estimated" in network.conditions else pairs.strength


def _as_long_as(gradient: Tensor, other: Tensor) -> Tensor:
    """Stretch each image's gradient to the length of another."""
    lengths = [part.square().sum(dim=(1, 2, 3), keepdim=True).sqrt() for part in (gradient, other)]
    return gradient * lengths[1] / lengths[0].clamp(min=1e-20)


def _losses(**values: Tensor | None) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in values.items() if value is not None}


def estimate_loss(estimated: Tensor, pairs: Pairs) -> Tensor:
    """Mean absolute error of estimated logarithms, as `NoiseEstimator` makes them."""
    strength = (estimated[:, :1] - pairs.strength.clamp(min=LEAST_STRENGTH).log()).abs().mean()
    shared = (estimated[:, 1:] - pairs.correlation.log()[..., None, None]).abs().mean()
    return strength + shared


def pixel_loss(cleaned: Tensor, pairs: Pairs) -> Tensor:
    """Mean squared error, each image's over the strength of its noise.

    Errors grow about like the square root of the strength, so that images of all doses have a say.
    """
    error = (cleaned - pairs.clean).square().mean(dim=(1, 2, 3), keepdim=True)
    return (error / pairs.strength.mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3)).mean()


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
        self.keep_time(step)
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
    times = None

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
    times: tuple[float, float] | None = None

    def __init__(self, parts: DirectParts, recipe: AutoencoderRecipe, first: int) -> None:
        super().__init__(parts, first)
        self.recipe = recipe

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
    times = (0.0, 1.0)

    def rate(self, step: int) -> float:
        """Learning rate of the denoiser."""
        return learning_rate(self.own.config.rate, step, self.steps)

    def update(self, step: int) -> dict[str, Tensor]:
        """Update both networks; return the last losses."""
        self.keep_time(step)
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
    times = None

    def __init__(self, parts: DirectParts, first: int) -> None:
        super().__init__(parts, first)
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
        told = unknown_if_estimated(own.mean, pairs)
        batches = zip(*(part.split(own.batch) for part in (pairs.noisy, told, pairs.grain)), strict=True)
        return peak_signal_noise_ratio(torch.cat([own.mean(*batch) for batch in batches]), pairs, own.config)
