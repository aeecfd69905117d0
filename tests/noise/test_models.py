"""Noise models against what is known of them: moments, normalisation, limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from napari_gandenoise.settings.noise import AnyNoise, Gaussian, Poisson, PoissonGaussian, camera

MODELS = [Poisson(), Poisson(gain=2.3, offset=100), PoissonGaussian(gain=2.3, offset=100, read_noise=3)]


@pytest.mark.parametrize("noise", MODELS, ids=lambda noise: noise.kind)
@pytest.mark.parametrize("rate", [0.05, 0.45, 30.0])
def test_samples_have_the_mean_and_variance_of_the_model(noise, rate, rng):
    n = 400_000
    image = noise.sample(np.full(n, rate), rng)
    variance = noise.gain**2 * (rate + noise.read_variance)
    assert image.mean() == pytest.approx(noise.gain * rate + noise.offset, abs=5 * np.sqrt(variance / n))
    kurtosis = 1 / rate if noise.read_variance == 0 else 1 / (rate + noise.read_variance)
    assert image.var() == pytest.approx(variance, rel=5 * np.sqrt((2 + kurtosis) / n))


def test_gaussian_samples_scatter_around_the_signal(rng):
    image = Gaussian(sigma=0.5).sample(np.full(100_000, -3.0), rng)
    assert image.mean() == pytest.approx(-3, abs=0.01)
    assert image.std() == pytest.approx(0.5, rel=0.02)


@given(counts=hnp.arrays(np.int64, 20, elements=st.integers(0, 200)), rate=st.floats(0, 300))
def test_the_poisson_likelihood_is_the_textbook_one(counts, rate):
    scored = Poisson(gain=2.5, offset=-7).log_likelihood(2.5 * counts - 7, rate)
    np.testing.assert_allclose(scored, stats.poisson.logpmf(counts, rate), rtol=1e-9, atol=1e-9)


def test_no_count_lies_below_the_offset():
    assert Poisson(offset=10).log_likelihood([9.0, 10.0], 2.0).tolist() == [-np.inf, -2.0]


@pytest.mark.parametrize("rate", [0.0, 0.45, 400.0])
@pytest.mark.parametrize("read_noise", [0.05, 1.0, 300.0])
def test_the_camera_density_is_normalised_with_the_right_moments(rate, read_noise):
    noise = PoissonGaussian(gain=2.0, offset=50.0, read_noise=read_noise)
    deviation = 2 * np.sqrt(rate + noise.read_variance)
    low, high = 50 - 10 * read_noise, 50 + 2 * rate + 15 * deviation + 20
    image = np.linspace(low, high, 40_001)
    density = np.exp(noise.log_likelihood(image, rate))
    weight = density * (image[1] - image[0])
    assert weight.sum() == pytest.approx(1, abs=1e-6)
    assert (weight * image).sum() == pytest.approx(50 + 2 * rate, abs=1e-4 * deviation)
    assert (weight * (image - 50 - 2 * rate) ** 2).sum() == pytest.approx(deviation**2, rel=1e-4)


@given(
    x=st.floats(-50, 500),
    rate=st.floats(0, 300),
    gain=st.floats(0.1, 10),
    read_noise=st.floats(0.05, 40),
)
@example(x=52.0, rate=5e-324, gain=1.0, read_noise=0.25)
def test_the_camera_likelihood_is_the_whole_sum_over_counts(x, rate, gain, read_noise):
    noise = PoissonGaussian(gain=gain, offset=5, read_noise=read_noise)
    k = np.arange(8000)
    terms = stats.poisson.logpmf(k, rate) + stats.norm.logpdf(x, gain * k + 5, read_noise)
    assert noise.log_likelihood(x, rate) == pytest.approx(np.logaddexp.reduce(terms), rel=1e-9, abs=1e-9)


def test_the_camera_tends_to_counts_as_read_noise_vanishes(rng):
    counts = rng.poisson(0.45, 50)
    density = PoissonGaussian(read_noise=0.01).log_likelihood(counts, 0.45)
    peak = stats.norm.logpdf(0, scale=0.01)
    np.testing.assert_allclose(density - peak, Poisson().log_likelihood(counts, 0.45), rtol=1e-9)


def test_likelihoods_broadcast_images_against_rates():
    image, rates = np.zeros((4, 5)), np.ones((3, 1, 1))
    for noise in [*MODELS, Gaussian(sigma=1)]:
        assert noise.log_likelihood(image + noise.offset, rates).shape == (3, 4, 5)


@given(
    image=hnp.arrays(
        hnp.floating_dtypes(endianness="=", sizes=(32, 64)), (3, 4), elements=st.floats(-1e6, 1e6, width=32)
    ),
    gain=st.floats(0.01, 100),
    offset=st.floats(-1e3, 1e3),
)
def test_electrons_and_back(image, gain, offset):
    noise = Poisson(gain=gain, offset=offset)
    back = noise.from_electrons(noise.to_electrons(image))
    assert back.dtype == image.dtype
    np.testing.assert_allclose(back, image, rtol=1e-4, atol=2e-6 * (1e3 + 1e6))


def test_integer_images_do_not_wrap_around():
    assert Poisson(offset=10).to_electrons(np.array([3], np.uint8)).tolist() == [-7.0]


@pytest.mark.parametrize("noise", [*MODELS, Gaussian(sigma=2)], ids=lambda noise: noise.kind)
def test_models_survive_json_by_their_kind(noise):
    adapter = TypeAdapter(AnyNoise)
    assert adapter.validate_json(adapter.dump_json(noise)) == noise


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "poisson", "gain": 0},
        {"kind": "poisson", "gain": float("nan")},
        {"kind": "poisson", "offset": float("inf")},
        {"kind": "poisson", "read_noise": 1},
        {"kind": "poisson-gaussian", "read_noise": 0},
        {"kind": "gaussian"},
        {"kind": "laplace"},
    ],
)
def test_impossible_detectors_are_refused(fields):
    with pytest.raises(ValidationError):
        TypeAdapter(AnyNoise).validate_python(fields)


def test_a_camera_without_read_noise_only_counts():
    assert camera(gain=2, offset=1) == Poisson(gain=2, offset=1)
    assert camera(read_noise=3) == PoissonGaussian(read_noise=3)


def test_read_variance_is_in_electrons():
    assert PoissonGaussian(gain=2, read_noise=3).read_variance == pytest.approx(2.25)
    assert Poisson(gain=2).read_variance == 0
    assert Gaussian(sigma=3).read_variance == 9
