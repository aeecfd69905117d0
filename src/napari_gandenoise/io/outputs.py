"""Results of jobs: refused before the work where they could not or must not be written, and written after it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io.tables import CSV, write_table
from napari_gandenoise.io.tiff import write_tiff
from napari_gandenoise.layers import is_layer
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.writing import check_room, check_writable, refuse_inputs

__all__ = ["TIFF", "check_outputs", "check_space", "files_of", "write_result"]

TIFF = (".tif", ".tiff")
FLOAT = 4  # bytes


def check_outputs(
    outputs: Sequence[str | PathLike[str]],
    inputs: Iterable[Any],
    overwrite: bool,
    consent: str,
    *,
    suffixes: Collection[str] = TIFF,
) -> None:
    """Refuse before the work what could not or must not be written after it.

    Parameters
    ----------
    outputs : sequence of path
        Files that are to be written.
    inputs : iterable of object
        All that the job reads: image, mask, truth.  None of the outputs may be one of them, whatever links lead there.
    overwrite : bool
        Whether existing files may be replaced.
    consent : str
        What to do for that to be so: "add --overwrite".
    suffixes : collection of str
        What the names of outputs end in.

    Raises
    ------
    GanDenoiseError
        If an output has another suffix, is an input, exists, has no folder that can be written to, or is the same as
        another.
    """
    paths = [Path(path) for path in outputs]
    for path in paths:
        if path.suffix.lower() not in suffixes:
            raise GanDenoiseError(f"The output {path} must end in {' or '.join(suffixes)}.")
    refuse_inputs(paths, (file for given in inputs for file in files_of(given)))
    for path in paths:
        if not path.parent.is_dir():
            raise GanDenoiseError(f"The folder {path.parent} does not exist; create it first.")
        if path.is_dir():
            raise GanDenoiseError(f"The output {path} is a folder; choose another name.")
        if path.exists() and not overwrite:
            raise GanDenoiseError(f"{path} exists already: choose another name or {consent}.")
    if len({path.resolve() for path in paths}) < len(paths):
        raise GanDenoiseError(f"Two results cannot both be {outputs[0]}: choose another name for one.")
    for folder in dict.fromkeys(path.parent for path in paths):
        check_writable(folder)


def check_space(outputs: Iterable[Path], image: Any, finer: int = 1) -> None:
    """Refuse before the work results that there is no room for.

    Parameters
    ----------
    outputs : iterable of Path
        Files that are to be written, float32 all of them.
    image : Micrograph, array or napari layer
        What they are made of.
    finer : int
        Pixels along a side of theirs for one of the image.

    Raises
    ------
    GanDenoiseError
        If a disk has too little room.
    """
    pixels = (
        image.pixels if isinstance(image, Micrograph) else getattr(image, "data", image) if is_layer(image) else image
    )
    each = FLOAT * math.prod(getattr(pixels, "shape", ())) * finer**2
    for folder, files in Counter(path.parent for path in outputs).items():
        check_room(folder, files * each)


def files_of(given: Any) -> list[Path]:
    """Return the files that an image is read from, as far as it tells: a path, a layer, a memory map."""
    if isinstance(given, str | PathLike):
        return [Path(fspath(given))]
    if isinstance(given, Micrograph):
        return files_of(given.pixels)
    if is_layer(given):
        opened = getattr(getattr(given, "source", None), "path", None)
        return [*([] if opened is None else [Path(opened)]), *files_of(given.data)]
    mapped = getattr(given, "filename", None)
    return [] if mapped is None else [Path(mapped)]


def write_result(path: str | PathLike[str], result: Any, part: str = "", *, overwrite: bool = False) -> bool:
    """Write a denoised or restored image, or another image or table that a result holds, in the input's units.

    Parameters
    ----------
    path : path
        TIFF file, or of a table CSV file.
    result : DenoiseResult or RestoreResult
        What a job returned.
    part : str
        Name of something else: "fit_map", "uncertainty", "drawn", "drift".
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    bool
        Whether the result holds such a thing.
    """
    found = getattr(result, part or ("rate" if hasattr(result, "rate") else "image"), None)
    if found is None:
        return False
    if isinstance(found, Mapping):
        check_outputs([path], [], overwrite, "pass overwrite=True", suffixes=(CSV,))
        write_table(Path(path), found)
        return True
    write_tiff(
        Path(path),
        found,
        pixel_size_nm=result.pixel_size_nm,
        aspect=result.aspect,
        axes=result.axes if found.ndim == len(result.axes) else None,
        provenance=result.report,
        overwrite=overwrite,
        double=found.dtype == "float64",
    )
    return True
