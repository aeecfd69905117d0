"""The configuration of a training run, from YAML, the CLI, the Train panel or Python."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from napari_gandenoise.datasets.config import AnyData, TileConfig
from napari_gandenoise.models.networks import Architecture

__all__ = ["RECIPE_VALUES", "EncoderMode", "Recipe", "RunConfig", "TrainConfig"]

Recipe = Literal["stable", "bce", "wgan-gp"]
EncoderMode = Literal["evidence", "samples", "none"]

# What a recipe has instead of the fields' defaults where nothing is given: five critic steps and weight 10 are those of
# Gulrajani et al. 2017, algorithm 1; the study's bce exports the networks as they are, without an average.
RECIPE_VALUES: Mapping[str, Mapping[str, Any]] = {
    "wgan-gp": {"critic_steps": 5, "penalty": 10.0, "generator_rate": 2e-4},
    "bce": {"average": 0.0},
}
PER_LATENT = 40  # tiles for each latent before training begins: enough for principal components


class RunConfig(BaseModel):
    """What all training runs have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=80, description="Name of the model.")
    description: str = Field("", max_length=2000, description="What the images show; stored in the model file.")
    data: AnyData = Field(description="Where the images come from.")
    output: Path = Field(description="Folder for checkpoints, history and the finished model.")
    tiles: TileConfig = TileConfig()
    pixel_size_nm: float | None = Field(
        None, gt=0, description="Pixel size of the model, nm; by default that of the images."
    )
    steps: int = Field(20_000, ge=1, description="Training steps; the learning rates fall to zero at the last.")
    batch: int = Field(48, ge=2, description="Tiles a step.")
    dose: tuple[float, float] = Field(
        (1.0, 1100.0), description="Electrons per model pixel at intensity 1, log-uniform, of noisy tiles."
    )
    average: float = Field(
        0.999,
        ge=0,
        lt=1,
        description="Decay of the networks' average, which is exported; 0: the networks themselves.",
    )
    pool: int = Field(20_000, ge=64, description="Tiles held in memory.")
    fresh: int = Field(6, ge=1, description="New tiles a step.")
    workers: int = Field(0, ge=0, description="Processes that cut tiles; 0 cuts them between steps.")
    held_out: int = Field(40, ge=1, description="First images of the set, kept for validation.")
    validate_every: int = Field(1000, ge=1, description="Steps between validations.")
    checkpoint_every: int = Field(500, ge=1, description="Steps between checkpoints.")
    keep_checkpoints: int = Field(2, ge=1, description="Checkpoints kept, the latest ones.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    half_precision: bool = Field(True, description="bfloat16 for networks where the processor is faster in it.")
    seed: int = Field(0, ge=0)

    @field_validator("dose")
    @classmethod
    def _doses(cls, dose: tuple[float, float]) -> tuple[float, float]:
        if dose[0] > dose[1] or dose[0] <= 0:
            raise ValueError(f"two positive numbers, the smaller first, got {dose}.")
        return dose

    @model_validator(mode="after")
    def _grey_if_oriented(self) -> RunConfig:
        if self.tiles.pose == "oriented" and self.channels != 1:
            raise ValueError("Tiles of several channels cannot be oriented: set tiles.pose to upright.")
        return self

    @property
    @abstractmethod
    def size(self) -> int:
        """Tile side, pixels."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Image channels."""

    @property
    @abstractmethod
    def tiles_to_begin(self) -> int:
        """Tiles wanted in the pool before the first step."""

    @property
    @abstractmethod
    def stages(self) -> dict[str, int]:
        """Steps of each stage, in order."""


class TrainConfig(RunConfig):
    """A latent GAN training run.

    Recipes: ``stable`` is the relativistic pairing loss with zero-centred gradient penalties; ``bce`` the microscopy
    study's (binary cross-entropy, real targets 0.9, two time scales); ``wgan-gp`` the Wasserstein distance with a
    gradient penalty.  Fields that are not given take the recipe's own value where `RECIPE_VALUES` has one.
    """

    architecture: Architecture = Architecture(principal=True)
    prior: Literal["normal", "uniform"] = Field("normal", description="Latents are N(0, 1) or uniform on [-1, 1].")
    recipe: Recipe = "stable"
    generator_rate: float = Field(5e-4, gt=0, description="Learning rate of generator and encoder.")
    discriminator_rate: float = Field(2e-4, gt=0, description="Learning rate of the discriminator.")
    adversarial_weight: float = Field(
        1.0, ge=0, description="Weight of the adversarial loss beside the evidence loss, if there is one."
    )
    adversarial_every: int = Field(1, ge=1, description="Adversarial part on every n-th step.")
    critic_steps: int = Field(1, ge=1, description="Discriminator updates for each update of the generator.")
    penalty: float = Field(1.0, ge=0, description="Weight of the gradient penalties (stable and wgan-gp).")
    encoder: EncoderMode = Field(
        "samples",
        description="Train an encoder with the generator on the evidence lower bound, after it on the generator's own "
        "samples, or not at all.",
    )
    encoder_steps: int = Field(2_000, ge=1, description="Steps of an encoder trained on samples.")

    @property
    def size(self) -> int:
        """Tile side, pixels."""
        return self.architecture.size

    @property
    def channels(self) -> int:
        """Image channels."""
        return self.architecture.channels

    @property
    def tiles_to_begin(self) -> int:
        """Tiles wanted in the pool before the first step: principal components need several for each latent."""
        return PER_LATENT * self.architecture.latent

    @property
    def stages(self) -> dict[str, int]:
        """Steps of each stage, in order."""
        return {"train": self.steps} | ({"encoder": self.encoder_steps} if self.encoder == "samples" else {})

    @model_validator(mode="before")
    @classmethod
    def _values_of_the_recipe(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {**RECIPE_VALUES.get(str(fields.get("recipe")), {}), **fields}

    @model_validator(mode="after")
    def _trains_something(self) -> TrainConfig:
        if self.encoder != "evidence" and self.adversarial_weight == 0:
            raise ValueError("adversarial_weight 0 trains nothing without the encoder mode evidence: set it above 0.")
        if self.encoder != "evidence" and self.adversarial_every > 1:
            raise ValueError(
                "adversarial_every above 1 leaves steps empty without the encoder mode evidence: set it to 1."
            )
        if self.encoder == "evidence" and self.prior == "uniform":
            raise ValueError("The encoder mode evidence needs prior normal: its latents are Gaussian.")
        return self
