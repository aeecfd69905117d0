"""Classical restoration: each prior restores what it is made for, and what was seen stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import fft

from benchmarks.restoring import PRIORS, low_rank, restore_by, sparse, total_variation
from napari_gandenoise.operators import Decimate, Identity, Luminance, Mask, Quantise


def error(a, b) -> float:
    return float(np.sqrt(np.mean((np.asarray(a) - np.asarray(b)) ** 2)))


@pytest.fixture
def known(rng):
    return torch.from_numpy(rng.random((1, 1, 24, 24)) < 0.7).float()


@pytest.fixture
def images(rng):
    """An image that each prior takes for a simple one."""
    steps = np.zeros((24, 24, 3))
    steps[6:18, 4:15] = 0.7
    rank = np.clip(rng.random((24, 2)) @ rng.random((2, 72)) / 2, 0, 1).reshape(24, 24, 3)
    coefficients = np.zeros((24, 24, 3))
    coefficients[0, 0], coefficients[2, 3], coefficients[5, 0] = 12, 2, -2
    return {"TV": steps, "low rank": rank, "sparse": fft.idctn(coefficients, axes=(0, 1), norm="ortho")}


@pytest.mark.parametrize("name", PRIORS)
def test_missing_pixels_of_a_simple_image_are_found(images, known, name):
    image = images[name]
    operator = Mask(known)
    seen = image * known[0, 0, :, :, None].numpy()
    strength = {"TV": 0.01, "low rank": 0.02, "sparse": 0.02}[name]
    restored = restore_by(PRIORS[name], operator, seen, strength)
    missing = known[0, 0].numpy() == 0
    np.testing.assert_allclose(restored[~missing], image[~missing], atol=1e-6)
    mean = image[~missing].mean(axis=0)
    assert error(restored[missing], image[missing]) < 0.4 * error(
        np.broadcast_to(mean, image[missing].shape), image[missing]
    )


@pytest.mark.parametrize("name", PRIORS)
def test_noise_on_a_simple_image_becomes_less(images, rng, name):
    noisy = images[name] + rng.normal(0, 0.1, images[name].shape)
    strength = {"TV": 0.2, "low rank": 1.0, "sparse": 0.25}[name]
    assert error(restore_by(PRIORS[name], Identity(), noisy, strength), images[name]) < 0.5 * 0.1


@pytest.mark.parametrize("operator", [Decimate(4), Luminance(), Quantise(5)])
@pytest.mark.parametrize("name", PRIORS)
def test_the_restored_image_measures_as_what_was_seen(rng, operator, name):
    image = torch.from_numpy(rng.random((1, 3, 24, 24))).float()
    seen = operator(image)
    restored = restore_by(PRIORS[name], operator, seen[0].permute(1, 2, 0).numpy(), 0.1)
    assert restored.shape == (24, 24, 3)
    again = torch.from_numpy(restored).permute(2, 0, 1)[None]
    assert operator.misfit(again, seen).abs().max() < 1e-4


def test_shrinkage_of_nothing_changes_nothing_and_of_everything_leaves_little(rng):
    image = rng.random((10, 12, 3))
    for prior in (low_rank, sparse):
        np.testing.assert_allclose(prior(image, 0), image, atol=1e-5)
    assert np.abs(low_rank(image, 1e3)).max() < 1e-5
    np.testing.assert_allclose(sparse(image, 1e3), np.broadcast_to(image.mean((0, 1)), image.shape), atol=1e-5)
    assert total_variation(image, 1e3).std(axis=(0, 1)).max() < 0.1 * image.std()
