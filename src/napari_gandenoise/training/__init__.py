"""Train a latent GAN: configuration, losses, loop and checkpoints."""

from __future__ import annotations

from napari_gandenoise.training.config import TrainConfig
from napari_gandenoise.training.loop import train_steps

__all__ = ["TrainConfig", "train_steps"]
