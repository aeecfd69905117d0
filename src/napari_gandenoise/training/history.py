"""The history of a run: a CSV table with a row a step."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.writing import written_whole

__all__ = ["History"]


class History:
    """Values of every step; a value that a step does not have is an empty cell.

    Parameters
    ----------
    path : Path
        The CSV file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def add(self, step: int, values: dict[str, float]) -> None:
        """Add the row of a step."""
        self.rows.append({"step": step, **values})

    def save(self) -> None:
        """Write the table anew; a kill at any moment leaves the old one or the new one."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        with written_whole(self.path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")

    def load(self, last: int) -> None:
        """Read the rows up to a step: those after it belong to work that was lost.

        Raises
        ------
        GanDenoiseError
            If the file is no such table.
        """
        if not self.path.is_file():
            return
        try:
            with self.path.open(encoding="utf-8", newline="") as file:
                rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
            self.rows = [{**row, "step": int(row["step"])} for row in rows if row["step"] <= last]
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, csv.Error):
            raise GanDenoiseError(f"{self.path} is no history of a run: move it away to resume without it.") from None
