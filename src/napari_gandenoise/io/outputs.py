"""Results of jobs on one image: refused before the work where they could not be written, and written after it."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io.tiff import write_tiff

__all__ = ["check_outputs", "write_result"]


def check_outputs(outputs: Sequence[str | PathLike[str]], source: Any, overwrite: bool, consent: str) -> None:
    """Refuse before the work what could not be written after it.

    Parameters
    ----------
    outputs : sequence of path
        Files that are to be written.
    source : object
        What is worked on; a path must not be one of the outputs.
    overwrite : bool
        Whether existing files may be replaced.
    consent : str
        What to do for that to be so: "add --overwrite".

    Raises
    ------
    GanDenoiseError
        If an output is no TIFF, exists, has no folder, is the source or the same as another.
    """
    for path in map(Path, outputs):
        if path.suffix.lower() not in {".tif", ".tiff"}:
            raise GanDenoiseError(f"The output {path} must end in .tif or .tiff.")
        if isinstance(source, str | PathLike) and path.resolve() == Path(fspath(source)).resolve():
            raise GanDenoiseError(f"The output {path} is the input itself; choose another name.")
        if not path.parent.is_dir():
            raise GanDenoiseError(f"The folder {path.parent} does not exist; create it first.")
        if path.exists() and not overwrite:
            raise GanDenoiseError(f"{path} exists already: choose another name or {consent}.")
    if len({Path(path).resolve() for path in outputs}) < len(outputs):
        raise GanDenoiseError(f"Two results cannot both be {outputs[0]}: choose another name for one.")


def write_result(path: str | PathLike[str], result: Any, part: str = "", *, overwrite: bool = False) -> bool:
    """Write a denoised or restored image, or another image that a result holds, in the input's units.

    Parameters
    ----------
    path : path
        TIFF file.
    result : DenoiseResult or RestoreResult
        What a job returned.
    part : str
        Name of another image: "fit_map", "uncertainty", "drawn".
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    bool
        Whether the result holds such an image.
    """
    pixels = getattr(result, part or ("rate" if hasattr(result, "rate") else "image"), None)
    if pixels is None:
        return False
    size, axes = result.pixel_size_nm, result.axes if pixels.ndim == len(result.axes) else None
    write_tiff(Path(path), pixels, pixel_size_nm=size, axes=axes, provenance=result.report, overwrite=overwrite)
    return True
