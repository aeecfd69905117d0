"""The configuration of a run that trains a direct denoiser."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_gandenoise.models import ModelName
from napari_gandenoise.models.denoisers import DirectArchitecture, UNetArchitecture
from napari_gandenoise.noise.mixtures import NoiseMixture
from napari_gandenoise.training.config import RunConfig

__all__ = ["AutoencoderRecipe", "DirectRecipe", "DirectTrainConfig", "SupervisedRecipe", "WassersteinRecipe"]


class _Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SupervisedRecipe(_Recipe):
    """Pairs of noisy and clean tiles, and nothing else."""

    kind: Literal["supervised"] = "supervised"
    loss: Literal["mse", "poisson"] = Field(
        "mse", description="Squared error in units of the noise, or the Poisson log-likelihood of the clean rate."
    )


class WassersteinRecipe(_Recipe):
    """Gong, Liu, Lv, "Image denoising with GAN based model" (2020): four losses with the paper's factors."""

    kind: Literal["wgan-gp"] = "wgan-gp"
    adversarial: float = Field(0.5, ge=0, description="Factor of the critic's score.")
    pixel: float = Field(1.0, ge=0, description="Factor of the mean squared error.")
    feature: float = Field(1.0, ge=0, description="Factor of the squared error of the critic's features.")
    smoothness: float = Field(1e-4, ge=0, description="Factor of the squared differences of neighbouring pixels.")
    critic_width: int = Field(16, ge=4, le=256, description="K2, channels of the critic's first block.")
    critic_steps: int = Field(1, ge=1, description="Updates of the critic for each one of the denoiser.")
    critic_rate: float = Field(1e-4, gt=0, description="Learning rate of the critic.")
    truncation: float = Field(10.0, gt=0, description="The critic's scores are cut off at plus and minus this.")
    penalty: float = Field(10.0, ge=0, description="Weight of the gradient penalty.")


class AutoencoderRecipe(_Recipe):
    """The report "A denoising GAN": pre-training of both networks, then several updates of each in turn."""

    kind: Literal["autoencoder-gan"] = "autoencoder-gan"
    pretraining: int = Field(2000, ge=1, description="Steps of the denoiser alone.")
    judge_pretraining: int = Field(300, ge=1, description="Steps of the discriminator alone.")
    judge_steps: int = Field(2, ge=1, description="n, updates of the discriminator in each step.")
    denoiser_steps: int = Field(3, ge=1, description="m, updates of the denoiser in each step.")
    adversarial: float = Field(1e-3, ge=0, description="Factor of the cross-entropy beside the squared error.")
    judge_width: int = Field(32, ge=4, le=256, description="Channels of the discriminator's first layer.")
    judge_rate: float = Field(2e-4, gt=0, description="Learning rate of the discriminator.")
    label_noise: float = Field(0.05, ge=0, lt=0.5, description="Targets are drawn this close to 0 and 1.")


DirectRecipe = Annotated[SupervisedRecipe | WassersteinRecipe | AutoencoderRecipe, Field(discriminator="kind")]


class DirectTrainConfig(RunConfig):
    """A run that trains a direct denoiser on noisy and clean tiles.

    Tiles of micrographs (intensity template) are exposed to Poisson counts at doses within ``dose``, those of
    photographs (intensity absolute) to ``noise``.
    """

    architecture: DirectArchitecture = UNetArchitecture()
    recipe: DirectRecipe = SupervisedRecipe()
    start: ModelName | None = Field(
        None, description="Direct denoiser whose weights training begins with: a bundled model, or the path of a file."
    )
    rate: float = Field(1e-3, gt=0, description="Learning rate of the denoiser.")
    noise: NoiseMixture = Field(NoiseMixture(), description="Noise of photographs.")
    compiled: bool = Field(
        False,
        description="Compile the denoiser for this machine (needs a C compiler): a slow first step, faster ones after.",
    )

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
        """Tiles wanted in the pool before the first step."""
        return 16 * self.batch

    @property
    def stages(self) -> dict[str, int]:
        """Steps of each stage, in order."""
        before = {}
        if isinstance(self.recipe, AutoencoderRecipe):
            before = {"autoencoder": self.recipe.pretraining, "discriminator": self.recipe.judge_pretraining}
        return {**before, "train": self.steps, "test": self.held_out}

    @model_validator(mode="after")
    def _goes_together(self) -> DirectTrainConfig:
        if self.tiles.pose == "oriented":
            raise ValueError("Direct denoisers see images as they lie: set tiles.pose to upright.")
        poisson = isinstance(self.recipe, SupervisedRecipe) and self.recipe.loss == "poisson"
        if poisson and self.tiles.intensity == "absolute":
            raise ValueError("The Poisson loss is for micrographs: set recipe.loss to mse.")
        if self.architecture.kind == "unet" and self.architecture.size % self.architecture.multiple:
            raise ValueError(f"architecture.size must be a multiple of {self.architecture.multiple} with these widths.")
        return self
