"""The stage that trains a sampler: draws of what an image could be, against a critic, beside a frozen denoiser."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_gandenoise.models.critics import PosteriorCritic
from napari_gandenoise.models.denoisers import UNet
from napari_gandenoise.models.sampler import Sampler
from napari_gandenoise.settings.train import PosteriorGanRecipe
from napari_gandenoise.training import losses
from napari_gandenoise.training.direct.adversarial import as_long_as
from napari_gandenoise.training.direct.exposure import Pairs
from napari_gandenoise.training.direct.parts import DirectParts, unknown_if_estimated
from napari_gandenoise.training.direct.stages import DirectStage
from napari_gandenoise.training.draws import Draws
from napari_gandenoise.training.schedule import learning_rate

__all__ = ["MANY", "WANTED", "Drawn", "PosteriorSampling", "Steering", "draw", "gained"]

PAIR = 2  # draws of each image in training
MANY = 8  # draws of which the mean is judged
WANTED = 10 * math.log10(2 / (1 + 1 / MANY))  # dB by which the mean of so many exact samples beats one of them: 2.50
# Of the standard deviation of a pair: right for Gaussian posteriors (Bendel et al. 2023, section 3.2).
BETA = math.sqrt(2 / (math.pi * PAIR * (PAIR + 1)))
DEVIATION = math.sqrt(math.pi) / 2  # of two numbers: expected from half their absolute difference, if Gaussian, twice
STEERED, FARTHEST = 0.003, math.log(4.0)  # a step's turn of the logarithm of beta a dB, and how far that may go
REMEMBERED = 0.97  # of spread and error, whenever images of that strength are met
STRENGTHS, STRENGTH_STEP = 8, 0.25  # how many are told apart, and decades from one to the next
LEAST_STRENGTH = 1e-3


class Drawn(NamedTuple):
    """Images that were cleaned, and draws of what they could be.

    Attributes
    ----------
    cleaned : Tensor
        ``(N, C, H, W)``.
    images : Tensor
        ``(P, N, C, H, W)``.
    """

    cleaned: Tensor
    images: Tensor


class Steering(nn.Module):
    """How much the spread of draws counts, so that their mean gains what that of exact samples does, at each strength.

    What a critic asks of an image differs with the noise, and so does the weight that holds against it.
    """

    turned: Tensor
    error: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("turned", "error", "spread"):
            self.register_buffer(name, torch.zeros(STRENGTHS))

    def beta(self, pairs: Pairs) -> Tensor:
        """Return the weight of the standard deviation of two draws, for images ``(N, 1, 1, 1)``."""
        return BETA * self.turned[_strengths(pairs)].exp().view(-1, 1, 1, 1)

    @torch.no_grad()
    def look(self, drawn: Tensor, pairs: Pairs) -> Tensor:
        """Look at a pair of draws ``(2, N, C, H, W)``; return what the mean of eight gains, dB, over all strengths."""
        unit, which = _unit(pairs), _strengths(pairs)
        spread = (drawn[0] - drawn[1]).square().div(2 * unit).mean(dim=(1, 2, 3))
        # Half of the spread is in the error of the mean of two.
        error = (drawn.mean(0) - pairs.clean).square().div(unit).mean(dim=(1, 2, 3)) - spread / 2
        met = which.unique()
        for kept, seen in ((self.spread, spread), (self.error, error)):
            now = torch.zeros_like(kept).scatter_reduce_(0, which, seen, "mean", include_self=False)[met]
            before = kept[met]
            kept[met] = torch.where(before == 0, now, REMEMBERED * before + (1 - REMEMBERED) * now)
        gains = gained(self.error, self.spread)
        turned = self.turned[met] + STEERED * (WANTED - gains[met])
        self.turned[met] = turned.clamp(-FARTHEST, FARTHEST)
        return gains[self.spread > 0].mean()


def _strengths(pairs: Pairs) -> Tensor:
    """Return to which strength each image's noise belongs, ``(N,)``, of quarters of a decade up to one."""
    decades = _unit(pairs).log10().flatten() / STRENGTH_STEP
    return (decades.floor() + STRENGTHS).clamp(0, STRENGTHS - 1).long()


def gained(error: Tensor, spread: Tensor) -> Tensor:
    """Return what the mean of `MANY` draws gains on one, dB.

    Parameters
    ----------
    error, spread : Tensor
        Mean squared error of what the mean of all draws would be, and mean squared distance of a draw from that.
    """
    error = error.clamp(min=1e-12)
    return 10 * ((error + spread) / (error + spread / MANY)).log10()


def draw(
    network: UNet, sampler: Sampler, pairs: Pairs, count: int, draws: Draws, shared: nn.Module | None = None
) -> Drawn:
    """Draw images.

    Parameters
    ----------
    network : UNet
        The denoiser.
    sampler : Sampler
        The branch.
    pairs : Pairs
        Noisy images.
    count : int
        Draws of each.
    draws : Draws
        Source of the noise.
    shared : nn.Module, optional
        What stands for the branch where several processes train it.
    """
    with torch.no_grad():
        code, _ = network.encode(pairs.noisy, unknown_if_estimated(network, pairs), pairs.grain)
        cleaned, features = network.decode(code)
    noise = [draws.normal(count * len(cleaned), *shape) for shape in sampler.shapes(*pairs.noisy.shape[2:])]
    apart = (shared or sampler)(network, code, cleaned, features, noise).float()
    return Drawn(cleaned.float(), cleaned.float() + apart.view(count, *cleaned.shape))


