"""How to denoise."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.inversion.clipping import Clipping
from napari_gandenoise.inversion.objective import ObjectiveName
from napari_gandenoise.inversion.presets import PresetName
from napari_gandenoise.models import ModelName
from napari_gandenoise.noise import AnyNoise

__all__ = ["DenoiseConfig", "REPLICATES", "configure"]

Config = TypeVar("Config", bound=BaseModel)


REPLICATES = 8  # where an uncertainty is wanted and nobody says how many; its own error is then about a quarter


class DenoiseConfig(BaseModel):
    """How to denoise: the widget's fields, the CLI's options, the YAML file and the provenance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelName = Field("hrtem", description="Name of a bundled model, or path of a model file.")
    pixel_size_nm: float | None = Field(None, gt=0, description="Pixel size, nm; by default the image's own.")
    noise: AnyNoise | None = Field(None, description="Noise model; by default calibrated from the image.")
    preset: PresetName = Field("balanced", description="How hard to look: fast, balanced, thorough, or paper.")
    objective: ObjectiveName = Field(
        "likelihood", description="What latents minimise: the noise model's likelihood, or the squared error."
    )
    clipping: Clipping = Field(
        "projected",
        description="Latents beyond a uniform prior's bounds: projected onto them, stochastic (drawn again), or none.",
    )
    seed: int = Field(0, ge=0, description="Seed of the random search.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to compute.")
    sharpness: bool = Field(
        False, description="Add the model's sharpness attribute, if it has one, to the latents that were found."
    )
    intensity: float = Field(
        1.0,
        ge=0,
        le=1,
        description="How much of what was found to be noise is taken away: 0 leaves the image as it is.",
    )
    strength: float | None = Field(
        None,
        ge=0,
        description="For direct denoisers: standard deviation of the noise, white or the mean being 1; by default the "
        "noise model's.",
    )
    grain: float | None = Field(
        None, ge=0, le=5, description="For direct denoisers: grain size, pixels; by default estimated from the image."
    )
    views: int | None = Field(
        None,
        ge=1,
        le=16,
        description="For direct denoisers: how often an image is cleaned, turned, mirrored, shifted and on a coarser "
        "grid, before the mean is taken; by default the preset's of a micrograph, 1 of a photograph.",
    )
    residual_step: bool = Field(True, description="Add back structure that the residual counts prove.")
    replicates: int = Field(
        0, ge=0, le=64, description="Repetitions that the uncertainty is estimated from: 8 is usual, 0 for none."
    )
    white: float | None = Field(
        None,
        gt=0,
        description="Value of white, for models of photographs; by default the largest of an integer type, or 1.",
    )
    max_memory_gb: float | None = Field(
        None, gt=0, description="Memory for tiles, GB; by default half of what is free."
    )


def configure(kind: type[Config], config: Config | None, fields: dict[str, Any]) -> Config:
    """Lay fields over a config, or over the defaults.

    Raises
    ------
    GanDenoiseError
        If a value is not allowed, in one sentence.
    """
    try:
        return kind.model_validate({**(config.model_dump() if config else {}), **fields})
    except ValidationError as error:
        raise GanDenoiseError.from_validation(error) from None
