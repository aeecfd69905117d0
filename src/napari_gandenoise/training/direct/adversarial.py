"""Stages in which a critic has a say."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.models.critics import Critic, PatchCritic
from napari_gandenoise.settings.train import RestorationGanRecipe, WassersteinRecipe
from napari_gandenoise.training import losses
from napari_gandenoise.training.direct.exposure import Pairs
from napari_gandenoise.training.direct.objectives import pixel_loss
from napari_gandenoise.training.direct.parts import DirectParts
from napari_gandenoise.training.direct.stages import ESTIMATE, DirectStage, detached
from napari_gandenoise.training.schedule import learning_rate

__all__ = ["RelativisticRestoration", "Wasserstein", "as_long_as"]


class RelativisticRestoration(DirectStage):
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
        gradient = wanted + self.recipe.adversarial * as_long_as(flattered, wanted)
        loss = (gradient.detach() * cleaned).sum()
        own.step(loss if estimate is None else loss + ESTIMATE * estimate, self.rate(step), self.first + step)
        return detached(loss=pixel, adversarial=adversarial, critic=critic, estimate=estimate)

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


def as_long_as(gradient: Tensor, other: Tensor) -> Tensor:
    """Stretch each image's gradient to the length of another."""
    lengths = [part.square().sum(dim=(1, 2, 3), keepdim=True).sqrt() for part in (gradient, other)]
    return gradient * lengths[1] / lengths[0].clamp(min=1e-20)


class Wasserstein(DirectStage):
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
