"""The results of a job, to look at: they stay on the disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from dask.delayed import delayed
from numpy.typing import NDArray

from napari_gandenoise.batching.ledger import config_in, read_ledger
from napari_gandenoise.batching.outputs import product_path
from napari_gandenoise.io import read_micrograph
from napari_gandenoise.micrograph import Micrograph

__all__ = ["open_results"]


def open_results(folder: Path | str) -> list[Micrograph]:
    """Open the results of a job that are whole, without loading them.

    Parameters
    ----------
    folder : path
        Output folder of the job.

    Returns
    -------
    list of Micrograph
        Movies one by one.  Single images of one shape and pixel size, if there are several, as one series in the order
        of their inputs, whose ``name`` is that of the folder.

    Raises
    ------
    GanDenoiseError
        If there is no job.
    """
    folder = Path(folder)
    head, files = read_ledger(folder)
    config = config_in(head, folder)
    paths = [
        product_path(folder, name, config.products[0], config.format) for name, state in files.items() if state.whole
    ]
    whole = [state for state in files.values() if state.whole]
    single = [path for path, state in zip(paths, whole, strict=True) if state.frames == 1]
    series = _as_series(single, folder.name) if len(single) > 1 else None
    alone = [path for path in paths if series is None or path not in single]
    return [*([series] if series is not None else []), *(read_micrograph(path, lazy=True) for path in alone)]


def _as_series(paths: list[Path], name: str) -> Micrograph | None:
    """Make one series of images; None if they are of colours, or the second is not like the first."""
    first, second = read_micrograph(paths[0]), read_micrograph(paths[1])
    shape, dtype = first.pixels.shape, first.pixels.dtype
    sizes = {(one.pixel_size_nm, one.aspect) for one in (first, second)}
    if first.rgb or second.pixels.shape != shape or len(sizes) > 1:
        return None

    def read(path: Path) -> NDArray[Any]:
        pixels = np.asarray(read_micrograph(path).pixels)
        # One image among thousands that is not like the others must not spoil them.
        return pixels if pixels.shape == shape else np.full(shape, np.nan, dtype)

    pixels = da.stack([da.from_delayed(delayed(read)(path), shape, dtype) for path in paths])
    return replace(first, pixels=pixels, name=name)
