"""How far counts are summed: their dose asks for it, their finest detail limits it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gandenoise.denoising import plan
from napari_gandenoise.denoising.summing import spectral_sum
from napari_gandenoise.settings.noise import Gaussian, Poisson, PoissonGaussian


def lattice(period: float, mean: float, side: int = 512):
    """Return the rate of a square lattice whose spots have one frequency, 1 / period."""
    wave = np.cos(2 * np.pi * np.arange(side) / period)
    return mean * (1 + 0.3 * wave + 0.3 * wave[:, None])


@pytest.mark.parametrize(("mean", "summed"), [(0.3, 5), (1.3, 2), (4.0, 2), (6.0, 1)])
def test_a_smooth_image_is_summed_to_five_electrons(mean, summed):
    # The least n with n² mean >= 5.
    counts = np.random.default_rng(0).poisson(np.full((512, 512), mean))
    assert spectral_sum(counts, Poisson()) == summed


@pytest.mark.parametrize(("period", "summed"), [(4, 1), (8, 2), (12, 4), (30, 5)])
def test_a_lattice_stays_below_the_nyquist_frequency_of_the_sums(period, summed):
    # n / period <= 0.35, and no more than dose asks for.
    counts = np.random.default_rng(0).poisson(lattice(period, 0.3))
    assert spectral_sum(counts, Poisson()) == summed


def test_units_and_read_noise_do_not_matter():
    rng = np.random.default_rng(0)
    camera = PoissonGaussian(gain=40.0, offset=300.0, read_noise=20.0)
    assert spectral_sum(camera.sample(lattice(8, 0.3), rng), camera) == 2


def test_noise_without_electrons_and_noise_that_is_stronger_than_stated_are_left():
    rng = np.random.default_rng(0)
    assert spectral_sum(rng.normal(0.3, 1.0, (256, 256)), Gaussian(sigma=1.0)) == 1
    assert spectral_sum(3 * rng.poisson(0.3, (256, 256)), Poisson()) == 1


@pytest.mark.parametrize("shape", [(8, 9), (40, 300), (700, 33)])
def test_any_shape_will_do(shape):
    assert 1 <= spectral_sum(np.random.default_rng(0).poisson(0.5, shape), Poisson()) <= 4


def test_a_model_of_any_micrograph_sums_what_the_spectrum_allows_unless_told(write_direct_model, tmp_path):
    model = write_direct_model(tmp_path, intensity="standard")
    counts = np.random.default_rng(0).poisson(lattice(12, 0.3))
    assert plan(counts, model=model).work.grid.summed == 4
    assert plan(counts, model=model, summed=1).work.grid.summed == 1
    assert plan(20 * counts + 7, model=model, noise=Poisson(gain=20, offset=7)).work.grid.summed == 4
