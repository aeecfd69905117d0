"""What an atom does to a wave in a thin slice, on a grid too coarse for the atom.

A slice multiplies the wave by ``exp(iσV)``, where V is its projected potential.  Atoms are sharper than the grid of an
image, and a potential that is cut off at the grid's finest frequency scatters wrongly at all of them.  So each atom's
potential is split into a smooth part, which the grid can hold, and a core::

    exp(iσV) = exp(iσ Σ smoothⱼ) Π (1 + cⱼ)     cⱼ = exp(iσ coreⱼ) - 1

The cores of one slice hardly overlap: the product is ``1 + Σ cⱼ``.  The Fourier transform of one cⱼ is found on a fine
grid, once for all atoms of an element, and is exact wherever the coarse grid has frequencies.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from scipy.interpolate import CubicSpline
from torch import Tensor

from napari_gandenoise.simulate.scattering import POTENTIAL_V_NM2, interaction_constant, scattering_factors

__all__ = ["atom_forms"]

# The fine grid: wide enough for any core, fine enough for the logarithmic peak of a potential at rest.
FINE_SIDE, FINE_PIXELS = 2.0, 800  # nm, pixels
RADII = 512  # frequencies at which a core's transform is computed; it is smooth between them


def atom_forms(number: int, frequencies: Tensor, energy_kev: float, vibration_nm: float, smooth_nm: float) -> Tensor:
    """Fourier transforms of an atom's potential, of the phase shift by its smooth part, and of its core.

    Parameters
    ----------
    number : int
        Atomic number.
    frequencies : torch.Tensor
        Radial spatial frequencies of any shape, 1/nm, in double precision.
    energy_kev : float
        Electron energy, keV.
    vibration_nm : float
        Root mean square displacement along one axis, nm.
    smooth_nm : float
        Standard deviation of the Gaussian that makes the smooth part of the potential, nm.

    Returns
    -------
    torch.Tensor
        ``(4, *frequencies.shape)``: potential (V nm³), phase shift by the smooth part (nm²), real and imaginary part
        of the core c (nm²).
    """
    potential = POTENTIAL_V_NM2 * scattering_factors([number], frequencies)[0] * _gaussian(frequencies, vibration_nm)
    smooth = interaction_constant(energy_kev) * potential * _gaussian(frequencies, smooth_nm)
    radii = np.linspace(0, float(frequencies.max()), RADII)
    x, profile = _core_profile(number, energy_kev, vibration_nm, smooth_nm)
    # The transform of a round function along one axis is that of its projection onto it.
    transform = np.cos(2 * np.pi * radii[:, None] * x) @ profile * (FINE_SIDE / FINE_PIXELS)
    core = CubicSpline(radii, np.stack([transform.real, transform.imag]), axis=1)(frequencies.numpy())
    return torch.cat([torch.stack([potential, smooth]), torch.from_numpy(core)])


def _gaussian(frequencies: Tensor, sigma_nm: float) -> Tensor:
    """Fourier transform of a Gaussian of standard deviation ``sigma_nm``: for thermal motion, Debye-Waller factor."""
    return torch.exp(-2 * (np.pi * sigma_nm * frequencies) ** 2)


@lru_cache(maxsize=256)
def _core_profile(
    number: int, energy_kev: float, vibration_nm: float, smooth_nm: float
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Positions (nm) along an axis through an atom, and its core c integrated across it (nm)."""
    step = FINE_SIDE / FINE_PIXELS
    along, across = fft.fftfreq(FINE_PIXELS, step), fft.rfftfreq(FINE_PIXELS, step)
    g = torch.from_numpy(np.hypot(along[:, None], across))
    sharp = scattering_factors([number], g)[0] * _gaussian(g, vibration_nm) * (1 - _gaussian(g, smooth_nm))
    core = fft.irfft2((POTENTIAL_V_NM2 / step**2 * sharp).numpy(), s=(FINE_PIXELS, FINE_PIXELS))
    c = np.expm1(1j * interaction_constant(energy_kev) * core)
    x = step * fft.fftfreq(FINE_PIXELS, 1 / FINE_PIXELS)
    return x, c.sum(axis=0) * step
