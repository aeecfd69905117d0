"""Public data sets in their original files: MNIST, CIFAR, CelebA, LFW, COCO.  Labels are not read."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from napari_gandenoise.datasets.download import REMOTES, Remote, download_steps, unpack_steps
from napari_gandenoise.datasets.folder import FolderImages, image_paths, read_levels, to_planes
from napari_gandenoise.datasets.recent import Recent
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Steps, drain
from napari_gandenoise.settings.data import PublicData

__all__ = ["Cifar", "Faces", "Mnist", "open_public", "prepare_public_steps"]

MNIST_FILE = "train-images-idx3-ubyte"
CIFAR_SIDE, CIFAR_BYTES = 32, 3 * 32 * 32
# Label bytes before each image, and the files of training images: https://www.cs.toronto.edu/~kriz/cifar.html.
CIFAR_LABELS = {"cifar10": 1, "cifar100": 2}
CIFAR_FILES = {"cifar10": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "cifar100": ("train.bin",)}
# COCO has a few images of 60 pixels among those of 640; tiles that turn and scale need some room.
COCO_LEAST = 160
NOT_FETCHED = {
    "celeba": "img_align_celeba.zip from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (its licence allows no "
    "redistribution)",
    "coco": "train2017.zip from https://cocodataset.org (18 GB)",
}


def prepare_public_steps(data: PublicData, remotes: Mapping[str, Remote] = REMOTES) -> Steps[None]:
    """Fetch and unpack what `open_public` needs and is not there.

    Parameters
    ----------
    data : PublicData
        Which set, and where.
    remotes : mapping
        Where files are fetched from.

    Yields
    ------
    Progress
        Stage "prepare".

    Raises
    ------
    GanDenoiseError
        If the files are not there and may or can not be fetched, or are damaged.
    """
    if _is_there(data):
        return
    if data.kind in NOT_FETCHED:
        raise GanDenoiseError(
            f"There are no images of {data.kind} in {data.path}: unpack {NOT_FETCHED[data.kind]} there."
        )
    archive = _find(data.path, remotes[data.kind].name)
    if archive is None:
        if not data.download:
            raise GanDenoiseError(_missing(data, remotes[data.kind]))
        archive = yield from download_steps(remotes[data.kind], data.path)
    if data.kind == "lfw":
        yield from unpack_steps(archive, data.path / "lfw_funneled", lambda name: name.suffix == ".jpg")
    elif data.kind in CIFAR_FILES:
        files = CIFAR_FILES[data.kind]
        yield from unpack_steps(archive, data.path / data.kind, lambda name: name.name in files)


def open_public(data: PublicData) -> Mnist | Cifar | Faces | FolderImages:
    """Open a public data set; see `napari_gandenoise.datasets.sources.open_source`."""
    drain(prepare_public_steps(data.model_copy(update={"download": False})))
    match data.kind:
        case "mnist":
            return Mnist(_mnist_file(data.path))
        case "cifar10" | "cifar100":
            files = [_find(data.path, name) for name in CIFAR_FILES[data.kind]]
            return Cifar([file for file in files if file is not None], CIFAR_LABELS[data.kind])
        case "celeba" | "lfw":
            return Faces(data.path)
        case "coco":
            return FolderImages(data.path, colour=True, least=COCO_LEAST)


class _Whole:
    """What sets of small images, all of one size, have in common."""

    channels = 3
    pixel_size_nm: float | None = None
    images_per_object = 1
    variants = 1
    side = CIFAR_SIDE

    def shape(self, index: int) -> tuple[int, int]:  # noqa: ARG002 - all are alike
        """Height and width of an image, pixels."""
        return self.side, self.side


class Mnist(_Whole):
    """Images of an IDX file ``(N, 28, 28)``, with a black border to 32×32 (LeCun et al. 1998, section II B).

    Parameters
    ----------
    path : pathlib.Path
        The file, compressed with gzip or not.

    Raises
    ------
    GanDenoiseError
        If it is no such file or damaged.
    """

    channels = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = len(self._images)

    def __len__(self) -> int:
        return self.count

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_images"}

    @cached_property
    def _images(self) -> NDArray[np.uint8]:
        opened = gzip.open if self.path.suffix == ".gz" else open
        try:
            with opened(self.path, "rb") as file:
                header = file.read(16)
                magic, count, *sides = struct.unpack(">4I", header) if len(header) == 16 else (0, 0, 0, 0)
                # Unsigned bytes, three axes; a count that no set of digits reaches would only claim memory.
                if (magic, sides) != (0x803, [28, 28]) or not 0 < count < 2_000_000:
                    raise GanDenoiseError(f"{self.path} is no IDX file of 28×28 images: put the original file there.")
                # One byte more than there should be: only at its end is a gzip file compared with its checksum.
                content = file.read(count * 28 * 28 + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise GanDenoiseError(f"{self.path} cannot be read ({error}): put the original file there.") from error
        if len(content) != count * 28 * 28:
            raise GanDenoiseError(f"{self.path} does not hold the {count} images it should: copy or fetch it again.")
        return np.frombuffer(content, np.uint8).reshape(count, 28, 28)

    def read(self, index: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Read part of an image, ``(1, h, w)``."""
        return np.pad(self._images[index], 2)[rows, columns][None].astype(np.float32) / np.float32(255)


