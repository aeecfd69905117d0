"""Simulate HRTEM images: atomic structures, multislice, imaging conditions.  ASE and abTEM load only when they run."""

from __future__ import annotations

from napari_gandenoise.simulate.config import ImagingConfig, SimulationConfig, StructureConfig
from napari_gandenoise.simulate.generate import simulate_images, simulate_steps

__all__ = ["ImagingConfig", "SimulationConfig", "StructureConfig", "simulate_images", "simulate_steps"]
