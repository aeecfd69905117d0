"""Models of any micrograph: no units, no pixel size, no noise model, negative values, and no refusal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_gandenoise.denoising import denoise, plan
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import DirectHeader, DirectModel, save_model
from napari_gandenoise.models.denoisers import make_denoiser
from napari_gandenoise.settings.networks import UNetArchitecture
from napari_gandenoise.settings.noise import Gaussian, Poisson

BLIND = UNetArchitecture(size=16, widths=(4, 6), block="gated", conditions=())
ESTIMATING = UNetArchitecture(size=16, widths=(4, 6), block="gated", conditions=("estimated",), estimator=4)


@pytest.fixture(scope="module")
def write_model(tmp_path_factory):
    def write(architecture):
        torch.manual_seed(1)
        network = make_denoiser(architecture).eval()
        with torch.no_grad():
            for weight in network.parameters():
                weight += 0.05 * torch.randn(weight.shape)
        header = DirectHeader(name="any", architecture=architecture, intensity="standard")
        path = tmp_path_factory.mktemp("standard") / "any.safetensors"
        save_model(path, DirectModel(header, network))
        return path

    return write


@pytest.fixture(scope="module", params=[BLIND, ESTIMATING], ids=["blind", "estimating"])
def model(request, write_model):
    return write_model(request.param)


@pytest.fixture
def image(rng):
    y, x = np.mgrid[:72, :88] / 12
    return (np.sin(x) * np.cos(y) + rng.normal(0, 0.3, (72, 88))).astype(np.float32)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (300.0, -40.0), (1e-3, 5e-3)])
def test_gain_and_offset_change_nothing_else(model, image, gain, offset):
    plain = denoise(image, model=model, noise=Gaussian(sigma=0.3))
    other = denoise(gain * image + offset, model=model, noise=Gaussian(sigma=0.3 * gain))
    assert plain.rate.min() < -0.1  # what is negative stays so
    assert np.allclose(other.rate, gain * plain.rate + offset, atol=3e-3 * gain)
    assert not np.allclose(plain.rate, image, atol=1e-3)


def test_the_noise_model_changes_nothing(model, image):
    results = [
        denoise(image, model=model, noise=noise).rate for noise in (Gaussian(sigma=0.1), Poisson(gain=0.01), None)
    ]
    assert np.allclose(results[1], results[0], atol=2e-3)
    assert np.allclose(results[2], results[0], atol=2e-3)


@pytest.mark.parametrize("image", [np.zeros((40, 40)), np.ones((16, 16), np.uint8), -np.eye(64, dtype=np.float32)])
def test_no_finite_image_is_refused(model, image):
    assert np.isfinite(denoise(image, model=model).rate).all()


def test_pixels_that_are_not_finite_are_drawn(model, image):
    image[3, 3] = np.nan
    result = denoise(image, model=model)
    assert np.isfinite(result.rate).all()
    assert result.missing[3, 3]


def test_the_residual_step_has_no_say(model, image):
    both = [denoise(image, model=model, noise=Gaussian(sigma=0.3), residual_step=step).rate for step in (True, False)]
    assert np.array_equal(*both)


def test_views_turn_and_mirror_and_no_more(model, image):
    counts = [len(plan(image, model=model, preset=p).work.views) for p in ("fast", "balanced", "thorough")]
    assert counts == [1, 4, 8]
    work = plan(image, model=model, views=16).work
    assert len({(v.turns, v.mirrored) for v in work.views}) == 8
    assert all(v.summed == 1 and v.shift == (0, 0) for v in work.views)
    # The mean over all eight does not depend on how the image lies.
    settings = {"model": model, "noise": Gaussian(sigma=0.3), "views": 8}
    turned = denoise(np.rot90(image).copy(), **settings).rate
    assert np.allclose(turned, np.rot90(denoise(image, **settings).rate), atol=2e-3)


def test_pixels_are_summed_as_the_settings_say(model, rng):
    counts = rng.poisson(0.5, (96, 80)).astype(np.uint16)
    result = denoise(counts, model=model, summed=4, noise=Poisson())
    assert result.report["summed"] == 4
    assert result.rate.shape == counts.shape
    assert plan(counts, model=model, summed=4).work.grid.sides == (24, 20)


def test_a_model_with_a_pixel_size_says_that_it_sums_by_itself():
    image = Micrograph(np.ones((400, 400), np.uint16), pixel_size_nm=0.0061)
    assert any("summed changes nothing" in w for w in plan(image, model="hrtem-unet", summed=2).warnings)


def test_a_strength_that_is_given_is_taken(write_model, image):
    model = write_model(ESTIMATING)
    settings = {"model": model, "noise": Gaussian(sigma=0.3)}
    assert np.allclose(denoise(image, strength=0.0, **settings).rate, image, atol=2e-3)
    assert not np.allclose(denoise(image, strength=0.5, **settings).rate, denoise(image, **settings).rate, atol=1e-3)
    assert plan(image, model=model, strength=0.5).warnings == ()
