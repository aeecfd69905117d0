"""Folders of images of any size: PNG, JPEG and TIFF, grey or colour, read as grey or colour."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import imageio.v3 as imageio
import numpy as np
import tifffile
from numpy.typing import NDArray
from skimage.color import rgb2gray

from napari_gandenoise.datasets.recent import Recent
from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.io.pictures import check_picture
from napari_gandenoise.io.tiff import check_all, open_series
from napari_gandenoise.progress import Progress, Steps, drain
from napari_gandenoise.strangers import check_parts

__all__ = ["FolderImages", "check_folder_steps", "image_paths", "read_levels", "to_planes"]

TIFF, JPEG, PNG = (".tif", ".tiff"), (".jpg", ".jpeg"), (".png",)
REPORT_EVERY = 500  # files between two events
ALPHA_IGNORED = "The images have transparency, which is not used: only their colours are learnt."

logger = logging.getLogger(__name__)


class _Header(NamedTuple):
    """An image file by what its header says."""

    path: str
    frames: int
    shape: tuple[int, int]
    samples: int


class Levels(NamedTuple):
    """An image as its file has it, ``(Y, X)`` or ``(Y, X, samples)``, and the values that become 0 and 1."""

    pixels: NDArray[Any]
    zero: float
    one: float


class FolderImages:
    """The images of a folder and its subfolders, sorted by name; each frame of a TIFF stack is an image.

    Without a pixel size, images run from black 0 to white 1: integers of 8 and 16 bits by the full range of
    their type; other values, where they leave 0 to 1, by the image's largest value, and if they are negative from
    its least to its largest.  With one they are micrographs, and are divided by their own mean, which stands for the
    unknown intensity of vacuum.

    Parameters
    ----------
    path : pathlib.Path
        The folder.
    colour : bool
        Red, green and blue, grey images alike in all three; otherwise luminance.  Transparency is not used.
    pixel_size_nm : float or None
        Pixel size of the images, nm.
    least : int
        Images with a shorter side, pixels, are left out.

    Raises
    ------
    GanDenoiseError
        If the folder holds no image, or a file cannot be read.
    """

    variants = 1
    images_per_object = 1

    def __init__(self, path: Path, colour: bool, pixel_size_nm: float | None = None, least: int = 1) -> None:
        self.path = path
        self.channels = 3 if colour else 1
        self.pixel_size_nm = pixel_size_nm
        headers = drain(_header_steps(path))
        if any(header.samples in (2, 4) for header in headers):
            logger.info("%s: %s", path, ALPHA_IGNORED)
        self._headers = [header for header in headers if min(header.shape) >= least]
        if not self._headers:
            raise GanDenoiseError(f"All images in {path} are smaller than {least}×{least} pixels.")
        frames = [header.frames for header in self._headers]
        self._file = np.repeat(np.arange(len(frames)), frames)
        self._first = np.cumsum([0, *frames[:-1]])
        self._recent: Recent[Levels] = Recent(self._load)

    def __len__(self) -> int:
        return len(self._file)

    def _load(self, index: int) -> Levels:
        file = self._file[index]
        path = Path(self._headers[file].path)
        return read_levels(path, int(index - self._first[file]), relative=self.pixel_size_nm is not None)

    def shape(self, index: int) -> tuple[int, int]:
        """Height and width of an image, pixels; from the header alone."""
        header: _Header = self._headers[self._file[index]]
        return header.shape

    def read(self, index: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Read part of an image, ``(C, h, w)``."""
        return to_planes(self._recent(index), rows, columns, self.channels)


def check_folder_steps(path: Path) -> Steps[None]:
    """Read the headers of a folder's images; the last event has a note if there is something to say about them."""
    headers = yield from _header_steps(path)
    if any(header.samples in (2, 4) for header in headers):
        yield Progress("prepare", len(headers), len(headers), note=ALPHA_IGNORED)


