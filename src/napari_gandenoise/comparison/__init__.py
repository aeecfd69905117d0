"""Denoisers beside each other on one image: classical ones and models, their images and their figures."""

from __future__ import annotations

from napari_gandenoise.comparison.job import LEFT_OUT, compare, compare_steps
from napari_gandenoise.comparison.result import CompareResult, check_folder, check_images_space

__all__ = [
    "LEFT_OUT",
    "CompareResult",
    "check_folder",
    "check_images_space",
    "compare",
    "compare_steps",
]
