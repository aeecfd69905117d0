"""Zarr arrays and OME-Zarr images: read with their pixel size, written frame by frame.

OME-Zarr 0.5, https://ngff.openmicroscopy.org/0.5/, of which one level is written; 0.4 is read as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import zarr

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import Micrograph, nm_per_unit, square_pixel_nm

__all__ = ["create_omezarr", "is_zarr", "read_omezarr"]

SECONDS_PER_UNIT = {"hour": 3600.0, "minute": 60.0, "second": 1.0, "millisecond": 1e-3, "microsecond": 1e-6}
LEVEL = "0"


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group."""
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def read_omezarr(path: Path, *, lazy: bool = False) -> Micrograph:
    """Read an image or a movie; see `napari_gandenoise.io.read_micrograph`."""
    try:
        array, axes, scale, units = _finest_level(path)
    except GanDenoiseError:
        raise
    except Exception as error:  # damaged metadata can make the reader fail in any way
        reason = " ".join(str(error).split())
        raise GanDenoiseError(f"{path} cannot be read, it is damaged or no image ({reason}).") from error
    kept = [i for i, (name, size) in enumerate(zip(axes, array.shape, strict=True)) if size > 1 or name in "yx"]
    names = "".join("t" if axes[i] in "tz" else axes[i] for i in kept)
    if names not in ("yx", "tyx", "cyx"):
        raise GanDenoiseError(
            f"{path} has the axes {''.join(axes)} {array.shape}, but only an image (yx), a movie (tyx) or a colour "
            "image (cyx) can be opened; save one channel of it."
        )
    pixels = da.from_zarr(array)[tuple(slice(None) if i in kept else 0 for i in range(array.ndim))]
    if names == "cyx":
        pixels = da.moveaxis(pixels, 0, -1)
    sides = [None if unit is None else step * unit for step, unit in zip(scale[-2:], units[-2:], strict=True)]
    first = units[kept[0]] if names == "tyx" and axes[kept[0]] == "t" else None
    return Micrograph(
        pixels if lazy else np.asarray(pixels),
        pixel_size_nm=square_pixel_nm(sides[0], sides[1]),
        rgb=names == "cyx",
        name=path.name.removesuffix(".zarr").removesuffix(".ome"),
        frame_interval_s=None if first is None else scale[kept[0]] * first,
    )


def _finest_level(path: Path) -> tuple[zarr.Array[Any], list[str], list[float], list[float | None]]:
    """Open the array; return the names of its axes, the steps along them, and nanometres or seconds a unit."""
    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        names = ["t", "c", "z", "y", "x"][-node.ndim :] if node.ndim > 3 else ["t", "y", "x"][-node.ndim :]
        return node, names, [1.0] * node.ndim, [None] * node.ndim
    attributes: Mapping[str, Any] = dict(node.attrs)
    images = attributes.get("ome", attributes).get("multiscales")
    if not images:
        raise GanDenoiseError(f"{path} is a Zarr group without an OME-Zarr image; give the path of an array in it.")
    level = images[0]["datasets"][0]
    array = node[level["path"]]
    steps = [t["scale"] for t in level.get("coordinateTransformations", ()) if t["type"] == "scale"]
    axes = images[0]["axes"]
    units = [
        SECONDS_PER_UNIT.get(axis.get("unit", "")) if axis.get("type") == "time" else nm_per_unit(axis.get("unit"))
        for axis in axes
    ]
    if not isinstance(array, zarr.Array):
        raise GanDenoiseError(f"{path} has no array where its metadata say; copy it again.")
    return array, [axis["name"] for axis in axes], steps[0] if steps else [1.0] * array.ndim, units


def create_omezarr(
    path: Path,
    shape: tuple[int, ...],
    axes: str,
    *,
    name: str,
    pixel_size_nm: float | None,
    frame_interval_s: float | None,
    provenance: Mapping[str, Any],
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
    steps = {"t": frame_interval_s or 1.0, "c": 1.0, "y": pixel_size_nm or 1.0, "x": pixel_size_nm or 1.0}
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
