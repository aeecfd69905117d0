"""Train a latent GAN: configuration, recipes, loop and checkpoints."""

from __future__ import annotations

from napari_gandenoise.training.config import RECIPE_VALUES, TrainConfig
from napari_gandenoise.training.loop import train_steps
from napari_gandenoise.training.validation import TrainPreview

__all__ = ["RECIPE_VALUES", "TrainConfig", "TrainPreview", "train_steps"]
