"""Electrons and the units of a file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.noise.units import Units
from napari_gandenoise.settings.noise import Gaussian, Poisson, PoissonGaussian


@given(st.floats(0.01, 100), st.floats(-1000, 1000), st.integers(0, 99))
def test_there_and_back_is_the_image(gain, offset, seed):
    units = Units.of(PoissonGaussian(gain=gain, offset=offset, read_noise=0.5 * gain), np.zeros(1))
    image = (gain * np.random.default_rng(seed).poisson(3.0, (6, 7)) + offset).astype(np.float32)
    back = units.from_electrons(units.to_electrons(image))
    np.testing.assert_allclose(back, image, atol=1e-4 * (gain + abs(offset)))


def test_a_camera_s_read_noise_is_in_electrons():
    units = Units.of(PoissonGaussian(gain=2.0, offset=100, read_noise=3.0), np.zeros(1))
    assert (units.gain, units.offset, units.read_variance) == (2.0, 100, 2.25)
    assert units.electrons(110) == 5


def test_gaussian_noise_becomes_a_dose_whose_counting_noise_is_a_hundredth():
    image = np.full((8, 8), 5.0)
    units = Units.of(Gaussian(sigma=0.5), image)
    electrons = units.to_electrons(image)
    counting = electrons.mean() * units.gain**2  # variance of Poisson counts, in the image's units
    assert counting == pytest.approx(0.01 * 0.5**2)
    assert units.read_variance * units.gain**2 == pytest.approx(0.5**2)


def test_what_cannot_be_electrons_is_refused():
    units = Units.of(Poisson(), np.zeros(1))
    with pytest.raises(GanDenoiseError, match=r"shot\.tif has negative counts \(down to -2\)"):
        units.to_electrons(np.array([[1.0, -2.0]]), "shot.tif")
    with pytest.raises(GanDenoiseError, match="The image has 2 NaN or infinite pixels"):
        units.to_electrons(np.array([[np.nan, np.inf, 1.0]]))
    assert Units.of(PoissonGaussian(gain=1, read_noise=1), np.zeros(1)).to_electrons(np.array([[-2.0]])) == -2
