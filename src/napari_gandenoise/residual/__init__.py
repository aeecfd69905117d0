"""What a rate leaves of the counts: added back where it proves structure, and mapped where it contradicts the rate."""

from napari_gandenoise.residual.fitmap import FIT_THRESHOLD, fit_map, reduced_deviance
from napari_gandenoise.residual.step import LIGHT, THOROUGH, Effort, correct_channels, residual_step

__all__ = [
    "FIT_THRESHOLD",
    "LIGHT",
    "THOROUGH",
    "Effort",
    "correct_channels",
    "fit_map",
    "reduced_deviance",
    "residual_step",
]
