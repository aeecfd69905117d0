"""The fit map: low on the truth, bright on what was made up and on what is missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gandenoise import residual
from napari_gandenoise.residual import FIT_THRESHOLD
from napari_gandenoise.residual.fitmap import ROWS

SIDE = 300  # more than the rows that are computed at once


def planes(counts, exposure, rate) -> list[torch.Tensor]:
    """Tensors as the room takes them: channels first."""
    shape = (-1, *np.shape(exposure))
    return [torch.from_numpy(np.asarray(x, np.float32)) for x in (counts.reshape(shape), exposure, rate.reshape(shape))]


def fit_map(counts, exposure, rate, read_variance: float) -> np.ndarray:
    return residual.fit_map(*planes(counts, exposure, rate), read_variance).numpy()


def reduced_deviance(counts, exposure, rate, read_variance: float) -> float:
    return residual.reduced_deviance(*planes(counts, exposure, rate), read_variance)


def scene(make_scene, dose: float) -> np.ndarray:
    return dose * make_scene(SIDE, spacing=9.0)


def spot(y: float, x: float, sigma: float = 2.0) -> np.ndarray:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))


@pytest.mark.parametrize("dose", [0.3, 1.0, 7.0, 60.0])
def test_the_truth_fits(rng, make_scene, dose):
    rate = scene(make_scene, dose)
    counts, exposure = rng.poisson(rate), np.ones_like(rate)
    fit = fit_map(counts, exposure, rate, 0.0)
    assert fit.max() < FIT_THRESHOLD + 0.5
    # The larger of two numbers whose squares have mean one.
    assert 1 < np.mean(fit**2) < 2
    assert reduced_deviance(counts, exposure, rate, 0.0) == pytest.approx(1, abs=0.02)


def test_the_truth_fits_where_hardly_any_electron_comes(rng):
    rate = np.full((1000, 2000), 3e-4)
    assert reduced_deviance(rng.poisson(rate), np.ones_like(rate), rate, 0.0) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("change", [-0.8, 0.8])
def test_an_atom_lights_up_where_it_is_and_nowhere_else_at_the_dose_of_a_micrograph(rng, make_scene, change):
    rate = scene(make_scene, 7.2)  # 0.45 electrons per pixel of 6 pm, summed 4 x 4
    fit = fit_map(rng.poisson(rate), np.ones_like(rate), rate * (1 + change * spot(90, 160)), 0.0)
    away = spot(90, 160, 8.0) < 0.01
    assert fit[90, 160] > FIT_THRESHOLD > fit[away].max()
    assert np.hypot(*np.subtract(np.unravel_index(fit.argmax(), fit.shape), (90, 160))) < 3


def test_a_faint_disagreement_over_a_wide_place_lights_up(rng, make_scene):
    rate = scene(make_scene, 7.2)
    wrong = rate * (1 + 0.1 * spot(150, 150, 20.0))
    assert fit_map(rng.poisson(rate), np.ones_like(rate), wrong, 0.0)[150, 150] > FIT_THRESHOLD


def test_strips_do_not_show(rng):
    rate = np.full((2 * ROWS + 20, 40), 3.0)
    counts = rng.poisson(rate)
    whole = fit_map(counts, np.ones_like(rate), rate, 0.0)
    for top in (ROWS, 2 * ROWS - 128):
        part = slice(top - 128, top + 128)
        alone = fit_map(counts[part], np.ones((256, 40)), rate[part], 0.0)
        inner = slice(64, -64)
        np.testing.assert_allclose(whole[part][inner], alone[inner], rtol=1e-3, atol=1e-3)


def test_read_noise_is_allowed_for(rng, make_scene):
    rate = scene(make_scene, 4.0)
    exposure = np.full_like(rate, 16.0)
    read_variance = 2.0
    counts = rng.poisson(exposure * rate) + rng.normal(0, np.sqrt(exposure * read_variance))
    assert reduced_deviance(counts, exposure, rate, read_variance) == pytest.approx(1, abs=0.05)
    assert reduced_deviance(counts, exposure, rate, 0.0) > 1.2
    with_it, without = (np.mean(fit_map(counts, exposure, rate, noise) ** 2) for noise in (read_variance, 0.0))
    assert with_it < 2 < without


def test_pixels_that_were_not_exposed_say_nothing(rng):
    rate = np.full((SIDE, SIDE), 5.0)
    exposure = np.ones_like(rate)
    exposure[:, 200:] = 0
    counts = rng.poisson(rate) * exposure
    # What the rate is where nobody looked does not matter.
    fits = [fit_map(counts, exposure, np.where(exposure > 0, rate, other), 0.0) for other in (5.0, 900.0)]
    assert np.array_equal(*fits)
    assert fits[0].max() < FIT_THRESHOLD + 0.5
    assert not fits[0][:, 250:].any()
    assert fits[0].dtype == np.float32
    assert reduced_deviance(counts, exposure, rate, 0.0) == pytest.approx(1, abs=0.03)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([(), (1,), (3,)]))
def test_frames_of_any_size_are_taken(height, width, channels):
    rate = np.full((*channels, height, width), 2.0)
    fit = fit_map(rate, np.ones((height, width)), rate, 0.0)
    assert fit.shape == (height, width)
    assert np.allclose(fit, 0, atol=1e-3)
