"""Recovery as published: objectives, clipping, sharpness, a discriminator's word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from napari_gandenoise import Gaussian, Micrograph
from napari_gandenoise.denoising import denoise
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import load_model, save_model
from napari_gandenoise.models.sharpness import Sharpness, SharpnessHeader
from napari_gandenoise.recovery import recover

SIDE = 32


@pytest.fixture(params=["normal", "uniform"])
def model_path(tmp_path, request, write_photograph_model):
    return write_photograph_model(tmp_path, prior=request.param)


def drawn(path, seed: int = 0) -> np.ndarray:
    """An image ``(32, 32, 3)`` from 0 to 1 that the model can draw."""
    model = load_model(path)
    latents = model.draw_latents((1,), torch.Generator().manual_seed(seed))
    return ((1 + model.render(latents)) / 2)[0].permute(1, 2, 0).numpy()


@pytest.fixture
def noisy_drawn(model_path, rng):
    return Micrograph((drawn(model_path) + rng.normal(0, 0.5, (SIDE, SIDE, 3))).astype(np.float32), rgb=True)


@pytest.fixture
def recovered(model_path, noisy_drawn):
    """Recover the same image with other settings."""
    fixed = {"model": str(model_path), "noise": Gaussian(sigma=0.5), "clipping": "projected"}
    return lambda **fields: recover(noisy_drawn, **{**fixed, **fields})


def test_the_squared_error_finds_a_drawn_photograph_too(recovered, model_path):
    truth = drawn(model_path)
    likely, squared = recovered(objective="likelihood"), recovered()
    assert squared.report["config"]["objective"] == "squared"
    assert peak_signal_noise_ratio(truth, squared.rate, data_range=1) > 20
    # With Gaussian noise and no prior to pay for the two are one; beside a normal prior they are not.
    far = np.abs(likely.latents[0] - squared.latents[0]).max()
    assert far > 1e-3 if load_model(model_path).header.prior == "normal" else far < 0.3


@pytest.mark.parametrize("clipping", ["projected", "stochastic", "none"])
def test_clipping_is_said_to_change_nothing_for_a_normal_prior(recovered, model_path, clipping):
    result = recovered(clipping=clipping)
    uniform = load_model(model_path).header.prior == "uniform"
    said = [warning for warning in result.report["warnings"] if "Clipping" in warning]
    assert len(said) == (0 if uniform or clipping == "stochastic" else 1)
    if uniform and clipping != "none":
        assert np.abs(result.latents[0]).max() <= 1


def test_stochastic_clipping_repeats_itself_with_the_same_seed(recovered):
    first, again = (recovered(clipping="stochastic", seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.rate, again.rate)


def test_the_sharpness_attribute_is_added_where_it_is_asked_for(recovered, model_path, tmp_path):
    with pytest.raises(GanDenoiseError, match="no sharpness attribute: measure it"):
        recovered(sharpness=True)
    plain = load_model(model_path)
    attribute = Sharpness((0.25, 0.75), plain.latent)
    attribute.shifts[:] = torch.tensor([[0.1], [0.3]])
    described = SharpnessHeader(levels=(0.25, 0.75), images=2, settings={"preset": "balanced", "clipping": "none"})
    header = plain.header.model_copy(update={"sharpness": described})
    save_model(tmp_path / "sharp.safetensors", replace(plain, header=header, sharpness=attribute))
    sharp = {"model": str(tmp_path / "sharp.safetensors")}
    without, with_it = recovered(**sharp), recovered(**sharp, sharpness=True)
    assert without.report["sharpness_level"] is None
    assert with_it.report["sharpness_level"] == pytest.approx(0.5, rel=0.02)
    said = [[w for w in result.report["warnings"] if "sharpness" in w] for result in (without, with_it)]
    assert said[0] == []
    assert said[1] == ["The sharpness attribute was measured with clipping none: recover with the same."]
    # Halfway between the two levels.
    expected = without.latents[0] + 0.2
    bounded = expected.clip(-1, 1) if plain.header.prior == "uniform" else expected
    np.testing.assert_allclose(with_it.latents[0], bounded, atol=5e-3)
    assert np.abs(with_it.rate - without.rate).max() > 0.01


def test_the_likelihood_with_projection_is_what_denoising_does(recovered, noisy_drawn, model_path):
    ours = denoise(noisy_drawn, model=str(model_path), noise=Gaussian(sigma=0.5), residual_step=False)
    np.testing.assert_array_equal(recovered(objective="likelihood").rate, ours.rate)


def test_a_direct_denoiser_has_no_latents_to_recover(noisy_drawn, write_direct_model, tmp_path):
    model = write_direct_model(tmp_path, channels=3, intensity="absolute")
    with pytest.raises(GanDenoiseError, match="is a direct denoiser, which draws nothing by itself"):
        recover(noisy_drawn, model=str(model))


def test_a_mask_is_for_inpainting(recovered):
    with pytest.raises(GanDenoiseError, match="A mask says where to inpaint, but the task is denoise"):
        recovered(mask=np.ones((SIDE, SIDE)))


@pytest.mark.parametrize("discriminator", [False, True])
def test_a_hole_is_filled_with_the_discriminator_s_word(tmp_path, rng, write_photograph_model, discriminator):
    model = write_photograph_model(tmp_path, discriminator=discriminator)
    image, mask = drawn(model).astype(np.float32), np.zeros((SIDE, SIDE))
    mask[8:20, 10:24] = 1
    settings = {"model": str(model), "task": "inpaint", "mask": mask, "steps": 30, "restarts": 1}
    picture = Micrograph(image, rgb=True)
    result = recover(picture, **settings)
    np.testing.assert_allclose(result.image[mask == 0], image[mask == 0], atol=1e-6)
    assert result.report["realism"] == (0.003 if discriminator else 0)
    assert result.report["config"]["task"] == "inpaint"
    if discriminator:
        plain, judged = (recover(picture, **settings, realism=weight) for weight in (0.0, 300.0))
        assert plain.report["realism"] == 0
        judge = load_model(model).discriminator
        believed = [judge(torch.from_numpy(2 * r.drawn - 1).permute(2, 0, 1)[None]).item() for r in (plain, judged)]
        assert believed[1] > believed[0]
    else:
        with pytest.raises(GanDenoiseError, match="holds no discriminator"):
            recover(picture, **settings, realism=0.1)


def test_a_micrograph_has_no_discriminator_to_ask(rng):
    with pytest.raises(GanDenoiseError, match="is for micrographs, which are restored by their counts"):
        recover(rng.poisson(1.0, (200, 200)), pixel_size_nm=0.0061, realism=0.1)
