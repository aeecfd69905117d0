"""What comes out: stacks that are written frame by frame, in any order, and get their names when they are whole."""

from __future__ import annotations

import itertools
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from napari_gandenoise.batching.work import ADAPTED
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io.omezarr import create_omezarr
from napari_gandenoise.io.tiff import LARGEST_TIFF, ome_arguments
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.writing import check_room

__all__ = [
    "adapted_path",
    "Stack",
    "StackKind",
    "discard",
    "is_stack",
    "open_stack",
    "product_path",
    "publish",
    "results_of",
    "set_aside",
    "unfinished_in",
    "unfinished_path",
]

ENDING = {"tiff": ".ome.tif", "zarr": ".ome.zarr"}


@dataclass(frozen=True)
class StackKind:
    """What a stack is like, before there is a frame in it.

    Attributes
    ----------
    name : str
        What to call it.
    frames : int
        Number of frames; a single one has no axis.
    shape : tuple of int
        Of one frame, ``(Y, X)`` or ``(Y, X, C)``.
    pixel_size_nm, frame_interval_s : float or None
        Side of a pixel in nanometres, time between frames in seconds.
    provenance : mapping
        How the frames were made.
    aspect : float
        Height of a pixel over its width.
    """

    name: str
    frames: int
    shape: tuple[int, ...]
    pixel_size_nm: float | None
    frame_interval_s: float | None
    provenance: Mapping[str, Any]
    aspect: float = 1.0


class Stack(Protocol):
    """A stack on the disk."""

    def write(self, index: int, frame: NDArray[np.float32]) -> None:
        """Write one frame, to be found there even if the computer goes down."""

    def close(self) -> None:
        """Close it."""


def product_path(folder: Path, name: str, product: str, form: str) -> Path:
    """Return where a result goes: ``movie-denoised.ome.tif``."""
    return folder / f"{name}-{product}{ENDING[form]}"


def adapted_path(folder: Path, name: str) -> Path:
    """Return where the model of a movie goes that it was adapted to: ``movie-model.safetensors``."""
    return folder / f"{name}{ADAPTED}"


def results_of(config: BatchConfig, names: Iterable[str]) -> Iterator[Path]:
    """Yield the paths of all results of a job, those of each name together."""
    for name in names:
        for product in config.products:
            yield product_path(config.output, name, product, config.format)


def unfinished_path(path: Path) -> Path:
    """Return where a result is until it is whole."""
    return path.with_name(f".{path.name}.part")


def open_stack(path: Path, form: str, kind: StackKind) -> Stack:
    """Open the unfinished stack for a path, or make it.

    Raises
    ------
    GanDenoiseError
        If it cannot be written, as when the disk is full.
    """
    make, opened = (_create_zarr, _ZarrStack) if form == "zarr" else (_create_tiff, _TiffStack)
    part = unfinished_path(path)
    with _explained(path):
        if not part.exists():
            if form == "tiff":  # all of whose room is taken in the end
                check_room(path.parent, 4 * kind.frames * math.prod(kind.shape), "resume the job")
            # Made under a third name: what is there under the second one can be written to.
            unmade = part.with_name(f"{part.name}.new")
            discard(unmade)
            make(unmade, kind)
            unmade.replace(part)
        return opened(path)


def publish(path: Path, form: str, *, missing: Sequence[int], overwrite: bool) -> None:
    """Give a stack that is whole its name; one that has it already is left alone.

    Parameters
    ----------
    path : Path
        The name.
    form : {"tiff", "zarr"}
        Its kind.
    missing : sequence of int
        Frames that failed, which become NaN.
    overwrite : bool
        Whether to replace what has the name.

    Raises
    ------
    GanDenoiseError
        If there is something else of that name, and ``overwrite`` is not set.
    """
    part = unfinished_path(path)
    if not part.exists():
        return
    if path.exists() and not overwrite:
        raise GanDenoiseError(f"{path} exists already: move it away and resume the job.")
    if missing and form == "tiff":  # what was never written to a Zarr is NaN anyway
        with closing(_TiffStack(path)) as stack:
            for index in missing:
                stack.blank(index)
    with _explained(path):
        if path.is_dir():
            old = path.with_name(f".{path.name}.old")
            discard(old)
            path.replace(old)
            part.replace(path)
            discard(old)
        else:
            part.replace(path)


def unfinished_in(folder: Path) -> list[Path]:
    """List what an earlier job left unfinished in a folder."""
    rests = (f".*{ending}{rest}" for ending in ENDING.values() for rest in (".part", ".part.new", ".old"))
    return [path for rest in rests for path in folder.glob(rest)]


def set_aside(path: Path) -> None:
    """Give a result another name, if there is one: it was made of something else, and may be all that is left of it."""
    if not path.exists():
        return
    ending = next(ending for ending in ENDING.values() if path.name.endswith(ending))
    stem = path.name.removesuffix(ending)
    names = (f"{stem}.earlier{f'-{number}' if number > 1 else ''}{ending}" for number in itertools.count(1))
    with _explained(path):
        path.replace(next(path.with_name(name) for name in names if not path.with_name(name).exists()))


