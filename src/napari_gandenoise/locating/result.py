"""What finding columns returns: a table, the layers it becomes, and its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.denoising import DenoiseResult
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import CSV, as_csv, check_outputs, write_table
from napari_gandenoise.layers import LayerData, placement
from napari_gandenoise.writing import written_whole

__all__ = ["TABLES", "ColumnsResult", "check_table"]

Table = dict[str, NDArray[Any]]

TABLES = (CSV, ".parquet")
COLORMAP, SURE = "viridis", (0.993, 0.906, 0.144, 0.7)  # its end, where the probability is 1
DISK = 0.3  # of the spacing: diameter of a column whose place is known


@dataclass(frozen=True)
class ColumnsResult:
    """Atom columns of an image or a movie.

    Attributes
    ----------
    table : dict of str to ndarray
        A row a column: "frame", "column" (its number; in a movie the same from frame to frame), "y", "x", "counted_y"
        and "counted_x" (place by the counts alone), "y_error", "x_error", "intensity" (electrons more than around it,
        or fewer) and "intensity_error", "width" (standard deviation of its Gaussian), "log_likelihood_ratio" (for the
        column against none), "probability" (that it is there), "share" (of samples that show it; NaN without), "sure"
        (whether that is above the threshold), "nearest" (distance of the nearest other one), "lattice" (from 1; 0 for
        none), "index_a", "index_b", "displacement_y", "displacement_x" (from the lattice's site), "strain_yy",
        "strain_xx", "strain_xy" and "rotation".
    units : dict of str to str
        Of the columns of the table that have one: lengths in nm, or in pixels if nobody knows their size.
    lattices : list of dict
        Of each frame's lattices: "frame", "lattice", "columns", "a" and "b", the vectors ``(y, x)`` in those units.
    report : dict
        Provenance and figures, ready for JSON.
    pixel_size_nm : float or None
        Pixel size, nm.
    spacing : float
        Distance of nearest neighbours, pixels.
    movie : bool
        Whether it is one.
    name : str
        Name of the input.
    aspect : float
        Height of a pixel over its width.
    frame_interval_s : float or None
        Time from frame to frame.
    denoised : DenoiseResult or None
        The denoised image, if it was denoised for this.
    """

    table: Table
    units: dict[str, str]
    lattices: list[dict[str, Any]]
    report: dict[str, Any]
    pixel_size_nm: float | None
    spacing: float
    movie: bool = False
    name: str = ""
    aspect: float = 1.0
    frame_interval_s: float | None = None
    denoised: DenoiseResult | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.table["frame"])

    def summary(self) -> str:
        """One line: how many columns, how many of them for sure, and how well their places are known."""
        if not len(self):
            return "no columns were found"
        sure = self.table["sure"]
        words = f"{len(self):,} columns, {int(sure.sum()):,} of them sure (probability above {self.threshold:g})"
        if self.movie:
            words += f", in {self.report['frames']} frames"
        if not sure.any():
            return words
        error = np.sqrt((self.table["y_error"][sure] ** 2 + self.table["x_error"][sure] ** 2) / 2)
        size = f"{1e3 * np.median(error):.3g} pm" if self.pixel_size_nm else f"{np.median(error):.3g} pixels"
        return f"{words}; places of the sure ones known to {size} along each axis"

    @property
    def threshold(self) -> float:
        """Probability above which a column is sure."""
        return float(self.report["config"]["threshold"])

    def occupancy(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the numbers of the columns of a movie, and the probability of each in each frame.

        Returns
        -------
        tuple of ndarray
            ``(N,)``, and ``(N, T)``; zero where a column was not found.
        """
        numbers, rows = np.unique(self.table["column"], return_inverse=True)
        there = np.zeros((len(numbers), self.report["frames"]))
        there[rows, self.table["frame"]] = self.table["probability"]
        return numbers, there

    # Layers

    def to_layer_data(self) -> LayerData:
        """Return data, keyword arguments and type of a napari Points layer: hollow where a column is doubtful."""
        table, sure = self.table, self.table["sure"]
        places = np.stack([table["y"] / self._sides[0], table["x"] / self._sides[1]], axis=1)
        error = np.hypot(table["y_error"] / self._sides[0], table["x_error"] / self._sides[1])
        if self.movie:
            places = np.column_stack([table["frame"], places])
        where = placement(self.pixel_size_nm, self.aspect, movie=self.movie, frame_interval_s=self.frame_interval_s)
        faces = np.tile(np.array(SURE), (len(sure), 1))
        faces[~sure, 3] = 0.0
        options: dict[str, Any] = {
            "name": f"{self.name} · columns" if self.name else "columns",
            "features": self.columns(),
            "size": DISK * self.spacing + 2 * np.minimum(error, self.spacing / 2),
            "face_color": faces,
            "metadata": {"napari-gandenoise": self.report},
        }
        if len(sure):  # an empty layer has no colours to choose by
            options |= {
                "border_color": "probability",
                "border_colormap": COLORMAP,
                "border_contrast_limits": (0.0, 1.0),
                "border_width": 0.15,
            }
        return places, options | where, "points"

    def to_layers(self) -> list[LayerData]:
        """Return the layers of the result: the denoised image, if it was made for this, and the columns above it."""
        below = [] if self.denoised is None else self.denoised.to_layers()
        return [*below, self.to_layer_data()]

    # Files

    def columns(self) -> Table:
        """Return the table with units in the names: ``y_nm``, ``y_error_nm``, ``probability``."""
        return {f"{name}_{self.units[name]}" if name in self.units else name: v for name, v in self.table.items()}

    def to_csv(self) -> str:
        """Return the table as CSV."""
        return as_csv(self.columns())

    def write(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write the table, with units: CSV with the report beside it as JSON, or Parquet with the report inside.

        Parameters
        ----------
        path : path
            Ends in ``.csv`` or ``.parquet``.
        overwrite : bool
            Whether existing files may be replaced.

        Raises
        ------
        GanDenoiseError
            If it cannot be written.
        """
        path = Path(path)
        check_table(path, [], overwrite)
        if path.suffix.lower() == ".parquet":
            with written_whole(path, "try again") as unfinished:
                _write_parquet(unfinished, self.columns(), {**self.report, "lattices": self.lattices})
            return
        report = json.dumps({**self.report, "units": self.units, "lattices": self.lattices}, indent=1)
        write_table(path, self.columns())
        with written_whole(path.with_suffix(".json"), "try again") as unfinished:
            unfinished.write_text(report, encoding="utf-8")

    @property
    def _pixel(self) -> float:
        return self.pixel_size_nm or 1.0

    @property
    def _sides(self) -> tuple[float, float]:
        """Height and width of a pixel in the unit of the table."""
        root = float(np.sqrt(self.aspect))
        return self._pixel * root, self._pixel / root


def check_table(path: Path, inputs: list[Any], overwrite: bool, consent: str = "pass overwrite=True") -> None:
    """Refuse a table before the work that could not or must not be written after it.

    Raises
    ------
    GanDenoiseError
        As for `napari_gandenoise.io.check_outputs`, or if a package is missing for it.
    """
    beside = [path.with_suffix(".json")] if path.suffix.lower() == CSV else []
    check_outputs([path, *beside], inputs, overwrite, consent, suffixes=(*TABLES, ".json") if beside else TABLES)
    if path.suffix.lower() == ".parquet":
        _parquet()


def _parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as missing:
        raise GanDenoiseError(
            "Parquet needs the package pyarrow: install it with `pip install napari-gandenoise[columns]`, or write CSV."
        ) from missing
    return parquet


def _write_parquet(path: Path, columns: Table, report: Mapping[str, Any]) -> None:
    parquet = _parquet()
    import pyarrow

    table = pyarrow.table(columns)
    known = {b"napari-gandenoise": json.dumps(report).encode()}
    parquet.write_table(table.replace_schema_metadata(known), path)
