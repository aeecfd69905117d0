"""TIFF files: plain, ImageJ and OME, read and written with their pixel size."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5
from xml.etree import ElementTree

import dask.array as da
import numpy as np
import tifffile

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import Micrograph, nm_per_unit, square_pixel_nm
from napari_gandenoise.strangers import blaming, check_declared, check_parts, check_regular, check_unpacked
from napari_gandenoise.writing import written_whole

__all__ = ["check_all", "ome_arguments", "open_series", "read_tiff", "write_tiff"]

SOFTWARE = "napari-gandenoise"
# Scanners and drawing programs store 72 or 300 dots per inch; no micrograph of atoms has pixels of a micrometre.
LARGEST_BELIEVABLE_NM = 1000.0
PLAIN_RESOLUTION_UNITS = {2: "inch", 3: "cm"}
SECONDS_PER_UNIT = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
TIME_LIKE = "TZIQ"  # the axis of a movie: time, depth, or what tifffile calls unnamed pages


def read_tiff(path: Path, *, lazy: bool = False) -> list[Micrograph]:
    """Read the first series of a TIFF file; see `napari_gandenoise.io.read_images`."""
    with blaming(path, "TIFF file"), open_series(path) as (tif, series):
        axes, shape = _axes(path, series)
        if lazy and axes == "TYX":
            pixels = _lazy_movie(path, tif, series, shape)
        else:
            check_all(path, series)
            pixels = series.asarray(squeeze=True).reshape(shape)
        pixel_size_nm = _pixel_size_nm(tif)
        interval = _frame_interval_s(tif) if axes == "TYX" else None
    if axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    name = path.stem.removesuffix(".ome")
    return [Micrograph(pixels, pixel_size_nm=pixel_size_nm, rgb="S" in axes, name=name, frame_interval_s=interval)]


def write_tiff(
    path: str | Path,
    pixels: Any,
    *,
    pixel_size_nm: float | None = None,
    axes: str | None = None,
    provenance: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write an image or a movie as float32 TIFF, whole or not at all.

    The file opens with its scale in ImageJ/Fiji and napari.  Names that end in ``.ome.tif``, and colour images, are
    written as OME-TIFF, all else in ImageJ's dialect.

    Parameters
    ----------
    path : str or Path
        Where to write.
    pixels : numpy or dask array
        ``(Y, X)``, ``(T, Y, X)`` or ``(Y, X, C)``; a movie is written frame by frame.
    pixel_size_nm : float or None
        Side of a pixel in nanometres.
    axes : {"YX", "TYX", "YXS"}, optional
        What the axes mean; by default an image or a movie, by their number.
    provenance : mapping, optional
        How the image was made, kept in the file as JSON: ImageJ's *Show Info*, OME's description.
    overwrite : bool
        Replace a file that exists.

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
        tifffile.imwrite(file, **_layout(path, pixels, pixel_size_nm, axes, provenance or {}))


# --- reading --------------------------------------------------------------------------------------------------------


@contextmanager
def open_series(path: Path) -> Iterator[tuple[tifffile.TiffFile, tifffile.TiffPageSeries]]:
    """Open a TIFF file and its first series, which is all there and asks for no more than a file of its size may.

    Raises
    ------
    GanDenoiseError
        If the series is not all there, or asks for too much.
    """
    with tifffile.TiffFile(path) as tif:
        _check_lists(path, tif)
        series = tif.series[0]
        _check_complete(path, tif, series)
        page = series.keyframe
        check_parts(path, math.prod(page.chunked))
        check_unpacked(path, max(math.prod(page.chunks), math.prod(page.shape)) * series.dtype.itemsize)
        yield tif, series


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


def _lazy_movie(path: Path, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, shape: tuple[int, ...]) -> Any:
    """Map a contiguous movie into memory, or make each frame of a compressed one a dask task."""
    if series.dataoffset is not None:
        dtype = series.dtype.newbyteorder(tif.byteorder)
        return np.memmap(path, dtype=dtype, mode="r", offset=series.dataoffset, shape=shape)
    check_parts(path, shape[0])
    pages = [page.index for page in series.pages if page is not None]

    def read_frame(block_info: Any) -> Any:
        frame = block_info[None]["chunk-location"][0]
        with tifffile.TiffFile(path) as file:
            return file.pages[pages[frame]].asarray().reshape(1, *shape[1:])

    chunks = ((1,) * shape[0], *((side,) for side in shape[1:]))
    return da.map_blocks(read_frame, chunks=chunks, dtype=series.dtype, meta=np.empty((0, 0, 0), series.dtype))


def _pixel_size_nm(tif: tifffile.TiffFile) -> float | None:
    """Read the pixel size from OME metadata, ImageJ's unit, or the resolution tags, in this order of trust."""
    if tif.is_ome:
        return _ome_pixel_nm(tif.ome_metadata or "")
    if tif.is_imagej:
        unit = nm_per_unit((tif.imagej_metadata or {}).get("unit", ""))
        return _resolution_nm(tif.pages.first, unit)
    tag = tif.pages.first.tags.get("ResolutionUnit")
    size = _resolution_nm(tif.pages.first, nm_per_unit(PLAIN_RESOLUTION_UNITS.get(int(tag.value), "")) if tag else None)
    return size if size is not None and size < LARGEST_BELIEVABLE_NM else None