class Cifar(_Whole):
    """Images of the binary version: records of label bytes, then 32×32 red, green and blue bytes.

    Parameters
    ----------
    paths : list of pathlib.Path
        The files.
    labels : int
        Label bytes of a record.

    Raises
    ------
    GanDenoiseError
        If a file is not made of whole records.
    """

    def __init__(self, paths: list[Path], labels: int) -> None:
        self.paths = paths
        self.record = labels + CIFAR_BYTES
        for path in paths:
            if path.stat().st_size % self.record or path.stat().st_size == 0:
                raise GanDenoiseError(f"{path} is damaged, it is not made of records of {self.record} bytes.")
        self.ends = np.cumsum([path.stat().st_size // self.record for path in paths])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_records"}

    @cached_property
    def _records(self) -> list[NDArray[np.uint8]]:
        return [np.memmap(path, np.uint8, "r").reshape(-1, self.record) for path in self.paths]

    def read(self, index: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Read part of an image, ``(3, h, w)``."""
        file = int(np.searchsorted(self.ends, index, side="right"))
        record = self._records[file][index - self.ends[file]]
        image: NDArray[np.uint8] = record[-CIFAR_BYTES:].reshape(3, CIFAR_SIDE, CIFAR_SIDE)
        return image[:, rows, columns].astype(np.float32) / np.float32(255)


class Faces(_Whole):
    """Aligned faces: the central square of each image, resized to 64×64 with antialiasing.

    As in PyTorch's DCGAN tutorial, which resizes the shorter side and crops the centre.

    Parameters
    ----------
    path : pathlib.Path
        Folder of images.

    Raises
    ------
    GanDenoiseError
        If there are none.
    """

    side = 64

    def __init__(self, path: Path) -> None:
        self.names = [str(found.relative_to(path)) for found in image_paths(path)]
        self.path = path
        self._recent: Recent[NDArray[np.float32]] = Recent(self._load)

    def __len__(self) -> int:
        return len(self.names)

    def _load(self, index: int) -> NDArray[np.float32]:
        image = read_levels(self.path / self.names[index])
        height, width = image.pixels.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = to_planes(image, slice(top, top + side), slice(left, left + side), 3)
        small: NDArray[np.float32] = resize(square, (3, self.side, self.side), anti_aliasing=True)
        return small

    def read(self, index: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Read part of an image, ``(3, h, w)``."""
        return self._recent(index)[:, rows, columns]


def _is_there(data: PublicData) -> bool:
    match data.kind:
        case "mnist":
            return _find(data.path, MNIST_FILE) is not None or _find(data.path, f"{MNIST_FILE}.gz") is not None
        case "cifar10" | "cifar100":
            return all(_find(data.path, name) for name in CIFAR_FILES[data.kind])
        case _:
            return next(data.path.rglob("*.jpg"), None) is not None


def _mnist_file(folder: Path) -> Path:
    return _find(folder, MNIST_FILE) or _find(folder, f"{MNIST_FILE}.gz") or folder / MNIST_FILE


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in sorted(folder.rglob(name)) if path.is_file()), None)


def _missing(data: PublicData, remote: Remote) -> str:
    """Say what is not there; of CIFAR, that the pickled archives are not read."""
    python_version = remote.name.replace("binary", "python")
    batches = "data_batch_1" if data.kind == "cifar10" else "train"
    if data.kind in CIFAR_FILES and (_find(data.path, python_version) or _find(data.path, batches)):
        return (
            f"{data.path} holds the Python version of {data.kind}, whose pickles could run code and are not read: "
            f"set download, or get the binary version, {remote.url}."
        )
    return f"There is no {remote.name} in {data.path}: set download, or get it from {remote.url}."
