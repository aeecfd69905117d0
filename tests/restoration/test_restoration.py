"""Restoration: the five tasks on photographs, holes and noise in micrographs, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch

from napari_gandenoise import GanDenoiseError, Micrograph, Poisson, RestoreConfig, restore, restore_steps
from napari_gandenoise.denoising import denoise
from napari_gandenoise.models import load_model
from napari_gandenoise.operators import Decimate, Quantise
from napari_gandenoise.progress import drain
from napari_gandenoise.restoration.given import as_image
from napari_gandenoise.restoration.photographs import restore_photograph_steps
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth

SIDE = 32


@pytest.fixture
def model(tmp_path, write_photograph_model):
    return str(write_photograph_model(tmp_path))


@pytest.fixture
def truth(model):
    """An image ``(32, 32, 3)`` from 0 to 1 that the model can draw."""
    loaded = load_model(model)
    latents = loaded.draw_latents((1,), torch.Generator().manual_seed(11))
    return ((1 + loaded.render(latents)) / 2)[0].permute(1, 2, 0).numpy()


@pytest.fixture
def hole():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[8:24, 8:24] = True
    return mask


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))


# --- photographs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blending", [True, False])
def test_a_hole_is_filled_and_the_rest_keeps_its_bits(model, truth, hole, blending):
    damaged = np.where(hole[..., None], np.nan, truth).astype(np.float32)
    result = restore(damaged, task="inpaint", mask=hole, model=model, poisson_blending=blending)
    assert result.axes == "YXS"
    np.testing.assert_array_equal(result.image[~hole], truth[~hole])
    assert error(result.image[hole], truth[hole]) < 0.05 < truth[hole].std()
    assert "256 pixels drawn (25 %)" in result.summary()


def test_blending_meets_the_rim_of_the_hole(model, truth, hole):
    brighter = np.clip(truth + 0.15, 0, 1).astype(np.float32)  # further from what the model draws
    steps = []
    for blending in (True, False):
        image = restore(brighter, task="inpaint", mask=hole, model=model, poisson_blending=blending, prior=5.0).image
        steps.append(np.abs(image[8, 8:24] - image[7, 8:24]).mean())
    assert steps[0] < 0.7 * steps[1]


def test_colours_are_added_and_the_value_stays(model, truth):
    grey = truth.max(axis=2)
    result = restore(grey, task="colorize", model=model)
    assert result.image.shape == truth.shape
    np.testing.assert_allclose(result.image.max(axis=2), grey, atol=1e-5)
    assert error(result.image, truth) < 0.5 * error(np.repeat(grey[..., None], 3, 2), truth)


def test_colours_of_a_colour_image_are_put_aside_with_a_word(model, truth):
    settings = {"task": "colorize", "model": model, "steps": 5, "seed": 3}
    result = restore(truth, **settings)
    np.testing.assert_array_equal(result.image, restore(truth.max(axis=2), **settings).image)
    assert "value channel" in result.report["warnings"][0]


@pytest.mark.parametrize("factor", [2, 4])
def test_pixels_are_added_whose_averages_are_the_input(model, truth, factor):
    small = Decimate(factor)(tensor(truth))[0].permute(1, 2, 0).numpy()
    result = restore(small, task="super-resolve", factor=factor, model=model)
    assert result.image.shape == truth.shape
    np.testing.assert_allclose(Decimate(factor)(tensor(result.image))[0].permute(1, 2, 0), small, atol=1e-5)
    cubic = Decimate(factor).guess(tensor(small))[0].permute(1, 2, 0).numpy()
    assert error(result.image, truth) < error(cubic, truth)


def test_noise_is_taken_away(model, truth, rng):
    noisy = truth + rng.normal(0, 0.1, truth.shape)
    assert error(restore(noisy, task="denoise", model=model).image, truth) < 0.03


def test_levels_are_drawn_within_their_intervals(model, truth):
    coarse = Quantise(5)(tensor(truth))[0].permute(1, 2, 0).numpy()
    result = restore((255 * coarse).round().astype(np.uint8), task="dequantize", levels=5, model=model)
    assert np.abs(result.image / 255 - coarse).max() <= 0.5 / 4 + 1e-3
    assert error(result.image / 255, truth) < 0.3 * error(coarse, truth)
    assert result.report["warnings"] == []


def test_values_between_the_levels_are_pointed_out(model, truth):
    (warning,) = restore(truth, task="dequantize", levels=3, model=model, steps=2).report["warnings"]
    assert "lie between the 3 levels" in warning


def test_a_grey_model_restores_grey_images(tmp_path, rng, hole, write_photograph_model):
    path = str(write_photograph_model(tmp_path, channels=1, encoder=True))
    image = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    settings = {"model": path, "steps": 4}
    assert restore(image, task="super-resolve", **settings).image.shape == (64, 64)
    assert restore(image, task="denoise", **settings).axes == "YX"
    filled = restore(image, task="inpaint", mask=hole, **settings).image
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    with pytest.raises(GanDenoiseError, match="draws grey images: to colorize, choose a model of colours"):
        restore(image, task="colorize", **settings)
    with pytest.raises(GanDenoiseError, match="colour channels but the model photos is for grey images"):
        restore(Micrograph(np.dstack([image] * 3), rgb=True), task="denoise", **settings)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (5, 7), (33, 31), (70, 45)])
@pytest.mark.parametrize("task", ["colorize", "super-resolve", "denoise", "dequantize"])
def test_any_size_will_do(model, rng, shape, task):
    image = rng.uniform(0, 1, shape if task == "colorize" else (*shape, 3)).astype(np.float32)
    result = restore(image, task=task, factor=4, levels=256, model=model, steps=2, restarts=2)
    factor = 4 if task == "super-resolve" else 1
    assert result.image.shape == result.drawn.shape == (factor * shape[0], factor * shape[1], 3)
    assert np.isfinite(result.image).all()


@pytest.mark.parametrize("shape", [(1, 2), (5, 7), (33, 31), (70, 95)])
def test_any_hole_will_do(model, rng, shape):
    image, mask = rng.uniform(0, 1, (*shape, 3)).astype(np.float32), rng.random(shape) < 0.5
    mask[0, :2] = True, False
    result = restore(image, task="inpaint", mask=mask, model=model, steps=2)
    np.testing.assert_array_equal(result.image[~mask], image[~mask])
    assert 0 <= result.image[mask].min() <= result.image[mask].max() <= 1


def test_only_tiles_around_the_hole_are_drawn(model, rng):
    image, mask = rng.uniform(0, 1, (200, 200, 3)).astype(np.float32), np.zeros((200, 200), bool)
    mask[100:104, 100:104] = True
    result = restore(image, task="inpaint", mask=mask, model=model, steps=2)
    assert 1 <= result.report["tiles"] <= 9
    far = np.ones((200, 200), bool)
    far[64:144, 64:144] = False
    np.testing.assert_array_equal(result.drawn[far], image[far])


def test_the_same_seed_gives_the_same_image(model, rng):
    image = rng.uniform(0, 1, (40, 40, 3)).astype(np.float32)
    settings = {"task": "denoise", "model": model, "steps": 5}
    first, again, other = (restore(image, seed=seed, **settings).image for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_white_decides_what_the_values_mean(model, truth):
    noisy = (4095 * truth).astype(np.uint16)
    result = restore(noisy, task="denoise", model=model, white=4095, prior=0.01)
    assert error(result.image / 4095, truth) < 0.02


def test_what_else_an_image_shall_be_good_for_can_be_asked(model, truth):
    """The seam that recovery stands on: here images shall be dark."""
    loaded, config = load_model(model), RestoreConfig(task="denoise", model=model, steps=40)
    image = as_image(truth, config, loaded)
    plain, dark = (
        drain(restore_photograph_steps(image, None, config, loaded, extra))
        for extra in (None, lambda images: 1e4 * images.mean((1, 2, 3)))
    )
    np.testing.assert_array_equal(plain.image, restore(truth, config).image)
    assert dark.drawn.mean() < plain.drawn.mean() - 0.05


def test_the_report_says_how_it_was_made(model, truth):
    result = restore(Micrograph(truth, rgb=True, name="cat"), task="denoise", model=model, steps=2)
    report = result.report
    assert RestoreConfig(**report["config"]).task == "denoise"
    assert report["model_sha256"] == load_model(model).sha256
    assert report["steps"] > 0
    assert report["seconds"] > 0
    assert {"torch", "numpy"} <= report["versions"].keys()


def test_layers_of_smaller_pixels_lie_on_the_input(model, rng):
    image = Micrograph(rng.uniform(0, 1, (8, 8, 3)), rgb=True, name="cat")
    result = restore(image, task="super-resolve", factor=2, model=model, steps=2)
    (data, options, kind), (_, more, _) = result.to_layers(drawn=True)
    assert kind == "image"
    assert options["rgb"]
    assert 0 <= data.min() <= data.max() <= 1
    assert options["name"] == "cat · super-resolved (photos)"
    assert more["name"] == "cat · drawn"
    # Pixel k covers k - 1/2 to k + 1/2 of the layer: both layers begin at -1/2 and end at 7 1/2.
    scale, first = options["scale"][0], options["translate"][0]
    assert first - scale / 2 == -0.5
    assert first + scale * 15 + scale / 2 == 7.5


def test_closing_the_job_ends_it(model, rng):
    steps = restore_steps(rng.uniform(0, 1, (64, 64, 3)), task="denoise", model=model, steps=10_000, restarts=1)
    while next(steps).stage != "refine":
        pass
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)


@pytest.mark.usefixtures("hurried_clock")
def test_previews_are_like_the_result(model, rng, hole):
    image, mask = rng.uniform(0, 255, (48, 48, 3)).astype(np.uint8), np.pad(hole, (0, 16))
    for task, side in (("inpaint", 48), ("super-resolve", 96)):
        given = {"mask": mask} if task == "inpaint" else {}
        previews = [e.preview for e in restore_steps(image, task=task, model=model, steps=6, **given)]
        shown = [preview for preview in previews if preview is not None]
        assert len(shown) > 1
        assert {preview.shape for preview in shown} == {(side, side, 3)}
        assert all(preview.dtype == np.float32 and preview.max() > 2 for preview in shown)


# --- micrographs ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def particle():
    """320 x 320 pixels of the sample's particle and their truth."""
    place = slice(440, 760), slice(440, 760)
    sample = sample_micrograph()
    return Micrograph(
        sample.pixels[place], pixel_size_nm=sample.pixel_size_nm, noise=Poisson(), name="pt"
    ), sample_truth().pixels[place]