def _frame_interval_s(tif: tifffile.TiffFile) -> float | None:
    """Read the time between frames from OME metadata, or from ImageJ's."""
    if tif.is_ome:
        pixels = _ome_pixels(tif.ome_metadata or "")
        unit = SECONDS_PER_UNIT.get(pixels.get("TimeIncrementUnit", "s"))
        interval = pixels.get("TimeIncrement")
        return None if interval is None or unit is None else _believable(float(interval) * unit)
    interval = (tif.imagej_metadata or {}).get("finterval") if tif.is_imagej else None
    return None if interval is None else _believable(float(interval))


def _ome_pixels(description: str) -> dict[str, Any]:
    """Return the attributes of the first image's pixels."""
    image = tifffile.xml2dict(description).get("OME", {}).get("Image", {})
    pixels: dict[str, Any] = (image[0] if isinstance(image, list) else image).get("Pixels", {})
    return pixels


def _ome_pixel_nm(description: str) -> float | None:
    pixels = _ome_pixels(description)

    def side(axis: str) -> float | None:
        size = pixels.get(f"PhysicalSize{axis}")
        unit = nm_per_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        return None if size is None or unit is None else _believable(float(size) * unit)

    return square_pixel_nm(side("Y"), side("X"))


def _resolution_nm(page: Any, nm: float | None) -> float | None:
    """Turn pixels per unit, a fraction in the tags, into the size of a pixel; ``nm`` is the length of the unit."""

    def side(axis: str) -> float | None:
        tag = page.tags.get(f"{axis}Resolution")
        if tag is None or nm is None or 0 in tag.value:
            return None
        pixels, units = tag.value
        return _believable(nm * units / pixels)

    return square_pixel_nm(side("Y"), side("X"))


def _believable(size_nm: float) -> float | None:
    return size_nm if math.isfinite(size_nm) and size_nm > 0 else None


# --- writing --------------------------------------------------------------------------------------------------------


def _layout(
    path: Path, pixels: Any, pixel_size_nm: float | None, axes: str, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """Lay out the arguments of `tifffile.imwrite`."""
    layout: dict[str, Any] = {"data": _planes(pixels, axes), "shape": pixels.shape, "dtype": np.float32}
    if "S" in axes or path.name.lower().endswith((".ome.tif", ".ome.tiff")):
        return layout | {"ome": True} | ome_arguments(axes, pixel_size_nm, provenance)
    history = json.dumps(provenance, ensure_ascii=True, default=str)
    layout |= {"photometric": "minisblack", "software": SOFTWARE}
    layout |= {"imagej": True, "metadata": {"axes": axes, "Info": history}}
    if pixel_size_nm:
        layout["metadata"]["unit"] = "nm"
        layout["resolution"] = (1 / pixel_size_nm, 1 / pixel_size_nm)
    return layout


def ome_arguments(
    axes: str,
    pixel_size_nm: float | None,
    provenance: Mapping[str, Any],
    frame_interval_s: float | None = None,
) -> dict[str, Any]:
    """Say in the arguments of `tifffile.TiffWriter.write` what the axes mean, as OME metadata."""
    metadata: dict[str, Any] = {"axes": axes, "Description": json.dumps(provenance, ensure_ascii=True, default=str)}
    if pixel_size_nm:
        metadata |= {"PhysicalSizeX": pixel_size_nm, "PhysicalSizeY": pixel_size_nm}
        metadata |= {"PhysicalSizeXUnit": "nm", "PhysicalSizeYUnit": "nm"}
    if frame_interval_s:
        metadata |= {"TimeIncrement": frame_interval_s, "TimeIncrementUnit": "s"}
    # An identity that follows from the contents: the same image is the same file, byte by byte.
    metadata["UUID"] = str(uuid5(NAMESPACE_OID, json.dumps(metadata, sort_keys=True)))
    photometric = "rgb" if "S" in axes else "minisblack"
    return {"photometric": photometric, "software": SOFTWARE, "metadata": metadata}


def _planes(pixels: Any, axes: str) -> Iterator[Any]:
    """Yield one plane after the other, so that a movie on disk never lies in memory as a whole."""
    for plane in pixels if axes == "TYX" else [pixels]:
        yield np.asarray(plane, dtype=np.float32)
