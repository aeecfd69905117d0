"""Where training images come from and how tiles are cut from them: parts of a training run's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from napari_gandenoise.settings.base import Intensity, Pose, Settings, setting
from napari_gandenoise.settings.simulate import SimulationConfig

__all__ = ["PUBLIC", "AnyData", "FolderData", "LiveData", "PublicData", "SimulatedData", "TileConfig"]

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
    """Simulated while training runs: exit waves are made once and kept, each image has conditions of its own."""

    kind: Literal["simulate"] = "simulate"
    simulation: SimulationConfig = setting(SimulationConfig(), "What is simulated.")
    waves: Path = setting(..., "Zarr group that keeps the exit waves.", field="folder")


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


AnyData = Annotated[SimulatedData | LiveData | FolderData | PublicData, Field(discriminator="kind")]


class TileConfig(Settings):
    """How tiles are cut and what of them the generator learns."""

    pose: Pose = setting(
        "oriented", "Disks turned so that their strongest fringe runs along x, or squares as they lie."
    )
    intensity: Intensity = setting(
        "template", "Mean and contrast divided out, or values as they are, black -1 and white 1."
    )
    flips: bool = setting(True, "Mirror tiles at random along both axes.")
    quarter_turns: bool = setting(False, "Turn upright tiles by a random multiple of 90 degrees.")
    rotation: bool = setting(False, "Turn upright tiles by any angle; oriented tiles need no such turn.")
    scale: float = setting(0.1, "Relative range of random scaling; 0.1 is ±10 %.", ge=0, lt=0.5)
    near_empty: float = setting(0.05, "Share of near-empty tiles that is kept.", title="Near-empty", ge=0, le=1)
