"""How strongly atoms scatter fast electrons, and the constants of the electron: wavelength, interaction constant."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import constants
from torch import Tensor

from napari_gandenoise.errors import GanDenoiseError

__all__ = [
    "BOHR_NM",
    "POTENTIAL_V_NM2",
    "REST_ENERGY_KEV",
    "interaction_constant",
    "scattering_factors",
    "wavelength_nm",
]

TABLE = Path(__file__).parent / "data" / "lobato_van_dyck_2014.csv"
BOHR_NM = 1e9 * constants.physical_constants["Bohr radius"][0]
REST_ENERGY_KEV = 1e-3 * constants.m_e * constants.c**2 / constants.e  # of the electron
# h²/(2π m₀ e): times a scattering factor, nm, is the Fourier transform of a projected potential, V nm³.
POTENTIAL_V_NM2 = 1e18 * constants.h**2 / (2 * constants.pi * constants.m_e * constants.e)


def wavelength_nm(energy_kev: float) -> float:
    """Relativistic wavelength of electrons, nm: λ = h / √(2 m₀ E (1 + E / 2 m₀ c²))."""
    momentum = 1e3 * constants.e / constants.c * np.sqrt(energy_kev * (2 * REST_ENERGY_KEV + energy_kev))
    return float(1e9 * constants.h / momentum)


def interaction_constant(energy_kev: float) -> float:
    """Phase shift of electrons by a projected potential, rad/(V nm): σ = 2π m e λ / h², m relativistic."""
    mass = constants.m_e * (1 + energy_kev / REST_ENERGY_KEV)
    return float(1e-18 * 2 * constants.pi * mass * constants.e * wavelength_nm(energy_kev) / constants.h**2)


def scattering_factors(atomic_numbers: Sequence[int], frequencies: Tensor) -> Tensor:
    """Elastic electron scattering factors of neutral atoms in the first Born approximation, at rest.

    Five terms an element, ``f(g) = Σ aᵢ (2 + bᵢ g²) / (1 + bᵢ g²)²``, after I. Lobato and D. Van Dyck, Acta
    Cryst. A70 (2014) 636-649, https://doi.org/10.1107/S205327331401643X.

    Parameters
    ----------
    atomic_numbers : sequence of int
        Elements, Z from 1 to 103.
    frequencies : torch.Tensor
        Spatial frequencies g = 2 sin θ / λ of any shape, 1/nm; the precision of the sum is theirs.

    Returns
    -------
    torch.Tensor
        ``(len(atomic_numbers), *frequencies.shape)``, nm, without the factor m/m₀ of fast electrons.

    Raises
    ------
    GanDenoiseError
        If an element is not in the table.
    """
    table = _table()
    for number in atomic_numbers:
        if not 1 <= number <= len(table):
            raise GanDenoiseError(f"Scattering factors go from Z = 1 to {len(table)}: leave out Z = {number}.")
    squared = (frequencies / 10) ** 2  # the table is in ångström
    factors = []
    for number in atomic_numbers:
        amplitudes, widths = table[number - 1].tolist()
        factor = torch.zeros_like(squared)
        for amplitude, width in zip(amplitudes, widths, strict=True):
            extent = 1 / (1 + width * squared)
            factor += amplitude * extent * (1 + extent)
        factors.append(factor / 10)
    return torch.stack(factors)


@cache
def _table() -> NDArray[np.float64]:
    """Return ``(103, 2, 5)``: the five aᵢ (Å) and bᵢ (Å²) of each element."""
    numbers = np.loadtxt(TABLE, delimiter=",", usecols=range(2, 12))
    return numbers.reshape(-1, 2, 5)
