"""One process at a time works in a folder: it holds a file there that others cannot claim."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_gandenoise.errors import GanDenoiseError

if sys.platform != "win32":  # where nothing keeps two jobs out of one folder
    import fcntl

__all__ = ["claim", "claimed", "lock"]


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
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise GanDenoiseError(f"{path} could not be written: {error.strerror}.") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise GanDenoiseError(f"{path} could not be written: it is no file.")
            lock(descriptor, path.parent)
            # Whoever had it before may have put another one in its place.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
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
