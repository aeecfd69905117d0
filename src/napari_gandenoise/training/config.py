"""The configuration of a training run, from YAML, the CLI or Python."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_gandenoise.models.networks import Architecture

__all__ = ["TrainConfig"]


class TrainConfig(BaseModel):
    """A latent GAN training run.

    The recipe ``bce`` is the microscopy study's (binary cross-entropy, real targets 0.9, two time scales); ``stable``
    is the relativistic pairing loss with zero-centred gradient penalties and an averaged generator.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the model.")
    description: str = Field("", description="What the images show; stored in the model file.")
    data: Path = Field(description="Simulated set (Zarr) to train on.")
    output: Path = Field(description="Folder for checkpoints and the finished model.")
    architecture: Architecture = Architecture(principal=True)
    pixel_size_nm: float = Field(0.0244, gt=0, description="Pixel size of the model, nm.")
    recipe: Literal["stable", "bce"] = "stable"
    steps: int = Field(20_000, ge=1, description="Training steps; the learning rates fall to zero at the last.")
    batch: int = Field(48, ge=2, description="Tiles a step.")
    generator_rate: float = Field(5e-4, gt=0, description="Learning rate of generator and encoder.")
    discriminator_rate: float = Field(2e-4, gt=0, description="Learning rate of the discriminator.")
    adversarial_weight: float = Field(0.02, ge=0, description="Weight of the adversarial beside the evidence loss.")
    adversarial_every: int = Field(2, ge=1, description="Adversarial part on every n-th step.")
    penalty: float = Field(1.0, ge=0, description="Weight of the zero-centred gradient penalties (stable recipe).")
    encoder: bool = Field(True, description="Train an encoder with the generator on the evidence lower bound.")
    dose: tuple[float, float] = Field(
        (1.0, 1100.0), description="Electrons per model pixel, log-uniform, for the encoder."
    )
    average: float = Field(0.999, ge=0, lt=1, description="Decay of the averaged generator and encoder.")
    pool: int = Field(60_000, ge=64, description="Tiles held in memory.")
    fresh: int = Field(6, ge=1, description="New tiles a step.")
    held_out: int = Field(40, ge=1, description="First images of the set, kept for validation.")
    checkpoint_every: int = Field(500, ge=1, description="Steps between checkpoints.")
    seed: int = Field(0, ge=0)
