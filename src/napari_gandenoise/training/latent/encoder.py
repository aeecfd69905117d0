"""The second stage of a run: an encoder that learns from the finished generator's own samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_gandenoise.datasets.tiles import Tiles
from napari_gandenoise.settings.train import TrainConfig
from napari_gandenoise.training import losses
from napari_gandenoise.training.distributed import Ranks
from napari_gandenoise.training.draws import Draws
from napari_gandenoise.training.latent.trainee import LARGEST_GRADIENT, LatentStage, Trainee
from napari_gandenoise.training.supply import Supply

__all__ = ["EncoderStage"]


class EncoderStage(LatentStage):
    """Latents from the prior are rendered by the averaged generator and exposed; the encoder is to find them again.

    Level and contrast of the samples are those of real tiles.  The loss is the negative log-likelihood of the latents;
    for the uniform prior what the encoder proposes is to be clamped to [-1, 1].  Parameters are those of `LatentStage`.
    """

    name = "encoder"

    def __init__(self, config: TrainConfig, trainee: Trainee, supply: Supply, draws: Draws, ranks: Ranks) -> None:
        super().__init__(config, trainee, supply, draws, ranks)
        self.steps = config.encoder_steps
        self.first = config.steps
        self.encoder = ranks.wrap(trainee.encoder, draws.device)

    def update(self, step: int) -> dict[str, Tensor]:
        """Update the encoder; return its loss, nats a latent."""
        adam = self.trainee.encoder_adam
        adam.param_groups[0]["lr"] = self.rate(step)
        real = self.supply.draw(self.batch)
        latents = self.latents()
        with torch.no_grad(), self.precision():
            template = self.trainee.mean_generator(latents).float() * self.exposer.inside
        noisy, amplitude, _ = self.exposer.expose(Tiles(template, real.mean, real.contrast))
        with self.precision():
            mean, log_variance = self.encoder(noisy, amplitude)
        loss = losses.latent_loss(latents, mean.float(), log_variance.float())
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(adam.param_groups[0]["params"], LARGEST_GRADIENT)
        adam.step()
        self.trainee.follow_encoder(step)
        return {"encoder": loss.detach()}
