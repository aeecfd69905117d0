"""Names that files are written under: whoever chose them, they may not lead out of a folder."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import AfterValidator

__all__ = ["LONGEST_NAME", "FileName", "check_name"]

LONGEST_NAME = 200  # bytes: most systems take 255, and ends such as "-super-resolved.ome.tif.part" are added
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}


def check_name(name: str) -> str:
    """Return a name if a file in a folder can have it, with an ending.

    Parameters
    ----------
    name : str
        Without its ending.

    Raises
    ------
    ValueError
        If it is empty, too long, has a separator of any system or a control character, or means something else than a
        file: ``..``, a device or a drive of Windows.
    """
    if not name or name.strip(". ") == "":
        raise ValueError("a name needs a letter or a digit")
    if any(character in "/\\" or ord(character) < 32 or ord(character) == 127 for character in name):
        raise ValueError("a name is no path: it cannot have /, \\ or control characters")
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise ValueError("a name must be text, in Unicode") from None
    if length > LONGEST_NAME:
        raise ValueError(f"a name can have {LONGEST_NAME} bytes, and this one has {length}")
    if os.name == "nt" and (":" in name or name.partition(".")[0].strip().lower() in DEVICES):
        raise ValueError("Windows has another use for this name")
    return name


FileName = Annotated[str, AfterValidator(check_name)]
