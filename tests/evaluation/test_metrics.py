from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_gandenoise.evaluation import coverage, poisson_deviance, psnr, ssim, upsnr


def test_psnr_of_a_constant_error_is_its_definition():
    truth = np.random.default_rng(0).uniform(0.2, 0.6, (40, 40))

    assert psnr(truth, truth + 0.01) == pytest.approx(40)
    assert psnr(truth, truth + 0.01, data_range=10) == pytest.approx(60)


def test_psnr_is_computed_in_double_precision():
    truth = np.full((64, 64), 1000, np.uint16)

    assert psnr(truth, truth.astype(np.float32) + 0.01) == pytest.approx(40, abs=0.1)


def test_ssim_falls_with_noise_and_is_one_for_the_truth():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 1, (64, 64))

    scores = [ssim(truth, truth + rng.normal(0, sigma, truth.shape)) for sigma in (0, 0.1, 0.5)]

    assert scores[0] == 1
    assert scores[0] > scores[1] > scores[2]


@pytest.mark.parametrize("rate", [0.02, 0.45, 6.0, 300.0])
def test_deviance_is_one_where_the_rate_is_right(rate):
    rates = np.linspace(0.5 * rate, 1.5 * rate, 200_000)

    assert poisson_deviance(np.random.default_rng(3).poisson(rates), rates) == pytest.approx(1, abs=0.02)


def test_deviance_rises_where_the_rate_is_wrong():
    counts = np.random.default_rng(3).poisson(np.full((200, 200), 0.45))

    assert poisson_deviance(counts, np.full((200, 200), 0.25)) > 1.1


def test_deviance_of_other_shapes_is_refused():
    with pytest.raises(ValueError, match="same shape"):
        poisson_deviance(np.ones((4, 4)), np.ones((4, 5)))


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("data_range", [1.0, 7.5])
def test_psnr_and_ssim_are_scikit_image_s(channels, data_range):
    rng = np.random.default_rng(1)
    truth, estimate = rng.uniform(0, 5, (2, 32, 40, *channels))

    assert psnr(truth, estimate, data_range) == peak_signal_noise_ratio(truth, estimate, data_range=data_range)
    assert ssim(truth, estimate, data_range) == structural_similarity(
        truth,
        estimate,
        data_range=data_range,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=-1 if channels else None,
    )


@pytest.mark.parametrize("copies", [2, 5])
def test_psnr_from_copies_is_that_from_the_truth(copies):
    rng = np.random.default_rng(2)
    truth = rng.uniform(2, 6, (400, 400))
    estimate = truth + rng.normal(0, 0.5, truth.shape)

    assert upsnr(estimate, rng.poisson(truth, (copies, *truth.shape)), 6) == pytest.approx(
        psnr(truth, estimate, 6), abs=0.6
    )


def test_psnr_from_copies_needs_two_of_the_same_shape():
    with pytest.raises(ValueError, match="two copies"):
        upsnr(np.ones((4, 4)), np.ones((1, 4, 4)))
    with pytest.raises(ValueError, match="two copies"):
        upsnr(np.ones((4, 4)), np.ones((3, 4, 5)))


@pytest.mark.parametrize(("within", "share"), [(1, 0.6827), (2, 0.9545)])
def test_coverage_of_gaussian_errors_is_the_normal_distribution_s(within, share):
    rng = np.random.default_rng(3)
    spread = rng.uniform(0.5, 2, (300, 300))

    assert coverage(np.zeros((300, 300)), rng.normal(0, spread), spread, within) == pytest.approx(share, abs=0.01)
