"""How good a result is: metrics against a truth, against the counts or against other counts, and tables of them."""

from __future__ import annotations

from napari_gandenoise.evaluation.columns import Columns, ColumnScores, match_columns
from napari_gandenoise.evaluation.metrics import coverage, poisson_deviance, psnr, reduced_deviance, ssim, upsnr
from napari_gandenoise.evaluation.seams import nearest_tiles, seam_energy, tile_borders
from napari_gandenoise.evaluation.spectrum import radial_spectrum, spectrum_error
from napari_gandenoise.evaluation.tables import markdown_table

__all__ = [
    "ColumnScores",
    "Columns",
    "coverage",
    "markdown_table",
    "match_columns",
    "nearest_tiles",
    "poisson_deviance",
    "psnr",
    "radial_spectrum",
    "reduced_deviance",
    "seam_energy",
    "spectrum_error",
    "ssim",
    "tile_borders",
    "upsnr",
]