def is_stack(path: Path, form: str, frames: int, shape: tuple[int, ...]) -> bool:
    """Whether a stack is there, holds frames of a shape, and no part of it is elsewhere."""
    try:
        if path.is_symlink() or any(inner.is_symlink() for inner in path.rglob("*")):
            return False
        stored = _tiff_shape(path) if form == "tiff" else _zarr_shape(path)
    except Exception:  # a damaged file can make the decoder fail in any way
        return False
    # Sides of one pixel are left out by some.
    return stored is not None and [n for n in stored if n > 1] == [n for n in (frames, *shape) if n > 1]


def discard(path: Path) -> None:
    """Remove a file, a folder or a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say in a sentence why a file could not be written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise GanDenoiseError(f"{path} could not be written: {reason}; put that right and resume the job.") from error


def _create_tiff(path: Path, kind: StackKind) -> None:
    """Lay out the pages of an OME-TIFF whose pixels are contiguous and come later."""
    movie = kind.frames > 1
    shape = (kind.frames, *kind.shape) if movie else kind.shape
    axes = ("T" if movie else "") + "YXS"[: len(kind.shape)]
    interval = kind.frame_interval_s if movie else None
    about = ome_arguments(axes, (kind.pixel_size_nm, kind.aspect), kind.provenance, interval)
    with tifffile.TiffWriter(path, bigtiff=4 * math.prod(shape) > LARGEST_TIFF, ome=True) as tif:
        tif.write(None, shape=shape, dtype=np.float32, **about)


def _tiff_shape(path: Path) -> tuple[int, ...] | None:
    """Return the shape of what `_create_tiff` has laid out."""
    with tifffile.TiffFile(path) as tif:
        series = tif.series[0]
        whole = series.dataoffset is not None and series.dataoffset + series.nbytes <= path.stat().st_size
        return tuple(series.shape) if whole and series.dtype == np.float32 else None


def _zarr_shape(path: Path) -> tuple[int, ...] | None:
    """Return the shape of what `_create_zarr` has made, colours last."""
    array = zarr.open_group(path, mode="r")["0"]
    if not isinstance(array, zarr.Array) or array.dtype != np.float32:
        return None
    names = getattr(array.metadata, "dimension_names", None) or ()
    sizes = dict(zip(names, array.shape, strict=True))
    return tuple(sizes[name] for name in "tyxc" if name in sizes)


class _TiffStack:
    """An OME-TIFF of contiguous frames."""

    def __init__(self, path: Path) -> None:
        self._path = path
        part = unfinished_path(path)
        with tifffile.TiffFile(part) as tif:
            series = tif.series[0]
            if series.dataoffset is None:
                raise GanDenoiseError(f"{part} is damaged: start the job anew with overwrite.")
            self._offset = series.dataoffset
            self._bytes = series.nbytes // (series.shape[0] if series.axes[0] == "T" else 1)
        self._file = part.open("r+b", buffering=0)

    def write(self, index: int, frame: NDArray[np.float32]) -> None:
        data = memoryview(np.ascontiguousarray(frame, np.float32).tobytes())
        with _explained(self._path):
            self._file.seek(self._offset + index * len(data))
            while data:
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())

    def blank(self, index: int) -> None:
        self.write(index, np.full(self._bytes // 4, np.nan, np.float32))

    def close(self) -> None:
        self._file.close()


def _create_zarr(path: Path, kind: StackKind) -> None:
    """Make an OME-Zarr of NaN."""
    movie = kind.frames > 1
    height, width, *colours = kind.shape
    create_omezarr(
        path,
        (*([kind.frames] if movie else []), *colours, height, width),
        ("t" if movie else "") + ("c" if colours else "") + "yx",
        name=kind.name,
        pixel_size_nm=kind.pixel_size_nm,
        aspect=kind.aspect,
        frame_interval_s=kind.frame_interval_s if movie else None,
        provenance=kind.provenance,
    )


class _ZarrStack:
    """An OME-Zarr with a chunk a frame."""

    def __init__(self, path: Path) -> None:
        self._path, self._part = path, unfinished_path(path)
        array = zarr.open_group(self._part, mode="r+")["0"]
        if not isinstance(array, zarr.Array):
            raise GanDenoiseError(f"{self._part} is damaged: start the job anew with overwrite.")
        self._array, self._movie = array, "t" in getattr(array.metadata, "dimension_names", ())

    def write(self, index: int, frame: NDArray[np.float32]) -> None:
        image = np.moveaxis(frame, -1, 0) if frame.ndim == 3 else frame
        with _explained(self._path):
            self._array[index if self._movie else ...] = image
            with self._chunk(index).open("rb") as file:
                os.fsync(file.fileno())

    def _chunk(self, index: int) -> Path:
        """Return the file of a frame."""
        keys = [0] * self._array.ndim
        keys[0] = index
        return self._part.joinpath("0", "c", *map(str, keys))

    def close(self) -> None:
        """Nothing stays open."""
