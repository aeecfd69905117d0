"""Each baseline against its library, or its formula, called by hand on the same image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import fft, ndimage
from skimage import restoration

from napari_gandenoise.baselines import (
    BASELINES,
    Given,
    anscombe,
    bm3d,
    gaussian_blur,
    low_rank_patches,
    nlm,
    oracle_wiener,
    sparse_dictionary,
    tv,
    unbiased_inverse,
    usual_bin,
    wavelet,
    wiener,
)
from napari_gandenoise.baselines.patches import FIT
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.settings.noise import Gaussian, Poisson, PoissonGaussian

CAMERA = PoissonGaussian(gain=2.1, offset=100, read_noise=3.0)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """A lattice on a slope, electrons per pixel."""
    y, x = np.indices((40, 40))
    return 4 + 0.01 * x + 1.5 * np.cos(2 * np.pi * y / 8) * np.cos(2 * np.pi * x / 8)


@pytest.fixture(scope="module")
def counts(truth) -> np.ndarray:
    return np.random.default_rng(1).poisson(truth).astype(np.uint16)


def by_hand(denoise, image):
    """Anscombe, a library, and back."""
    return np.maximum(unbiased_inverse(denoise(anscombe(image))), 0)


def library_bm3d(stabilised):
    import bm3d as package

    profile = package.BM3DProfile()
    profile.num_threads = 1
    return (package.bm3d_rgb if stabilised.ndim == 3 else package.bm3d)(stabilised, 1.0, profile)


def library_nlm(stabilised):
    return restoration.denoise_nl_means(
        stabilised, patch_size=7, patch_distance=11, h=0.5, sigma=1.0, fast_mode=True
    )  # fmt: skip


def library_tv(stabilised):
    return restoration.denoise_tv_chambolle(stabilised, weight=0.6, eps=1e-6, max_num_iter=500)


def library_wavelet(stabilised):
    def shrink(image):
        return restoration.denoise_wavelet(image, sigma=1.0, wavelet="sym4", method="BayesShrink", mode="soft")

    return restoration.cycle_spin(stabilised, shrink, max_shifts=3, workers=1)


@pytest.mark.parametrize(
    ("ours", "library"),
    [
        (lambda image: bm3d(image, threads=1), library_bm3d),
        (lambda image: nlm(image, strength=0.5), library_nlm),
        (lambda image: tv(image, weight=0.6), library_tv),
        (wavelet, library_wavelet),
    ],
    ids=["bm3d", "nlm", "tv", "wavelet"],
)
def test_counts_are_denoised_as_the_library_denoises_anscombe_counts(ours, library, counts):
    np.testing.assert_allclose(ours(counts), by_hand(library, counts), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_colours_are_denoised_together_by_bm3d(truth):
    colours = np.random.default_rng(4).poisson(truth[..., None] * np.array([1, 2, 0.5]))

    np.testing.assert_allclose(bm3d(colours, threads=1), by_hand(library_bm3d, colours), rtol=1e-5, atol=1e-5)


def test_gaussian_noise_needs_no_transform_of_its_variance(truth):
    noisy = 100 * truth + np.random.default_rng(5).normal(0, 70, truth.shape)

    np.testing.assert_allclose(
        bm3d(noisy, noise=Gaussian(sigma=70), threads=1), 70 * library_bm3d(noisy / 70), rtol=1e-5, atol=1e-3
    )


def test_blur_is_scipy_s(counts):
    np.testing.assert_allclose(
        gaussian_blur(counts, 2.5), ndimage.gaussian_filter(counts.astype(float), 2.5), rtol=1e-5
    )


def test_wiener_is_its_formula(counts):
    spectrum = fft.fft2(counts - counts.mean())
    power = ndimage.gaussian_filter(np.abs(spectrum) ** 2 / counts.size, 2.0, mode="wrap")
    signal = np.maximum(power - counts.mean(), 0)
    expected = counts.mean() + fft.ifft2(spectrum * signal / (signal + counts.mean())).real

    np.testing.assert_allclose(wiener(counts, smoothing=2.0), np.maximum(expected, 0), rtol=1e-4, atol=1e-5)


def test_the_oracle_s_wiener_filter_is_the_best_of_its_kind(counts, truth):
    ours = oracle_wiener(counts, truth)
    power = np.abs(fft.fft2(truth)) ** 2 / truth.size
    gain = power / (power + truth.mean())
    np.testing.assert_allclose(ours, fft.ifft2(fft.fft2(counts) * gain).real, rtol=1e-4)
    draws = np.random.default_rng(7).poisson(truth, (40, *truth.shape))
    best = np.mean([psnr(truth, oracle_wiener(draw, truth)) for draw in draws])
    for factor in (0.3, 3):
        others = fft.ifft2(fft.fft2(draws) * power / (power + factor * truth.mean())).real
        assert np.mean([psnr(truth, other) for other in others]) < best


def test_patches_of_one_direction_survive_and_noise_does_not():
    """A plane wave at every phase has two singular values; unit noise has none that counts."""
    y, x = np.indices((80, 80))
    wave = 20 * np.cos(0.5 * x + 0.3 * y)
    noise = np.random.default_rng(6).normal(0, 1, wave.shape)

    alone = low_rank_patches(noise, noise=Gaussian(sigma=1))
    estimate = low_rank_patches(wave + noise, noise=Gaussian(sigma=1))

    assert alone.std() < 0.1
    assert (estimate - wave).std() < 0.3
    np.testing.assert_allclose(low_rank_patches(wave, noise=Gaussian(sigma=1e-3)), wave, atol=1e-2)


@pytest.mark.slow
def test_the_dictionary_codes_patches_as_well_as_noise_allows(counts, truth):
    pytest.importorskip("sklearn")
    stabilised = anscombe(counts)
    estimate = sparse_dictionary(stabilised, noise=Gaussian(sigma=1))

    # Patches are missed by at most their noise; averages of them by less.
    assert 0.5 < (estimate - stabilised).std() < FIT
    assert psnr(truth, sparse_dictionary(counts)) > psnr(truth, counts) + 3


# BM3D takes half a second for the smallest image, and its oracle calls it, too; a dictionary has to be learnt.
ALL = [
    pytest.param(name, marks=pytest.mark.slow if name in ("bm3d", "sparse") else ())
    for name in BASELINES
    if name != "noisy"
]


@pytest.mark.parametrize("name", ALL)
def test_every_baseline_of_the_table_denoises_counts_cameras_and_colours(name, truth, counts):
    if name == "sparse":  # a dictionary for a smaller image takes less time to learn
        pytest.importorskip("sklearn")
        truth, counts = truth[:28, :28], counts[:28, :28]
    baseline = BASELINES[name]
    camera = CAMERA.sample(truth, np.random.default_rng(2))
    clean = CAMERA.from_electrons(truth)
    colours = np.stack([counts, counts[::-1], counts.T], axis=-1)
    coloured = np.stack([truth, truth[::-1], truth.T], axis=-1)
    cases = ((counts, Poisson(), truth), (camera, CAMERA, clean), (colours, Poisson(), coloured))
    for image, noise, rate in cases:
        setting, estimate = baseline.run(Given(image, noise, 1, rate))
        assert estimate.shape == image.shape
        assert estimate.dtype == np.float32
        assert np.isfinite(estimate).all()
        assert baseline.setting.format(setting) is not None
        assert psnr(rate, estimate) > psnr(rate, image) + 2
        assert estimate.mean() == pytest.approx(rate.mean(), rel=0.03)


@pytest.mark.parametrize("name", [name for name, baseline in BASELINES.items() if baseline.oracle])
def test_an_oracle_without_truth_says_so(name, counts):
    with pytest.raises(GanDenoiseError, match="needs the truth"):
        BASELINES[name].run(Given(counts, Poisson()))


@pytest.mark.parametrize(
    ("package", "name"), [("bm3d", "bm3d"), ("pywt", "wavelet"), ("sklearn.decomposition", "sparse")]
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, package, name, counts):
    monkeypatch.setitem(__import__("sys").modules, package, None)

    with pytest.raises(GanDenoiseError, match=rf"napari-gandenoise\[{BASELINES[name].extra}\]"):
        BASELINES[name].run(Given(counts, Poisson()))


@pytest.mark.parametrize(("size", "bins"), [(0.0061, 7), (0.0244, 2), (0.1, 1), (None, 1)])
def test_the_usual_bin_comes_from_the_pixel_size(size, bins):
    assert usual_bin(size) == bins
