"""Files of microscopes, read through ncempy: Digital Micrograph, MRC, TIA's SER, and both kinds of EMD.

ncempy: https://openncem.readthedocs.io.  It is an optional extra.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import Micrograph, nm_per_unit, pixel_from_sides
from napari_gandenoise.strangers import blaming, check_parts, check_unpacked

__all__ = ["MICROSCOPE_SUFFIXES", "read_microscope_file"]

NM_PER_ANGSTROM, NM_PER_M = 0.1, 1e9
HEAP = b"GCOL\1\0\0\0"  # how a heap of text begins in HDF5
SEARCHED = 2**26  # bytes of a file that heaps are searched in: to search gigabytes takes long, and text comes early
SER_COUNT = 18  # where a SER file says how many images it holds


@dataclass(frozen=True)
class _Contents:
    """What is in a file: an array on the disk ``(Y, X)`` or ``(T, Y, X)``, and the sides of a pixel in nanometres."""

    pixels: Any
    y_nm: float | None
    x_nm: float | None


def read_microscope_file(path: Path, *, lazy: bool = False) -> list[Micrograph]:
    """Read the first image or series of a file; see `napari_gandenoise.io.read_images`."""
    try:
        import ncempy.io  # noqa: F401
    except ImportError as error:
        raise GanDenoiseError(f"To open {path}, install ncempy: pip install 'napari-gandenoise[formats]'.") from error
    with blaming(path, "image of a microscope"):
        found = _READERS[path.suffix.lower()](path)
        pixels = found.pixels
        if len(pixels.shape) not in (2, 3):
            raise GanDenoiseError(f"{path} has {len(pixels.shape)} axes, but only an image or a series can be opened.")
        if not lazy or len(pixels.shape) == 2:
            check_unpacked(path, math.prod(map(int, pixels.shape)) * pixels.dtype.itemsize)
            pixels = np.asarray(pixels)
        return [Micrograph(pixels, name=path.stem, **pixel_from_sides(found.y_nm, found.x_nm))]


def _read_dm(path: Path) -> _Contents:
    from ncempy.io.dm import fileDM

    with fileDM(path, on_memory=False) as file:
        first = file.getSlice(0, 0)
        return _Contents(file.getMemmap(0), *_sides(first["pixelSize"], first["pixelUnit"]))


def _read_mrc(path: Path) -> _Contents:
    from ncempy.io.mrc import fileMRC

    with fileMRC(path) as file:
        pixels = np.memmap(path, file.dataType, "r", file.dataOffset, tuple(map(int, file.dataSize)))
        known = all(file.volumeSize[-2:])
        sides = [NM_PER_ANGSTROM * float(side) if known else None for side in file.voxelSize[-2:]]
        return _Contents(pixels[0] if len(pixels) == 1 else pixels, sides[0], sides[1])


def _read_ser(path: Path) -> _Contents:
    from ncempy.io.ser import fileSER

    with path.open("rb") as opened:  # ncempy makes room for the places of all images before it reads them
        opened.seek(SER_COUNT)
        count = int.from_bytes(opened.read(4), "little", signed=True)
    check_parts(path, count)
    with fileSER(path) as file:
        first, about = file.getDataset(0)
    x_nm, y_nm = (NM_PER_M * float(side["CalibrationDelta"]) or None for side in about["Calibration"])

    def read(index: int) -> NDArray[Any]:
        with fileSER(path) as file:
            return np.asarray(file.getDataset(index)[0])

    return _Contents(first if count == 1 else _series(count, first, read), y_nm, x_nm)


def _read_emd(path: Path) -> _Contents:
    import h5py

    _check_heaps(path)
    with h5py.File(path, "r") as file:
        velox = "Data" in file and "Image" in file["Data"]
    return (_read_velox if velox else _read_berkeley)(path)


def _read_velox(path: Path) -> _Contents:
    """Read what Velox stores as ``(Y, X, T)``."""
    from ncempy.io.emdVelox import fileEMDVelox

    with fileEMDVelox(path) as file:
        group = file.list_data[0]
        count = group["Data"].shape[2]
        _check_dataset(path, group["Data"], count)
        _check_dataset(path, group["Metadata"], 1)
        data, about = file.getDataset(0, memmap=True)
        first = np.asarray(data[..., 0])

    def read(index: int) -> NDArray[Any]:
        with fileEMDVelox(path) as file:
            return np.asarray(file.getDataset(0, memmap=True)[0][..., index])

    sides = _sides(about["pixelSize"][::-1], about["pixelUnit"][::-1])
    return _Contents(first if count == 1 else _series(count, first, read), *sides)


def _read_berkeley(path: Path) -> _Contents:
    from ncempy.io.emd import fileEMD

    with fileEMD(path) as file:
        group = file.list_emds[0]
        data = group["data"]
        for axis in range(data.ndim):
            _check_dataset(path, group[f"dim{axis + 1}"], 1)
        axes = file.get_emddims(group)[-2:]
        several = data.ndim == 3 and data.shape[0] > 1
        _check_dataset(path, data, data.shape[0] if data.ndim == 3 else 1)
        first = np.asarray(data[0]) if data.ndim == 3 else np.asarray(data)
        count = data.shape[0] if several else 1

    def read(index: int) -> NDArray[Any]:
        with fileEMD(path) as file:
            return np.asarray(file.list_emds[0]["data"][index])

    steps = [float(axis[0][1] - axis[0][0]) if len(axis[0]) > 1 else 0.0 for axis in axes]
    # Units are written as [n_m].
    sides = _sides(steps, [str(axis[2]).strip("[]").replace("_", "") for axis in axes])
    return _Contents(_series(count, first, read) if several else first, *sides)


def _check_heaps(path: Path) -> None:
    """Refuse an HDF5 file one of whose heaps of text has no end: the library walks it for ever."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(HEAP, 0, SEARCHED)
        while start >= 0:
            (size,) = struct.unpack_from("<Q", content, start + 8)
            place, end = start + 16, min(start + size, len(content))
            while place + 16 <= end:
                number, length = struct.unpack_from("<H6xQ", content, place)
                if length > size or (number == 0 and length == 0):
                    raise ValueError("a heap of text in it has no end")
                place += length if number == 0 else 16 + -(-length // 8) * 8
            start = content.find(HEAP, start + 8, SEARCHED)


def _check_dataset(path: Path, data: Any, frames: int) -> None:
    """Refuse a dataset of HDF5 whose pixels are elsewhere, or that declares far more of them than are stored."""
    if data.is_virtual or data.external or not path.samefile(data.file.filename):
        raise GanDenoiseError(f"{path} is one part of an image spread over several files; join them first.")
    check_parts(path, frames)
    check_unpacked(path, max(data.nbytes // max(frames, 1), math.prod(data.chunks or ()) * data.dtype.itemsize))


def _series(count: int, first: NDArray[Any], read: Callable[[int], NDArray[Any]]) -> da.Array:
    """Make each frame of a series a dask task that opens the file anew."""

    def block(block_info: Any) -> NDArray[Any]:
        return read(block_info[None]["chunk-location"][0])[None]

    chunks = ((1,) * count, *((side,) for side in first.shape))
    series: da.Array = da.map_blocks(block, chunks=chunks, dtype=first.dtype, meta=np.empty((0, 0, 0), first.dtype))
    return series


def _sides(sizes: Sequence[float], units: Sequence[Any]) -> tuple[float | None, float | None]:
    """Turn the steps along y and x into nanometres; None where the unit is no length."""
    found = []
    for size, unit in zip(sizes, units, strict=True):
        nm = nm_per_unit(unit)
        found.append(float(size) * nm if nm is not None and size > 0 else None)
    return found[0], found[1]


_READERS: dict[str, Callable[[Path], _Contents]] = {
    ".dm3": _read_dm,
    ".dm4": _read_dm,
    ".mrc": _read_mrc,
    ".ser": _read_ser,
    ".emd": _read_emd,
}
MICROSCOPE_SUFFIXES = frozenset(_READERS)
