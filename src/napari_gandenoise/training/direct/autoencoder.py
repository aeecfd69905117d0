"""Stages of the autoencoder that is trained against a discriminator."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.settings.train import AutoencoderRecipe
from napari_gandenoise.training import losses
from napari_gandenoise.training.direct.parts import DirectParts
from napari_gandenoise.training.direct.stages import DirectStage
from napari_gandenoise.training.schedule import learning_rate, warmed_up

__all__ = ["AdversarialAutoencoder", "Judging", "Reconstruction"]


class Reconstruction(DirectStage):
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


class Judging(DirectStage):
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
