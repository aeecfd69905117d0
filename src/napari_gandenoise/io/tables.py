"""Tables of numbers as CSV: written, and read from anybody."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.strangers import blaming, check_regular
from napari_gandenoise.writing import written_whole

__all__ = ["CSV", "as_csv", "read_table", "write_table"]

CSV = ".csv"
LARGEST = 2**24  # bytes: half a million rows


def as_csv(columns: Mapping[str, NDArray[Any]]) -> str:
    """Write columns, by their names, as CSV: numbers as they are, and nothing where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(_words(values) for values in columns.values()), strict=True))
    return text.getvalue()


def write_table(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write columns to a CSV file, whole or not at all.

    Raises
    ------
    GanDenoiseError
        If it cannot be written.
    """
    with written_whole(path, "try again") as unfinished:
        unfinished.write_text(as_csv(columns), encoding="utf-8")


def read_table(path: Path, names: Sequence[str]) -> NDArray[np.float64]:
    """Read columns of finite numbers from a CSV file; other columns do not matter.

    Parameters
    ----------
    path : pathlib.Path
        The file; its first line names the columns.
    names : sequence of str
        Those that are wanted.

    Returns
    -------
    ndarray
        ``(rows, names)``.

    Raises
    ------
    GanDenoiseError
        If it is no such file, is too large for a table, lacks a column, or holds something else than numbers.
    """
    check_regular(path)
    if path.stat().st_size > LARGEST:
        raise GanDenoiseError(f"{path} is too large for a table.")
    with blaming(path, "CSV table in UTF-8"), path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = [word.strip() for word in next(reader, [])]
        if missing := [name for name in names if name not in header]:
            raise GanDenoiseError(
                f"{path} must be a table with the columns {', '.join(names)}, separated by commas: in its first line "
                f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing."
            )
        places = [(name, header.index(name)) for name in names]
        rows = [[_number(path, reader.line_num, row, *place) for place in places] for row in reader if row]
    return np.array(rows, np.float64).reshape(len(rows), len(names))


def _number(path: Path, line: int, row: list[str], name: str, place: int) -> float:
    word = row[place] if place < len(row) else ""
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        said = in_short(repr(word.strip())) if word.strip() else "empty"
        raise GanDenoiseError(f"{path}, line {line}: {name} is {said}, where a number must stand.")
    return number


def _words(values: NDArray[Any]) -> list[Any]:
    return ["" if isinstance(value, float) and math.isnan(value) else value for value in values.tolist()]
