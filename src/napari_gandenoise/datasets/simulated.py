"""Simulated images as a training source: a set on disk, or structures that are imaged anew for each tile."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.datasets.recent import Recent
from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.settings.data import LiveData
from napari_gandenoise.settings.simulate import COARSEST_SCENE_NM, FINEST_NM
from napari_gandenoise.simulate.live import LiveSet, open_live
from napari_gandenoise.strangers import blaming, check_unpacked

__all__ = ["LiveImages", "SimulatedImages"]

BRIGHTEST = 1e4  # times the vacuum: far more than any specimen shows, and still countable
VARIANTS = 2**20  # imaging conditions that one image of a live set can have; more than any run draws


class SimulatedImages:
    """The finished images of a set that `napari_gandenoise.simulate.simulate_steps` wrote, read one at a time.

    Parameters
    ----------
    path : pathlib.Path
        Zarr group with ``images`` ``(N, Y, X)``, intensity relative to vacuum.

    Raises
    ------
    GanDenoiseError
        If there is no such set, or none of its images is finished.
    """

    channels = 1
    variants = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            images, attributes = _open_set(path)
            records, simulation = attributes["records"], attributes["simulation"]
            self.side: tuple[int, int] = images.shape[1:]
            self.pixel_size_nm: float | None = float(simulation["pixel_size_nm"])
            self.images_per_object = int(simulation.get("images_per_structure", 1))
            if not isinstance(records, list) or len(records) > images.shape[0]:
                raise ValueError("it lists other images than it holds")
            if not FINEST_NM <= self.pixel_size_nm <= COARSEST_SCENE_NM or self.images_per_object < 1:
                raise ValueError("its pixel size or number of images is none that a simulation has")
        except Exception as error:  # a damaged or hostile folder can make the reader fail in any way
            reason = f" ({in_short(error)})" if path.exists() else ""
            raise GanDenoiseError(
                f"{path} is not a simulated set{reason}: make one with napari-gandenoise simulate."
            ) from None
        self.count = len(records)
        if self.count == 0:
            raise GanDenoiseError(f"{path} holds no finished image yet: let napari-gandenoise simulate go on.")
        self._recent: Recent[NDArray[Any]] = Recent(self._load)

    def __len__(self) -> int:
        return self.count

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_images"}

    @cached_property
    def _images(self) -> Any:
        return _open_set(self.path)[0]

    def _load(self, index: int) -> NDArray[Any]:
        with blaming(self.path, "simulated set"):
            image = np.asarray(self._images[index])
        if not -BRIGHTEST <= image.min() <= image.max() <= BRIGHTEST:  # NaN is none of these
            raise GanDenoiseError(
                f"Image {index} of {self.path} holds NaN or intensities far from vacuum, 1: simulate the set again."
            )
        return image.clip(min=0)  # as negative rates count everywhere

    def shape(self, index: int) -> tuple[int, int]:  # noqa: ARG002 - all are alike
        """Height and width of an image, pixels."""
        return self.side

    def read(self, index: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Read part of an image, ``(1, h, w)`` relative to vacuum."""
        return self._recent(index)[rows, columns][None].astype(np.float32)


class LiveImages:
    """Images made when they are asked for; index ``i + v * len(self)`` is image ``i`` under its ``v``-th conditions.

    They are drawn from ``(seed, structure, number of the image, v)``: a tile depends on nothing but its indices.

    Raises
    ------
    GanDenoiseError
        If exit waves are missing.
    """

    channels = 1
    variants = VARIANTS

    def __init__(self, data: LiveData) -> None:
        self.data = data
        self.pixel_size_nm: float | None = data.simulation.pixel_size_nm
        self.images_per_object = data.simulation.images_per_structure
        self._set  # noqa: B018 - complains about missing waves here, and not in a worker
        self._specimen: Recent[Any] = Recent(self._load_specimen)
        self._recent: Recent[NDArray[np.float32]] = Recent(self._load)

    def __len__(self) -> int:
        return self.data.simulation.structures * self.images_per_object

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_set"}

    @cached_property
    def _set(self) -> LiveSet:
        return open_live(self.data.simulation, self.data.waves)

    def _load_specimen(self, structure: int) -> Any:
        return self._set.specimen(structure)

    def _load(self, index: int) -> NDArray[np.float32]:
        variant, image = divmod(index, len(self))
        structure, number = divmod(image, self.images_per_object)
        # One is added since a seed that ends in zeros is the same as without them: that one drew the structure.
        rng = np.random.default_rng((self.data.simulation.seed, structure, number + 1, variant))
        return self._set.image(self._specimen(structure), rng)

    def shape(self, index: int) -> tuple[int, int]:  # noqa: ARG002 - all are alike
        """Height and width of an image, pixels."""
        return self.data.simulation.shape, self.data.simulation.shape

    def read(self, index: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Make an image and cut part of it out, ``(1, h, w)``."""
        return self._recent(index)[rows, columns][None]


def _open_set(path: Path) -> tuple[Any, dict[str, Any]]:
    """Open the images of a set ``(N, Y, X)``, which are no larger than what is stored, and what it says of itself."""
    import zarr

    from napari_gandenoise.io.omezarr import ZarrFiles, check_array

    group = zarr.open_group(ZarrFiles(path, read_only=True), mode="r")
    images = group["images"]
    if not isinstance(images, zarr.Array) or images.ndim != 3 or images.dtype.kind != "f" or 0 in images.shape:
        raise ValueError("it has no images of floating point numbers")
    images = check_array(path, images)
    check_unpacked(path, math.prod(images.shape[1:]) * images.dtype.itemsize)
    return images, group.attrs.asdict()
