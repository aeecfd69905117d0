"""Splines on the device, against those of scipy."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_gandenoise.tiling.spline import through_means, through_values

SIDES = st.integers(7, 60)  # below, scipy is only about right at the edges


def image_of(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, size=(height, width)).astype(np.float32)


@given(SIDES, SIDES, st.integers(2, 7), st.integers(0, 99))
def test_values_are_met_as_scipy_s_zoom_meets_them(height, width, factor, seed):
    image = image_of(height, width, seed)
    own = through_values(torch.from_numpy(image)[None], factor)[0].numpy()
    reference = ndimage.zoom(image.astype(np.float64), factor, order=3, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(own, reference, atol=1e-4 * image.mean())


@given(SIDES, SIDES, st.integers(2, 7), st.integers(0, 99))
def test_means_are_met_as_scipy_s_filters_meet_them(height, width, factor, seed):
    image = image_of(height, width, seed)
    own = through_means(torch.from_numpy(image)[None], factor)[0].numpy()
    coefficients = ndimage.spline_filter(image.astype(np.float64), order=4, mode="nearest")
    reference = ndimage.zoom(coefficients, factor, order=3, mode="nearest", grid_mode=True, prefilter=False)
    np.testing.assert_allclose(own, reference, atol=1e-4 * image.mean())


def test_channels_are_drawn_each_for_itself(rng):
    image = torch.from_numpy(rng.normal(size=(3, 20, 30)))
    whole = through_values(image, 3)
    assert whole.shape == (3, 60, 90)
    assert torch.equal(whole[1:2], through_values(image[1:2], 3))


def test_a_factor_of_one_leaves_the_image():
    image = torch.rand(1, 5, 6)
    assert through_values(image, 1) is image
    assert through_means(image, 1) is image


@given(factor=st.integers(1, 6), height=st.integers(3, 12), width=st.integers(3, 12), seed=st.integers(0, 99))
@settings(deadline=None)
def test_a_refined_grid_has_the_means_it_was_made_of(factor, height, width, seed):
    # Of a rate that has no detail finer than its pixels; points stand for means over an input pixel, hence a per cent.
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).random((height + 24, width + 24)), 2)
    means = smooth[12:-12, 12:-12].astype(np.float32)
    fine = through_means(torch.from_numpy(means)[None], factor)[0].numpy()
    assert fine.shape == (factor * height, factor * width)
    again = fine.reshape(height, factor, width, factor).mean(axis=(1, 3))
    assert np.abs(again - means)[1:-1, 1:-1].max() < 0.02 * (np.ptp(means) + 1e-6)


def test_a_refined_grid_keeps_the_height_of_fringes():
    # Fringes of five pixels of the summed grid: their means over pixels are lower than they are.
    x = (np.arange(400) + 0.5) / 4
    fringes = np.tile(1 + 0.5 * np.cos(2 * np.pi * x / 5), (400, 1)).astype(np.float32)
    means = fringes.reshape(100, 4, 100, 4).mean(axis=(1, 3))
    middle = (slice(40, -40), slice(40, -40))
    planes = torch.from_numpy(means)[None]
    refined, plain = (spline(planes, 4)[0].numpy() for spline in (through_means, through_values))
    errors = [np.abs(image - fringes)[middle].max() for image in (refined, plain)]
    assert errors[0] < 0.2 * errors[1]
