"""HyperSpy's signals in Zarr, a folder or a ZIP file: https://hyperspy.org/rosettasciio/user_guide/supported_formats/zspy.html.

rosettasciio reads them with zarr 2 alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import zarr
from zarr.abc.store import Store
from zarr.storage import ZipStore

from napari_gandenoise.io.declared import check_zip
from napari_gandenoise.io.omezarr import ZarrFiles, check_array
from napari_gandenoise.io.signals import Axis, Signal

__all__ = ["read_zspy"]


def read_zspy(path: Path) -> list[Signal]:
    """Read the signals of a file; their pixels stay where they are.

    Raises
    ------
    GanDenoiseError
        If an array is none of numbers, or has more or larger chunks than are stored.
    """
    if path.is_dir():
        store: Store = ZarrFiles(path, read_only=True)
    else:
        check_zip(path)
        store = ZipStore(path, mode="r", read_only=True)
    experiments = zarr.open_group(store, mode="r")["Experiments"]
    if not isinstance(experiments, zarr.Group):
        raise ValueError("it has no experiments")
    return [_signal(path, group) for _, group in sorted(experiments.groups())]


def _signal(path: Path, group: zarr.Group) -> Signal:
    array: Any = group["data"]
    array = check_array(path, array)
    about = dict(group["metadata/General"].attrs) if "metadata/General" in group else {}
    kind = dict(group["metadata/Signal"].attrs) if "metadata/Signal" in group else {}
    axes = tuple(_axis(dict(group[f"axis-{i}"].attrs)) for i in range(array.ndim))
    title = str(about.get("title") or "")
    return Signal(da.from_zarr(array), axes, title, "diffraction" in str(kind.get("signal_type")))


def _axis(about: dict[str, Any]) -> Axis:
    named = {key: "" if about.get(key) in (None, "_None_") else str(about[key]) for key in ("name", "units")}
    step = about.get("scale")
    return Axis(named["name"], float(step) if step else None, named["units"], bool(about.get("navigate")))
