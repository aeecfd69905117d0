"""Denoisers beside each other on one image: classical ones and models, their images and their figures."""

from __future__ import annotations

from napari_gandenoise.comparison.config import ALL, USUAL, CompareConfig, title_of
from napari_gandenoise.comparison.job import LEFT_OUT, compare, compare_steps
from napari_gandenoise.comparison.result import CompareResult, check_folder

__all__ = [
    "ALL",
    "LEFT_OUT",
    "USUAL",
    "CompareConfig",
    "CompareResult",
    "check_folder",
    "compare",
    "compare_steps",
    "title_of",
]
