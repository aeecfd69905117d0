"""Fourier shrinkage in windows: what it keeps, what it removes, and that it takes images of any size."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gandenoise.shrinkage import PROOF, proven, shrunken, wiener


@pytest.fixture
def fringes() -> torch.Tensor:
    """Fringes of a period of six pixels ``(1, 1, 96, 96)`` around one."""
    x = torch.arange(96.0)
    return (1 + 0.3 * torch.cos(2 * torch.pi * (x + 0.4 * x[:, None]) / 6))[None, None]


def strength_of(sigma: float) -> torch.Tensor:
    return torch.full((1, 1, 1, 1), sigma)


def test_coefficients_of_noise_alone_hardly_ever_pass():
    random = torch.Generator().manual_seed(0)
    parts = torch.randn(2, 200_000, generator=random) * 0.5**0.5
    share = proven(torch.complex(*parts), parts, torch.ones(200_000)).mean()
    # The power of a coefficient of noise is exponentially distributed.
    assert float(share) == pytest.approx(torch.exp(torch.tensor(-PROOF)).item(), rel=0.3)


def test_wiener_weighs_by_the_share_of_the_signal():
    assert float(wiener(torch.zeros(1), torch.full((1,), 3.0), torch.ones(1))) == pytest.approx(0.9)


def test_fringes_come_out_of_noise_that_hides_them(fringes):
    noisy = fringes + 0.6 * torch.randn(fringes.shape, generator=torch.Generator().manual_seed(1))
    *thresholded, weighed = (image - fringes for image in shrunken(noisy, strength_of(0.6), (48, 24)))
    assert len(thresholded) == 2
    # 0.6^2 is the noise: less than a fiftieth is left.
    assert all(float(error.square().mean()) < 0.36 / 50 for error in (thresholded[-1], weighed))


def test_without_noise_the_image_stays(fringes):
    for image in shrunken(fringes, strength_of(0.0), (48, 24)):
        torch.testing.assert_close(image, fringes, atol=1e-4, rtol=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 3), st.sampled_from([(32, 8), (16,), (64, 20)]))
def test_images_of_any_size_are_taken(height, width, channels, windows):
    flat = torch.full((2, channels, height, width), 0.7)
    for image in shrunken(flat, torch.full((2, 1, 1, 1), 0.2), windows):
        torch.testing.assert_close(image, flat, atol=1e-5, rtol=0)
