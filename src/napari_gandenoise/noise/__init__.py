"""Noise models of electron detectors, and their calibration from an image."""

from napari_gandenoise.noise.calibration import Calibration, calibrate, calibrate_colours

__all__ = [
    "Calibration",
    "calibrate",
    "calibrate_colours",
]
