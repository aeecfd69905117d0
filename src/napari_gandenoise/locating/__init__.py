"""Atom columns: where they are, how strong, and whether they are there, by the counts."""

from __future__ import annotations

from napari_gandenoise.locating.result import ColumnsResult, check_table
from napari_gandenoise.locating.run import columns, columns_steps

__all__ = ["ColumnsResult", "check_table", "columns", "columns_steps"]
