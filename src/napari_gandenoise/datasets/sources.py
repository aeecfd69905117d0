"""Images to cut tiles from: one protocol, whatever the files, read piece by piece and never held as a whole."""

from __future__ import annotations

from typing import Protocol, assert_never

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Steps
from napari_gandenoise.settings.data import AnyData, FolderData, LiveData, ModesData, PublicData, SimulatedData

__all__ = ["ImageSource", "Subset", "open_source", "prepare_steps", "split"]


class ImageSource(Protocol):
    """Images of one kind.  Sources travel to worker processes, which open the files again.

    Attributes
    ----------
    channels : int
        1, or 3 for red, green and blue.
    pixel_size_nm : float or None
        Pixel size of all images, nm.  Images with a pixel size hold intensity relative to vacuum, or to their mean
        where vacuum is unknown; those without one run from black 0 to white 1.
    images_per_object : int
        Consecutive images that show the same object, such as one structure, and belong on the same side of a split.
    variants : int
        How many images each number stands for: ``i + v * len(source)`` for ``v < variants`` is image ``i`` under other
        conditions.  1 for files.
    """

    @property
    def channels(self) -> int: ...  # noqa: D102
    @property
    def pixel_size_nm(self) -> float | None: ...  # noqa: D102
    @property
    def images_per_object(self) -> int: ...  # noqa: D102
    @property
    def variants(self) -> int: ...  # noqa: D102

    def __len__(self) -> int: ...

    def shape(self, index: int) -> tuple[int, int]:
        """Height and width of an image, pixels."""

    def read(self, index: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Read part of an image, ``(C, h, w)``."""


# What reads images is imported where they are read: training on images that are made needs none of it, and runs on
# machines that have little beside PyTorch.


def open_source(data: AnyData) -> ImageSource:
    """Open the images that a configuration names, once they are prepared.

    Raises
    ------
    GanDenoiseError
        If they are not there or cannot be used.
    """
    match data:
        case SimulatedData():
            from napari_gandenoise.datasets.simulated import SimulatedImages

            return SimulatedImages(data.path)
        case LiveData():
            from napari_gandenoise.datasets.simulated import LiveImages

            return LiveImages(data)
        case FolderData():
            from napari_gandenoise.datasets.folder import FolderImages

            return FolderImages(data.path, data.colour, data.pixel_size_nm)
        case PublicData():
            from napari_gandenoise.datasets.public import open_public

            return open_public(data)
        case ModesData():
            raise GanDenoiseError("Images that are made while training runs cannot be read one by one.")
        case _:
            assert_never(data)


def prepare_steps(data: AnyData) -> Steps[None]:
    """Make ready what `open_source` opens: download and unpack, propagate exit waves, look through a folder.

    Yields
    ------
    Progress
        Stage "prepare"; a note where something of the images is not used, such as transparency.

    Raises
    ------
    GanDenoiseError
        If images are missing and cannot be had, or a file cannot be read.
    """
    match data:
        case LiveData():
            from napari_gandenoise.models.device import choose_device
            from napari_gandenoise.simulate.live import live_steps

            yield from live_steps(data.simulation, data.waves, choose_device(data.simulation.device))
        case FolderData():
            from napari_gandenoise.datasets.folder import check_folder_steps

            yield from check_folder_steps(data.path)
        case PublicData():
            from napari_gandenoise.datasets.public import prepare_public_steps

            yield from prepare_public_steps(data)
        case SimulatedData() | ModesData():
            pass


class Subset:
    """Consecutive images of a source, from ``start`` up to and without ``stop``."""

    def __init__(self, source: ImageSource, start: int, stop: int) -> None:
        if not 0 <= start < stop <= len(source):
            raise ValueError(f"There are no images {start} to {stop} among {len(source)}.")
        self.source = source
        self.start, self.stop = start, stop
        self.channels = source.channels
        self.pixel_size_nm = source.pixel_size_nm
        self.images_per_object = source.images_per_object
        self.variants = source.variants

    def __len__(self) -> int:
        return self.stop - self.start

    def _place(self, index: int) -> int:
        variant, image = divmod(index, len(self))
        return self.start + image + variant * len(self.source)

    def shape(self, index: int) -> tuple[int, int]:
        """Height and width of an image, pixels."""
        return self.source.shape(self._place(index))

    def read(self, index: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Read part of an image, ``(C, h, w)``."""
        return self.source.read(self._place(index), rows, columns)


def split(source: ImageSource, held_out: int) -> tuple[Subset, Subset]:
    """Divide images for validation and training: by image, never by crop, and never within an object.

    Parameters
    ----------
    source : ImageSource
        All images.
    held_out : int
        First images, kept for validation; rounded up to whole objects.

    Returns
    -------
    held, training : Subset
        The first images and the rest.

    Raises
    ------
    GanDenoiseError
        If no image is left to train on.
    """
    each = source.images_per_object
    held = -(-held_out // each) * each
    if held >= len(source):
        raise GanDenoiseError(
            f"There are {len(source)} images, of which {held} are held out: none is left to train on; give more "
            "images, or lower held_out."
        )
    return Subset(source, 0, held), Subset(source, held, len(source))
