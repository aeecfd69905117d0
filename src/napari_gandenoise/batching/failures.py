"""What fails: a sentence for the user, and for what nobody has foreseen a log to report it with."""

from __future__ import annotations

import os
import traceback
from contextlib import suppress
from pathlib import Path

from napari_gandenoise.errors import GanDenoiseError, in_short

__all__ = ["ERRORS", "details_of", "keep_details", "reason_of"]

ERRORS = "batch-errors.log"
LONGEST = 300  # characters of what a library says
NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


def reason_of(error: Exception) -> str:
    """Say in a sentence why a frame or a file failed."""
    if isinstance(error, GanDenoiseError):
        return _text(error)
    short = in_short(_text(f"{type(error).__name__}: {error}"), LONGEST)
    return f"This was not foreseen ({short}): please report it with {ERRORS} in the folder of the results."


def _text(said: object) -> str:
    """Return what can be written into a ledger: names of files need not be Unicode."""
    return str(said).encode(errors="backslashreplace").decode()


def details_of(error: Exception) -> str:
    """Return what a report needs; nothing where the user can put it right."""
    return "" if isinstance(error, GanDenoiseError) else "".join(traceback.format_exception(error))


def keep_details(folder: Path, item: str, details: str) -> None:
    """Add details to the log in the folder of the results; a log that cannot be written ends no job."""
    if not details:
        return
    with suppress(OSError):
        # No link is followed: the folder may come from anywhere.
        log = os.open(folder / ERRORS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | NO_LINKS, 0o666)
        try:
            os.write(log, f"{item}\n{details}\n".encode(errors="backslashreplace"))
        finally:
            os.close(log)
