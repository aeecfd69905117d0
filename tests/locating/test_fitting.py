"""Fits of Gaussians to counts: right on average, and as sure as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_gandenoise.locating.finding import find
from napari_gandenoise.locating.measuring import Counted, measure
from napari_gandenoise.locating.probability import column_probability, places_looked_at

SPACING, WIDTH = 9.0, 2.2
LEVEL = 4.0  # electrons per grid pixel


def lattice(side=64, spacing=SPACING, turned=0.2):
    """Places of columns on a turned square lattice, ``(N, 2)``, away from the border."""
    steps = np.arange(-20, 21)
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2) * spacing
    turn = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
    places = grid @ turn.T + side / 2
    return places[((places > spacing) & (places < side - spacing)).all(axis=1)]


def image_of(places, side=64, height=8.0, level=LEVEL):
    y, x = np.mgrid[:side, :side]
    return level + sum(height * np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * WIDTH**2)) for a, b in places)


def counted(rate, counts, drawn=None):
    shown = np.ones_like(rate)
    return Counted(np.asarray(counts, float), shown, 0 * shown, rate if drawn is None else drawn)


def nearest(places, to):
    distance = np.hypot(*(places[:, None] - to[None]).transpose(2, 0, 1))
    return distance.argmin(axis=1), distance.min(axis=1)


@pytest.mark.parametrize("sign", [1, -1])
def test_columns_of_a_clean_image_are_found_where_they_are(sign):
    places = lattice()
    rate = image_of(places, height=8.0 * sign, level=LEVEL + 10 * (sign < 0))
    drawn = find(rate)
    assert drawn.sign == sign
    found = measure(counted(rate, rate), drawn).places
    which, distance = nearest(places, found)
    assert len(found) == len(places)
    assert distance.max() < 0.01 * SPACING
    assert sorted(which) == list(range(len(places)))


@pytest.mark.parametrize(("dose", "nearer"), [(0.2, "as drawn"), (5000.0, "as counted")])
def test_a_place_is_as_drawn_until_the_counts_are_surer(dose, nearer):
    """The denoised image draws one column a quarter of a pixel off."""
    places = lattice()
    moved = places.copy()
    moved[len(places) // 2, 1] += 0.25
    rate, shown = dose * image_of(places), dose * image_of(moved)
    measured = measure(counted(shown, np.random.default_rng(3).poisson(rate)), find(shown))
    middle = len(places) // 2
    found = measured.places[nearest(moved, measured.places)[0][middle]]
    assert np.hypot(*(found - {"as drawn": moved, "as counted": places}[nearer][middle])) < 0.1


def test_errors_are_those_of_repetition():
    """The scatter of places and heights over 60 draws of the counts is what the Fisher information says."""
    rate, random = image_of(lattice()), np.random.default_rng(5)
    drawn = find(rate)
    fits = [measure(counted(rate, random.poisson(rate)), drawn).fitted for _ in range(60)]
    values, errors = (np.array([getattr(fit, name) for fit in fits])[..., :3] for name in ("values", "errors"))
    scatter, stated = values.std(axis=0, ddof=1), errors.mean(axis=0)
    # 60 draws of some 25 columns: a scatter's own error is 1/sqrt(2 · 59 · 25), 2 %.
    np.testing.assert_allclose((scatter / stated).mean(axis=0), 1, atol=0.08)
    np.testing.assert_allclose(values.mean(axis=(0, 1))[1:], drawn.fitted.values.mean(axis=0)[1:3], atol=0.05)


def test_a_column_that_is_only_drawn_is_doubtful_and_one_that_is_there_is_sure():
    places = lattice()
    truth, drawn_rate = image_of(places[1:], height=10.0), image_of(places, height=10.0)
    counts = np.random.default_rng(3).poisson(truth)
    drawn = find(drawn_rate)
    measured = measure(counted(truth, counts, drawn_rate), drawn)
    probability = column_probability(measured, places_looked_at(truth.shape, drawn.spacing))
    false = nearest(places, measured.places)[0] == 0
    assert false.sum() == 1
    assert probability[false] < 0.5
    assert measured.gain[~false].min() > 5 > measured.gain[false]
    assert probability[~false].min() > 0.95


def test_nothing_but_noise_makes_no_sure_column():
    """Tops of smoothed noise are where the counts are high: they were selected by them."""
    random = np.random.default_rng(11)
    for _ in range(5):
        counts = random.poisson(np.full((128, 128), 7.0))
        smooth = ndimage.gaussian_filter(counts.astype(float), 2)
        drawn = find(smooth)
        measured = measure(counted(smooth, counts), drawn)
        assert len(measured.gain) >= 15
        assert (column_probability(measured, places_looked_at(counts.shape, drawn.spacing)) > 0.95).sum() == 0


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1e4), st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_any_image_gives_columns_or_none_and_finite_figures(height, width, dose, seed):
    random = np.random.default_rng(seed)
    rate = random.random((height, width)) * dose
    drawn = find(rate)
    if drawn is None:
        return
    measured = measure(counted(rate, random.poisson(rate)), drawn)
    probability = column_probability(measured, places_looked_at(rate.shape, drawn.spacing))
    assert np.isfinite(measured.fitted.values).all()
    assert np.isfinite(measured.gain).all()
    assert ((probability >= 0) & (probability <= 1)).all()