@pytest.mark.slow
def test_a_hole_in_a_micrograph_is_drawn_from_the_counts_around_it(particle):
    noisy, truth = particle
    mask = np.zeros(truth.shape, np.uint8)
    mask[140:190, 150:200] = 3
    counts = noisy.pixels.astype(np.float32)
    counts[mask > 0] = np.nan
    result = restore(Micrograph(counts, pixel_size_nm=noisy.pixel_size_nm, name="pt"), task="inpaint", mask=mask)
    known = mask == 0
    np.testing.assert_array_equal(result.image[known], noisy.pixels[known])
    assert result.pixel_size_nm == noisy.pixel_size_nm
    assert np.isfinite(result.drawn).all()
    flat = np.full((~known).sum(), truth[known].mean())
    assert error(result.image[~known], truth[~known]) < 0.9 * error(flat, truth[~known])
    assert result.report["noise"]["kind"] == "poisson"


@pytest.mark.slow
def test_a_hole_wider_than_any_tile_is_filled_smoothly(particle):
    noisy, _ = particle
    mask = np.zeros(noisy.pixels.shape, bool)
    mask[60:260, 60:260] = True
    rate = denoise(noisy, missing=mask, pixel_size_nm=0.0244, model="hrtem", preset="fast", residual_step=False).rate
    assert rate[140:180, 140:180].mean() == pytest.approx(noisy.pixels[~mask].mean(), rel=0.2)
    assert rate[140:180, 140:180].std() < 0.02


