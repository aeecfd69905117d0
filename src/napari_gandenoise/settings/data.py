"""Where training images come from and how tiles are cut from them: parts of a training run's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from napari_gandenoise.settings.base import Intensity, Pose, Settings, rising, setting
from napari_gandenoise.settings.scenes import SceneConfig
from napari_gandenoise.settings.simulate import ImagingConfig, SimulationConfig
from napari_gandenoise.settings.stem import ProbeConfig
from napari_gandenoise.settings.structures import SOURCES, CrystalConfig, StructureSource

__all__ = ["PUBLIC", "AnyData", "FolderData", "LiveData", "ModesData", "PublicData", "SimulatedData", "TileConfig"]

PUBLIC = {
    "mnist": "MNIST (digits)",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "celeba": "CelebA (faces)",
    "lfw": "LFW (faces)",
    "coco": "COCO (photographs)",
}


class SimulatedData(Settings):
    """A simulated set on disk, as `napari-gandenoise simulate` writes it."""

    kind: Literal["simulated"] = "simulated"
    path: Path = setting(..., "Zarr group of the set.", title="Set", field="folder")


class LiveData(Settings):
    """Simulated while training runs: each image has conditions of its own; exit waves are made once and kept."""

    kind: Literal["simulate"] = "simulate"
    simulation: SimulationConfig = setting(SimulationConfig(), "What is simulated.")
    waves: Path = setting(..., "Zarr group that keeps the exit waves of HRTEM.", field="folder")

    @field_validator("simulation")
    @classmethod
    def _fast_enough(cls, simulation: SimulationConfig) -> SimulationConfig:
        if simulation.mode in ("abf", "bf") and simulation.structure.kind != "scene":
            raise ValueError(
                "a bright field takes minutes an image, too long while training runs: make a set of them, or choose "
                "mode haadf"
            )
        return simulation


class FolderData(Settings):
    """A folder of images of any size: PNG, JPEG, TIFF."""

    kind: Literal["folder"] = "folder"
    path: Path = setting(..., "Folder; its subfolders are searched too.", title="Folder", field="folder")
    colour: bool = setting(False, "Red, green and blue; otherwise luminance.")
    pixel_size_nm: float | None = setting(
        None, "Pixel size of the images, nm, if they have one.", title="Pixel size", unit="nm", gt=0
    )


class PublicData(Settings):
    """A public data set in its original files."""

    kind: Literal["mnist", "cifar10", "cifar100", "celeba", "lfw", "coco"] = setting(..., "Which one.", choices=PUBLIC)
    path: Path = setting(
        ..., "Folder that holds the original files, or is to hold them.", title="Files", field="folder"
    )
    download: bool = setting(
        False, "Fetch the files if they are not there, where the licence allows it.", title="Download what is missing"
    )


class ModesData(Settings):
    """Clean images of several modes of microscopy, made on the training device while training runs."""

    kind: Literal["modes"] = "modes"
    scenes: float = setting(1.0, "Share of scenes without a lattice.", ge=0, le=1)
    hrtem: float = setting(0.0, "Share of simulated HRTEM images.", title="HRTEM", ge=0, le=1)
    haadf: float = setting(0.0, "Share of simulated HAADF-STEM images.", title="HAADF", ge=0, le=1)
    colour: bool = setting(False, "Scenes in red, green and blue.")
    side: int = setting(256, "Side of the images that tiles are cut from.", unit="px", ge=32, le=2048)
    together: int = setting(32, "Images that are made together, all of one mode.", ge=1, le=1024)
    per_structure: int = setting(8, "Images of each atomic structure, under conditions of their own.", ge=1)
    sampling_nm: tuple[float, float] = setting(
        (0.006, 0.04), "Finest and coarsest pixels of simulated images, nm, log-uniform.", title="Sampling", unit="nm"
    )
    scene: SceneConfig = setting(SceneConfig(), "What scenes show.", group="Scenes")
    structure: StructureSource = setting(
        CrystalConfig(), "Where atomic structures come from.", title="Structures", group="Structures", choices=SOURCES
    )
    imaging: ImagingConfig = setting(ImagingConfig(), "How HRTEM images are taken.", group="HRTEM")
    probe: ProbeConfig = setting(ProbeConfig(), "How HAADF images are taken.", group="HAADF")

    _sizes = field_validator("sampling_nm")(rising)

    @model_validator(mode="after")
    def _shows_something(self) -> ModesData:
        if not self.scenes + self.hrtem + self.haadf > 0:
            raise ValueError("scenes, hrtem, haadf: one of the shares must be above 0.")
        if self.colour and self.hrtem + self.haadf > 0:
            raise ValueError("colour: only scenes have colours, so set hrtem and haadf to 0.")
        return self

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return 3 if self.colour else 1


AnyData = Annotated[SimulatedData | LiveData | ModesData | FolderData | PublicData, Field(discriminator="kind")]


class TileConfig(Settings):
    """How tiles are cut and what of them the generator learns."""

    pose: Pose = setting(
        "oriented", "Disks turned so that their strongest fringe runs along x, or squares as they lie."
    )
    intensity: Intensity = setting(
        "template",
        "Mean and contrast divided out, or values as they are, black -1 and white 1, or images of any units, of which "
        "a direct denoiser sees deviations from their mean.",
    )
    flips: bool = setting(True, "Mirror tiles at random along both axes.")
    quarter_turns: bool = setting(False, "Turn upright tiles by a random multiple of 90 degrees.")
    rotation: bool = setting(False, "Turn upright tiles by any angle; oriented tiles need no such turn.")
    scale: float = setting(0.1, "Relative range of random scaling; 0.1 is ±10 %.", ge=0, lt=0.5)
    near_empty: float = setting(0.05, "Share of near-empty tiles that is kept.", title="Near-empty", ge=0, le=1)
