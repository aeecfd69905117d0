"""What a rate leaves of the counts: added back where it proves structure, and mapped where it contradicts the rate."""

from napari_gandenoise.residual.fitmap import FIT_THRESHOLD, fit_map, reduced_deviance
from napari_gandenoise.residual.step import COLOURS, LIGHT, THOROUGH, Effort, correct_channels, residual_step
from napari_gandenoise.residual.support import CELL, Support, borne_out, support_of

__all__ = [
    "CELL",
    "COLOURS",
    "FIT_THRESHOLD",
    "LIGHT",
    "THOROUGH",
    "Effort",
    "Support",
    "borne_out",
    "correct_channels",
    "fit_map",
    "reduced_deviance",
    "residual_step",
    "support_of",
]