@pytest.mark.slow
def test_what_was_not_counted_does_not_matter(particle):
    noisy, _ = particle
    mask = np.zeros(noisy.pixels.shape, bool)
    mask[100:160, 100:160] = True
    bright = noisy.pixels.copy()
    bright[mask] = 50
    settings = {
        "model": "hrtem",
        "missing": mask,
        "preset": "fast",
        "pixel_size_nm": noisy.pixel_size_nm,
        "noise": Poisson(),
    }
    np.testing.assert_array_equal(denoise(noisy.pixels, **settings).rate, denoise(bright, **settings).rate)


def test_denoising_a_micrograph_is_denoise(particle):
    noisy, _ = particle
    small = Micrograph(noisy.pixels[:120, :120], pixel_size_nm=noisy.pixel_size_nm, name="pt")
    result = restore(small, task="denoise")
    np.testing.assert_array_equal(result.image, denoise(small, model="hrtem").rate)
    assert result.summary().startswith("denoised: ")
    data, options, _ = result.to_layer_data()
    assert data.shape == (120, 120)
    assert options["scale"] == (noisy.pixel_size_nm,) * 2


@pytest.mark.parametrize("task", ["colorize", "super-resolve", "dequantize"])
def test_a_model_of_micrographs_refuses_what_it_cannot(particle, task):
    with pytest.raises(GanDenoiseError, match=f"is for micrographs.*to {task}, choose a model of photographs"):
        restore(particle[0], task=task)


