"""What a rate leaves of the counts: added back where it proves structure, and mapped where it contradicts the rate."""

from napari_gandenoise.residual.fitmap import fit_map, fit_threshold
from napari_gandenoise.residual.step import correct_channels, residual_step

__all__ = ["correct_channels", "fit_map", "fit_threshold", "residual_step"]
