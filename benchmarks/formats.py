"""Files of microscopes beside rosettasciio: the same pixels, the same pixel size, one sentence for all else.

The files are rosettasciio's own test data, the folder ``rsciio/tests/data`` of
https://github.com/hyperspy/rosettasciio, which holds the larger ones behind its ``registry.txt``.

::

    python -m benchmarks.formats FOLDER

The environment variable ``GANDENOISE_FORMATS`` may name the folder instead.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pint
import rsciio
import typer
from tqdm import tqdm

from benchmarks.record import RESULTS, write_result
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_images
from napari_gandenoise.io.files import SUFFIXES
from napari_gandenoise.layers import pixel_sides
from napari_gandenoise.micrograph import LARGEST_NM, SMALLEST_NM, Micrograph

# Readers of rosettasciio that are not asked: one evaluates text of the file, two need packages of their own, and
# pictures are no files of microscopes.
NOT_ASKED = {"netcdf", "mrcz", "usid", "image"}
NO_LENGTHS = {"px", "pix", "points"}  # which for pint are parts of an inch
SPECTRAL = re.compile(r"k?eV|1/cm|amu|m/z")
UNITS = pint.UnitRegistry()
REASONS = {
    "a spectrum|line of spectra": "spectra",
    "a profile|single value": "profiles and numbers",
    "4D-STEM": "4D-STEM data",
    r"data with \d axes": "other data with more than three axes",
    "complex": "complex numbers",
    "colour images": "a stack of colour images",
    "values of the type": "values that are no numbers",
    "unknown type": "of a type that is not read",
    "spread over": "spread over several files",
    "only square": "pixels that are not square",
    "cannot be read": "damaged, or the pixels are missing",
}


@dataclass
class Seen:
    """What became of one file."""

    path: Path
    theirs: list[dict[str, Any]] = field(default_factory=list)  # the images that rosettasciio reads
    ours: list[Micrograph] = field(default_factory=list)
    sentence: str = ""
    traceback: str = ""
    missed: int = 0  # images of theirs that are not among ours
    wrong_sizes: int = 0


def files_in(folder: Path) -> list[Path]:
    """List files, and Zarr folders as one."""
    zarrs = set(folder.rglob("*.zspy"))
    return sorted(
        path for path in folder.rglob("*")
        if path in zarrs or (path.is_file() and not zarrs & set(path.parents))
    )  # fmt: skip


def read_by_rosettasciio(path: Path) -> list[dict[str, Any]]:
    """Read a file with the first reader of its suffix that can, all pixels in memory; its images and movies."""
    for plugin in rsciio.IO_PLUGINS:
        name = plugin["api"].split(".")[1]
        suffixes = {suffix.lower() for suffix in plugin["file_extensions"]}
        if path.suffix[1:].lower() not in suffixes or name in NOT_ASKED:
            continue
        more = {"signal": "all"} if name == "delmic" else {}
        try:
            found = import_module(plugin["api"]).file_reader(str(path), **more)
        except Exception:  # of another format
            continue
        if found:
            return [signal for signal in found if is_image(signal)]
    return []


def is_image(signal: dict[str, Any]) -> bool:
    """Whether HyperSpy would show a picture or a stack of pictures: two signal axes, or a map of single values."""
    data, axes = signal.get("data"), signal.get("axes", [])
    if data is None or len(axes) != np.ndim(data):
        return False
    kept = [axis for axis, side in zip(axes, data.shape, strict=True) if side != 1]
    colour = data.dtype.names is not None and data.dtype.names[:3] == ("R", "G", "B")
    if not (data.dtype.kind in "iuf" or colour) or len(kept) not in ((2,) if colour else (2, 3)):
        return False
    if any(SPECTRAL.search(str(axis.get("units"))) or "avelength" in str(axis.get("name")) for axis in kept):
        return False
    signals = sum(not axis.get("navigate") for axis in kept)
    return signals in (0, 2, 3) and not (signals == 0 and len(kept) == 3)


def sizes_nm(signal: dict[str, Any]) -> list[float | None]:
    """Return height and width of a pixel by rosettasciio's axes and pint's units; None where they are no lengths.

    A negative size in an MRC file stands for one that nobody knows.
    """
    found: list[float | None] = []
    axes = [axis for axis, side in zip(signal["axes"], signal["data"].shape, strict=True) if side != 1]
    for axis in axes[-2:]:
        try:
            if str(axis["units"]) in NO_LENGTHS or ("std_header" in signal["original_metadata"] and axis["scale"] < 0):
                raise ValueError("no length")
            nm = abs(float(axis["scale"])) * UNITS(str(axis["units"])).to("nm").magnitude
        except Exception:
            nm = None
        found.append(nm if nm and SMALLEST_NM <= nm <= LARGEST_NM else None)
    return found


def pixels_of(signal: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Return the pixels of rosettasciio's, colours along the last axis."""
    data = np.squeeze(np.asarray(signal["data"]))
    return np.stack([data[name] for name in data.dtype.names], axis=-1) if data.dtype.names else data


