from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gandenoise.operators import poisson_blend


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 9), st.integers(2, 9), st.sampled_from([(), (1,), (3,)]))
def test_the_image_itself_but_for_a_constant_is_put_back(seed, height, width, channels):
    """With its own gradients there is one image that meets the rim: the image."""
    rng = np.random.default_rng(seed)
    image, hole = rng.random((height, width, *channels)), rng.random((height, width)) < 0.6
    hole[0, 0] = False
    damaged = image.copy()
    damaged[hole] = 7
    offset = rng.normal(size=channels)
    np.testing.assert_allclose(poisson_blend(damaged, image + offset, hole), image, atol=1e-5)


def test_what_is_known_keeps_its_bits(rng):
    image, hole = rng.random((12, 9, 3)).astype(np.float32), np.zeros((12, 9), bool)
    hole[3:6, 2:] = True
    blended = poisson_blend(image, rng.random((12, 9, 3)), hole)
    np.testing.assert_array_equal(blended[~hole], image[~hole])


def test_without_gradients_a_hole_in_a_ramp_becomes_the_ramp():
    """The ramp is harmonic, and so is the fill."""
    ramp = np.tile(np.linspace(0, 1, 9), (7, 1))
    hole = np.zeros(ramp.shape, bool)
    hole[2:5, 3:7] = True
    np.testing.assert_allclose(poisson_blend(ramp, np.zeros_like(ramp), hole), ramp, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_no_hole_changes_nothing(shape, rng):
    image = rng.random(shape).astype(np.float32)
    np.testing.assert_array_equal(poisson_blend(image, np.zeros(shape), np.zeros((4, 5), bool)), image)
