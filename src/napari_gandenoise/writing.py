"""Files written for good: whole or not at all, never in the place of what is read, and by one process at a time."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from napari_gandenoise.errors import GanDenoiseError, in_short

if sys.platform != "win32":  # where nothing keeps two jobs out of one folder
    import fcntl

__all__ = [
    "check_room",
    "check_writable",
    "claim",
    "claimed",
    "lock",
    "refuse_inputs",
    "remove_partial",
    "written_whole",
]

PARTIAL = ".partial"
ATTEMPTS = 100  # after which files are what they are: some file systems number them as they like


@contextmanager
def written_whole(path: Path, then: str = "resume") -> Iterator[Path]:
    """Yield a temporary path that takes the place of ``path`` once it is written and on the disk.

    A kill or a power cut at any moment leaves the old file or the new one.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    then : str
        What to do once there is room for it.

    Raises
    ------
    GanDenoiseError
        If it cannot be written, as when the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        temporary.unlink(missing_ok=True)  # a link to somewhere else
        try:
            yield temporary
            _to_disk(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        if os.name == "posix":  # only there can a folder be opened, to have its entries written
            _to_disk(path.parent)
    except (OSError, SafetensorError) as error:
        # NumPy and safetensors report a write that fell short without the system's words.
        reason = getattr(error, "strerror", None) or f"the disk is full ({in_short(error)})"
        raise GanDenoiseError(f"{path} could not be written: {reason}; put that right and {then}.") from error


def remove_partial(folder: Path) -> None:
    """Remove what killed processes were writing in a folder: only whoever has claimed it may do so."""
    for left in folder.glob(f".*{PARTIAL}"):
        with suppress(OSError):
            left.unlink()


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse outputs that are inputs of the same job, or hold one, by the identity of the files.

    Parameters
    ----------
    outputs : iterable of Path
        What is to be written, or replaced, or removed.
    inputs : iterable of Path
        What is read.

    Raises
    ------
    GanDenoiseError
        If that would replace an input.
    """
    # Who replaces the folder of a Zarr, or one around it, replaces what is in it.
    places = {place for file in inputs for place in (file, *file.resolve().parents)}
    known = {_identity(place) for place in places}
    for path in outputs:
        if _identity(path) in known:
            raise GanDenoiseError(f"The output {path} is the input itself; choose another name.")


def _identity(path: Path) -> tuple[int, int] | str:
    """Say which file this is, whatever its name: by links, of either kind, and where the system is careless of case."""
    try:
        found = path.stat()
    except OSError:
        return os.path.normcase(path.resolve())
    return found.st_dev, found.st_ino


def check_writable(folder: Path) -> None:
    """Refuse a folder that nothing can be written to; one that is not there yet is judged by where it would be.

    Raises
    ------
    GanDenoiseError
        If nothing can be written there.
    """
    place = _nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            return
    except OSError as error:
        reason = error.strerror or str(error)
        raise GanDenoiseError(f"Nothing can be written to {folder} ({reason}): choose another folder.") from error


def check_room(folder: Path, needed: int, then: str = "try again") -> None:
    """Refuse a folder whose disk has less room than what is to be written to it needs.

    Parameters
    ----------
    folder : pathlib.Path
        It may not be there yet.
    needed : int
        Bytes.
    then : str
        What to do once there is room.

    Raises
    ------
    GanDenoiseError
        If there is too little.
    """
    try:
        free = shutil.disk_usage(_nearest(folder)).free
    except OSError:  # a file system that does not say
        return
    if free < needed:
        raise GanDenoiseError(
            f"{needed / 1e9:.3g} GB are to be written to {folder}, where {free / 1e9:.3g} GB are left: put that right "
            f"and {then}."
        )


def _nearest(folder: Path) -> Path:
    """Return a folder, or where it would be."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())


def claim(path: Path) -> int:
    """Open a file to append to, or make it, and keep other processes from claiming it until it is closed.

    Returns
    -------
    int
        Its descriptor.

    Raises
    ------
    GanDenoiseError
        If another process has claimed it, or it cannot be written.
    """
    attempts = 0
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise GanDenoiseError(f"{path} could not be written: {error.strerror}.") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise GanDenoiseError(f"{path} could not be written: it is no file.")
            lock(descriptor, path.parent)
            # Whoever had it before may have put another one in its place, or removed it.
            attempts += 1
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()) or attempts == ATTEMPTS:
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def lock(descriptor: int, folder: Path) -> None:
    """Keep other processes from claiming an open file of a folder.

    Raises
    ------
    GanDenoiseError
        If one has done so.
    """
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise GanDenoiseError(f"Another process works in {folder}: wait for it, or choose another folder.") from None
    except OSError:  # a file system without locks
        return


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Claim a file that is there for nothing else, and remove it in the end."""
    descriptor = claim(path)
    try:
        yield
    finally:
        if sys.platform != "win32":  # where a file that is open cannot be removed
            path.unlink(missing_ok=True)
        os.close(descriptor)
