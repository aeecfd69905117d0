"""What a batch job does: the same fields in the panel, the command, the YAML file and the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from napari_gandenoise.denoising import REPLICATES, DenoiseConfig
from napari_gandenoise.restoration import DONE, RestoreConfig

__all__ = ["BatchConfig", "Job"]

Job = Literal["denoise", "restore"]

SETTINGS: dict[str, type[DenoiseConfig] | type[RestoreConfig]] = {"denoise": DenoiseConfig, "restore": RestoreConfig}
MAPS = {"denoise": ("fit_map", "uncertainty"), "restore": ("drawn",)}


class BatchConfig(BaseModel):
    """A batch job: what to read, what to do with each frame, where to write."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    job: Job = Field("denoise", description="What to do with each frame: denoise or restore.")
    settings: DenoiseConfig | RestoreConfig = Field(description="The settings of that job, as for one image.")
    inputs: tuple[str, ...] = Field(min_length=1, description="Files, folders and patterns such as data/*.tif.")
    output: Path = Field(description="Folder for the results and the ledger.")
    format: Literal["tiff", "zarr"] = Field(
        "tiff", description="tiff: an OME-TIFF for each input, BigTIFF from 4 GB on; zarr: an OME-Zarr for each."
    )
    fit_map: bool = Field(False, description="denoise: also write the fit map.")
    uncertainty: bool = Field(False, description="denoise: also write the standard error.")
    drawn: bool = Field(False, description="restore: also write what the generator drew.")
    mask: Path | None = Field(None, description="restore, to inpaint: what is missing, the same in all frames.")
    warm_start: int = Field(
        1,
        ge=1,
        description="denoise, movies: frames in a run, each of which starts from the latents of the one before; 1: "
        "each frame for itself.",
    )
    average: int = Field(
        1, ge=1, description="denoise, movies: neighbouring frames whose evidence is averaged for each frame."
    )
    threads: int = Field(
        1, ge=1, description="Threads that compute a frame; other numbers of threads round in other places."
    )

    @model_validator(mode="before")
    @classmethod
    def _with_settings(cls, fields: Any) -> Any:
        return {"settings": {}, **fields} if isinstance(fields, dict) else fields

    @field_validator("settings", mode="before")
    @classmethod
    def _of_the_job(cls, value: Any, info: ValidationInfo) -> DenoiseConfig | RestoreConfig:
        kind = SETTINGS[info.data.get("job", "denoise")]
        if isinstance(value, BaseModel) and not isinstance(value, kind):
            raise ValueError(f"to {info.data['job']}, the settings must be a {kind.__name__}")
        return kind.model_validate(value)

    @field_validator("inputs", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (str(value),) if isinstance(value, str | Path) else tuple(map(str, value))

    @field_validator("mask", mode="after")
    @classmethod
    def _wherever_it_is_resumed(cls, value: Path | None) -> Path | None:
        return None if value is None else value.absolute()

    @model_validator(mode="after")
    def _check_job(self) -> BatchConfig:
        other = "restore" if self.job == "denoise" else "denoise"
        given = [name for name in MAPS[other] if getattr(self, name)]
        if self.job == "restore":
            given += [name for name in ("warm_start", "average") if getattr(self, name) > 1]
        elif self.mask is not None:
            given.append("mask")
        if given:
            raise ValueError(f"{given[0]} is for jobs that {other}: leave it out, or set job to {other}")
        return self

    @property
    def products(self) -> tuple[str, ...]:
        """Names of the images that are made of each frame, the result first."""
        done = DONE[self.settings.task] if isinstance(self.settings, RestoreConfig) else "denoised"
        return (done, *(name.replace("_", "-") for name in MAPS[self.job] if getattr(self, name)))

    def denoising(self) -> DenoiseConfig:
        """Return the settings to denoise with; an uncertainty that is to be written is also computed."""
        if not isinstance(self.settings, DenoiseConfig):
            raise TypeError("this is a job to restore")
        if self.uncertainty and not self.settings.replicates:
            return self.settings.model_copy(update={"replicates": REPLICATES})
        return self.settings

    def provenance(self) -> dict[str, Any]:
        """Return what the results depend on: all but where things lie."""
        fields = self.model_dump(mode="json", exclude={"inputs", "output"})
        return fields | {"mask": self.mask.name if self.mask is not None else None}
