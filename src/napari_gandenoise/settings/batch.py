"""What a batch job does: the same fields in the panel, the command, the YAML file and the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationInfo, field_validator, model_validator

from napari_gandenoise.settings.base import FolderPath, Settings, setting
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.restore import DONE, RestoreConfig

__all__ = ["MAPS", "BatchConfig", "Job"]

Job = Literal["denoise", "restore"]

SETTINGS: dict[str, type[DenoiseConfig] | type[RestoreConfig]] = {"denoise": DenoiseConfig, "restore": RestoreConfig}
MAPS: dict[Job, tuple[str, ...]] = {"denoise": ("fit_map", "uncertainty"), "restore": ("drawn",)}
DENOISE, RESTORE = {"job": ("denoise",)}, {"job": ("restore",)}
RESULTS = "Results, movies and workers"
LONGEST_RUN = 1000  # frames that are held in memory together


class BatchConfig(Settings):
    """A batch job: what to read, what to do with each frame, where to write."""

    inputs: tuple[str, ...] = setting(
        ..., "Files, folders and patterns such as data/*.tif.", field="files", of_image=True, min_length=1
    )
    output: FolderPath = setting(..., "Folder for the results and the ledger.", title="Results in", field="folder")
    job: Job = setting(
        "denoise",
        "What to do with each frame: denoise or restore.",
        choices={"denoise": "Denoise", "restore": "Restore"},
    )
    settings: DenoiseConfig | RestoreConfig = setting(
        ..., "The settings of that job, as for one image.", field="flat", by="job"
    )
    format: Literal["tiff", "zarr"] = setting(
        "tiff",
        "tiff: an OME-TIFF for each input, BigTIFF from 4 GB on; zarr: an OME-Zarr for each.",
        title="Results as",
        group=RESULTS,
        choices={"tiff": "OME-TIFF", "zarr": "OME-Zarr"},
    )
    fit_map: bool = setting(False, "denoise: also write the fit map.", group=RESULTS, only=DENOISE)
    uncertainty: bool = setting(False, "denoise: also write the standard error.", group=RESULTS, only=DENOISE)
    drawn: bool = setting(
        False,
        "restore: also write what the generator drew.",
        title="What the model drew",
        group=RESULTS,
        only=RESTORE,
    )
    mask: Path | None = setting(
        None,
        "restore, to inpaint: what is missing, the same in all frames.",
        field="file",
        only={**RESTORE, "settings.task": ("inpaint",)},
        of_image=True,
    )
    warm_start: int = setting(
        1,
        "denoise, movies: frames in a run, each of which starts from the latents of the one before; 1: each frame for "
        "itself.",
        title="Warm start",
        unit="frames",
        group=RESULTS,
        only=DENOISE,
        ge=1,
        le=LONGEST_RUN,
    )
    average: int = setting(
        1,
        "denoise, movies: neighbouring frames whose evidence is averaged for each frame.",
        title="Average",
        unit="frames",
        group=RESULTS,
        only=DENOISE,
        ge=1,
        le=LONGEST_RUN,
    )
    threads: int = setting(
        1, "Threads that compute a frame; other numbers of threads round in other places.", group=RESULTS, ge=1, le=256
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

    @field_validator("settings", mode="after")
    @classmethod
    def _drift_wherever_it_is_resumed(cls, value: DenoiseConfig | RestoreConfig) -> DenoiseConfig | RestoreConfig:
        if isinstance(value, RestoreConfig) or value.drift is None:
            return value
        return value.model_copy(update={"drift": value.drift.absolute()})

    @field_validator("inputs", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        if isinstance(value, str | Path):
            return (str(value),)
        return tuple(map(str, value)) if isinstance(value, list | tuple) else value

    @field_validator("inputs")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(given.strip() for given in value):
            raise ValueError("one of the inputs is empty, which would stand for all files of this folder")
        return value

    @field_validator("mask", mode="after")
    @classmethod
    def _wherever_it_is_resumed(cls, value: Path | None) -> Path | None:
        return None if value is None else value.absolute()

    @model_validator(mode="after")
    def _check_job(self) -> BatchConfig:
        other: Job = "restore" if self.job == "denoise" else "denoise"
        given = [name for name in MAPS[other] if getattr(self, name)]
        if self.job == "restore":
            given += [name for name in ("warm_start", "average") if getattr(self, name) > 1]
        elif self.mask is not None:
            given.append("mask")
        if given:
            raise ValueError(f"{given[0]} is for jobs that {other}: leave it out, or set job to {other}")
        if self.average > 1 and self.denoising().drift is not None:
            raise ValueError("drift is for frames that are not averaged: leave out drift or average")
        return self

    @property
    def products(self) -> tuple[str, ...]:
        """Names of the images that are made of each frame, the result first."""
        done = DONE[self.settings.task] if isinstance(self.settings, RestoreConfig) else "denoised"
        return (done, *(name.replace("_", "-") for name in MAPS[self.job] if getattr(self, name)))

    def denoising(self) -> DenoiseConfig:
        """Return the settings to denoise with."""
        if not isinstance(self.settings, DenoiseConfig):
            raise TypeError("this is a job to restore")
        return self.settings

    def provenance(self) -> dict[str, Any]:
        """Return what the results depend on: all but where things lie."""
        fields = self.model_dump(mode="json", exclude={"inputs", "output"})
        if drift := fields["settings"].get("drift"):
            fields["settings"]["drift"] = Path(drift).name
        return fields | {"mask": self.mask.name if self.mask is not None else None}