def look(path: Path) -> Seen:
    """Read a file by both."""
    seen = Seen(path, read_by_rosettasciio(path))
    try:
        seen.ours = read_images(path)
    except GanDenoiseError as error:
        seen.sentence = str(error)
    except Exception as error:
        seen.traceback = repr(error)
    left = list(seen.ours)
    for signal in seen.theirs if seen.ours else []:
        theirs = pixels_of(signal)
        same = [one for one in left if one.pixels.shape == theirs.shape and _equal(one.pixels, theirs)]
        if not same:
            seen.missed += 1
            continue
        left.remove(same[0])
        seen.wrong_sizes += not _agree(same[0], sizes_nm(signal))
    return seen


def _agree(ours: Micrograph, theirs: list[float | None]) -> bool:
    """Whether both sides of a pixel are theirs, or nobody knows one of them."""
    if ours.pixel_size_nm is None or None in theirs:
        return ours.pixel_size_nm is None and None in theirs
    # Sides that differ by less than a hundredth are taken as one.
    return bool(
        np.allclose(pixel_sides(ours.pixel_size_nm, ours.aspect), theirs, rtol=0.01 if ours.aspect == 1 else 1e-5)
    )


def _equal(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> bool:
    return bool(np.array_equal(ours, theirs, equal_nan=theirs.dtype.kind == "f"))


def rows_of(found: list[Seen]) -> Iterator[dict[str, object]]:
    """Make a row a suffix, and one of all."""
    suffixes = sorted({one.path.suffix.lower() for one in found if one.path.suffix.lower() in SUFFIXES or one.theirs})
    for suffix in [*suffixes, "all else", "all"]:
        part = [one for one in found if suffix in ("all", one.path.suffix.lower())]
        if suffix == "all else":
            part = [one for one in found if one.path.suffix.lower() not in suffixes]
        images = [one for one in part if one.theirs]
        yield {
            "suffix": suffix,
            "files": len(part),
            "with images": len(images),
            "of these opened": sum(bool(one.ours) for one in images),
            "others opened": sum(bool(one.ours) for one in part if not one.theirs),
            "refused in a sentence": sum(bool(one.sentence) and "\n" not in one.sentence for one in part),
            "other pixels": sum(one.missed for one in part),
            "wrong pixel sizes": sum(one.wrong_sizes for one in part),
            "tracebacks": sum(bool(one.traceback) for one in part),
        }


def reason_of(sentence: str) -> str:
    """Say in short why a file was refused."""
    return next((short for pattern, short in REASONS.items() if re.search(pattern, sentence)), sentence)


def main(
    folder: Annotated[
        Path, typer.Argument(help="rosettasciio's test data: rsciio/tests/data.", envvar="GANDENOISE_FORMATS")
    ],
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Compare all files of a folder, and print what differs."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    found = [look(path) for path in tqdm(files_in(folder), disable=None, leave=False)]
    reasons = Counter(reason_of(one.sentence) for one in found if one.sentence)
    refused = Counter(reason_of(one.sentence) for one in found if one.sentence and one.theirs)
    notes = (
        "All files of rosettasciio's test data, read by us and by rosettasciio; with images: those that HyperSpy "
        "would show as pictures.  Pixels have to be equal, pixel sizes too, or absent where rosettasciio's is "
        f"none between {SMALLEST_NM:g} and {LARGEST_NM:g} nm.  Refused, by reason: {_told(reasons)}.  Of files with "
        f"images: {_told(refused)}."
    )
    typer.echo(write_result(results, "formats", "Files of microscopes", notes, list(rows_of(found))))
    for one in found:
        if one.traceback or one.missed or one.wrong_sizes or (one.theirs and one.sentence):
            what = one.traceback or one.sentence or f"{one.missed} images differ, {one.wrong_sizes} pixel sizes"
            typer.echo(f"{one.path.relative_to(folder)}: {what.replace(f'{folder}/', '')}")


def _told(reasons: Counter[str]) -> str:
    return ", ".join(f"{what} {times}" for what, times in reasons.most_common())


if __name__ == "__main__":
    typer.run(main)
