"""TIFF files: plain, ImageJ and OME, read and written with their pixel size."""

from __future__ import annotations

import json
import math
import os
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5
from xml.etree import ElementTree

import dask.array as da
import numpy as np
import tifffile

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io.intensities import FALSE_COLOURS, Convert, as_intensities, stored_as
from napari_gandenoise.io.makers import Sides, makers_sides_nm, resolution_nm
from napari_gandenoise.layers import pixel_sides
from napari_gandenoise.micrograph import Micrograph, nm_per_unit, pixel_from_sides, seconds_per_unit
from napari_gandenoise.strangers import blaming, check_declared, check_parts, check_regular, check_unpacked
from napari_gandenoise.writing import written_whole

__all__ = ["LARGEST_TIFF", "check_all", "ome_arguments", "open_series", "read_tiff", "write_images", "write_tiff"]

SOFTWARE = "napari-gandenoise"
TIME_LIKE = "TZIQ"  # the axis of a movie: time, depth, or what tifffile calls unnamed pages
LARGEST_TIFF = 2**32 - 2**25  # bytes of pixels that leave a classic TIFF room for what else it holds
LONGEST_REPORT = 2**22  # characters


@dataclass(frozen=True)
class _Part:
    """An image or a movie of a file: its place in it, its axes (YX, TYX, YXS or SYX), and what its values mean."""

    place: int
    series: tifffile.TiffPageSeries
    axes: str
    shape: tuple[int, ...]
    convert: Convert | None
    note: str


def read_tiff(path: Path, *, lazy: bool = False) -> list[Micrograph]:
    """Read all images and movies of a TIFF file; see `napari_gandenoise.io.read_images`."""
    with blaming(path, "TIFF file"), _opened(path) as tif:
        parts = _parts(path, tif)
        loaded = [part for part in parts if not (lazy and part.axes == "TYX")]
        check_unpacked(path, sum(part.series.nbytes for part in loaded))
        names = _names(path, tif, parts)
        return [_read(path, tif, part, name, lazy) for part, name in zip(parts, names, strict=True)]


def write_tiff(
    path: str | Path,
    pixels: Any,
    *,
    pixel_size_nm: float | None = None,
    aspect: float = 1.0,
    axes: str | None = None,
    provenance: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    double: bool = False,
) -> None:
    """Write an image or a movie as float32 TIFF, whole or not at all.

    The file opens with its scale in ImageJ/Fiji and napari.  Names that end in ``.ome.tif``, colour images, and double
    precision are written as OME-TIFF, all else in ImageJ's dialect.

    Parameters
    ----------
    path : str or Path
        Where to write.
    pixels : numpy or dask array
        ``(Y, X)``, ``(T, Y, X)`` or ``(Y, X, C)``; a movie is written frame by frame.
    pixel_size_nm : float or None
        Side of a pixel in nanometres.
    aspect : float
        Height of a pixel over its width.
    axes : {"YX", "TYX", "YXS"}, optional
        What the axes mean; by default an image or a movie, by their number.
    provenance : mapping, optional
        How the image was made, kept in the file as JSON: ImageJ's *Show Info*, OME's description.
    overwrite : bool
        Replace a file that exists.
    double : bool
        Write float64, for values of which float32 would lose the image, as above a large offset.

    Raises
    ------
    GanDenoiseError
        If the file exists and ``overwrite`` is not set, the axes do not fit, or the disk is full or not writable.
    """
    path = Path(path)
    axes = axes or {2: "YX", 3: "TYX"}.get(pixels.ndim, "")
    if axes not in ("YX", "TYX", "YXS") or len(axes) != pixels.ndim:
        raise GanDenoiseError(f"An array of {pixels.ndim} axes cannot be written as a TIFF with the axes {axes!r}.")
    if path.exists() and not overwrite:
        raise GanDenoiseError(f"{path} exists already; choose another name or allow overwriting.")
    if not path.parent.is_dir():
        raise GanDenoiseError(f"The folder {path.parent} does not exist; create it first.")
    with written_whole(path, "try again") as temporary, temporary.open("xb") as file:
        size, dtype = (pixel_size_nm, aspect), np.dtype(np.float64 if double else np.float32)
        tifffile.imwrite(file, **_layout(path, pixels, dtype, size, axes, provenance or {}))


