"""The probe of a scanning microscope: aperture, aberrations, source, and what it is at any depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from napari_gandenoise.settings.stem import Detector, ProbeConfig
from napari_gandenoise.simulate.scattering import wavelength_nm

__all__ = [
    "ProbeConditions",
    "blur",
    "draw_probe",
    "half_frequencies",
    "probe_intensity",
    "probe_transfer",
    "pupil",
    "values",
]


class ProbeConditions(NamedTuple):
    """One draw from a `ProbeConfig`; units as there, angles of axes in radians from x towards y."""

    energy_kev: float
    convergence_mrad: float
    cs_um: float
    defocus_nm: float
    astigmatism_nm: float
    astigmatism_angle: float
    source_nm: float
    inner_mrad: float
    outer_mrad: float
    thermal_nm: float


def draw_probe(config: ProbeConfig, rng: np.random.Generator, detector: Detector = "haadf") -> ProbeConditions:
    """Draw each quantity uniformly from its range.

    An annular bright field takes the outer half of the cone of the probe, a bright field the inner third.
    """
    drawn = {name: rng.uniform(*getattr(config, name, (0.0, np.pi))) for name in ProbeConditions._fields}
    given = ProbeConditions(**drawn)
    cone = given.convergence_mrad
    match detector:
        case "abf":
            return given._replace(inner_mrad=cone / 2, outer_mrad=cone)
        case "bf":
            return given._replace(inner_mrad=0.0, outer_mrad=cone / 3)
        case _:
            return given


def probe_intensity(conditions: ProbeConditions, pixels: int, pixel_size_nm: float, depth_nm: float = 0.0) -> Tensor:
    """Return the intensity of the probe ``(pixels, pixels)`` in vacuum, in the first pixel and around it, of sum one.

    Parameters
    ----------
    conditions : ProbeConditions
        The probe; its source blurs it.
    pixels : int
        Side of the grid, which is periodic.
    pixel_size_nm : float
        Pixel size, nm.
    depth_nm : float
        How far below the entrance face, nm.
    """
    side = torch.tensor([pixels * pixel_size_nm])
    transfer = probe_transfer([conditions], side, pixels, depth_nm) * blur(conditions.source_nm, side, pixels)
    intensity: Tensor = torch.fft.irfft2(transfer[0], (pixels, pixels))
    return intensity


def pupil(
    conditions: Sequence[ProbeConditions],
    sides_nm: Tensor,
    pixels: int,
    depth_nm: float = 0.0,
    tilt: tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    """Return what lenses and apertures make of each spatial frequency.

    Parameters
    ----------
    conditions : sequence of ProbeConditions
        N probes.
    sides_nm : Tensor
        ``(N,)``: sides of the square periodic fields, nm.
    pixels : int
        Sides of the grids.
    depth_nm : float
        How far below the entrance face to look, nm.
    tilt : tuple of float
        Frequency, 1/nm, that the first pixel stands for, along x and along y.

    Returns
    -------
    Tensor
        ``(N, pixels, pixels)`` complex64.
    """
    kx, ky = (axis + part for axis, part in zip(_frequencies(sides_nm, pixels), tilt, strict=True))
    squared = kx**2 + ky**2
    wavelength = torch.tensor([wavelength_nm(given.energy_kev) for given in conditions]).to(sides_nm)[:, None, None]
    cs, astigmatism = 1e3 * values(conditions, "cs_um", sides_nm), values(conditions, "astigmatism_nm", sides_nm)
    angle = torch.atan2(ky, kx) - values(conditions, "astigmatism_angle", sides_nm)
    # Underfocus brings the crossover below the entrance face, where the probe of that depth is sharp.
    focus = depth_nm - values(conditions, "defocus_nm", sides_nm) + astigmatism * torch.cos(2 * angle)
    phase = torch.pi * wavelength * squared * (focus + 0.5 * cs * wavelength**2 * squared)
    # The aperture's edge is one pixel wide, or its area would jump with its radius.
    radius = values(conditions, "convergence_mrad", sides_nm) / 1e3 / wavelength
    opening = ((radius - squared.sqrt()) * sides_nm[:, None, None] + 0.5).clamp(0, 1)
    return torch.polar(opening, -phase)


def probe_transfer(conditions: Sequence[ProbeConditions], sides_nm: Tensor, pixels: int, depth_nm: float) -> Tensor:
    """Return the transform ``(N, pixels, pixels // 2 + 1)`` of the probe's intensity, one at zero frequency."""
    intensity = torch.fft.ifft2(pupil(conditions, sides_nm, pixels, depth_nm)).abs().square()
    # All aberrations here are even, and so is the probe: its transform is real.
    transfer = torch.fft.rfft2(intensity).real
    normalised: Tensor = transfer / transfer[:, :1, :1]
    return normalised


def blur(sigma_nm: Tensor | float, sides: Tensor, pixels: int) -> Tensor:
    """Return the transform ``(N, pixels, pixels // 2 + 1)`` of a Gaussian."""
    kx, ky = half_frequencies(sides, pixels)
    return torch.exp(-2 * torch.pi**2 * sigma_nm**2 * (kx**2 + ky**2))


def half_frequencies(sides: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
    """Return those frequencies that the transform of a real image has."""
    kx, ky = _frequencies(sides, pixels)
    return kx[..., : pixels // 2 + 1].abs(), ky


def _frequencies(sides: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
    """Return spatial frequencies along x ``(N, 1, pixels)`` and along y ``(N, pixels, 1)``, 1/nm."""
    steps = torch.fft.fftfreq(pixels, 1 / pixels, device=sides.device) / sides[:, None]
    return steps[:, None, :], steps[:, :, None]


def values(conditions: Sequence[ProbeConditions], name: str, like: Tensor) -> Tensor:
    """Return a quantity of all conditions ``(N, 1, 1)``."""
    return torch.tensor([getattr(given, name) for given in conditions]).to(like)[:, None, None]
