"""The fit map: one on the truth, bright on what was made up."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gandenoise.residual import fit_map, fit_threshold

SIDE = 256


def scene(make_scene, dose: float) -> np.ndarray:
    return dose * make_scene(SIDE, spacing=9.0)


@pytest.mark.parametrize("dose", [0.3, 1.0, 7.0, 60.0])
def test_the_truth_fits_everywhere(rng, make_scene, dose):
    rate = scene(make_scene, dose)
    fit = fit_map(rng.poisson(rate), np.ones_like(rate), rate, 0.0)
    assert fit.mean() == pytest.approx(1, abs=0.03)
    assert fit.max() < fit_threshold()


def test_a_painted_atom_lights_up_where_it_is_and_nowhere_else(rng, make_scene):
    rate = scene(make_scene, 100.0)
    counts = rng.poisson(rate)
    y, x = np.mgrid[:SIDE, :SIDE]
    atom = np.exp(-((y - 90) ** 2 + (x - 160) ** 2) / (2 * 3.0**2))
    fit = fit_map(counts, np.ones_like(rate), rate * (1 + 0.3 * atom), 0.0)
    assert fit[90, 160] > fit_threshold()
    assert fit[np.hypot(y - 90, x - 160) > 40].max() < fit_threshold()
    brightest = np.unravel_index(fit.argmax(), fit.shape)
    assert np.hypot(brightest[0] - 90, brightest[1] - 160) < 6


def test_read_noise_is_allowed_for(rng, make_scene):
    rate = scene(make_scene, 4.0)
    exposure = np.full_like(rate, 16.0)
    read_variance = 2.0
    counts = rng.poisson(exposure * rate) + rng.normal(0, np.sqrt(exposure * read_variance))
    assert fit_map(counts, exposure, rate, read_variance).mean() == pytest.approx(1, abs=0.05)
    assert fit_map(counts, exposure, rate, 0.0).mean() > 1.2


def test_pixels_that_were_not_exposed_say_nothing(rng):
    rate = np.full((SIDE, SIDE), 5.0)
    exposure = np.ones_like(rate)
    exposure[:, 200:] = 0
    fit = fit_map(rng.poisson(rate) * exposure, exposure, rate, 0.0)
    assert fit[:, :190].mean() == pytest.approx(1, abs=0.03)
    assert np.isfinite(fit).all()
    assert fit.dtype == np.float32
