"""From exit waves to HRTEM images: aberrations, aperture, partial coherence, detector; vacuum is one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from napari_gandenoise.simulate.arithmetic import product
from napari_gandenoise.simulate.conditions import ImagingConditions
from napari_gandenoise.simulate.multislice import ExitWaves
from napari_gandenoise.simulate.scattering import wavelength_nm

__all__ = ["hrtem_images", "transfer_function"]


def hrtem_images(waves: ExitWaves, conditions: Sequence[ImagingConditions]) -> Tensor:
    """Image exit waves, in electrons relative to vacuum, on their own grid.

    Partial coherence is quasi-coherent: envelopes of the transfer function for the spreads of focus and of illumination
    angles (R. H. Wade and J. Frank, Optik 49 (1977) 81).  Detector and vibration are one Gaussian.  On a processor the
    same wave and conditions give the same image, bit by bit, in any process.

    Parameters
    ----------
    waves : ExitWaves
        One wave for each of the conditions, or one for all.
    conditions : sequence of ImagingConditions
        How to take each image.

    Returns
    -------
    torch.Tensor
        ``(len(conditions), Y, X)`` float32, on the waves' device.
    """
    side, device = waves.waves.shape[-1], waves.waves.device
    transfer = transfer_function(conditions, side, waves.pixel_size_nm, device)
    intensity = _squared(torch.fft.ifft2(product(torch.fft.fft2(waves.waves), transfer)))
    g = torch.fft.fftfreq(side, waves.pixel_size_nm, device=device)
    along = torch.exp(-2 * (np.pi * _column([c.blur_nm for c in conditions], device) * g) ** 2)  # (N, 1, side)
    blur = along.mT * along[..., : side // 2 + 1]
    image: Tensor = torch.fft.irfft2(torch.fft.rfft2(intensity) * blur, s=(side, side))
    return image


def transfer_function(
    conditions: Sequence[ImagingConditions], side: int, pixel_size_nm: float, device: torch.device | str = "cpu"
) -> Tensor:
    """Complex transfer of the objective lens at the frequencies of a discrete Fourier transform.

    Aperture times envelopes times ``exp(-iχ)``, with χ as a function of the scattering angle ``w = αx + iαy``::

        χ = 2π/λ Re(-½ Δf |w|² + ¼ Cs |w|⁴ + ½ C12 w² e^(-2iφ12) + ⅓ C21 |w|² w e^(-iφ21) + ⅓ C23 w³ e^(-3iφ23))

    (Kirkland 2020, ch. 2, with Δf positive for underfocus).  A Gaussian spread of focus attenuates by
    ``exp(-(πΔ|w|²/2λ)²)``, one of illumination angles by ``exp(-(β|∇χ|/2)²)``, Δ and β where they fall to 1/e.

    Parameters
    ----------
    conditions : sequence of ImagingConditions
        One transfer function each.
    side : int
        Pixels a side.
    pixel_size_nm : float
        Pixel size, nm.
    device : torch.device or str
        Where to compute.

    Returns
    -------
    torch.Tensor
        ``(len(conditions), side, side)`` complex64, rows along y.
    """
    g = torch.fft.fftfreq(side, pixel_size_nm, device=device)
    wavelength = _column([wavelength_nm(c.energy_kev) for c in conditions], device)
    w = wavelength * torch.complex(*torch.broadcast_tensors(g[None, :], g[:, None]))
    squared = _squared(w)
    phase, slope = _aberrations(conditions, w, squared)
    cutoff = _column([1e-3 * c.aperture_mrad for c in conditions], device)
    # A pixel at the edge counts by the share of it that is inside.
    passed = ((cutoff - squared.sqrt()) * (side * pixel_size_nm) / wavelength + 0.5).clamp(0, 1)
    focal_spread = _column([c.focal_spread_nm for c in conditions], device)
    exponent = (np.pi / 2 / wavelength * focal_spread * squared) ** 2
    if slope is not None:
        spread = _column([1e-3 * c.angular_spread_mrad for c in conditions], device)
        exponent = exponent + (np.pi / wavelength * spread) ** 2 * _squared(slope)
    return torch.polar(passed * torch.exp(-exponent), -2 * np.pi / wavelength * phase)


def _aberrations(conditions: Sequence[ImagingConditions], w: Tensor, squared: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return χ λ/2π, and its gradient as a complex number where the illumination has angles (nm)."""
    device = w.device
    focus = -_column([c.defocus_nm for c in conditions], device)
    cs = _column([1e3 * c.cs_um for c in conditions], device)
    twofold = product(w, _axial([(c.astigmatism_nm, 2 * c.astigmatism_angle) for c in conditions], device))
    phase = squared * (focus / 2 + cs / 4 * squared) + product(twofold, w).real / 2
    slope = w * (focus + cs * squared) + twofold.conj() if any(c.angular_spread_mrad for c in conditions) else None
    if any(c.coma_nm or c.trefoil_nm for c in conditions):
        coma = _axial([(c.coma_nm, c.coma_angle) for c in conditions], device)
        trefoil = _axial([(c.trefoil_nm, 3 * c.trefoil_angle) for c in conditions], device)
        square = product(w, w)
        threefold = product(trefoil, square)
        phase = phase + product(w, coma * squared + threefold).real / 3
        if slope is not None:
            slope = slope + (product(coma, square) + 2 * squared * coma.conj()) / 3 + threefold.conj()
    return phase, slope


def _squared(values: Tensor) -> Tensor:
    return values.real**2 + values.imag**2


def _column(values: Sequence[float], device: torch.device | str) -> Tensor:
    """One number an image, ``(N, 1, 1)``."""
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]


def _axial(values: Sequence[tuple[float, float]], device: torch.device | str) -> Tensor:
    """Aberrations with an axis, ``(N, 1, 1)``: size times ``exp(-i angle)``."""
    sizes, angles = zip(*values, strict=True)
    return torch.polar(_column(sizes, device), -_column(angles, device))
