"""What to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from napari_gandenoise.baselines import BASELINES
from napari_gandenoise.denoising import DenoiseConfig
from napari_gandenoise.inversion.presets import PresetName
from napari_gandenoise.noise import AnyNoise

__all__ = ["ALL", "GAN", "MODEL", "USUAL", "CompareConfig", "title_of"]

GAN = "gan"
MODEL = "model:"  # before the name or path of any other model
ALL = (*BASELINES, GAN)
USUAL = (*(name for name, baseline in BASELINES.items() if not baseline.oracle), GAN)


class CompareConfig(BaseModel):
    """How to compare: the widget's fields, the CLI's options, the YAML file and the provenance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    methods: tuple[str, ...] = Field(
        USUAL, min_length=1, description="Names of baselines, gan for the model, model:NAME for another one."
    )
    model: str = Field("hrtem", description="Name of a bundled model, or path of a model file.")
    preset: PresetName = Field("balanced", description="How hard models look: fast, balanced, thorough, or paper.")
    pixel_size_nm: float | None = Field(None, gt=0, description="Pixel size, nm; by default the image's own.")
    noise: AnyNoise | None = Field(None, description="Noise model; by default calibrated from the image.")
    bin_factor: int | None = Field(
        None, ge=1, description="Side of the blocks that baselines sum; by default what brings pixels to about 43 pm."
    )
    data_range: float | None = Field(
        None, gt=0, description="Peak of PSNR and SSIM, input units; by default the truth's maximum less its minimum."
    )
    replicates: int = Field(0, ge=0, le=64, description="Repetitions for the models' uncertainty; 0 for no coverage.")
    splitting: bool | None = Field(
        None,
        description="Score on held-out electrons, a second run of each method; by default where there is no truth.",
    )
    share: float = Field(0.5, gt=0, lt=1, description="Share of the electrons that splitting lets a method see.")
    seed: int = Field(0, ge=0, description="Seed of the models' search and of the splitting.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where models compute.")
    white: float | None = Field(
        None,
        gt=0,
        description="Value of white, for models of photographs; by default the largest of an integer type, or 1.",
    )

    @field_validator("methods", mode="before")
    @classmethod
    def _known(cls, methods: object) -> object:
        names = methods.split(",") if isinstance(methods, str) else methods
        if not isinstance(names, list | tuple):
            return names
        names = [name.strip() if isinstance(name, str) else name for name in names]
        for name in names:
            if name not in ALL and not (isinstance(name, str) and name.startswith(MODEL) and name != MODEL):
                raise ValueError(f"{name!r} is no method; there are {', '.join(ALL)} and {MODEL}NAME")
        return tuple(dict.fromkeys(names))

    def denoising(self, method: str) -> DenoiseConfig:
        """Return the settings with which a model denoises."""
        shared = self.model_dump(include={"preset", "pixel_size_nm", "noise", "replicates", "seed", "device", "white"})
        return DenoiseConfig.model_validate({**shared, "model": self.model_of(method)})

    def model_of(self, method: str) -> str:
        """Return the name or path of the model that a method is."""
        return self.model if method == GAN else method.removeprefix(MODEL)


def title_of(method: str, config: CompareConfig) -> str:
    """Return what tables call a method."""
    if method in BASELINES:
        return BASELINES[method].title
    return f"{'GAN' if method == GAN else 'Model'} ({Path(config.model_of(method)).stem})"
