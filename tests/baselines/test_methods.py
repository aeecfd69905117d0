from __future__ import annotations

import sys

import numpy as np
import pytest

from napari_gandenoise.baselines import bm3d, flat, gaussian_blur, nlm, oracle_bin, oracle_blur, tv
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.settings.noise import Gaussian


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """A lattice of blobs on a step, electrons per pixel."""
    y, x = np.indices((64, 64))
    return 0.45 - 0.2 * (y > 27) * (0.5 + 0.5 * np.cos(2 * np.pi * y / 16) * np.cos(2 * np.pi * x / 16))


@pytest.fixture(scope="module")
def counts(truth) -> np.ndarray:
    return np.random.default_rng(1).poisson(truth).astype(np.uint16)


@pytest.mark.parametrize(
    "method", [lambda c: gaussian_blur(c, 6), lambda c: bm3d(c, 4), lambda c: nlm(c, 4), lambda c: tv(c, 4)]
)
def test_every_method_beats_the_flat_image(method, counts, truth):
    rate = method(counts)

    assert rate.shape == counts.shape
    assert rate.dtype == np.float32
    assert rate.min() >= 0
    assert psnr(truth, rate) > psnr(truth, flat(counts)) + 1
    assert rate.mean() == pytest.approx(counts.mean(), rel=0.03)


@pytest.mark.parametrize("colours", [None, pytest.param(3, marks=pytest.mark.slow)])
def test_bm3d_of_gaussian_noise_keeps_shape_and_units(truth, colours):
    clean = 500 * truth if colours is None else 500 * truth[..., None] * np.array([1, 0.5, 0.8])
    noisy = clean + np.random.default_rng(2).normal(0, 30, clean.shape)

    estimate = bm3d(noisy, noise=Gaussian(sigma=30))

    assert estimate.shape == clean.shape
    assert estimate.dtype == np.float32
    assert np.sqrt(((estimate - clean) ** 2).mean()) < 0.5 * 30


def test_flat_is_the_mean_dose(counts):
    np.testing.assert_allclose(flat(counts), counts.mean(), rtol=1e-6)


def test_bm3d_gains_by_binning_an_oversampled_image(counts, truth):
    assert psnr(truth, bm3d(counts, 4)) > psnr(truth, bm3d(counts)) + 1


def test_bm3d_on_one_thread_repeats_itself(counts):
    np.testing.assert_array_equal(bm3d(counts, 2, threads=1), bm3d(counts, 2, threads=1))


def test_a_missing_bm3d_package_is_explained(monkeypatch, counts):
    monkeypatch.setitem(sys.modules, "bm3d", None)

    with pytest.raises(GanDenoiseError, match=r"non-commercial use only: install it with"):
        bm3d(counts)


def test_the_oracle_returns_the_bin_closest_to_the_truth(counts, truth):
    choice = oracle_bin(tv, counts, truth, (1, 4, 12))

    scores = {bins: psnr(truth, tv(counts, bins)) for bins in (1, 4, 12)}
    assert choice.setting == max(scores, key=scores.__getitem__)
    assert psnr(truth, choice.rate) == max(scores.values())


def test_the_oracle_blurs_more_when_there_is_less_dose(truth):
    def best_sigma(dose: float) -> float:
        counts = np.random.default_rng(2).poisson(dose * truth)
        return oracle_blur(counts / dose, truth).setting

    assert best_sigma(0.2) > best_sigma(50)
