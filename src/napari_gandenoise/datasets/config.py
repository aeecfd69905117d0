"""Where training images come from and how tiles are cut from them: parts of a training run's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_gandenoise.orientation import Pose
from napari_gandenoise.simulate.config import SimulationConfig

__all__ = ["AnyData", "FolderData", "LiveData", "PublicData", "SimulatedData", "TileConfig"]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SimulatedData(_Data):
    """A simulated set on disk, as `napari-gandenoise simulate` writes it."""

    kind: Literal["simulated"] = "simulated"
    path: Path = Field(description="Zarr group of the set.")


class LiveData(_Data):
    """Simulated while training runs: exit waves are made once and kept, each image has conditions of its own."""

    kind: Literal["simulate"] = "simulate"
    simulation: SimulationConfig = SimulationConfig()
    waves: Path = Field(description="Zarr group that keeps the exit waves.")


class FolderData(_Data):
    """A folder of images of any size: PNG, JPEG, TIFF."""

    kind: Literal["folder"] = "folder"
    path: Path = Field(description="Folder; its subfolders are searched too.")
    colour: bool = Field(False, description="Red, green and blue; otherwise luminance.")
    pixel_size_nm: float | None = Field(None, gt=0, description="Pixel size of the images, nm, if they have one.")


class PublicData(_Data):
    """A public data set in its original files."""

    kind: Literal["mnist", "cifar10", "cifar100", "celeba", "lfw", "coco"]
    path: Path = Field(description="Folder that holds the original files, or is to hold them.")
    download: bool = Field(False, description="Fetch the files if they are not there, where the licence allows it.")


AnyData = Annotated[SimulatedData | LiveData | FolderData | PublicData, Field(discriminator="kind")]


class TileConfig(_Data):
    """How tiles are cut and what of them the generator learns."""

    pose: Pose = Field(
        "oriented", description="Disks turned so that their strongest fringe runs along x, or squares as they lie."
    )
    intensity: Literal["template", "absolute"] = Field(
        "template", description="Mean and contrast divided out, or values as they are, black -1 and white 1."
    )
    flips: bool = Field(True, description="Mirror tiles at random along both axes.")
    quarter_turns: bool = Field(False, description="Turn upright tiles by a random multiple of 90 degrees.")
    rotation: bool = Field(False, description="Turn upright tiles by any angle; oriented tiles need no such turn.")
    scale: float = Field(0.1, ge=0, lt=0.5, description="Relative range of random scaling; 0.1 is ±10 %.")
    near_empty: float = Field(0.05, ge=0, le=1, description="Share of near-empty tiles that is kept.")
