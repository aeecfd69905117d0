"""Zarr arrays and OME-Zarr images: read with their pixel size, written frame by frame.

OME-Zarr 0.5, https://ngff.openmicroscopy.org/0.5/, of which one level is written; 0.3 and 0.4 are read as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.io.blosc import guarded
from napari_gandenoise.io.intensities import as_intensities
from napari_gandenoise.layers import pixel_sides
from napari_gandenoise.micrograph import Micrograph, nm_per_unit, pixel_from_sides, seconds_per_unit
from napari_gandenoise.strangers import blaming, check_parts, check_unpacked

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

__all__ = ["ZarrFiles", "check_array", "create_omezarr", "is_zarr", "read_omezarr"]

LEVEL = "0"


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group."""
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def read_omezarr(path: Path, *, lazy: bool = False) -> list[Micrograph]:
    """Read an image or a movie; see `napari_gandenoise.io.read_images`."""
    with blaming(path, "image"):
        array, axes, scale, units = _finest_level(path)
        array = check_array(path, array)
        kept = [i for i, (name, size) in enumerate(zip(axes, array.shape, strict=True)) if size > 1 or name in "yx"]
        names = "".join("t" if axes[i] in "tz" else axes[i] for i in kept)
        if names not in ("yx", "tyx", "cyx"):
            raise GanDenoiseError(
                f"{path} has the axes {''.join(axes)} {array.shape}, but only an image (yx), a movie (tyx) or a colour "
                "image (cyx) can be opened; save one channel of it."
            )
        frame = math.prod(array.shape[-2:]) * (array.shape[kept[0]] if names == "cyx" else 1)
        check_unpacked(path, array.dtype.itemsize * (frame if lazy else math.prod(array.shape)))
        pixels = _lazily(path, array)[tuple(slice(None) if i in kept else 0 for i in range(array.ndim))]
        if names == "cyx":
            pixels = da.moveaxis(pixels, 0, -1)
        rgb, notes = names == "cyx", tuple[str, ...]()
        if not lazy or rgb or array.dtype == bool:
            pixels, rgb, notes = as_intensities(np.asarray(pixels), colours=rgb)
        first = units[kept[0]] if names == "tyx" and axes[kept[0]] == "t" else None
        micrograph = Micrograph(
            pixels,
            rgb=rgb,
            name=path.name.removesuffix(".zarr").removesuffix(".ome"),
            frame_interval_s=None if first is None else scale[kept[0]] * first,
            notes=notes,
            report=_report(path),
            **pixel_from_sides(
                *(None if unit is None else step * unit for step, unit in zip(scale[-2:], units[-2:], strict=True))
            ),
        )
        return [micrograph]


def _report(path: Path) -> dict[str, Any] | None:
    """Return how an image was made, if this package made it."""
    told = zarr.open(ZarrFiles(path, read_only=True), mode="r").attrs.asdict().get("napari-gandenoise")
    return told if isinstance(told, dict) and told else None


def _lazily(path: Path, array: zarr.Array[Any]) -> da.Array:
    """Make each chunk a dask task, which names the file where the chunk is damaged."""

    def read(block_info: Any) -> NDArray[Any]:
        with blaming(path, "image"):
            place = tuple(slice(start, stop) for start, stop in block_info[None]["array-location"])
            return np.asarray(array[place])

    sides = array.shards or array.chunks
    chunks = tuple(
        tuple(min(side, length - start) for start in range(0, length, side))
        for side, length in zip(sides, array.shape, strict=True)
    )
    lazy: da.Array = da.map_blocks(
        read, chunks=chunks, dtype=array.dtype, meta=np.empty((0,) * array.ndim, array.dtype)
    )
    return lazy


