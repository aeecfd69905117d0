"""Denoising by direct models: the same doors, units, maps and refusals as with a latent GAN."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from napari_gandenoise.denoising import denoise, denoise_steps, plan
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models.denoisers import UNet
from napari_gandenoise.settings.noise import Gaussian, Poisson, PoissonGaussian
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth

PIXEL_NM = 0.0061


@pytest.fixture(scope="module")
def grey(write_direct_model, tmp_path_factory):
    return write_direct_model(tmp_path_factory.mktemp("grey"), pixel_size_nm=0.0244)


@pytest.fixture(scope="module")
def colour(write_direct_model, tmp_path_factory):
    return write_direct_model(tmp_path_factory.mktemp("colour"), channels=3, intensity="absolute")


def test_a_micrograph_is_summed_cleaned_and_brought_back(grey, rng):
    # The model takes its strength away: 1 / sqrt(electrons in a summed pixel), of the mean.
    counts = rng.poisson(2.0, (64, 80)).astype(np.float32)
    result = denoise(counts, model=grey, pixel_size_nm=PIXEL_NM, noise=Poisson(), residual_step=False, views=1)
    mean = counts.mean()
    assert result.rate.shape == counts.shape
    assert result.rate.mean() == pytest.approx(mean * (1 - 1 / np.sqrt(16 * mean)), rel=1e-3)
    assert result.report["summed"] == 4
    assert result.report["model"] == "direct"
    assert result.report["steps"] == 0
    assert result.fit_map.shape == counts.shape
    assert np.allclose(result.residual, counts - result.rate, atol=1e-5)


def test_read_noise_is_part_of_the_strength(grey, rng):
    counts = rng.poisson(2.0, (64, 64)).astype(np.float32) + rng.normal(0, 1, (64, 64)).astype(np.float32)
    noise = PoissonGaussian(read_noise=1.0)
    result = denoise(counts, model=grey, pixel_size_nm=PIXEL_NM, noise=noise, residual_step=False, views=1)
    mean = counts.mean()
    assert result.rate.mean() == pytest.approx(mean - np.sqrt((mean + 1) / 16), rel=1e-3)


@pytest.mark.parametrize("gain", [1.0, 7.0])
def test_the_result_is_in_the_units_of_the_input(grey, rng, gain):
    electrons = rng.poisson(3.0, (64, 64)).astype(np.float32)
    plain = denoise(electrons, model=grey, pixel_size_nm=PIXEL_NM, noise=Poisson())
    scaled = denoise(gain * electrons + 5, model=grey, pixel_size_nm=PIXEL_NM, noise=Poisson(gain=gain, offset=5))
    assert np.allclose(scaled.rate, gain * plain.rate + 5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_photograph_is_cleaned_relative_to_white(colour, rng, dtype):
    white = 255 if dtype == np.uint8 else 1.0
    image = (white * rng.uniform(0.4, 0.6, (40, 56, 3))).astype(dtype)
    settings = {"model": colour, "noise": Gaussian(sigma=0.1 * white)}
    result = denoise(Micrograph(image, rgb=True), residual_step=False, **settings)
    assert result.rate.shape == image.shape
    assert (image - result.rate).mean() == pytest.approx(0.1 * white, rel=0.02)
    assert result.fit_map.shape == image.shape[:2]
    assert result.report["residual_share"] == 0
    # Of what the model is off by the image tells some; not so where the user says that the noise is another.
    assert 0 < (image - denoise(Micrograph(image, rgb=True), **settings).rate).mean() < 0.09 * white
    assert denoise(Micrograph(image, rgb=True), strength=0.1, **settings).report["residual_share"] == 0


def test_an_array_whose_last_axis_is_colours_is_a_photograph(colour, rng):
    image = rng.uniform(0.4, 0.6, (40, 56, 3)).astype(np.float32)
    settings = {"model": colour, "noise": Gaussian(sigma=0.1)}
    assert np.array_equal(denoise(image, **settings).rate, denoise(Micrograph(image, rgb=True), **settings).rate)


def test_the_strength_can_be_set(colour, rng):
    image = rng.uniform(0.4, 0.6, (32, 32, 3)).astype(np.float32)
    photograph = Micrograph(image, rgb=True)
    result = denoise(photograph, model=colour, noise=Gaussian(sigma=0.1), strength=0.25)
    assert (image - result.rate).mean() == pytest.approx(0.25, rel=1e-3)
    assert np.allclose(denoise(photograph, model=colour, noise=Gaussian(sigma=0.1), strength=0).rate, image, atol=1e-3)


@pytest.mark.parametrize("intensity", [0.0, 0.3, 1.0])
def test_the_intensity_blends_input_and_result(grey, rng, intensity):
    counts = rng.poisson(2.0, (64, 64)).astype(np.float32)
    settings = {"model": grey, "pixel_size_nm": PIXEL_NM, "noise": Poisson()}
    full = denoise(counts, **settings)
    result = denoise(counts, intensity=intensity, **settings)
    assert np.allclose(result.rate, counts + intensity * (full.rate - counts), atol=1e-5)
    assert np.allclose(result.rate + result.residual, counts, atol=1e-5)
    assert result.report["intensity"] == intensity
    assert np.array_equal(result.fit_map, full.fit_map)


def test_only_a_full_result_is_blended(grey, rng):
    result = denoise(rng.poisson(2.0, (64, 64)), model=grey, pixel_size_nm=PIXEL_NM, intensity=0.5)
    with pytest.raises(GanDenoiseError, match="full result"):
        result.at_intensity(0.2)
    with pytest.raises(GanDenoiseError, match="between 0 and 1"):
        denoise(rng.poisson(2.0, (64, 64)), model=grey, pixel_size_nm=PIXEL_NM).at_intensity(1.5)


def test_a_movie_is_denoised_frame_by_frame(grey, rng):
    movie = rng.poisson(2.0, (3, 64, 64)).astype(np.uint16)
    settings = {"model": grey, "pixel_size_nm": PIXEL_NM, "noise": Poisson(), "neighbours": 0}
    assert "frame 2/3: denoise" in {event.stage for event in denoise_steps(movie, **settings)}
    result = denoise(movie, **settings)
    for frame, rate in zip(movie, result.rate, strict=True):
        assert np.array_equal(denoise(frame, **settings).rate, rate)


def test_an_uncertainty_comes_from_repeated_runs(grey, rng):
    counts = rng.poisson(2.0, (64, 64)).astype(np.float32)
    result = denoise(counts, model=grey, pixel_size_nm=PIXEL_NM, noise=Poisson(), replicates=4, residual_step=False)
    # The model takes away almost a constant: what is left is the noise of 16 summed pixels.
    assert np.median(result.uncertainty) == pytest.approx(np.sqrt(counts.mean() / 16), rel=0.35)


def test_the_plan_counts_blocks_and_no_steps(grey, colour):
    planned = plan(np.ones((2400, 1200), np.uint16), model=grey, pixel_size_nm=PIXEL_NM, noise=Poisson())
    assert planned.work.grid.sides == (600, 300)
    assert (planned.work.pieces, planned.work.steps) == (2, 0)
    assert "600×300" in planned.details()
    once, twice = (plan(Micrograph(np.ones((600, side, 3), np.uint8), rgb=True), model=colour) for side in (600, 6000))
    assert once.memory_bytes < twice.memory_bytes


def test_what_a_model_does_not_take_is_said(grey):
    image = np.ones((64, 64), np.uint16)
    warnings = plan(image, model=grey, pixel_size_nm=PIXEL_NM, grain=1.0, strength=3.0).warnings
    assert any("does not take the noise's grain" in w for w in warnings)
    assert any("strength 0 to 1" in w for w in warnings)


def test_what_a_latent_gan_does_not_take_is_said():
    image = np.random.default_rng(0).poisson(np.ones((400, 400)))
    settings = {"model": "hrtem", "pixel_size_nm": PIXEL_NM}
    warnings = plan(image, views=4, grain=1.0, **settings).warnings
    assert [w.split()[2] for w in warnings] == ["views", "grain"]
    assert plan(image, **settings).warnings == ()


@pytest.mark.parametrize(
    ("image", "settings", "match"),
    [
        (
            Micrograph(np.ones((64, 64, 3), np.uint8), rgb=True),
            {},
            "has colour channels but the model direct is for grey",
        ),
        (np.full((64, 64), np.nan, np.float32), {}, "no pixel with a value"),
        (np.eye(64) - 1, {}, "negative counts"),
        (np.ones((4, 4), np.uint16), {}, "too small"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(grey, image, settings, match):
    with pytest.raises(GanDenoiseError, match=match) as caught:
        denoise(image, **{"model": grey, "pixel_size_nm": PIXEL_NM, "noise": Poisson(), **settings})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fields", [{"intensity": 1.2}, {"intensity": -0.1}, {"strength": -1}, {"grain": 9}, {"views": 0}, {"views": 17}]
)
def test_settings_out_of_range_are_refused(grey, fields):
    with pytest.raises(GanDenoiseError):
        denoise(np.ones((64, 64), np.uint16), model=grey, pixel_size_nm=PIXEL_NM, **fields)


def test_each_view_tells_its_own_strength_and_the_mean_is_returned(grey, rng):
    counts = rng.poisson(2.0, (80, 80)).astype(np.float32)
    settings = {"model": grey, "pixel_size_nm": PIXEL_NM, "noise": Poisson(), "residual_step": False}
    taken = {views: float(counts.mean() - denoise(counts, views=views, **settings).rate.mean()) for views in (2, 4)}
    # Two views on sums of 4x4 pixels; then two more on sums of 5x5, where the noise is weaker.
    fine, coarse = (np.sqrt(counts.mean()) / side for side in (4, 5))
    # The frame's rim counts for less where it shares a sum with what is outside.
    assert taken[2] == pytest.approx(fine, rel=0.02)
    assert taken[4] == pytest.approx((fine + coarse) / 2, rel=0.02)


def test_progress_counts_the_blocks_of_all_views(grey, rng):
    counts = rng.poisson(2.0, (1700, 64)).astype(np.float32)  # two blocks on the fine grid
    settings = {"model": grey, "pixel_size_nm": PIXEL_NM, "noise": Poisson(), "residual_step": False}
    events = [e for e in denoise_steps(counts, views=3, **settings) if e.stage == "denoise" and e.done]
    shares = [event.done / event.total for event in events]
    # Two blocks one after the other; both at once, beside each other in the turned frame; one on the coarser grid.
    assert shares == pytest.approx([1 / 6, 2 / 6, 4 / 6, 1])


def test_the_preset_decides_on_the_views_of_a_micrograph(grey, colour):
    image = np.ones((64, 64), np.uint16)
    planned = {p: plan(image, model=grey, pixel_size_nm=PIXEL_NM, preset=p) for p in ("fast", "balanced", "thorough")}
    assert [len(p.work.views) for p in planned.values()] == [1, 4, 16]
    assert "4 views" in planned["balanced"].details()
    assert "views" not in planned["fast"].details()
    assert planned["fast"].seconds < planned["balanced"].seconds < planned["thorough"].seconds
    photograph = Micrograph(np.ones((64, 64, 3), np.uint8), rgb=True)
    assert len(plan(photograph, model=colour).work.views) == 1
    assert len(plan(photograph, model=colour, views=16).work.views) == 4  # mirrored only


@pytest.mark.parametrize("views", [1, 4])
def test_a_photograph_in_several_views_stays_as_it_lies(colour, rng, views):
    image = rng.uniform(0.4, 0.6, (40, 56, 3)).astype(np.float32)
    result = denoise(
        Micrograph(image, rgb=True), model=colour, noise=Gaussian(sigma=0.1), views=views, residual_step=False
    )
    # The model takes the same away from all pixels.
    assert np.allclose(image - result.rate, 0.1, atol=2e-3)


@pytest.mark.slow
def test_more_views_are_closer_to_the_truth():
    counts, truth = (np.asarray(m.pixels)[300:900, 300:900] for m in (sample_micrograph(), sample_truth()))
    settings = {"model": "hrtem-unet", "pixel_size_nm": PIXEL_NM, "noise": Poisson(), "residual_step": False}
    scores = {views: psnr(truth, denoise(counts, views=views, **settings).rate) for views in (1, 8)}
    assert scores[8] > scores[1] + 0.1


def test_missing_pixels_say_nothing(grey, rng):
    counts = rng.poisson(4.0, (64, 64)).astype(np.float32)
    dead = np.zeros(counts.shape, bool)
    dead[20:24, 20:24] = True
    settings = {"model": grey, "pixel_size_nm": PIXEL_NM, "noise": Poisson(), "residual_step": False}
    spoilt = np.where(dead, 10_000, counts).astype(np.float32)
    assert np.array_equal(
        denoise(spoilt, missing=dead, **settings).rate, denoise(counts, missing=dead, **settings).rate
    )


def test_blocks_that_do_not_fit_into_memory_are_cleaned_in_parts(colour, rng, monkeypatch):
    monkeypatch.setattr("napari_gandenoise.denoising.direct.PIXELS_AT_ONCE", 2**21)
    photograph = Micrograph(rng.uniform(0.4, 0.6, (64, 900, 3)).astype(np.float32), rgb=True)
    settings = {"model": colour, "noise": Gaussian(sigma=0.1), "views": 1}
    wanted = denoise(photograph, **settings).rate
    passes = []

    def crowded(module, inputs):
        if isinstance(module, UNet):
            passes.append(len(inputs[0]))
            if len(inputs[0]) > 1:
                raise torch.OutOfMemoryError("no room for so many")

    with register_module_forward_pre_hook(crowded):
        found = denoise(photograph, **settings).rate

    assert max(passes) > 1
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_a_stack_that_asks_for_more_memory_than_there_is_is_said_to_be_one_for_a_batch(grey, monkeypatch):
    stack = np.ones((4, 100, 100), np.uint16)
    fields = {"model": grey, "pixel_size_nm": PIXEL_NM, "noise": Poisson(), "max_memory_gb": 1.0}
    assert not plan(stack, **fields).too_large
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10**8))
    planned = plan(stack, **fields)
    assert planned.too_large
    assert "a batch denoises the file frame by frame" in planned.warnings[-1]
