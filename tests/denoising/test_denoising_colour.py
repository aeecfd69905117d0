"""Photographs: models of colours, of absolute intensities, of no pixel size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from napari_gandenoise import Gaussian, Micrograph
from napari_gandenoise.denoising import denoise, plan
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import load_model

SIDE = 32


@pytest.fixture(params=["normal", "uniform"])
def model_path(tmp_path, request, write_photograph_model):
    return write_photograph_model(tmp_path, prior=request.param)


def drawn(path, seed: int = 0) -> np.ndarray:
    """An image ``(32, 32, 3)`` from 0 to 1 that the model can draw."""
    model = load_model(path)
    latents = model.draw_latents((1,), torch.Generator().manual_seed(seed))
    return ((1 + model.render(latents)) / 2)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_drawn_photograph_is_found_again_in_strong_noise(model_path, rng, dtype):
    truth, sigma = drawn(model_path), 0.25
    white = 255 if dtype == np.uint8 else 1
    noisy = truth + rng.normal(0, sigma, truth.shape)
    image = (np.clip(255 * noisy, 0, 255).round() if dtype == np.uint8 else noisy).astype(dtype)
    result = denoise(
        Micrograph(image, rgb=True), model=str(model_path), noise=Gaussian(sigma=sigma * white), residual_step=False
    )
    assert result.rate.shape == truth.shape
    assert result.axes == "YXS"
    assert result.fit_map.shape == truth.shape[:2]
    assert result.pixel_size_nm is None
    assert result.report["white"] == white
    psnr = peak_signal_noise_ratio(truth, result.rate / white, data_range=1)
    flat = peak_signal_noise_ratio(truth, np.broadcast_to(truth.mean((0, 1)), truth.shape).copy(), data_range=1)
    # 6 numbers from 3,072 pixels: far better than the mean colour, and than the noise at 12 dB.
    assert psnr > max(flat + 4, 24)


def test_latents_of_a_uniform_prior_stay_within_its_bounds(tmp_path, rng, write_photograph_model):
    path = write_photograph_model(tmp_path, prior="uniform")
    image = rng.uniform(0, 1, (70, 45, 3)).astype(np.float32)
    result = denoise(Micrograph(image, rgb=True), model=str(path), noise=Gaussian(sigma=0.05), residual_step=False)
    latents = result.latents[0]
    assert len(latents) > 4
    assert np.abs(latents).max() <= 1


def test_layers_of_a_photograph_are_colours_that_napari_shows(model_path, rng):
    noisy = np.clip(drawn(model_path) + rng.normal(0, 0.1, (SIDE, SIDE, 3)), 0, 1)
    result = denoise(Micrograph((255 * noisy).astype(np.uint8), rgb=True, name="cat"), model=str(model_path))
    layers = result.to_layers(fit_map=True, residual=True)
    data, options, kind = layers[0]
    assert kind == "image"
    assert options["rgb"]
    assert "contrast_limits" not in options
    assert "scale" not in options
    assert 0 <= data.min() <= data.max() <= 1
    assert layers[1][0].ndim == 2
    assert "rgb" not in layers[1][1]
    assert result.report["noise"]["kind"] == "gaussian"


def test_opacity_is_dropped(model_path, rng):
    image = rng.integers(0, 255, (40, 40, 4)).astype(np.uint8)
    assert denoise(Micrograph(image, rgb=True), model=str(model_path), preset="fast").rate.shape == (40, 40, 3)


def test_grey_and_colour_are_not_mixed_up(tmp_path, rng, write_photograph_model):
    colour = write_photograph_model(tmp_path)
    with pytest.raises(GanDenoiseError, match="no colour channels but the model photos is for colour images"):
        plan(rng.random((40, 40)), model=str(colour))
    with pytest.raises(GanDenoiseError, match="colour channels but the model hrtem is for grey images"):
        plan(Micrograph(rng.random((40, 40, 3)), rgb=True), model="hrtem", pixel_size_nm=0.0244)


def test_a_grey_model_of_photographs_needs_no_pixel_size(tmp_path, rng, write_photograph_model):
    path = write_photograph_model(tmp_path, channels=1, encoder=True)
    image = rng.uniform(0, 255, (50, 33)).astype(np.uint8)
    result = denoise(image, model=str(path), preset="fast", noise=Gaussian(sigma=30))
    assert result.rate.shape == image.shape
    assert "scale" not in result.to_layer_data()[1]


def test_the_white_can_be_given(tmp_path, rng, write_photograph_model):
    path = write_photograph_model(tmp_path)
    truth = drawn(path)
    image = (4095 * np.clip(truth + rng.normal(0, 0.1, truth.shape), 0, 1)).astype(np.uint16)
    settings = {"model": str(path), "noise": Gaussian(sigma=409), "residual_step": False}
    told = denoise(Micrograph(image, rgb=True), white=4095, **settings).rate
    untold = denoise(Micrograph(image, rgb=True), **settings).rate
    truth = 4095 * truth
    assert np.abs(told - truth).mean() < 0.3 * np.abs(untold - truth).mean()
