"""Train latent GANs and direct denoisers: configuration, recipes, loop and checkpoints."""

from __future__ import annotations

from napari_gandenoise.training.loop import train_steps
from napari_gandenoise.training.programme import TrainPreview

__all__ = [
    "TrainPreview",
    "train_steps",
]
