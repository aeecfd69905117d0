"""Bright-field and annular bright-field images of a scanning microscope, by reciprocity.

What a point of the detector sees of a scanning beam is what a parallel beam from that point, sent backwards through the
specimen and the lens that forms the probe, leaves at the source (Cowley, "Image contrast in a transmission scanning
electron microscope", Appl. Phys. Lett. 15 (1969) 58).  So an image is the mean, over points of the detector, of HRTEM
images under tilted illumination, each with full multislice.  A tilted beam through a specimen is an upright one through
the specimen sheared the other way, and its wave tilted again at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_gandenoise.simulate.multislice import exit_waves
from napari_gandenoise.simulate.probe import ProbeConditions, blur, pupil
from napari_gandenoise.simulate.scattering import wavelength_nm

__all__ = ["bright_field_image"]

POINTS = 64  # of the detector, and states of the vibrating specimen
GOLDEN_ANGLE = np.pi * (3 - 5**0.5)


def bright_field_image(structure: Any, conditions: ProbeConditions, pixels: int, device: torch.device | str) -> Tensor:
    """Simulate the image of a detector within the cone of the probe.

    Parameters
    ----------
    structure : ase.Atoms
        Structure in an orthogonal cell with a square face (Å), beam along +z from z = 0.
    conditions : ProbeConditions
        Probe and detector.
    pixels : int
        Side of the image.
    device : torch.device or str
        Where to compute.

    Returns
    -------
    Tensor
        ``(pixels, pixels)`` float32, relative to vacuum.
    """
    sides = structure.cell.lengths()[:1] / 10
    wavelength = wavelength_nm(conditions.energy_kev)
    # Images have twice the frequencies of the aperture, and so have waves seen from a beam at its edge.
    fine = pixels * int(np.ceil(4 * conditions.convergence_mrad / 1e3 / wavelength * sides[0] / pixels))
    points = _detector_points(conditions)
    # A vibrating atom is at another place for each electron; seeded, so that the same conditions give the same image.
    rng = np.random.default_rng(0)
    backwards = [_sheared(structure, angles, 10 * conditions.thermal_nm, rng) for angles in points]
    waves = exit_waves(backwards, conditions.energy_kev, fine, device).waves
    sides = torch.as_tensor(sides, dtype=torch.float32, device=waves.device)
    image, vacuum = torch.zeros(waves.shape[1:], device=waves.device), 0.0
    for wave, (along_x, along_y) in zip(waves, points, strict=True):
        lens = pupil([conditions], sides, fine, tilt=(along_x / wavelength, along_y / wavelength))[0]
        image += torch.fft.ifft2(torch.fft.fft2(wave) * lens).abs().square()
        vacuum += float(lens[0, 0].abs()) ** 2
    source = blur(conditions.source_nm, sides, fine)[0]
    blurred = torch.fft.irfft2(torch.fft.rfft2(image / vacuum) * source, (fine, fine))
    scanned: Tensor = blurred[:: fine // pixels, :: fine // pixels].clamp(min=0)
    return scanned


def _detector_points(conditions: ProbeConditions) -> list[tuple[float, float]]:
    """Return angles, rad, along x and along y, that stand for equal areas of the detector: a sunflower's seeds."""
    inner = conditions.inner_mrad / 1e3
    outer = min(conditions.outer_mrad, conditions.convergence_mrad) / 1e3
    order = np.arange(POINTS)
    radius = np.sqrt(inner**2 + (outer**2 - inner**2) * (order + 0.5) / POINTS)
    azimuth = order * GOLDEN_ANGLE
    return list(zip((radius * np.cos(azimuth)).tolist(), (radius * np.sin(azimuth)).tolist(), strict=True))


def _sheared(structure: Any, angles: tuple[float, float], vibration: float, rng: np.random.Generator) -> Any:
    """Turn a structure round for the way back, and shear it so that beams at these angles to the axis run along z."""
    turned = structure.copy()
    turned.positions += rng.normal(0, vibration, turned.positions.shape)
    turned.positions[:, :2] += turned.positions[:, 2:] * np.array(angles)
    turned.positions[:, 2] = structure.cell[2, 2] - turned.positions[:, 2]
    turned.positions[:, :2] %= np.diagonal(structure.cell)[:2]
    return turned