def write_images(path: str | Path, images: Sequence[Micrograph], *, overwrite: bool = False) -> None:
    """Write images and movies with all that is known of them into one OME-TIFF, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Where to write.
    images : sequence of Micrograph
        At least one.  Each is written with its name, both sides of a pixel, the time between frames and the report, in
        its own type of pixels where OME knows that, and else as the next that holds its values.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    GanDenoiseError
        If the file exists and ``overwrite`` is not set, or the disk is full or not writable.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise GanDenoiseError(f"{path} exists already; choose another name.")
    large = sum(math.prod(image.pixels.shape) * _known_type(image).itemsize for image in images) > LARGEST_TIFF
    with (
        written_whole(path, "try again") as temporary,
        tifffile.TiffWriter(temporary, ome=True, bigtiff=large) as tif,
    ):
        for image in images:
            axes, dtype = "YXS" if image.rgb else "TYX" if image.is_stack else "YX", _known_type(image)
            size, interval = (image.pixel_size_nm, image.aspect), image.frame_interval_s
            about = ome_arguments(axes, size, image.report or {}, interval, image.name)
            tif.write(_planes(image.pixels, axes, dtype), shape=image.pixels.shape, dtype=dtype, **about)


def _known_type(image: Micrograph) -> np.dtype[Any]:
    """Return a type of pixels that OME knows and that holds the values of an image."""
    dtype = np.dtype(image.pixels.dtype).newbyteorder("=")
    if dtype.itemsize == 8 and dtype.kind in "iu":
        return np.dtype(np.float64)
    return np.dtype(np.float32) if dtype == np.float16 else dtype


# --- reading --------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file whose metadata do not declare more than it can hold."""
    with tifffile.TiffFile(path) as tif:
        _check_lists(path, tif)
        yield tif


@contextmanager
def open_series(path: Path) -> Iterator[tuple[tifffile.TiffFile, tifffile.TiffPageSeries]]:
    """Open a TIFF file and its largest image, which is all there and asks for no more than a file of its size may.

    Raises
    ------
    GanDenoiseError
        If the image is not all there, or asks for too much.
    """
    with _opened(path) as tif:
        series = _largest(tif)
        _check_series(path, tif, series)
        yield tif, series


def _largest(tif: tifffile.TiffFile) -> tifffile.TiffPageSeries:
    """Return the image of most pixels, whatever their samples."""
    return max(
        tif.series, key=lambda each: math.prod(n for n, axis in zip(each.shape, each.axes, strict=True) if axis != "S")
    )


