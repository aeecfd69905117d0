"""Lines of a scan are told from frames of a camera, whatever the specimen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_gandenoise.noise.lines import lines_share_noise

SIDE = 256


def lattice(period, angle, amplitude=0.5, side=SIDE):
    y, x = np.mgrid[:side, :side].astype(float)
    turned = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    return 1 + amplitude * np.cos(2 * np.pi * turned[0] / period) * np.cos(2 * np.pi * turned[1] / period)


def jittered(image, amount, random):
    """Move each line to the side by as much as chance says."""
    return np.stack([ndimage.shift(row, random.normal(0, amount), order=3, mode="nearest") for row in image])


@settings(deadline=None, max_examples=60)
@given(
    st.floats(6, 30),
    st.floats(0, np.pi),
    st.sampled_from([0.0003, 0.01, 0.3, 3.0, 300.0]),
    st.sampled_from([64, 160, 300]),
    st.integers(0, 9),
)
def test_a_camera_s_frames_share_nothing_at_any_dose_and_angle(period, angle, dose, side, seed):
    counts = np.random.default_rng(seed).poisson(dose * lattice(period, angle, side=side))
    assert not lines_share_noise(counts)


@pytest.mark.parametrize("kind", ["jitter", "flicker"])
def test_lines_that_jitter_or_flicker_are_found_and_columns_are_not_taken_for_lines(kind, rng):
    clean = lattice(12, 0.4)
    scanned = jittered(clean, 1.0, rng) if kind == "jitter" else clean * rng.normal(1, 0.06, (SIDE, 1))
    counts = rng.poisson(200 * scanned)
    assert lines_share_noise(counts)
    assert not lines_share_noise(counts.T)


@pytest.mark.parametrize("shape", [(8, 8), (63, 400), (400, 65)])
def test_small_and_flat_images_have_an_answer(shape):
    assert not lines_share_noise(np.full(shape, 7, np.uint8))
