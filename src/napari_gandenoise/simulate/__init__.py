"""Simulate micrographs: atoms in HRTEM and STEM, scenes without atoms.  ASE and PyTorch load when they run."""

from __future__ import annotations

from napari_gandenoise.simulate.generate import simulate_images, simulate_steps
from napari_gandenoise.simulate.micrograph import (
    SimulatedMicrograph,
    missing_extra,
    simulate_micrograph,
    simulate_micrograph_steps,
)

__all__ = [
    "SimulatedMicrograph",
    "missing_extra",
    "simulate_images",
    "simulate_micrograph",
    "simulate_micrograph_steps",
    "simulate_steps",
]
