"""A model for one material: simulations of its CIF, the nearest model trained on them, and what that has gained."""

from __future__ import annotations

from napari_gandenoise.finetuning.comparison import PSNR, Comparison, compare_steps, is_of_cif
from napari_gandenoise.finetuning.layout import lay_out
from napari_gandenoise.finetuning.nearest import nearest_model
from napari_gandenoise.finetuning.run import run_steps, train_cif, train_cif_steps

__all__ = [
    "PSNR",
    "Comparison",
    "compare_steps",
    "is_of_cif",
    "lay_out",
    "nearest_model",
    "run_steps",
    "train_cif",
    "train_cif_steps",
]
