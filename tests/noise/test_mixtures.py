"""Noise without end: its strength, its grain, its kinds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gandenoise.noise.grain import estimate_grain
from napari_gandenoise.noise.mixtures import sample_mixture
from napari_gandenoise.settings.noise import NoiseMixture

KINDS = ("gaussian", "poisson", "speckle", "salt", "salt-and-pepper")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grain", [0.0, 1.5])
def test_the_strength_is_the_deviation_at_mid_grey(kind, grain):
    clean = torch.full((8, 3, 96, 96), 0.5)
    noisy = sample_mixture(NoiseMixture(kinds=(kind,), strength=(0.1, 0.1), grain=(grain, grain)), clean, generator())
    assert (noisy.images - clean).square().mean().sqrt() == pytest.approx(0.1, rel=0.05)
    assert torch.equal(noisy.strength, torch.full((8, 1, 1, 1), 0.1))
    assert torch.equal(noisy.grain, torch.full((8, 1, 1, 1), grain))


def test_combined_kinds_share_the_strength():
    clean = torch.full((16, 1, 96, 96), 0.5)
    mixture = NoiseMixture(kinds=("gaussian", "speckle", "poisson"), strength=(0.2, 0.2), combined=1.0)
    assert (sample_mixture(mixture, clean, generator()).images - clean).std() == pytest.approx(0.2, rel=0.05)


def test_single_kinds_take_turns():
    # Salt leaves most pixels alone, Gaussian noise none.
    clean = torch.full((64, 1, 32, 32), 0.5)
    noisy = sample_mixture(NoiseMixture(kinds=("gaussian", "salt"), strength=(0.1, 0.1)), clean, generator())
    untouched = (noisy.images == clean).float().mean(dim=(1, 2, 3))
    assert ((untouched == 0) | (untouched > 0.9)).all()
    assert 10 < (untouched == 0).sum() < 54


@pytest.mark.parametrize("kind", KINDS)
def test_no_strength_is_no_noise(kind):
    clean = torch.rand(4, 1, 32, 32, generator=generator())
    assert torch.equal(
        sample_mixture(NoiseMixture(kinds=(kind,), strength=(0.0, 0.0)), clean, generator()).images, clean
    )


def test_salt_is_white_and_pepper_black():
    clean = torch.full((4, 1, 64, 64), 0.4)
    salted = sample_mixture(NoiseMixture(kinds=("salt",), strength=(0.2, 0.2)), clean, generator()).images
    assert torch.equal(salted.unique(), torch.tensor([0.4, 1.0]))
    both = sample_mixture(NoiseMixture(kinds=("salt-and-pepper",), strength=(0.2, 0.2)), clean, generator()).images
    assert torch.equal(both.unique(), torch.tensor([0.0, 0.4, 1.0]))


@settings(deadline=None, max_examples=20)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 20), st.integers(1, 20)),
    low=st.floats(0, 0.5),
    more=st.floats(0, 0.5),
    grain=st.floats(0, 3),
)
def test_any_image_gets_finite_noise_within_the_limits(shape, low, more, grain):
    mixture = NoiseMixture(kinds=KINDS, strength=(low, low + more), grain=(0, grain), combined=0.5)
    images, strength, grains = sample_mixture(mixture, torch.rand(shape, generator=generator()), generator())
    assert images.shape == shape
    assert torch.isfinite(images).all()
    assert ((strength >= low - 1e-6) & (strength <= low + more + 1e-6)).all()
    assert ((grains >= 0) & (grains <= grain + 1e-6)).all()


def test_the_same_seed_draws_the_same_noise():
    mixture = NoiseMixture(kinds=KINDS, combined=0.5, grain=(0, 2))
    clean = torch.rand(4, 3, 16, 16, generator=generator())
    first, again, other = (sample_mixture(mixture, clean, generator(seed)).images for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("limits", [(0.5, 0.1), (-0.1, 0.2)])
def test_limits_must_be_in_order(limits):
    with pytest.raises(ValueError, match="the smaller first"):
        NoiseMixture(strength=limits)


@pytest.mark.parametrize("grain", [0.0, 0.7, 1.5, 2.5])
def test_grain_is_found_in_an_image(grain):
    y, x = np.mgrid[:256, :256] / 256
    clean = torch.from_numpy(0.3 + 0.4 * y * x).float()[None, None]
    noisy = sample_mixture(NoiseMixture(strength=(0.1, 0.1), grain=(grain, grain)), clean, generator()).images[0, 0]
    assert estimate_grain(noisy.numpy()) == pytest.approx(grain, abs=0.3)


@pytest.mark.parametrize("image", [np.zeros((64, 64)), np.ones((5, 7)), np.zeros((40, 40, 3), np.uint8)])
def test_an_image_without_noise_has_no_grain(image):
    assert estimate_grain(image) == 0
