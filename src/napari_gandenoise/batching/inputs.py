"""What goes in: files, folders and patterns, and the frames in them."""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.io import images_in, read_micrograph
from napari_gandenoise.io.files import IN_FOLDERS, is_image
from napari_gandenoise.io.omezarr import is_zarr
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.settings.names import check_name

__all__ = ["Source", "content_hash", "find_sources", "open_source", "read_frame", "stamp_of"]

WILD = "*?["
ANY_DEPTH = "**"
BLOCK = 2**20  # bytes read at once


@dataclass(frozen=True)
class Source:
    """A file, or a Zarr folder, that holds an image or a movie; ``name`` is that of its results."""

    name: str
    path: Path


def find_sources(inputs: Iterable[str], output: Path | None = None) -> list[Source]:
    """List the images that files, folders and patterns stand for, in the order they are given.

    Parameters
    ----------
    inputs : iterable of str
        Paths; ``*``, ``?``, ``[]`` and ``**`` mean what they do in a shell, a folder the images directly in it.
    output : Path, optional
        Folder for the results, which cannot be one of the inputs.

    Raises
    ------
    GanDenoiseError
        If one of them is not there or holds no image, or two images have the same name.
    """
    paths: list[Path] = []
    for given in inputs:
        if not given.strip():
            raise GanDenoiseError("One of the inputs is empty, which would stand for all files of this folder.")
        found = _expand(given)
        if output is not None and Path(given).is_dir() and Path(given).resolve() == output.resolve():
            raise GanDenoiseError(f"{output} holds the inputs: choose another folder for the results.")
        if not found:
            raise GanDenoiseError(
                f"{given} holds no image that can be opened: {', '.join(sorted(IN_FOLDERS))} or Zarr."
            )
        paths += found
    return _named(list(dict.fromkeys(paths)))


def _expand(given: str) -> list[Path]:
    path = Path(given)
    if path.is_file() or is_zarr(path):
        return [path.absolute()]
    if path.is_dir():
        return images_in(path)
    if any(character in given for character in WILD):
        return sorted({path.absolute() for path in map(Path, _matching(Path(given))) if is_image(path)})
    raise GanDenoiseError(f"There is no file {given}.")


def _matching(pattern: Path) -> Iterator[str]:
    """Yield what a pattern stands for; below ``**`` each folder once, whatever links lead to it."""
    parts = pattern.parts
    if ANY_DEPTH not in parts:
        yield from glob.iglob(str(pattern))  # noqa: PTH207 - the pattern may be absolute
        return
    depth = parts.index(ANY_DEPTH)
    rest = parts[depth + 1 :] or ("*",)
    for top in glob.glob(str(Path(*parts[:depth]))):  # noqa: PTH207
        for folder in _folders_below(top):
            yield from _matching(Path(glob.escape(folder), *rest))


def _folders_below(top: str) -> Iterator[str]:
    """Yield a folder and all in it, but not what is hidden or inside a Zarr."""
    seen: set[tuple[int, int]] = set()
    for folder, inside, _ in os.walk(top, followlinks=True):
        found = Path(folder).stat()
        known = (found.st_dev, found.st_ino) in seen
        seen.add((found.st_dev, found.st_ino))
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        if known or (folder != top and is_zarr(Path(folder))):
            inside.clear()
        else:
            yield folder


def _named(paths: list[Path]) -> list[Source]:
    """Name the sources after their files, and after their kinds or folders too where that tells them apart."""
    stems = [path.stem.removesuffix(".ome") for path in paths]
    beside = Counter((path.parent, stem) for path, stem in zip(paths, stems, strict=True))
    names = [
        f"{stem}-{path.suffix[1:]}" if beside[path.parent, stem] > 1 else stem
        for path, stem in zip(paths, stems, strict=True)
    ]
    count = Counter(names)
    names = [f"{path.parent.name}-{name}" if count[name] > 1 else name for path, name in zip(paths, names, strict=True)]
    for name, times in Counter(names).items():
        if times > 1:
            raise GanDenoiseError(f"{times} of the inputs would give results of the name {name}: run two jobs.")
    for name, path in zip(names, paths, strict=True):
        try:
            check_name(name)
            str(path).encode()  # for the ledger
        except ValueError as error:
            what = "its folders have names that are no Unicode" if isinstance(error, UnicodeError) else str(error)
            raise GanDenoiseError(f"{str(path)!r} cannot give the results its name: {what}; rename it.") from None
    return [Source(name, path) for name, path in zip(names, paths, strict=True)]


def stamp_of(path: Path) -> tuple[int, int]:
    """Return size in bytes and time of the last change, in nanoseconds, of a file or of all files of a Zarr.

    Raises
    ------
    GanDenoiseError
        If it is not there.
    """
    try:
        found = [file.stat() for file in _content(path)]
    except OSError as error:
        raise GanDenoiseError(f"{path} cannot be read: {error.strerror}.") from error
    if not found:
        raise GanDenoiseError(f"There is no file {path}.")
    return sum(one.st_size for one in found), max(one.st_mtime_ns for one in found)


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of all files of a Zarr.

    Raises
    ------
    GanDenoiseError
        If it cannot be read.
    """
    digest = sha256()
    try:
        for file in _content(path):
            if file != path:
                digest.update(f"{file.relative_to(path).as_posix()}\n{file.stat().st_size}\n".encode())
            with file.open("rb") as content:
                while block := content.read(BLOCK):
                    digest.update(block)
    except OSError as error:
        raise GanDenoiseError(f"{path} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()


def _content(path: Path) -> list[Path]:
    """List the plain files of an input, in order; to open anything else might wait forever."""
    if not is_zarr(path):
        return [path] if path.is_file() else []
    files = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    return sorted(file for file in files if stat.S_ISREG(file.stat().st_mode))


def open_source(path: Path, image: str | None = None) -> Micrograph:
    """Open an image or a movie, of several that of a name, whose frames stay on the disk; the last one stays open."""
    return _opened(path, image, _stamp(path))


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(maxsize=1)
def _opened(path: Path, image: str | None, changed: int) -> Micrograph:  # noqa: ARG001 - changed, it is another entry
    return read_micrograph(path, image=image, lazy=True)


def read_frame(micrograph: Micrograph, index: int) -> NDArray[Any]:
    """Read one frame into memory, ``(Y, X)`` or ``(Y, X, C)``, and nothing else of the file.

    Raises
    ------
    GanDenoiseError
        If it cannot be read.
    """
    pixels = micrograph.pixels
    try:
        if isinstance(pixels, np.memmap) and pixels.filename is not None and micrograph.is_stack:
            # Pages of a map stay in memory as long as the map does: with time, those of all frames.
            shape = pixels.shape[1:]
            offset = pixels.offset + index * pixels.strides[0]
            count = shape[0] * shape[1]
            frame = np.fromfile(pixels.filename, pixels.dtype, count, offset=offset).reshape(shape)
            return frame.astype(frame.dtype.newbyteorder("="), copy=False)
        return np.asarray(micrograph.frame(index).pixels)
    except Exception as error:  # a damaged frame can make a decoder fail in any way
        raise GanDenoiseError(f"Frame {index} of {micrograph.name} cannot be read ({in_short(error)}).") from error
