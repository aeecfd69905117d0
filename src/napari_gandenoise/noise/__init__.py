"""Noise models of electron detectors, and their calibration from an image."""

from napari_gandenoise.noise.calibration import Calibration, calibrate, calibrate_colours
from napari_gandenoise.noise.models import AnyNoise, Gaussian, Poisson, PoissonGaussian, camera

__all__ = [
    "AnyNoise",
    "Calibration",
    "Gaussian",
    "Poisson",
    "PoissonGaussian",
    "calibrate",
    "calibrate_colours",
    "camera",
]
