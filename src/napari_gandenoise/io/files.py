"""Open a micrograph, whatever the kind of file."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.io.arrays import read_array
from napari_gandenoise.io.formats import MICROSCOPE_SUFFIXES
from napari_gandenoise.io.microscope import read_microscope_file
from napari_gandenoise.io.omezarr import is_zarr, read_omezarr
from napari_gandenoise.io.pictures import PICTURES, read_picture
from napari_gandenoise.io.tiff import read_tiff
from napari_gandenoise.layers import is_layer
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.strangers import check_regular

__all__ = ["IN_FOLDERS", "SUFFIXES", "images_in", "is_image", "pixels_of", "read_images", "read_micrograph"]

SUFFIXES = frozenset({".tif", ".tiff", ".npy", *PICTURES}) | MICROSCOPE_SUFFIXES  # of a Zarr folder: any
# Of the files of a folder: .emi files belong to .ser files, which are there as well, and most .xml files to an image.
IN_FOLDERS = SUFFIXES - {".emi", ".xml"}


def read_micrograph(path: str | Path, *, image: str | None = None, lazy: bool = False) -> Micrograph:
    """Read an image or a movie with its pixel size.

    Parameters
    ----------
    path, lazy
        As for `read_images`.
    image : str, optional
        Which of several images in the file, by its title, such as "HAADF", or its name; by default the largest.

    Returns
    -------
    Micrograph
        With a note, where a file of several images leaves the choice.

    Raises
    ------
    GanDenoiseError
        As `read_images`, or if the file has no image of that name.
    """
    found = read_images(path, lazy=lazy)
    names = [each.title or each.name for each in found]
    if image is not None:
        for each in found:
            if image.casefold() in (each.title.casefold(), each.name.casefold()):
                return each
        raise GanDenoiseError(f"{path} has no image {in_short(image)!r}, but: {', '.join(names)}.")
    # A preview in colours can be as large as the image that it is of, but nobody measured it.
    largest = max(found, key=lambda each: (each.extent, each.pixel_size_nm is not None, not each.rgb))
    if len(found) == 1:
        return largest
    said = f"{Path(path).name} holds {len(found)} images: {', '.join(names)}"
    return replace(largest, notes=(*largest.notes, f"{said}; this is {names[found.index(largest)]}, the largest."))


def read_images(path: str | Path, *, lazy: bool = False) -> list[Micrograph]:
    """Read all images and movies of a file with their pixel sizes.

    Parameters
    ----------
    path : str or Path
        A TIFF file (plain, ImageJ, OME or of a microscope), a Zarr array or OME-Zarr image, a NumPy array (.npy), a
        PNG, JPEG or BMP file, or the file of a microscope (`napari_gandenoise.io.formats`); most of these need the
        extra ``formats``.
    lazy : bool
        Leave the frames of a movie on the disk until they are asked for.

    Returns
    -------
    list of Micrograph
        At least one, in the order of the file; a name each, that of the file if it is the only one.  Pixels ``(Y, X)``,
        ``(T, Y, X)`` or ``(Y, X, C)`` of the file's own type, the pixel size in nanometres where the file states one.
        With ``lazy``, a movie's pixels are a memory map or a dask array where the format allows it.

    Raises
    ------
    GanDenoiseError
        If the file is missing, of another kind, damaged, holds something else than an image or a movie, or unpacks to
        more than a file of its size may.
    """
    path = Path(path)
    if is_zarr(path) and path.suffix.lower() != ".zspy":
        return read_omezarr(path, lazy=lazy)
    if not is_zarr(path):
        check_regular(path)
    match path.suffix.lower():
        case ".tif" | ".tiff":
            return read_tiff(path, lazy=lazy)
        case ".npy":
            return [read_array(path, lazy=lazy)]
        case suffix if suffix in PICTURES:
            return [read_picture(path)]
        case suffix if suffix in MICROSCOPE_SUFFIXES:
            return read_microscope_file(path, lazy=lazy)
        case suffix:
            raise GanDenoiseError(f"{path} is of the unknown type {suffix or '(none)'!r}; convert it to TIFF first.")


def images_in(folder: Path) -> list[Path]:
    """List the images directly in a folder by their names, without those that are hidden."""
    return sorted(item.absolute() for item in folder.iterdir() if is_image(item))


def is_image(path: Path) -> bool:
    """Whether a path leads to an image by its name, or to a Zarr, and is not hidden."""
    if path.name.startswith("."):
        return False
    return is_zarr(path) or (path.is_file() and path.suffix.lower() in IN_FOLDERS)


def pixels_of(image: Any) -> NDArray[Any]:
    """Load the bare pixels of a path, a `Micrograph`, a napari layer or an array.

    Raises
    ------
    GanDenoiseError
        If it is a path and the file cannot be read.
    """
    if isinstance(image, str | PathLike):
        image = read_micrograph(Path(image))
    if isinstance(image, Micrograph):
        return np.asarray(image.pixels)
    return np.asarray(image.data if is_layer(image) else image)