class PosteriorSampling(DirectStage):
    """The mean of two draws near the truth, the two apart from each other, and a critic that tells draw from truth.

    The first two parts are the regularisation of Bendel et al. (2023), equations 8 to 11, weight of the second steered
    (section 3.3 there, by another rule); the third is that of
    `napari_gandenoise.training.direct.adversarial.RelativisticRestoration`, whose gradient at each draw likewise has a
    fixed length relative to that of the others.
    """

    def __init__(self, parts: DirectParts, recipe: PosteriorGanRecipe) -> None:
        super().__init__(parts)
        assert isinstance(parts.judge, PosteriorCritic)
        assert isinstance(parts.network, UNet)
        assert parts.branch is not None
        assert isinstance(parts.branch.steering, Steering)
        self.recipe, self.critic, self.network = recipe, parts.judge, parts.network
        self.sampler, self.steering = parts.branch.sampler, parts.branch.steering

    def update(self, step: int) -> dict[str, Tensor]:
        """Update critic and sampler; return their losses and what tells a collapse."""
        self.keep_time(step)
        own = self.own
        pairs = own.pairs()
        with own.precision():
            drawn = draw(self.network, self.sampler, pairs, PAIR, own.draws, own.shared)
        critic, margin = self._criticise(pairs, drawn, step)
        images = drawn.images.detach().requires_grad_(True)
        regular = self._regular(images, pairs)
        (wanted,) = torch.autograd.grad(regular, images)
        flattered, adversarial = self._flattered(images, drawn.cleaned, pairs)
        balanced = as_long_as(flattered.flatten(0, 1), wanted.flatten(0, 1)).view_as(wanted)
        gradient = wanted + self.recipe.adversarial * balanced
        own.step((gradient * drawn.images).sum(), self.rate(step), step)
        gain = self.steering.look(images.detach(), pairs)
        return {
            "loss": regular.detach(),
            "adversarial": adversarial,
            "critic": critic,
            "critic's margin": margin,
            "mean of 8, dB": gain,
            "beta": self.steering.beta(pairs).mean(),
        }

    def _regular(self, images: Tensor, pairs: Pairs) -> Tensor:
        """Absolute error of the mean of two draws less a share of their standard deviation, a pixel."""
        weight = _unit(pairs).rsqrt()
        error = (weight * (images.mean(0) - pairs.clean).abs()).mean()
        weight = weight * self.steering.beta(pairs)
        deviation = DEVIATION * (weight * (images[0] - images[1]).abs()).mean()
        return error - deviation

    def _flattered(self, images: Tensor, cleaned: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Return the gradient at each draw of what the critic says of it, and the loss."""
        drawn = images.flatten(0, 1)
        with losses.frozen(self.critic), self.own.precision():
            told = [part.repeat(PAIR, 1, 1, 1) for part in (cleaned, pairs.noisy, pairs.strength)]
            on_drawn = self.critic(drawn, *told).float()
            with torch.no_grad():
                on_clean = self.critic(pairs.clean, cleaned, pairs.noisy, pairs.strength).float()
        loss = losses.relativistic(on_drawn, on_clean.repeat(PAIR, 1, 1, 1))
        (gradient,) = torch.autograd.grad(loss, images)
        return gradient, loss.detach()

    def _criticise(self, pairs: Pairs, drawn: Drawn, step: int) -> tuple[Tensor, Tensor]:
        """Update the critic by the first of the draws; return its loss without penalties, and its scores' distance."""
        own = self.own
        assert own.shared_judge is not None
        assert own.judge_adam is not None
        own.judge_adam.param_groups[0]["lr"] = learning_rate(self.recipe.critic_rate, step, self.steps)
        fake, told = drawn.images[0].detach(), (drawn.cleaned, pairs.noisy, pairs.strength)
        with own.precision():
            both = [part.repeat(2, 1, 1, 1) for part in told]
            scores: Tensor = own.shared_judge(torch.cat([pairs.clean, fake]), *both).float()
        real_score, fake_score = scores.chunk(2)
        compared = losses.relativistic(real_score, fake_score)
        penalties = [self._penalty(images, pairs, drawn.cleaned) for images in (pairs.clean, fake)]
        loss = compared + 0.5 * self.recipe.penalty * torch.stack(penalties).sum()
        own.judge_adam.zero_grad()
        loss.backward()
        own.judge_adam.step()
        return compared.detach(), (real_score - fake_score).mean().detach()

    def _penalty(self, images: Tensor, pairs: Pairs, cleaned: Tensor) -> Tensor:
        """Mean squared gradient norm of the critic's scores at the images, a patch, in units of the noise."""
        patches = 0
        unit = pairs.strength.clamp(min=LEAST_STRENGTH)

        def scores(relative: Tensor) -> Tensor:
            nonlocal patches
            found: Tensor = self.critic(cleaned + relative * unit, cleaned, pairs.noisy, pairs.strength)
            patches = found[0].numel()
            return found

        return losses.zero_centred_penalty(scores, (images - cleaned) / unit) / patches


def _unit(pairs: Pairs) -> Tensor:
    """Return the strength of each image's noise, about what squared errors grow with."""
    return functional.adaptive_avg_pool2d(pairs.strength, 1).clamp(min=LEAST_STRENGTH)
