"""How good a result is: metrics against a truth or against the counts, and tables of them."""

from __future__ import annotations

from napari_gandenoise.evaluation.metrics import poisson_deviance, psnr, ssim
from napari_gandenoise.evaluation.tables import markdown_table

__all__ = ["markdown_table", "poisson_deviance", "psnr", "ssim"]