def test_a_guessed_pixel_size_is_said(particle):
    noisy, _ = particle
    result = restore(noisy.pixels, task="denoise")
    assert result.pixel_size_nm is None
    assert result.report["assumed_pixel_size_nm"] > 0
    assert any("is a guess" in sentence for sentence in result.report["warnings"])


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (np.zeros((SIDE, SIDE)), "The mask is empty"),
        (np.ones((SIDE, SIDE)), "The mask covers everything"),
        (np.ones((SIDE, 30)), "The mask has 32×30 pixels and the image 32×32"),
        (np.ones((2, SIDE, SIDE)), "The mask has 2×32×32 pixels"),
        (None, "a mask must say what is missing"),
    ],
)
def test_masks_that_do_not_fit(model, truth, mask, sentence):
    with pytest.raises(GanDenoiseError, match=sentence) as caught:
        restore(truth, task="inpaint", mask=mask, model=model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"task": "sharpen"}, "task: input should be"),
        ({}, "task: field required"),
        ({"task": "super-resolve", "factor": 3}, "factor: input should be 2 or 4"),
        ({"task": "dequantize", "levels": 1}, "levels: input should be greater than or equal to 2"),
        ({"task": "denoise", "norm": 3}, "norm: input should be less than or equal to 2"),
        ({"task": "denoise", "factors": 2}, "factors: extra inputs"),
        ({"task": "denoise", "realism": 0.003}, "realism: extra inputs"),
    ],
)
def test_settings_that_are_none(model, truth, fields, sentence):
    with pytest.raises(GanDenoiseError, match=sentence):
        restore(truth, model=model, **fields)


def test_images_that_cannot_be_restored(model, truth, hole):
    with pytest.raises(GanDenoiseError, match="A mask says where to inpaint, but the task is denoise"):
        restore(truth, task="denoise", mask=hole, model=model)
    broken = truth.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(GanDenoiseError, match="1 NaN or infinite pixels"):
        restore(broken, task="denoise", model=model)
    with pytest.raises(GanDenoiseError, match="1 NaN or infinite pixels"):
        restore(broken, task="inpaint", mask=hole, model=model)
    with pytest.raises(GanDenoiseError, match="no colour channels but the model photos is for colour"):
        restore(truth[..., 0], task="denoise", model=model)
    with pytest.raises(GanDenoiseError, match="This is a movie"):
        restore(np.zeros((5, SIDE, SIDE)), task="denoise", model=model)


def test_masks_come_from_layers_and_files(tmp_path, model, truth, hole):
    settings = {"task": "inpaint", "model": model, "steps": 3}
    wanted = restore(truth, mask=hole, **settings).image
    tifffile.imwrite(tmp_path / "mask.tif", 7 * hole.astype(np.uint8))
    layer = SimpleNamespace(data=2 * hole.astype(int), scale=(1, 1))  # what is read of a napari layer
    for mask in (str(tmp_path / "mask.tif"), layer, np.dstack([255 * hole.astype(np.uint8)] * 3)):
        np.testing.assert_array_equal(restore(truth, mask=mask, **settings).image, wanted)


def test_pixels_of_a_micrograph_without_a_value_are_drawn_as_if_they_were_masked(particle):
    noisy, _ = particle
    image, mask = np.asarray(noisy.pixels, np.float32).copy(), np.zeros(noisy.pixels.shape, bool)
    mask[20:30, 20:30] = True
    image[40:44, 50] = np.nan
    result = restore(image, task="inpaint", mask=mask, pixel_size_nm=noisy.pixel_size_nm)
    assert np.isfinite(result.image).all()
    kept = ~mask & np.isfinite(image)
    np.testing.assert_array_equal(result.image[kept], image[kept])
    assert "104 pixels drawn" in result.report["outcome"]


def test_a_micrograph_without_noise_is_left_as_it_is():
    ramp = np.tile(np.arange(64.0), (64, 1))
    result = restore(ramp, task="denoise", model="hrtem", pixel_size_nm=0.0244)
    np.testing.assert_array_equal(result.image, ramp)
    assert result.latents.shape == (0, 0)
