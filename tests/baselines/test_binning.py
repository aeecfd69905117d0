from __future__ import annotations

import numpy as np
import pytest

from napari_gandenoise.baselines.binning import denoise_binned
from napari_gandenoise.errors import GanDenoiseError


def wave(shape: tuple[int, int]) -> np.ndarray:
    y, x = np.indices(shape)
    return 2 + np.cos(2 * np.pi * y / 53) * np.cos(2 * np.pi * x / 47)


@pytest.mark.parametrize("shape", [(120, 160), (121, 158)])
@pytest.mark.parametrize("factor", [1, 2, 5])
def test_a_smooth_rate_returns_to_its_own_place(shape, factor):
    rate = wave(shape)

    returned = denoise_binned(rate, factor, lambda summed: summed)

    assert returned.shape == shape
    assert returned.dtype == np.float32
    # Averaging over a block flattens these waves by up to 3 %; a shift by one pixel would cost 0.12.
    inside = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(returned[inside], rate[inside], atol=0.06)


def test_the_denoiser_sees_sums_of_counts():
    seen = []

    denoise_binned(np.ones((12, 9)), 3, lambda summed: seen.append(summed) or summed)

    np.testing.assert_array_equal(seen[0], np.full((4, 3), 9.0))


@pytest.mark.parametrize(
    ("counts", "complaint"),
    [
        (np.ones((2, 8, 8)), "one frame"),
        (np.ones((0, 8)), "needs one image"),
        (np.ones((8, 8), complex), "complex"),
        (np.full((8, 8), np.nan), "non-finite"),
        (np.full((8, 8), -1), "negative"),
    ],
)
def test_what_is_no_count_image_is_refused(counts, complaint):
    with pytest.raises(GanDenoiseError, match=complaint):
        denoise_binned(counts, 1, lambda summed: summed)


@pytest.mark.parametrize("factor", [0, 9])
def test_impossible_bin_factors_are_refused(factor):
    with pytest.raises(GanDenoiseError, match=f"between 1 and 8 .* got {factor}"):
        denoise_binned(np.ones((8, 10)), factor, lambda summed: summed)
