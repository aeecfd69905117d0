"""Photographs: models of colours, of absolute intensities, of no pixel size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from napari_gandenoise import Gaussian, Micrograph
from napari_gandenoise.denoising import denoise, plan
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import load_model, save_model
from napari_gandenoise.models.sharpness import Sharpness, SharpnessHeader

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


# --- recovery: objectives, clipping, sharpness ---------------------------------------------------------------------


@pytest.fixture
def noisy_drawn(model_path, rng):
    return Micrograph((drawn(model_path) + rng.normal(0, 0.5, (SIDE, SIDE, 3))).astype(np.float32), rgb=True)


@pytest.fixture
def recover(model_path, noisy_drawn):
    """Denoise the same image with other settings."""
    fixed = {"model": str(model_path), "noise": Gaussian(sigma=0.5), "residual_step": False}
    return lambda **fields: denoise(noisy_drawn, **{**fixed, **fields})


def test_the_squared_error_finds_a_drawn_photograph_too(recover, model_path):
    truth = drawn(model_path)
    likely, squared = recover(), recover(objective="squared")
    assert squared.report["config"]["objective"] == "squared"
    assert peak_signal_noise_ratio(truth, squared.rate, data_range=1) > 20
    # With Gaussian noise and no prior to pay for the two are one; beside a normal prior they are not.
    far = np.abs(likely.latents[0] - squared.latents[0]).max()
    assert far > 1e-3 if load_model(model_path).header.prior == "normal" else far < 0.3


@pytest.mark.parametrize("clipping", ["projected", "stochastic", "none"])
def test_clipping_is_said_to_change_nothing_for_a_normal_prior(recover, model_path, clipping):
    result = recover(clipping=clipping)
    uniform = load_model(model_path).header.prior == "uniform"
    said = [warning for warning in result.report["warnings"] if "Clipping" in warning]
    assert len(said) == (0 if uniform or clipping == "projected" else 1)
    if uniform and clipping != "none":
        assert np.abs(result.latents[0]).max() <= 1


def test_stochastic_clipping_repeats_itself_with_the_same_seed(recover):
    first, again = (recover(clipping="stochastic", seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.rate, again.rate)


def test_the_sharpness_attribute_is_added_where_it_is_asked_for(recover, model_path, tmp_path):
    with pytest.raises(GanDenoiseError, match="no sharpness attribute: measure it"):
        recover(sharpness=True)
    plain = load_model(model_path)
    attribute = Sharpness((0.25, 0.75), plain.latent)
    attribute.shifts[:] = torch.tensor([[0.1], [0.3]])
    described = SharpnessHeader(levels=(0.25, 0.75), images=2, settings={"preset": "balanced", "clipping": "none"})
    header = plain.header.model_copy(update={"sharpness": described})
    save_model(tmp_path / "sharp.safetensors", replace(plain, header=header, sharpness=attribute))
    sharp = {"model": str(tmp_path / "sharp.safetensors")}
    without, with_it = recover(**sharp), recover(**sharp, sharpness=True)
    assert without.report["sharpness_level"] is None
    assert with_it.report["sharpness_level"] == pytest.approx(0.5, rel=0.02)
    assert without.report["warnings"] == []
    assert with_it.report["warnings"] == [
        "The sharpness attribute was measured with clipping none: denoise with the same."
    ]
    # Halfway between the two levels.
    expected = without.latents[0] + 0.2
    bounded = expected.clip(-1, 1) if plain.header.prior == "uniform" else expected
    np.testing.assert_allclose(with_it.latents[0], bounded, atol=5e-3)
    assert np.abs(with_it.rate - without.rate).max() > 0.01
