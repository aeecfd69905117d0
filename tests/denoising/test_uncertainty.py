"""Uncertainty: what repeated runs on simulated counts say about the error of a rate."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gandenoise import Gaussian, Micrograph, Poisson
from napari_gandenoise.denoising import denoise, denoise_steps
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth

PIECE = slice(450, 610), slice(450, 610)


@pytest.fixture(scope="module")
def uncertain():
    """A piece of the sample, denoised with its uncertainty."""
    counts = sample_micrograph().pixels[PIECE]
    result = denoise(counts, pixel_size_nm=0.0061, noise=Poisson(), model="hrtem", preset="fast", replicates=3)
    return result, sample_truth().pixels[PIECE]


def test_the_standard_error_is_of_the_size_of_the_error(uncertain):
    result, truth = uncertain
    assert result.uncertainty.shape == result.rate.shape
    assert result.uncertainty.dtype == np.float32
    assert (result.uncertainty > 0).all()
    error = np.sqrt(np.mean((result.rate - truth) ** 2))
    assert 0.5 * error < np.sqrt(np.mean(result.uncertainty**2)) < 2 * error


def test_the_rate_is_that_of_a_run_without_uncertainty(uncertain):
    result, _ = uncertain
    counts = sample_micrograph().pixels[PIECE]
    alone = denoise(counts, pixel_size_nm=0.0061, noise=Poisson(), model="hrtem", preset="fast")
    np.testing.assert_allclose(result.rate, alone.rate, rtol=1e-3, atol=1e-4)
    assert alone.uncertainty is None
    assert len(alone.to_layers()) == 1


def test_its_layer_has_the_scale_and_units_of_the_image(uncertain):
    result, _ = uncertain
    image, error = result.to_layers()
    assert error[1]["name"].startswith("uncertainty")
    assert (error[1]["scale"], error[1]["units"]) == (image[1]["scale"], image[1]["units"])
    assert error[1]["metadata"]["napari-gandenoise"]["config"]["replicates"] == 3


@pytest.mark.slow
def test_it_scales_with_the_units_of_the_image(uncertain):
    """A camera that writes seven units an electron on an offset: the same relative uncertainty."""
    result, _ = uncertain
    image = (7 * sample_micrograph().pixels[PIECE] + 50).astype(np.float32)
    noise = Poisson(gain=7, offset=50)
    camera = denoise(image, pixel_size_nm=0.0061, noise=noise, model="hrtem", preset="fast", replicates=3)
    np.testing.assert_allclose(camera.uncertainty.mean(), 7 * result.uncertainty.mean(), rtol=0.02)


@pytest.mark.slow
def test_a_movie_has_one_for_each_frame():
    counts = np.stack([sample_micrograph().pixels[PIECE][:128, :128]] * 2)
    result = denoise(counts, pixel_size_nm=0.0061, noise=Poisson(), model="hrtem", preset="fast", replicates=1)
    assert result.uncertainty.shape == (2, 128, 128)
    assert not np.array_equal(*result.uncertainty)  # each frame draws its own counts


@pytest.mark.slow
def test_colours_are_pooled(tmp_path, rng, write_photograph_model):
    path = write_photograph_model(tmp_path)
    image = Micrograph(rng.uniform(0, 255, (40, 50, 3)).astype(np.uint8), rgb=True)
    result = denoise(image, model=str(path), noise=Gaussian(sigma=40), preset="fast", replicates=2)
    assert result.uncertainty.shape == (40, 50)
    # Forty of noise in 5,000 pixels cannot leave six numbers and a residual step as unsure as a single pixel.
    assert 0 < result.uncertainty.mean() < 40


def test_its_events_advance_and_show_no_pictures_of_simulated_counts():
    counts = sample_micrograph().pixels[PIECE][:128, :128]
    steps = denoise_steps(counts, pixel_size_nm=0.0061, noise=Poisson(), model="hrtem", preset="fast", replicates=2)
    events = [event for event in steps if event.stage == "uncertainty"]
    done = [event.done for event in events]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 100)
    assert all(event.preview is None for event in events)
