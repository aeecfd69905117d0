"""Pixels that say nothing: what is found, and what must not be taken for one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_arrays
from scipy import ndimage

from napari_gandenoise.noise import find_defects

SIDE = 256
Y, X = np.mgrid[:SIDE, :SIDE]
LATTICE = 1 + 0.5 * np.cos(2 * np.pi * X / 12) * np.cos(2 * np.pi * Y / 12)


def atoms(width, height, background, rng):
    """Single atoms of a full width (pixels) and a height, far apart."""
    image = np.full((SIDE, SIDE), float(background))
    for y, x in rng.uniform(20, SIDE - 20, (30, 2)):
        image += height * np.exp(-4 * np.log(2) * ((Y - y) ** 2 + (X - x) ** 2) / width**2)
    return image


@pytest.mark.parametrize("dose", [0.02, 0.45, 2, 100, 10_000])
@pytest.mark.parametrize("gain", [1, 0.37])
def test_counts_of_a_crystal_have_no_defects(dose, gain, rng):
    image = gain * rng.poisson(dose * LATTICE)
    assert not find_defects(image if gain == 1 else image + rng.normal(0, 0.01, image.shape))


@pytest.mark.parametrize(
    "scene",
    [
        2 + 20 * ((Y - 128) ** 2 + (X - 128) ** 2 < 40**2),
        0.2 + 20 * ((Y - 128) ** 2 + (X - 128) ** 2 < 40**2),
        2 + 20 * (X >= 128),
        5 + 50 * np.exp(-4 * np.log(2) * (X - 128) ** 2 / 2**2),
        5 + 50 * (X % 7 == 0),
        0.01 + 3 * (Y > 128),
    ],
    ids=["particle", "particle on nothing", "edge", "a plane of atoms", "sharp planes", "empty half"],
)
def test_what_a_specimen_shows_is_no_defect(scene, rng):
    assert not find_defects(rng.poisson(scene))


@pytest.mark.parametrize("width", [3, 4])
@pytest.mark.parametrize(("height", "background"), [(50, 1), (2000, 20), (20, 0.05)])
def test_single_atoms_are_no_outliers(width, height, background, rng):
    assert not find_defects(rng.poisson(atoms(width, height, background, rng)))


def test_lines_of_a_scan_differ_without_being_bad(rng):
    assert not find_defects(rng.poisson(50.0, (SIDE, SIDE)) + rng.normal(0, 5, (SIDE, 1)))


@pytest.mark.parametrize("units", [lambda c: c, lambda c: 0.01 * c - 7, lambda c: c + 1e8, lambda c: 1e30 * c])
def test_spikes_are_found_in_any_units(units, rng):
    counts = rng.poisson(2 * LATTICE).astype(float)
    places = ([40, 120, 200, 0], [50, 130, 77, 255])
    counts[places] = 1000
    found = find_defects(units(counts))
    assert (found.outliers, found.missing.sum()) == (4, 4)
    assert found.missing[places].all()
    assert found.sentence() == "4 outliers left out."


def test_two_spikes_side_by_side_are_found(rng):
    counts = rng.poisson(0.4 * LATTICE).astype(float)
    counts[60, [80, 81]], counts[[20, 21], [30, 31]] = 65535, 1000
    found = find_defects(counts)
    assert found.outliers == found.missing.sum() == 4
    assert found.missing[60, [80, 81]].all()


def test_dead_pixels_are_found(rng):
    counts = rng.poisson(2000 * (1 + 0.1 * (LATTICE - 1)))
    counts[[30, 90, 222], [10, 200, 128]] = 0
    assert find_defects(counts).outliers == 3


@pytest.mark.parametrize("more", [50, -2])
def test_bad_lines_are_found_and_named(more, rng):
    counts = rng.poisson(2 * LATTICE)
    counts[:, 100] = np.maximum(counts[:, 100] + more, 0)
    counts[[30, 31]] = 0
    found = find_defects(counts)
    assert (found.columns, found.rows, found.outliers) == ((100,), (30, 31), 0)
    assert found.sentence() == "Column 100 and rows 30 and 31 left out."


def test_borders_of_one_value_and_text_are_blank(rng):
    counts = rng.poisson(60 * LATTICE).astype(float)
    counts[:20], counts[:, -9:] = counts.mean(), 0
    counts[200:210, 30:90] = 1e4
    found = find_defects(counts)
    assert found.missing[:20].all()
    assert found.missing[:, -9:].all()
    assert found.missing[200:210, 30:90].all()
    assert found.blank == 20 * SIDE + 9 * (SIDE - 20)
    assert found.clipped == 600
    assert found.missing.sum() == found.blank + found.clipped


def test_an_empty_place_is_data(rng):
    counts = rng.poisson(np.where(Y > 100, 2 * LATTICE, 0.001))
    assert not find_defects(counts)


def test_saturated_areas_are_left_out_and_their_share_is_named(rng):
    bright = 100 + 400 * ((Y - 128) ** 2 + (X - 128) ** 2 < 30**2)
    found = find_defects(np.minimum(rng.poisson(bright), 255).astype(np.uint8))
    assert found.touching == 0
    assert found.clipped == pytest.approx(np.pi * 30**2, rel=0.05)
    assert found.missing[128, 128]
    assert "4.3 % of the pixels are saturated" in found.sentence()


def test_noise_that_touches_the_end_of_the_scale_is_told_from_saturated_areas(rng):
    found = find_defects(np.minimum(rng.poisson(240.0, (SIDE, SIDE)), 255).astype(np.uint8))
    assert found.clipped > 0.1 * SIDE**2
    assert found.touching > 0.2 * found.clipped


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_left_out(value, rng):
    image = rng.poisson(2 * LATTICE).astype(np.float32)
    image[:12], image[:, -9:] = value, value
    found = find_defects(image)
    assert np.array_equal(found.missing, ~np.isfinite(image))
    assert found.unknown == found.missing.sum()


@pytest.mark.parametrize(
    "image", [np.tile(np.arange(SIDE), (SIDE, 1)), LATTICE.astype(np.float32), np.ones((9, 9)), 0.1 * X + 0.3 * Y]
)
def test_images_without_noise_are_told(image):
    assert find_defects(image).noiseless


@pytest.mark.parametrize("blur", [0, 0.5, 1])
@pytest.mark.parametrize("dose", [0.01, 1, 1e4])
def test_noise_is_noise_whatever_the_dose_and_the_blur(blur, dose, rng):
    assert not find_defects(ndimage.gaussian_filter(rng.poisson(dose * LATTICE).astype(np.float32), blur)).noiseless


@settings(max_examples=60, deadline=None)
@given(
    image=st_arrays.arrays(
        st.sampled_from([np.uint8, np.int16, np.uint32, np.float16, np.float32, np.float64]),
        st_arrays.array_shapes(min_dims=2, max_dims=2, max_side=40),
    )
)
def test_any_image_is_looked_at(image):
    found = find_defects(image)
    assert found.missing.shape == image.shape
    assert found.missing[~np.isfinite(image.astype(float))].all()
    assert "\n" not in found.sentence()