def _check_series(path: Path, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    _check_complete(path, tif, series)
    page = series.keyframe
    check_parts(path, math.prod(page.chunked))
    check_unpacked(path, max(math.prod(page.chunks), math.prod(page.shape)) * series.dtype.itemsize)


def check_all(path: Path, series: tifffile.TiffPageSeries) -> None:
    """Refuse to read a whole series that unpacks to far more than its file holds.

    Raises
    ------
    GanDenoiseError
        If it does.
    """
    check_parts(path, math.prod(series.keyframe.chunked) * len(series.pages))
    check_unpacked(path, series.nbytes)


def _check_lists(path: Path, tif: tifffile.TiffFile) -> None:
    """Refuse a file whose metadata declare more frames than it can hold: tifffile makes lists of them all."""
    if tif.is_ome:
        _check_ome(path, tif)
    if tif.is_mmstack:
        found = tif.micromanager_metadata or {}
        largest = found["IndexMap"][:, :4].max(axis=0).tolist()
        declared = (found["Summary"].get(name, 1) for name in ("Channels", "Slices", "Frames", "Positions"))
        check_parts(path, math.prod(max(n + 1, int(m)) for n, m in zip(largest, declared, strict=True)))
    if tif.is_ndtiff:
        check_regular(index := path.with_name("NDTiff.index"))
        places = [frame[0].values() for frame in tifffile.read_ndtiff_index(index)]
        axes = [[n for n in axis if isinstance(n, int)] or [0] for axis in zip(*places, strict=True)]
        check_parts(index, math.prod(max(axis) - min(axis) + 1 for axis in axes))


def _check_ome(path: Path, tif: tifffile.TiffFile) -> None:
    """Refuse OME metadata with too many frames or labels, or that name other files to read."""
    try:
        root = ElementTree.fromstring(tif.ome_metadata or "")
    except ElementTree.ParseError:
        return  # tifffile does without it, too
    for element in root.iter():
        kind, said = element.tag.rpartition("}")[2], element.attrib
        if kind == "Pixels":
            pixels = math.prod(int(said[f"Size{axis}"]) for axis in "XYZCT")
            check_parts(path, pixels // max(tif.pages.first.size, 1))
            check_declared(path, pixels)
        elif kind == "TiffData":
            check_parts(path, max(int(said.get(name, 0)) for name in ("NumPlanes", "PlaneCount")))
        elif kind.startswith("ModuloAlong") and "Start" in said:
            check_parts(path, int((float(said["End"]) - float(said["Start"])) / float(said.get("Step", 1))))
        elif kind == "UUID" and _is_elsewhere(path, element, root):
            # What the metadata call a file may be anywhere, and a pipe.
            raise GanDenoiseError(f"{path} is one part of an image spread over several files; join them first.")


def _is_elsewhere(path: Path, part: ElementTree.Element, root: ElementTree.Element) -> bool:
    """Return whether pixels are in another file; a file that was renamed still has its identity, or is alone."""
    if part.text == root.get("UUID") or part.get("FileName", path.name) == path.name:
        return False
    return root.get("UUID") is not None or os.path.lexists(path.parent / part.get("FileName", ""))


def _check_complete(path: Path, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    """Refuse a file that ends before its pixels do; tifffile would fill the gap with zeros."""
    end = 0 if series.dataoffset is None else series.dataoffset + series.nbytes
    for page in series.pages:
        if page is None or page.parent.filehandle.path != tif.filehandle.path:
            raise GanDenoiseError(f"{path} is one part of an image spread over several files; join them first.")
        end = max(end, *(offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)))
    if max(end, _next_page(tif)) > tif.filehandle.size:
        raise GanDenoiseError(f"{path} is incomplete: it ends before its pixels do; copy it again.")


def _next_page(tif: tifffile.TiffFile) -> int:
    """Say where the last page that was found sends the reader next: to 0, unless the pages after it are cut off."""
    link = tif.pages.next_page_offset
    if link is None:
        return 0
    tif.filehandle.seek(link)
    (offset,) = struct.unpack(tif.tiff.offsetformat, tif.filehandle.read(tif.tiff.offsetsize))
    return int(offset)


def _axes(path: Path, series: tifffile.TiffPageSeries) -> tuple[str, tuple[int, ...]]:
    """Name the axes of a series as this package does, YX, TYX, YXS or SYX, and give their sizes."""
    names, sizes = series.get_axes(squeeze=False), series.get_shape(squeeze=False)
    kept = [(name, size) for name, size in zip(names, sizes, strict=True) if size > 1 or name in "YX"]
    axes = "".join("T" if name in TIME_LIKE else name for name, _ in kept)
    if axes not in ("YX", "TYX", "YXS", "SYX"):
        raise GanDenoiseError(
            f"{path} has the axes {names} {sizes}, but only an image (YX), a movie (TYX) or a colour image (YXS) can "
            "be opened; save one channel of it."
        )
    return axes, tuple(size for _, size in kept)


def _parts(path: Path, tif: tifffile.TiffFile) -> list[_Part]:
    """List the images of a file; what is none is left out, unless it is the largest."""
    check_parts(path, len(tif.series))
    parts, largest = [], _largest(tif)
    for place, series in enumerate(tif.series):
        try:
            axes, shape = _axes(path, series)
            convert, note = stored_as(path, series.keyframe)
            if note == FALSE_COLOURS and axes != "YX":
                raise GanDenoiseError(f"{path} is a movie in a palette of colours: save it as grey or RGB first.")
        except GanDenoiseError:
            if series is largest:
                raise
            continue
        _check_series(path, tif, series)
        parts.append(_Part(place, series, axes, shape, convert, note))
    return parts


def _names(path: Path, tif: tifffile.TiffFile, parts: Sequence[_Part]) -> list[str]:
    """Name a single image after the file, several as the file does or by their numbers."""
    stem = path.stem.removesuffix(".ome").removesuffix(".micrograph")
    if len(parts) == 1:
        return [stem]
    images = _ome_images(tif)
    names = [str(images[part.place].get("Name", "")) if part.place < len(images) else "" for part in parts]
    count = Counter(names)
    return [name if name and count[name] == 1 else f"{stem}-{n}" for n, name in enumerate(names, 1)]


def _read(path: Path, tif: tifffile.TiffFile, part: _Part, name: str, lazy: bool) -> Micrograph:
    series, axes, notes = part.series, part.axes, [part.note] if part.note else []
    if lazy and axes == "TYX":
        pixels, rgb = _lazy_movie(path, tif, series, part.shape), False
        if part.convert is not None or pixels.dtype == bool:
            convert = part.convert or (lambda block: block)
            dtype = as_intensities(convert(np.zeros((1, 1), pixels.dtype)), colours=False)[0].dtype
            blocks = da.asarray(pixels, chunks=(1, *part.shape[1:]))
            pixels = blocks.map_blocks(lambda block: convert(block).astype(dtype), dtype=dtype)
    else:
        check_all(path, series)
        pixels = series.asarray(squeeze=True).reshape(part.shape)
        if axes == "SYX":
            pixels = np.moveaxis(pixels, 0, -1)
        if part.convert is not None:
            pixels = part.convert(pixels)
        pixels, rgb, more = as_intensities(pixels, colours=pixels.ndim > len(axes.replace("S", "")))
        notes += more
    return Micrograph(
        pixels,
        rgb=rgb,
        name=name,
        frame_interval_s=_frame_interval_s(tif, part.place) if axes == "TYX" else None,
        notes=tuple(notes),
        report=_report(tif, part.place),
        **pixel_from_sides(*(_sides_nm(tif, part) or (None, None))),
    )


def _lazy_movie(path: Path, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, shape: tuple[int, ...]) -> Any:
    """Map a contiguous movie into memory, or make each frame of a compressed one a dask task."""
    if series.dataoffset is not None:
        dtype = series.dtype.newbyteorder(tif.byteorder)
        return np.memmap(path, dtype=dtype, mode="r", offset=series.dataoffset, shape=shape)
    check_parts(path, shape[0])
    pages = [page.index for page in series.pages if page is not None]

    def read_frame(block_info: Any) -> Any:
        frame = block_info[None]["chunk-location"][0]
        with blaming(path, "TIFF file"), tifffile.TiffFile(path) as file:
            return file.pages[pages[frame]].asarray().reshape(1, *shape[1:])

    chunks = ((1,) * shape[0], *((side,) for side in shape[1:]))
    return da.map_blocks(read_frame, chunks=chunks, dtype=series.dtype, meta=np.empty((0, 0, 0), series.dtype))


def _sides_nm(tif: tifffile.TiffFile, part: _Part) -> Sides | None:
    """Read height and width of a pixel from OME metadata, ImageJ's unit, or the tags, in this order of trust."""
    page = part.series.keyframe
    if tif.is_ome and (sides := _ome_sides_nm(_ome_pixels(tif, part.place))) is not None:
        return sides
    if tif.is_imagej and (unit := (tif.imagej_metadata or {}).get("unit")):
        sides = resolution_nm(page, str(unit))
        if sides is not None:
            return sides
    return makers_sides_nm(page)


def _frame_interval_s(tif: tifffile.TiffFile, place: int) -> float | None:
    """Read the time between frames from OME metadata, or from ImageJ's."""
    if tif.is_ome:
        pixels = _ome_pixels(tif, place)
        unit = seconds_per_unit(pixels.get("TimeIncrementUnit", "s"))
        interval = pixels.get("TimeIncrement")
        return None if interval is None or unit is None else _believable(float(interval) * unit)
    interval = (tif.imagej_metadata or {}).get("finterval") if tif.is_imagej else None
    return None if interval is None else _believable(float(interval))


def _report(tif: tifffile.TiffFile, place: int) -> dict[str, Any] | None:
    """Read how this package made an image, if it did."""
    if tif.pages.first.software != SOFTWARE:
        return None
    images = _ome_images(tif)
    told = images[place].get("Description") if place < len(images) else (tif.imagej_metadata or {}).get("Info")
    if isinstance(told, str) and len(told) <= LONGEST_REPORT:
        with suppress(ValueError, RecursionError):
            report = json.loads(told)
            return report if isinstance(report, dict) and report else None
    return None


def _ome_images(tif: tifffile.TiffFile) -> list[dict[str, Any]]:
    """Return what OME metadata say of each image."""
    if not tif.is_ome:
        return []
    images = tifffile.xml2dict(tif.ome_metadata or "").get("OME", {}).get("Image", [])
    return images if isinstance(images, list) else [images]


def _ome_pixels(tif: tifffile.TiffFile, place: int) -> dict[str, Any]:
    """Return the attributes of an image's pixels."""
    images = _ome_images(tif)
    pixels: dict[str, Any] = images[place].get("Pixels", {}) if place < len(images) else {}
    return pixels


def _ome_sides_nm(pixels: Mapping[str, Any]) -> Sides | None:
    sides = []
    for axis in "YX":
        size, nm = pixels.get(f"PhysicalSize{axis}"), nm_per_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        if size is None or nm is None:
            return None
        sides.append(float(size) * nm)
    return sides[0], sides[1]


def _believable(interval_s: float) -> float | None:
    return interval_s if math.isfinite(interval_s) and interval_s > 0 else None


# --- writing --------------------------------------------------------------------------------------------------------


def _layout(
    path: Path,
    pixels: Any,
    dtype: np.dtype[Any],
    size: tuple[float | None, float],
    axes: str,
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """Lay out the arguments of `tifffile.imwrite`."""
    layout: dict[str, Any] = {"data": _planes(pixels, axes, dtype), "shape": pixels.shape, "dtype": dtype}
    if "S" in axes or dtype == np.float64 or path.name.lower().endswith((".ome.tif", ".ome.tiff")):
        return layout | {"ome": True} | ome_arguments(axes, size, provenance)
    history = json.dumps(provenance, ensure_ascii=True, default=str)
    layout |= {"photometric": "minisblack", "software": SOFTWARE}
    layout |= {"imagej": True, "metadata": {"axes": axes, "Info": history}}
    if size[0]:
        y_nm, x_nm = pixel_sides(size[0], size[1])
        layout["metadata"]["unit"] = "nm"
        layout["resolution"] = (1 / x_nm, 1 / y_nm)
    return layout


def ome_arguments(
    axes: str,
    size: tuple[float | None, float],
    provenance: Mapping[str, Any],
    frame_interval_s: float | None = None,
    name: str = "",
) -> dict[str, Any]:
    """Say in the arguments of `tifffile.TiffWriter.write` what the axes mean, as OME metadata.

    ``size`` is a pixel's: the geometric mean of its sides in nanometres, and its height over its width.
    """
    metadata: dict[str, Any] = {"axes": axes, "Description": json.dumps(provenance, ensure_ascii=True, default=str)}
    if name:
        metadata["Name"] = name
    if size[0]:
        y_nm, x_nm = pixel_sides(size[0], size[1])
        metadata |= {"PhysicalSizeX": x_nm, "PhysicalSizeY": y_nm}
        metadata |= {"PhysicalSizeXUnit": "nm", "PhysicalSizeYUnit": "nm"}
    if frame_interval_s:
        metadata |= {"TimeIncrement": frame_interval_s, "TimeIncrementUnit": "s"}
    # An identity that follows from the contents: the same image is the same file, byte by byte.
    metadata["UUID"] = str(uuid5(NAMESPACE_OID, json.dumps(metadata, sort_keys=True)))
    photometric = "rgb" if "S" in axes else "minisblack"
    return {"photometric": photometric, "software": SOFTWARE, "metadata": metadata}


def _planes(pixels: Any, axes: str, dtype: np.dtype[Any]) -> Iterator[Any]:
    """Yield one plane after the other, so that a movie on disk never lies in memory as a whole."""
    for plane in pixels if axes == "TYX" else [pixels]:
        yield np.asarray(plane, dtype=dtype)
