"""Layers of results: contrast, where they lie, and what is a layer."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_gandenoise.layers import contrast_limits, image_layer, is_layer, placement


def test_limits_leave_out_the_extreme_thousandth_on_both_sides():
    image = np.arange(100_001.0).reshape(1, -1)
    assert contrast_limits(image) == pytest.approx((100, 99_900))


def test_hot_pixels_and_what_is_not_finite_do_not_matter(rng):
    image = rng.normal(100, 1, (400, 400))
    low, high = contrast_limits(image)
    image[0, :20], image[1, :20], image[2, :2] = 1e6, np.nan, np.inf
    assert contrast_limits(image) == pytest.approx((low, high), abs=0.2)


def test_white_lies_above_black_even_where_there_is_nothing_to_see():
    for image in (np.zeros((4, 4)), np.full((4, 4), 7, np.uint16), np.full((4, 4), np.nan)):
        low, high = contrast_limits(image)
        assert low < high


def test_limits_of_a_large_movie_are_those_of_all_of_it(rng):
    """A look at some of the pixels: the percentiles of uniform numbers are known."""
    movie = rng.random((6, 1000, 1000), dtype=np.float32)
    assert contrast_limits(movie) == pytest.approx((0.001, 0.999), abs=5e-4)


def test_limits_look_at_all_colours_and_all_images():
    colours = np.zeros((1200, 1200, 3), np.float32)
    colours[..., 1] = 5
    assert contrast_limits(colours, colours=True) == (0, 5)
    assert contrast_limits(np.zeros((8, 8)), np.ones((8, 8))) == (0, 1)


def test_layers_of_nobody_knows_what_size_lie_as_napari_lays_them():
    assert placement(None) == placement(None, movie=True, frame_interval_s=2.0) == {}


def test_time_has_its_own_step_and_unit():
    assert placement(0.1, movie=True) == {"scale": (1.0, 0.1, 0.1), "units": ("pixel", "nm", "nm")}
    known = placement(0.1, movie=True, frame_interval_s=0.5)
    assert known == {"scale": (0.5, 0.1, 0.1), "units": ("second", "nm", "nm")}


@pytest.mark.parametrize(("size", "whole"), [(None, 1.0), (0.05, 0.2)])
def test_finer_pixels_cover_the_same_area(size, whole):
    """Eight pixels of the input reach from -1/2 to 7 1/2 of them; so do 32 of a fourth of their side."""
    where = placement(size, finer=4)
    side, first = where["scale"][1], where["translate"][1]
    assert first - side / 2 == pytest.approx(-whole / 2)
    assert first + 31 * side + side / 2 == pytest.approx(7.5 * whole)
    assert ("units" in where) == (size is not None)


def test_colours_go_from_black_to_white():
    image = np.array([[[0, 128, 300], [-5, 255, 51]]], np.float32)
    pixels, options, _ = image_layer(image, "", {}, pixel_size_nm=None, limits=(0.0, 255.0), colours=True)
    np.testing.assert_allclose(pixels[0, 1], (0, 1, 0.2))
    assert options["rgb"]
    assert "contrast_limits" not in options


def test_a_layer_is_known_by_its_attributes():
    assert is_layer(SimpleNamespace(data=np.zeros((2, 2)), scale=(1, 1)))
    assert not is_layer(np.zeros((2, 2)))  # whose data is its memory