class ZarrFiles(LocalStore):
    """A Zarr folder in which what is no file is not there: to read a pipe may take for ever."""

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a file of the folder, or part of it."""
        return await super().get(key, prototype, byte_range) if (self.root / key).is_file() else None


def check_array(path: Path, array: zarr.Array[Any]) -> zarr.Array[Any]:
    """Refuse an array of anything but numbers, of too many chunks, or of a chunk that unpacks to too much.

    Returns
    -------
    zarr.Array
        It, to be read with care.
    """
    # Objects are unpacked by whatever filters the array names, and one of those runs code.
    if array.dtype.kind not in "biuf":
        raise GanDenoiseError(f"{path} holds values of the type {in_short(array.dtype)}, which make no image.")
    check_parts(path, math.prod(-(-side // chunk) for side, chunk in zip(array.shape, array.chunks, strict=True)))
    check_unpacked(path, math.prod(array.shards or array.chunks) * array.dtype.itemsize)
    return guarded(array)


def _finest_level(path: Path) -> tuple[zarr.Array[Any], list[str], list[float], list[float | None]]:
    """Open the array; return the names of its axes, the steps along them, and nanometres or seconds a unit."""
    node = zarr.open(ZarrFiles(path, read_only=True), mode="r")
    if isinstance(node, zarr.Array):
        names = ["t", "c", "z", "y", "x"][-node.ndim :] if node.ndim > 3 else ["t", "y", "x"][-node.ndim :]
        return node, names, [1.0] * node.ndim, [None] * node.ndim
    attributes: Mapping[str, Any] = dict(node.attrs)
    images = attributes.get("ome", attributes).get("multiscales")
    if not images:
        raise GanDenoiseError(f"{path} is a Zarr group without an OME-Zarr image; give the path of an array in it.")
    level = images[0]["datasets"][0]
    array = node[level["path"]]
    if not isinstance(array, zarr.Array):
        raise GanDenoiseError(f"{path} has no array where its metadata say; copy it again.")
    # Version 0.3 has names alone, and versions before it none.
    axes = [{"name": axis} if isinstance(axis, str) else axis for axis in images[0].get("axes", "tczyx")]
    scale = np.ones(array.ndim)
    for place in (images[0], level):
        for transform in place.get("coordinateTransformations", ()):
            if transform["type"] == "scale":
                scale *= [float(step) for step in transform["scale"]]
    units = [
        seconds_per_unit(axis.get("unit")) if axis.get("type") == "time" else nm_per_unit(axis.get("unit"))
        for axis in axes
    ]
    return array, [axis["name"] for axis in axes], scale.tolist(), units


def create_omezarr(
    path: Path,
    shape: tuple[int, ...],
    axes: str,
    *,
    name: str,
    pixel_size_nm: float | None,
    frame_interval_s: float | None,
    provenance: Mapping[str, Any],
    aspect: float = 1.0,
) -> zarr.Array[Any]:
    """Create an image of NaN that is stored frame by frame.

    Parameters
    ----------
    path : Path
        Folder to make.
    shape : tuple of int
        As ``axes`` say.
    axes : str
        Of t, c, y and x, in this order.
    name : str
        What to call the image.
    pixel_size_nm, frame_interval_s : float or None
        Side of a pixel in nanometres, time between frames in seconds.
    provenance : mapping
        How the image was made, kept in the attributes under "napari-gandenoise".
    aspect : float
        Height of a pixel over its width.

    Returns
    -------
    zarr.Array
        float32, one chunk a frame.
    """
    kinds = {"t": {"type": "time"}, "c": {"type": "channel"}, "y": {"type": "space"}, "x": {"type": "space"}}
    if pixel_size_nm is not None:
        kinds["y"]["unit"] = kinds["x"]["unit"] = "nanometer"
    if frame_interval_s is not None:
        kinds["t"]["unit"] = "second"
    y, x = pixel_sides(pixel_size_nm or 1.0, aspect)
    steps = {"t": frame_interval_s or 1.0, "c": 1.0, "y": y, "x": x}
    dataset = {
        "path": LEVEL,
        "coordinateTransformations": [{"type": "scale", "scale": [steps[axis] for axis in axes]}],
    }
    image = {"name": name, "axes": [{"name": axis, **kinds[axis]} for axis in axes], "datasets": [dataset]}
    group = zarr.create_group(
        path,
        attributes={"ome": {"version": "0.5", "multiscales": [image]}, "napari-gandenoise": dict(provenance)},
    )
    return group.create_array(
        LEVEL,
        shape=shape,
        chunks=(1, *shape[1:]) if axes[0] == "t" else shape,
        dtype="float32",
        fill_value=float("nan"),
        dimension_names=tuple(axes),
    )
