"""The main road with the real engine: a crop of the sample micrograph in, a rate with its report out."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from napari_gandenoise import Gaussian, Micrograph, Poisson, PoissonGaussian, Progress, write_tiff
from napari_gandenoise.denoising import DenoiseResult, denoise, denoise_steps, plan
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.simulate.samples import sample_micrograph, sample_movie, sample_truth

PIXEL_NM = 0.0061
CROP = (slice(480, 736), slice(440, 696))  # half particle, half support


@pytest.fixture(scope="module")
def truth():
    return sample_truth().pixels[CROP]


@pytest.fixture(scope="module")
def noisy():
    return replace(sample_micrograph(), pixels=sample_micrograph().pixels[CROP])


@pytest.fixture(scope="module")
def result(noisy):
    return denoise(noisy, model="hrtem", preset="fast")


def psnr(truth, estimate):
    return peak_signal_noise_ratio(truth, estimate.astype(truth.dtype), data_range=1)


def finish(steps):
    """Run to the end; return the events and the result."""
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            return events, stop.value


def test_the_rate_is_nearer_to_the_truth_than_the_counts_and_than_a_flat_image(noisy, truth, result):
    ours = psnr(truth, result.rate)
    assert ours > psnr(truth, noisy.pixels) + 15
    assert ours > psnr(truth, np.full_like(truth, noisy.pixels.mean())) + 1.5
    assert result.rate.mean() == pytest.approx(noisy.pixels.mean(), rel=0.01)


def test_the_result_has_the_input_s_shape_and_adds_up(noisy, result):
    assert isinstance(result, DenoiseResult)
    for image in (result.rate, result.fit_map, result.residual):
        assert image.shape == noisy.pixels.shape
        assert image.dtype == np.float32
    assert result.rate.min() >= 0
    np.testing.assert_allclose(result.residual, noisy.pixels - result.rate, atol=1e-6)
    tiles = result.report["tiles"]
    assert result.tile_log_likelihood.shape == (1, tiles)
    assert [latents.shape for latents in result.latents] == [(tiles, 150)]
    # There is a lattice everywhere in this crop: no tile is better explained as flat.
    assert np.median(result.tile_log_likelihood) > 0
    assert 0.5 < np.mean(result.fit_map**2) < 2
    assert result.report["deviance"] == pytest.approx(1, abs=0.1)


def test_the_report_is_json_and_holds_what_reproduces_the_run(result):
    report = json.loads(json.dumps(result.report))
    assert report == result.report
    assert report["model"] == "hrtem"
    assert len(report["model_sha256"]) == 64
    assert report["summed"] == 4
    assert report["steps"] > 0
    assert report["seconds"] > 0
    assert report["dose"] == pytest.approx(float(result.rate.mean()), rel=0.01)
    assert DenoiseConfig.model_validate(report["config"]).preset == "fast"
    assert {"napari-gandenoise", "torch", "numpy"} <= report["versions"].keys()
    assert "deviance" in result.summary()
    assert "\n" not in result.summary()


def test_layers_carry_scale_units_and_provenance(result):
    layers = result.to_layers(fit_map=True, residual=True)
    assert layers[0][1]["name"] == result.to_layer_data()[1]["name"] == "denoised · hrtem"
    assert [
        data is own for (data, _, _), own in zip(layers, (result.rate, result.fit_map, result.residual), strict=True)
    ]
    for data, options, kind in layers:
        assert kind == "image"
        assert options["scale"] == pytest.approx((PIXEL_NM, PIXEL_NM))
        assert options["units"] == ("nm", "nm")
        assert options["metadata"]["napari-gandenoise"] == result.report
        assert options["contrast_limits"][0] < options["contrast_limits"][1]
        assert data.shape == result.rate.shape
    assert len({options["name"] for _, options, _ in layers}) == 3


def test_same_seed_same_result(noisy, result):
    again = denoise(noisy, model="hrtem", preset="fast")
    # Not bit by bit: the matrix library sums in another order when memory happens to be aligned differently.
    np.testing.assert_allclose(result.rate, again.rate, rtol=0, atol=1e-3 * result.rate.mean())
    np.testing.assert_allclose(result.latents[0], again.latents[0], rtol=0, atol=1e-2)


def test_events_tell_stages_in_order_and_previews_have_the_input_s_shape(noisy):
    events, result = finish(denoise_steps(noisy, model="hrtem", preset="fast"))
    stages = list(dict.fromkeys(event.stage for event in events))
    assert stages[:2] == ["calibrate", "search"]
    assert stages[-2:] == ["blend", "residual"] or stages[-1] == "blend"
    assert "refine" in stages
    assert all(isinstance(event, Progress) and 0 <= event.done <= event.total for event in events)
    previews = [event.preview for event in events if event.preview is not None]
    assert len(previews) >= 2
    assert all(p.shape == noisy.pixels.shape and p.dtype == np.float32 for p in previews)
    np.testing.assert_array_equal(previews[-1], result.rate)


def test_closing_the_steps_stops_the_work(noisy, result, when_drawing):
    taken = []
    when_drawing(lambda latents: taken.extend([len(latents)] * torch.is_grad_enabled()))
    steps = denoise_steps(noisy, model="hrtem", preset="fast")
    for event in steps:
        if event.stage == "refine":
            break
    # The first gradient step of all tiles.
    assert taken == [result.report["tiles"]]
    steps.close()
    assert taken == [result.report["tiles"]]
    with pytest.raises(StopIteration):
        next(steps)


def test_without_the_residual_step_nothing_is_added(noisy):
    events, result = finish(denoise_steps(noisy, model="hrtem", preset="fast", residual_step=False))
    assert "residual" not in {event.stage for event in events}
    assert result.report["residual_share"] == pytest.approx(0, abs=1e-6)
    assert "no residual step" in result.summary()


def test_with_many_electrons_the_result_tends_to_the_data(truth, rng):
    # Four thousand times the dose: what the generator cannot draw must come back with the residual.
    bright = 4000 * truth
    counts = rng.poisson(bright).astype(np.float32)
    clean = denoise(counts, pixel_size_nm=PIXEL_NM, noise=Poisson(), model="hrtem", preset="fast")
    drawn = denoise(counts, pixel_size_nm=PIXEL_NM, noise=Poisson(), model="hrtem", preset="fast", residual_step=False)
    inner = (slice(16, -16), slice(16, -16))
    assert psnr(truth[inner], clean.rate[inner] / 4000) > 36
    assert psnr(truth[inner], clean.rate[inner] / 4000) > psnr(truth[inner], drawn.rate[inner] / 4000)


def test_each_frame_of_a_movie_is_denoised():
    noisy, truth = sample_movie()
    crop = (slice(3), slice(300, 460), slice(200, 360))
    movie = replace(noisy, pixels=da.from_array(noisy.pixels[crop], chunks=(1, -1, -1)))
    events, result = finish(denoise_steps(movie, model="hrtem", preset="fast"))
    assert result.rate.shape == result.fit_map.shape == (3, 160, 160)
    assert result.tile_log_likelihood.shape == (3, result.report["tiles"])
    assert {event.preview.shape for event in events if event.preview is not None} == {(160, 160)}
    assert any(event.stage == "frame 2/3: refine" for event in events)
    clean = truth.pixels[crop]
    for ours, frame, own in zip(result.rate, noisy.pixels[crop], clean, strict=True):
        assert psnr(own, ours) > psnr(own, np.full_like(own, frame.mean()))
    data, options, _ = result.to_layer_data()
    assert data.shape == (3, 160, 160)
    assert options["scale"] == pytest.approx((1, 0.00915, 0.00915))
    assert options["units"] == ("pixel", "nm", "nm")


def test_a_movie_starts_each_frame_from_the_one_before(noisy):
    # The second frame is the first again: its fewer steps go on from what was found there.
    still = np.stack([noisy.pixels[:160, :160]] * 2)
    first, second = denoise(
        still, pixel_size_nm=PIXEL_NM, noise=Poisson(), model="hrtem", preset="fast"
    ).tile_log_likelihood
    assert (second > first - 0.1).mean() > 0.9
    assert second.sum() > first.sum() + 1


def test_later_frames_of_a_movie_cost_less_than_the_first(noisy):
    movie = np.stack([noisy.pixels[shift : 96 + shift, :96] for shift in range(3)])
    fields = {"model": "hrtem", "pixel_size_nm": PIXEL_NM, "noise": Poisson(), "preset": "balanced"}
    together, alone = denoise(movie, **fields), denoise(movie[0], **fields)
    # A later frame takes LEAST_STEPS, half of those of a first frame of this preset.
    assert together.report["steps"] <= 2 * alone.report["steps"]
    assert together.report["steps"] <= plan(movie, **fields).work.steps < 3 * plan(movie[0], **fields).work.steps
    np.testing.assert_allclose(together.rate[0], alone.rate, atol=1e-3 * alone.rate.mean())


def test_a_camera_s_units_come_back(noisy, result):
    camera = Poisson(gain=37.0, offset=100.0)
    image = camera.from_electrons(noisy.pixels).astype(np.float32)
    in_units = denoise(image, pixel_size_nm=PIXEL_NM, noise=camera, model="hrtem", preset="fast")
    np.testing.assert_allclose(camera.to_electrons(in_units.rate), result.rate, atol=2e-3)
    assert in_units.report["dose"] == pytest.approx(result.report["dose"], rel=1e-3)
    assert in_units.report["gain"] == 37


def test_read_noise_is_allowed_for(truth, rng):
    camera = PoissonGaussian(gain=20.0, offset=-5.0, read_noise=8.0)
    image = camera.sample(truth, rng).astype(np.float32)
    ours = camera.to_electrons(denoise(image, pixel_size_nm=PIXEL_NM, noise=camera, model="hrtem", preset="fast").rate)
    assert psnr(truth, ours) > psnr(truth, np.full_like(truth, truth.mean())) + 1


def test_gaussian_noise_is_allowed_for(truth, rng):
    image = Gaussian(sigma=0.5).sample(truth, rng).astype(np.float32)
    ours = denoise(image, pixel_size_nm=PIXEL_NM, noise=Gaussian(sigma=0.5), model="hrtem", preset="fast")
    assert psnr(truth, ours.rate) > psnr(truth, np.full_like(truth, truth.mean())) + 1
    assert 0.9 < ours.report["deviance"] < 1.1


@pytest.mark.parametrize("make", ["array", "list", "big-endian", "dask", "file", "layer"])
def test_the_same_pixels_by_every_way_in(noisy, result, tmp_path, make):
    pixels = noisy.pixels
    if make == "file":
        image = tmp_path / "image.tif"
        write_tiff(image, pixels, pixel_size_nm=PIXEL_NM, axes="YX", provenance={})
    elif make == "layer":
        image = type(
            "Layer", (), {"data": pixels, "scale": (PIXEL_NM,) * 2, "units": ("nm",) * 2, "rgb": False, "name": "x"}
        )()
    else:
        changes = {
            "array": np.array,
            "list": np.ndarray.tolist,
            "big-endian": lambda p: p.astype(">u2"),
            "dask": da.asarray,
        }
        image = changes[make](pixels)
    found = denoise(image, pixel_size_nm=PIXEL_NM, noise=Poisson(), model="hrtem", preset="fast")
    np.testing.assert_allclose(found.rate, result.rate, atol=1e-4)


@pytest.mark.parametrize("shape", [(33, 300), (201, 97)])
def test_odd_shapes_come_back_whole(rng, shape):
    counts = rng.poisson(0.5, shape)
    found = denoise(counts, pixel_size_nm=PIXEL_NM, noise=Poisson(), model="hrtem", preset="fast")
    assert found.rate.shape == shape
    assert np.isfinite(found.rate).all()
    assert found.rate.mean() == pytest.approx(counts.mean(), rel=0.05)


def test_an_image_without_any_electron_stays_empty():
    found = denoise(np.zeros((128, 128)), pixel_size_nm=PIXEL_NM, noise=Poisson(), model="hrtem", preset="fast")
    assert np.isfinite(found.rate).all()
    assert found.rate.max() < 1e-3


def test_the_plan_says_what_the_run_does(noisy, result):
    planned = plan(noisy, model="hrtem", preset="fast")
    work = planned.work
    assert (work.grid.summed, work.grid.sides, work.pieces) == (4, (64, 64), result.report["tiles"])
    assert work.steps == result.report["steps"]
    assert planned.seconds > 0
    assert 0 < planned.memory_bytes < 2e9
    assert planned.details() == f"4×4 summed, 64×64, {work.pieces} tiles"
    assert planned.sentence().endswith("GB · works at 24.4 pm")


def test_the_plan_warns_of_pixels_coarser_than_the_model_s():
    counts = np.random.default_rng(0).poisson(np.ones((200, 200)))
    for size, said in ((0.034, "34 pm"), (0.2, "200 pm")):
        warnings = plan(counts, pixel_size_nm=size).warnings
        assert len(warnings) == 1
        assert f"{said} are coarser than the model's" in warnings[0]
    assert denoise(counts, pixel_size_nm=0.2, preset="fast", model="hrtem-unet").rate.shape == counts.shape


def test_little_memory_makes_small_batches_and_the_same_result(noisy, result):
    little, much = (
        plan(noisy, model="hrtem", preset="fast", max_memory_gb=gigabytes).work.batch for gigabytes in (0.02, 2)
    )
    assert little < much
    frugal = denoise(noisy, model="hrtem", preset="fast", max_memory_gb=0.02)
    assert np.abs(result.rate - frugal.rate).mean() < 0.01


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("full"), MemoryError(), RuntimeError("not enough memory: 9 GB")]
)
def test_when_memory_runs_out_the_batch_is_halved(noisy, result, when_drawing, error):
    whole = result.report["tiles"]
    batches = []

    def short_of_memory(latents):
        if torch.is_grad_enabled():
            batches.append(len(latents))
            if len(latents) > whole // 2:
                raise error

    when_drawing(short_of_memory)
    found = denoise(noisy, model="hrtem", preset="fast")
    assert batches[:2] == [whole, whole // 2]
    assert max(batches[1:]) == whole // 2
    assert np.abs(result.rate - found.rate).mean() < 0.01


def test_an_error_that_is_not_about_memory_is_not_hidden(noisy, when_drawing):
    def broken(latents):
        if torch.is_grad_enabled():
            raise RuntimeError("shapes do not match")

    when_drawing(broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        denoise(noisy, model="hrtem", preset="fast")


BAD = {
    "NaN": (lambda c: np.full(c.shape, np.nan), {}, "no pixel with a value"),
    "all missing": (lambda c: np.ma.masked_all(c.shape), {}, "no pixel with a value"),
    "negative": (lambda c: c.astype(float) - 3, {"noise": Poisson()}, "negative counts"),
    "empty": (lambda c: c[:0], {}, "empty"),
    "no frames": (lambda _: np.empty((0, 64, 64)), {}, "empty"),
    "one pixel": (lambda c: c[:1, :1], {}, "too small"),
    "one row": (lambda c: c[:1], {}, "too small"),
    "a vector": (lambda c: c[0], {}, "must have the shape"),
    "complex": (lambda c: c.astype(complex), {}, "type complex128"),
    "text": (lambda _: np.array([["a", "b"]]), {}, "type <U1"),
    "colour": (lambda c: Micrograph(np.stack([c] * 3, -1), rgb=True), {}, "colour channels"),
    "wrong pixel size": (lambda c: c, {"pixel_size_nm": -1.0}, "pixel_size_nm"),
    "absurdly fine": (lambda c: c, {"pixel_size_nm": 1e-5}, "too small"),
    "unknown model": (lambda c: c, {"model": "hrtm"}, "no model called hrtm"),
    "missing model file": (lambda c: c, {"model": "/nowhere/x.safetensors"}, "no model file"),
    "unknown preset": (lambda c: c, {"preset": "quick"}, "preset"),
    "unknown field": (lambda c: c, {"iterations": 3}, "iterations"),
    "bad gain": (lambda c: c, {"noise": {"kind": "poisson", "gain": 0}}, "gain"),
    "missing file": (lambda _: "/nowhere/image.tif", {}, "image.tif"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_denoised_is_refused_in_one_sentence(noisy, case):
    change, fields, match = BAD[case]
    with pytest.raises(GanDenoiseError, match=match) as caught:
        denoise(change(noisy.pixels), **{"model": "hrtem", "pixel_size_nm": PIXEL_NM, "preset": "fast", **fields})
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(noisy):
    with pytest.raises(GanDenoiseError, match="no CUDA device"):
        denoise(noisy, model="hrtem", preset="fast", device="cuda")


@pytest.mark.slow  # the import contracts say the same of the code
def test_denoising_needs_no_window_and_no_simulator():
    code = (
        "import sys, numpy as np; import napari_gandenoise as gd;"
        "gd.denoise(np.ones((64, 64)), pixel_size_nm=0.0061, noise=gd.Poisson(), preset='fast');"
        "sys.exit(any(m in sys.modules for m in ('abtem', 'ase', 'napari', 'qtpy', 'magicgui', 'bm3d')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_more_effort_draws_what_explains_the_counts_better(noisy, truth):
    crop, truth = replace(noisy, pixels=noisy.pixels[:144, :144]), truth[:144, :144]
    drawn = [denoise(crop, model="hrtem", preset=p, residual_step=False).rate for p in ("fast", "balanced", "thorough")]
    fast, balanced, thorough = (Poisson().log_likelihood(crop.pixels, np.maximum(r, 1e-3)).sum() for r in drawn)
    assert fast < balanced < thorough
    assert psnr(truth, drawn[0]) < psnr(truth, drawn[1])


def test_the_study_s_algorithm_runs_as_published(noisy, tmp_path, write_tiny_model):
    crop = replace(noisy, pixels=noisy.pixels[:96, :96])
    steps = denoise_steps(crop, model=str(write_tiny_model(tmp_path)), preset="paper", seed=3)
    seen = set()
    while "refine" not in seen:
        seen.add(next(steps).stage)
    steps.close()
    assert {"search", "brief"} <= seen