def image_paths(folder: Path) -> list[Path]:
    """Images in a folder and its subfolders, sorted; hidden files are not among them.

    Raises
    ------
    GanDenoiseError
        If there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise GanDenoiseError(f"There is no folder {folder}.")
    found = [
        Path(where, name)
        for where, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(TIFF + JPEG + PNG) and not name.startswith(".") and Path(where, name).is_file()
    ]
    if not found:
        raise GanDenoiseError(f"There is no PNG, JPEG or TIFF image in {folder} or its subfolders.")
    return sorted(found)


def read_levels(path: Path, frame: int = 0, relative: bool = False) -> Levels:
    """Read one image of a file.

    Parameters
    ----------
    path : pathlib.Path
        PNG, JPEG or TIFF.
    frame : int
        Number of the image in a stack.
    relative : bool
        Values relative to the image's mean, instead of from black to white.

    Raises
    ------
    GanDenoiseError
        If the file cannot be read, or the values make no image.
    """
    with _blame(path):
        if path.suffix.lower() in TIFF:
            pixels = _read_tiff(path, frame)
        else:
            check_picture(path)
            # Four samples of a JPEG are printing colours; of a PNG, the fourth is transparency.
            printed = path.suffix.lower() in JPEG and imageio.improps(path, plugin="pillow", index=0).shape[-1] == 4
            pixels = imageio.imread(path, plugin="pillow", index=0, mode="RGB" if printed else None)
    return Levels(pixels, *(_relative_range(path, pixels) if relative else _range(path, pixels)))


def to_planes(image: Levels, rows: slice, columns: slice, channels: int) -> NDArray[np.float32]:
    """Cut out part of an image and make it ``(channels, h, w)`` float32."""
    piece = image.pixels[rows, columns].astype(np.float32)
    piece = (piece - np.float32(image.zero)) / np.float32(image.one - image.zero)
    if piece.ndim == 3:
        piece = piece[..., :1] if piece.shape[2] < 3 else piece[..., :3]
        if channels == 1 and piece.shape[2] == 3:
            piece = rgb2gray(piece)[..., None]
    else:
        piece = piece[..., None]
    planes = np.moveaxis(piece, -1, 0)
    return np.ascontiguousarray(np.broadcast_to(planes, (channels, *planes.shape[1:])), np.float32)


# --- headers --------------------------------------------------------------------------------------------------------


def _header_steps(folder: Path) -> Steps[list[_Header]]:
    paths = image_paths(folder)
    headers = []
    for number, path in enumerate(paths, 1):
        with _blame(path):
            headers.append(_tiff_header(path) if path.suffix.lower() in TIFF else _header(path))
        if number % REPORT_EVERY == 0 or number == len(paths):
            yield Progress("prepare", number, len(paths))
    return headers


def _header(path: Path) -> _Header:
    check_picture(path)
    shape = imageio.improps(path, plugin="pillow", index=0).shape
    printed = path.suffix.lower() in JPEG and shape[2:] == (4,)
    return _Header(str(path), 1, (shape[0], shape[1]), 3 if printed else (*shape, 1)[2])


def _tiff_header(path: Path) -> _Header:
    with open_series(path) as (_, series):
        frames, height, width, samples = _layout(path, series)
    return _Header(str(path), frames, (height, width), samples)


def _layout(path: Path, series: tifffile.TiffPageSeries) -> tuple[int, int, int, int]:
    """Frames, height, width and samples a pixel."""
    sizes = dict(zip(series.axes, series.shape, strict=True))
    page = series.keyframe
    height, width, samples = sizes.pop("Y", 0), sizes.pop("X", 0), sizes.pop("S", 1)
    printed = page.photometric == tifffile.PHOTOMETRIC.SEPARATED
    if height * width == 0 or samples > 4 or printed:
        raise GanDenoiseError(f"{path} is no grey or RGB image: convert it first.")
    frames = prod(sizes.values())
    if series.dataoffset is None:
        check_parts(path, frames)
    return frames, height, width, 3 if page.photometric == tifffile.PHOTOMETRIC.PALETTE else samples


# --- pixels ---------------------------------------------------------------------------------------------------------


def _read_tiff(path: Path, frame: int) -> NDArray[Any]:
    with open_series(path) as (tif, series):
        frames = _layout(path, series)[0]
        page = series.keyframe
        pixels = _frame(path, tif, series, frames, frame)
        if "S" in series.axes and series.axes.index("S") < series.axes.index("Y"):
            pixels = np.moveaxis(pixels, 0, -1)
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
            pixels = np.moveaxis(page.colormap[:, pixels], 0, -1)
        elif page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and pixels.dtype.kind in "ub":
            pixels = ~pixels
    return pixels


def _frame(
    path: Path, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, frames: int, frame: int
) -> NDArray[Any]:
    """One frame without its stack: mapped where it lies open in the file, otherwise decoded page by page."""
    inner = tuple(n for a, n in zip(series.axes, series.shape, strict=True) if a in "YXS")
    if series.dataoffset is not None:
        dtype = series.dtype.newbyteorder(tif.byteorder)
        offset = series.dataoffset + frame * int(np.prod(inner)) * dtype.itemsize
        return np.memmap(path, dtype, "r", offset, inner)
    page = series.pages[frame] if len(series.pages) == frames else None
    if page is None:
        check_all(path, series)
    pixels = series.asarray().reshape(frames, *inner)[frame] if page is None else page.asarray().reshape(inner)
    return np.asarray(pixels)


def _range(path: Path, pixels: NDArray[Any]) -> tuple[float, float]:
    """Values of black and white."""
    if pixels.dtype == bool:
        return 0.0, 1.0
    if pixels.dtype.newbyteorder("=") in (np.uint8, np.uint16):  # whichever byte comes first in the file
        return 0.0, float(np.iinfo(pixels.dtype).max)
    least, largest = _extremes(path, pixels)
    if pixels.dtype.kind == "f" and least >= 0 and largest <= 1:
        return 0.0, 1.0
    zero = min(least, 0.0)
    return zero, max(largest, zero + 1e-6)


def _relative_range(path: Path, pixels: NDArray[Any]) -> tuple[float, float]:
    """Values of darkness and of the image's mean, which stands for vacuum."""
    _extremes(path, pixels)
    mean = float(pixels.mean(dtype=np.float64))
    if mean <= 0:
        raise GanDenoiseError(f"{path} has a mean of {mean:.3g}: a micrograph with a pixel size holds intensities.")
    return 0.0, mean


def _extremes(path: Path, pixels: NDArray[Any]) -> tuple[float, float]:
    if pixels.dtype.kind not in "buif":
        raise GanDenoiseError(f"{path} holds values of the type {pixels.dtype}, which make no image.")
    least, largest = float(pixels.min()), float(pixels.max())
    if not np.isfinite((least, largest)).all():
        raise GanDenoiseError(f"{path} holds values that are not numbers: fill or remove them.")
    return least, largest


@contextmanager
def _blame(path: Path) -> Iterator[None]:
    """Name the file in whatever a decoder complains about: a damaged or hostile one can make it fail in any way."""
    try:
        yield
    except GanDenoiseError:
        raise
    except Exception as error:
        reason = in_short(error)
        raise GanDenoiseError(f"{path} cannot be read as an image ({reason}): replace or remove it.") from error
