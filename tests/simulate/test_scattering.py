"""Scattering factors and the electron's constants, against published numbers and laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.simulate.scattering import interaction_constant, scattering_factors, wavelength_nm

BOHR_NM = 0.0529177


@pytest.mark.parametrize(
    ("energy_kev", "picometres"), [(60, 4.866), (80, 4.176), (100, 3.701), (200, 2.508), (300, 1.9687)]
)
def test_the_wavelength_is_the_textbooks(energy_kev, picometres):
    assert 1e3 * wavelength_nm(energy_kev) == pytest.approx(picometres, rel=2e-4)


@pytest.mark.parametrize(("energy_kev", "per_volt_nm"), [(100, 9.244e-3), (200, 7.288e-3), (300, 6.526e-3)])
def test_the_interaction_constant_is_that_of_kirklands_table(energy_kev, per_volt_nm):
    assert interaction_constant(energy_kev) == pytest.approx(per_volt_nm, rel=2e-4)


def test_hydrogen_scatters_as_its_wave_function_says():
    g = torch.linspace(0.5, 20, 100, dtype=torch.float64)  # 1/nm
    form = (1 + (np.pi * BOHR_NM * g) ** 2) ** -2  # of the 1s electron
    by_mott_and_bethe = (1 - form) / (2 * np.pi**2 * BOHR_NM * g**2)
    factors = scattering_factors([1], g)[0]
    np.testing.assert_allclose(factors, by_mott_and_bethe, rtol=2e-3)
    assert float(scattering_factors([1], torch.zeros(1))) == pytest.approx(BOHR_NM, rel=2e-3)


def test_at_high_frequencies_every_element_scatters_as_its_bare_nucleus():
    """Rutherford: f → Z / 2π² a₀ g².  The parametrisation was made to obey it: a wrong digit would show."""
    numbers = range(1, 104)
    g = torch.tensor(1e6, dtype=torch.float64)
    factors = scattering_factors(numbers, g).numpy()
    np.testing.assert_allclose(factors, np.array(numbers) / (2 * np.pi**2 * BOHR_NM * 1e12), rtol=1e-3)


def test_heavier_noble_gases_scatter_more_and_all_factors_fall():
    g = torch.linspace(0, 60, 400, dtype=torch.float64)
    factors = scattering_factors([2, 10, 18, 36, 54, 86], g)
    assert (factors.diff(dim=0) > 0).all()
    assert (factors.diff(dim=1) < 0).all()


def test_an_element_without_numbers_is_refused():
    with pytest.raises(GanDenoiseError, match="leave out Z = 104"):
        scattering_factors([8, 104], torch.zeros(1))
