"""Train latent GANs and direct denoisers: configuration, recipes, loop and checkpoints."""

from __future__ import annotations

from napari_gandenoise.training.config import RECIPE_VALUES, TrainConfig
from napari_gandenoise.training.direct_config import DirectTrainConfig
from napari_gandenoise.training.loop import AnyTrainConfig, read_training, train_steps
from napari_gandenoise.training.validation import TrainPreview

__all__ = [
    "RECIPE_VALUES",
    "AnyTrainConfig",
    "DirectTrainConfig",
    "TrainConfig",
    "TrainPreview",
    "read_training",
    "train_steps",
]
