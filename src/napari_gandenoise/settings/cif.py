"""How to make a model for one material, of its CIF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator

from napari_gandenoise.settings.base import LARGEST_SEED, Settings, rising, setting
from napari_gandenoise.settings.names import check_name
from napari_gandenoise.settings.shared import DEVICES
from napari_gandenoise.settings.simulate import MICROSCOPES, Microscope
from napari_gandenoise.settings.stem import SCANNING_MICROSCOPES, ScanningMicroscope

__all__ = ["CIF_MODES", "CifMode", "CifTrainConfig"]

CifMode = Literal["hrtem", "haadf"]
CIF_MODES: dict[CifMode, str] = {"hrtem": "HRTEM", "haadf": "HAADF-STEM"}


class CifTrainConfig(Settings):
    """A direct denoiser for one material: images of its crystals are simulated, and the nearest model learns them."""

    cif: tuple[Path, ...] = setting(..., "CIF file of the material, or several files.", title="CIF", min_length=1)
    mode: CifMode = setting("hrtem", "What kind of micrograph.", choices=CIF_MODES)
    microscope: Microscope = setting(
        "300kv-corrected", "Which kind of microscope.", choices=MICROSCOPES, only={"mode": ("hrtem",)}
    )
    scanning_microscope: ScanningMicroscope = setting(
        "300kv-corrected",
        "Which kind of scanning microscope.",
        title="Microscope",
        choices=SCANNING_MICROSCOPES,
        only={"mode": ("haadf",)},
    )
    pixel_size_nm: float = setting(
        0.02, "Pixel size of the micrographs, nm.", title="Pixel size", unit="nm", ge=0.004, le=0.1
    )
    dose: tuple[float, float] = setting(
        (1.0, 100.0), "Fewest and most electrons a pixel of the micrographs, in the mean.", unit="e⁻"
    )
    minutes: float | None = setting(
        None, "How long to train; by default 5 on a GPU, 90 on a processor.", unit="min", gt=0, le=10_000
    )
    name: str | None = setting(None, "Name of the model; by default that of the file.", min_length=1, max_length=80)
    output: Path | None = setting(
        None, "Folder for checkpoints, history and the finished model; by default runs/NAME.", field="folder"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = setting(
        "auto", "Where to compute.", choices={**DEVICES, "mps": "Apple GPU"}
    )
    seed: int = setting(0, "Seed of structures, images and noise.", ge=0, le=LARGEST_SEED)

    @field_validator("cif", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | Path) else value

    @field_validator("name")
    @classmethod
    def _name(cls, name: str | None) -> str | None:
        return None if name is None else check_name(name)

    _doses = field_validator("dose")(rising)

    @property
    def called(self) -> str:
        """Name of the model."""
        return self.name or self.cif[0].stem[:80]

    @property
    def folder(self) -> Path:
        """Where the run is kept."""
        return self.output or Path("runs") / self.called
