"""Levels of an image: what a network of any micrograph takes for zero and one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mstats

from napari_gandenoise.models.standard import TAILS, image_levels


def levels(image: torch.Tensor) -> tuple[float, float]:
    centre, scale = image_levels(image[None, None])
    assert centre.shape == scale.shape == (1, 1, 1, 1)
    return float(centre), float(scale)


@pytest.fixture
def image(generator):
    return torch.randn(120, 90, generator=generator)


@settings(deadline=None, max_examples=30)
@given(gain=st.floats(1e-3, 1e4), offset=st.floats(-100, 100))
def test_levels_follow_gain_and_offset(gain, offset):
    image = torch.randn(48, 40, generator=torch.Generator().manual_seed(0))
    centre, scale = levels(image)
    found = levels(gain * image + offset)
    precision = 1e-4 * (gain + abs(offset))
    assert found[0] == pytest.approx(gain * centre + offset, abs=precision)
    assert found[1] == pytest.approx(gain * scale, rel=1e-3, abs=precision)


def test_levels_are_winsorised(image):
    drawn_in = np.asarray(mstats.winsorize(image.numpy().ravel(), limits=(TAILS, TAILS)))
    assert levels(image) == pytest.approx((drawn_in.mean(), drawn_in.std(ddof=1)), abs=2e-3)


def test_a_spike_decides_on_nothing(image):
    spoilt = image.clone()
    spoilt[3, 5] = 1e6
    assert levels(spoilt) == pytest.approx(levels(image), abs=5e-3)


def test_frames_with_a_count_here_and_there_have_a_scale(generator):
    counts = torch.poisson(torch.full((200, 200), 2e-3), generator=generator)
    assert levels(counts) == pytest.approx((float(counts.mean()), float(counts.std())))


@pytest.mark.parametrize("value", [0.0, 7.3, -1e5])
def test_a_constant_image_has_the_scale_one(value):
    assert levels(torch.full((20, 20), value)) == pytest.approx((value, 1.0))


def test_a_large_image_is_looked_at_in_all_columns():
    # A few columns are bright: a step of whole rows would see all of them or none.
    image = torch.zeros(1024, 1024)
    image[:, ::4] = 1.0
    assert levels(image) == pytest.approx((0.25, 0.25**0.5 * 0.75**0.5), rel=1e-3)
