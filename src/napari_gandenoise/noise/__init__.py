"""Noise models of electron detectors, and their calibration from an image."""

from napari_gandenoise.noise.calibration import Calibration, calibrate, calibrate_colours
from napari_gandenoise.noise.defects import Defects, find_defects
from napari_gandenoise.noise.holes import stand_in

__all__ = [
    "Calibration",
    "Defects",
    "calibrate",
    "calibrate_colours",
    "find_defects",
    "stand_in",
]
