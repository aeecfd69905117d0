"""A stranger's file: what it may ask of the machine, decided in one place for images, models and settings.

A header of a hundred bytes can declare an image of a terabyte, or a thousand million frames.  What is declared is held
against what is stored before anything is read: a file may unpack to a hundred times its size, and to a quarter of a
gigabyte in any case.  The environment variable ``GANDENOISE_UNPACKED_GB`` raises that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_gandenoise.errors import GanDenoiseError, in_short

__all__ = ["blaming", "check_declared", "check_parts", "check_regular", "check_unpacked"]

UNPACKED = "GANDENOISE_UNPACKED_GB"  # environment variable: what any file may unpack to
FREE_GB = 0.25
TIMES = 100  # no image of a detector is compressed as much; empty ones are, to a thousandth
FREE_PARTS = 100_000  # frames, strips, tiles: each of them costs a few hundred bytes before it is read


def check_regular(path: Path) -> None:
    """Refuse a file that is not there, or is a pipe or a device: reading one may wait for ever, or never end.

    Raises
    ------
    GanDenoiseError
        If it is none that can be read.
    """
    try:
        if path.is_file():
            if not os.access(path, os.R_OK):
                raise GanDenoiseError(f"{path} cannot be opened: you lack the permission to read it.")
            return
        folder, there = path.is_dir(), path.exists()
    except OSError as error:
        raise GanDenoiseError(f"{path} cannot be opened: {error.strerror}.") from None
    if folder:
        raise GanDenoiseError(f"{path} is a folder, no file.")
    raise GanDenoiseError(f"{path} is a pipe or a device, no file." if there else f"There is no file {path}.")


def check_unpacked(path: Path, unpacked: int) -> None:
    """Refuse to read at once what unpacks to far more than is stored, or to more than the memory holds.

    Parameters
    ----------
    path : pathlib.Path
        A file, or the folder of a Zarr array.
    unpacked : int
        Bytes that it says it unpacks to: all of it, or one frame where frames are read one by one.

    Raises
    ------
    GanDenoiseError
        If it asks for too much.
    """
    import psutil  # training where nobody opens images does without it

    check_declared(path, unpacked)
    if unpacked > psutil.virtual_memory().total:
        raise GanDenoiseError(
            f"{path} unpacks to {_gigabytes(unpacked)} GB, more than this computer's memory; open it lazily."
        )


def check_declared(path: Path, unpacked: int) -> None:
    """Refuse what says that it unpacks to far more than is stored, as `check_unpacked` does, however it is read.

    Raises
    ------
    GanDenoiseError
        If it does.
    """
    if unpacked > _free_bytes() and unpacked > TIMES * (stored := _stored(path, unpacked // TIMES + 1)):
        raise GanDenoiseError(
            f"{path} has {stored:,} bytes and says that it unpacks to {_gigabytes(unpacked)} GB, which is refused; if "
            f"you trust it, set the environment variable {UNPACKED} to more than that."
        )


def check_parts(path: Path, parts: int) -> None:
    """Refuse more frames, strips or chunks than a file can hold: each needs a byte, but for a hundred thousand.

    Raises
    ------
    GanDenoiseError
        If it says that there are more.
    """
    if parts > FREE_PARTS and parts > (stored := _stored(path, parts)):
        raise GanDenoiseError(
            f"{path} has {stored:,} bytes and says that it holds {in_short(parts)} frames or pieces of them, which it "
            "cannot: it is damaged."
        )


@contextmanager
def blaming(path: Path, kind: str, advice: str = "") -> Iterator[None]:
    """Name the file in whatever a reader complains about: damaged and hostile ones make readers fail in any way.

    Parameters
    ----------
    path : pathlib.Path
        The file or folder that is read.
    kind : str
        What it should be: "TIFF file".
    advice : str
        What to do about it.

    Raises
    ------
    GanDenoiseError
        In place of any exception.
    """
    try:
        yield
    except GanDenoiseError:
        raise
    except Exception as error:
        reason = in_short(error) or type(error).__name__
        end = f": {advice}" if advice else ""
        raise GanDenoiseError(f"{path} cannot be read, it is damaged or no {kind} ({reason}){end}.") from error


def _stored(path: Path, enough: int) -> int:
    """Return the size of a file; of a folder that of all files in it, summed up until it is enough."""
    if not path.is_dir():
        return path.stat().st_size
    found = 0
    for parent, _, names in os.walk(path):
        for name in names:
            found += (Path(parent) / name).lstat().st_size
            if found >= enough:
                return found
    return found


def _free_bytes() -> float:
    """Return what any file may unpack to; what is no number in the environment counts as not set."""
    try:
        return 1e9 * float(os.environ.get(UNPACKED, FREE_GB))
    except ValueError:
        return 1e9 * FREE_GB


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.3g}" if size < 1e300 else "more than 1e291"
