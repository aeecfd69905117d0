"""The rows of a frame: fits on the grid as positions, errors and strain in the units of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import spatial

from napari_gandenoise.locating.fitting import Array
from napari_gandenoise.locating.lattice import find_sites
from napari_gandenoise.locating.measuring import Measured

__all__ = ["FrameTable", "empty", "rows_of", "units_of"]

LENGTHS = (
    *("y", "x", "counted_y", "counted_x", "y_error", "x_error"),
    *("width", "nearest", "displacement_y", "displacement_x"),
)
WHOLE = ("frame", "column", "lattice", "index_a", "index_b")
NAMES = (
    *("frame", "column", "y", "x", "counted_y", "counted_x", "y_error", "x_error"),
    *("intensity", "intensity_error", "width"),
    *("log_likelihood_ratio", "probability", "share", "sure", "nearest", "lattice", "index_a", "index_b"),
    *("displacement_y", "displacement_x", "strain_yy", "strain_xx", "strain_xy", "rotation"),
)


@dataclass(frozen=True)
class FrameTable:
    """The columns of a frame: rows, lattices, spacing of neighbours in pixels, and the places looked at."""

    rows: dict[str, NDArray[Any]]
    lattices: list[dict[str, Any]]
    spacing: float
    places: float = 0.0


def units_of(pixel_size_nm: float | None) -> dict[str, str]:
    """Name the units of the table's columns."""
    length = "nm" if pixel_size_nm else "px"
    return {
        **dict.fromkeys(LENGTHS, length),
        **dict.fromkeys(("intensity", "intensity_error"), "electrons"),
        "log_likelihood_ratio": "nats",
        "rotation": "rad",
    }


def empty(frame: int) -> FrameTable:
    """Make the table of a frame without columns."""
    del frame
    kinds: dict[str, type] = {**dict.fromkeys(WHOLE, np.int64), "sure": np.bool_}
    return FrameTable({name: np.empty(0, kinds.get(name, np.float64)) for name in NAMES}, [], 0.0)


def rows_of(
    frame: int, measured: Measured, probability: Array, share: Array, summed: int, sides: tuple[float, float]
) -> FrameTable:
    """Turn the fits of a frame into rows.

    Parameters
    ----------
    frame : int
        Its number, from 0.
    measured : Measured
        K columns on the grid.
    probability, share : ndarray
        ``(K,)``: that each is there, and of samples that show it.
    summed : int
        Pixels along a side of a grid pixel.
    sides : tuple of float
        Height and width of a pixel, in the unit of the table.
    """
    drawn, values, errors = measured.drawn, measured.fitted.values, measured.fitted.errors
    grid = summed * np.asarray(sides)
    # A grid pixel lies around the middle of those that are summed.
    places, counted = (
        found * grid + (summed - 1) / 2 * np.asarray(sides) for found in (measured.places, measured.counted)
    )
    volume = 2 * np.pi * values[:, 3] ** 2
    sites = find_sites(places)
    count = len(places)
    nearest = spatial.cKDTree(places).query(places, k=2)[0][:, 1] if count > 1 else np.full(count, np.nan)
    rows = (
        *(np.full(count, frame), np.arange(count), *places.T, *counted.T, *(errors[:, 1:3] * grid).T),
        *(values[:, 0] * volume, errors[:, 0] * volume, values[:, 3] * float(np.sqrt(np.prod(grid)))),
        *(measured.gain, probability, share, np.zeros(count, bool), nearest, sites.owner, *sites.indices.T),
        *(*sites.displacement.T, *sites.strain.T, sites.rotation),
    )
    lattices = [
        {
            "frame": frame,
            "lattice": number,
            "columns": int((sites.owner == number).sum()),
            "a": lattice.vectors[0].tolist(),
            "b": lattice.vectors[1].tolist(),
        }
        for number, lattice in enumerate(sites.lattices, start=1)
    ]
    return FrameTable(dict(zip(NAMES, rows, strict=True)), lattices, drawn.spacing * summed)
