"""Samples: what an image could be, drawn all over a frame, kept with the result, scored and refined."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_gandenoise.denoising import denoise
from napari_gandenoise.denoising import direct as direct_module
from napari_gandenoise.denoising.posterior import log_likelihood
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models.calibration import UNCALIBRATED, Calibration
from napari_gandenoise.settings.noise import Poisson

SIZE = 0.0061  # nm: four pixels along a side are summed for models at 24.4 pm


@pytest.fixture(scope="module")
def drawing(write_random_model, tmp_path_factory):
    """A model of micrographs that draws samples."""
    return str(write_random_model(tmp_path_factory.mktemp("drawing"), samples=UNCALIBRATED, pixel_size_nm=0.0244))


@pytest.fixture(scope="module")
def counts(make_scene):
    return np.random.default_rng(2).poisson(2 * make_scene(160)).astype(np.float32)


def drawn(counts, model, **fields):
    options = {"pixel_size_nm": SIZE, "noise": Poisson(), "preset": "fast", "samples": 6, **fields}
    return denoise(counts, model=model, **options)


def test_samples_come_with_the_image_and_their_spread_is_its_standard_error(counts, drawing):
    result, plain = drawn(counts, drawing), drawn(counts, drawing, samples=0)
    assert np.array_equal(result.rate, plain.rate)
    assert plain.samples is plain.uncertainty is None
    assert result.samples.shape == (6, *counts.shape)
    assert result.samples.dtype == np.float32
    spread = np.sqrt(np.square(result.samples - result.rate).mean(axis=0))
    seen = (result.samples > 0).all(axis=0)  # no sample is below zero, where the spread goes on
    assert seen.mean() > 0.9
    assert result.uncertainty[seen] == pytest.approx(spread[seen], rel=1e-3, abs=1e-5)
    assert result.report["uncertainty_factor"] is None  # of repeated runs


def test_the_same_seed_draws_the_same_and_another_does_not(counts, drawing):
    first, again, other = (drawn(counts, drawing, seed=seed).samples for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert not np.allclose(first[0], first[1])


def test_blocks_share_one_field_of_noise(make_scene, drawing, monkeypatch):
    """Whether a frame is one block or many is not seen in its samples: no seams."""
    counts = np.random.default_rng(3).poisson(2 * make_scene(704)).astype(np.float32)
    whole = drawn(counts, drawing, samples=2, residual_step=False)
    monkeypatch.setattr(direct_module, "BLOCK", 64)
    monkeypatch.setattr(direct_module, "OVERLAP", 32)
    parts = drawn(counts, drawing, samples=2, residual_step=False)
    for one, other in zip(whole.samples - whole.rate, parts.samples - parts.rate, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98


def test_draws_are_multiplied_by_what_the_model_says(counts, drawing, write_random_model, tmp_path):
    double = Calibration(strengths=(1.0,), rings=((1.0,),), law=(np.log(2), 0, 0, 0))
    wide = str(write_random_model(tmp_path, samples=double, pixel_size_nm=0.0244))
    one, two = (drawn(counts, model).uncertainty for model in (drawing, wide))
    assert two == pytest.approx(2 * one, rel=1e-4)


def test_units_of_a_camera_are_those_of_the_samples(counts, drawing):
    plain = drawn(counts, drawing)
    camera = drawn(5 * counts + 100, drawing, noise=Poisson(gain=5.0, offset=100.0))
    assert camera.samples == pytest.approx(5 * plain.samples + 100, rel=1e-3)
    assert camera.uncertainty == pytest.approx(5 * plain.uncertainty, rel=1e-3)


def test_of_a_movie_the_spread_is_kept(counts, drawing):
    movie = np.stack([counts[:64, :64], counts[64:128, :64]])
    result = drawn(movie, drawing, neighbours=0)
    assert result.samples is None
    assert result.uncertainty.shape == movie.shape
    assert (result.uncertainty > 0).all()
    assert any("Of a movie" in warning for warning in result.report["warnings"])


def test_repetitions_give_way_to_samples_and_that_is_said(counts, drawing):
    result = drawn(counts, drawing, replicates=2)
    assert np.array_equal(result.uncertainty, drawn(counts, drawing).uncertainty)
    assert any("repetitions are left out" in warning for warning in result.report["warnings"])


@pytest.mark.parametrize("model", ["hrtem", "direct"])
def test_a_model_that_draws_nothing_says_so(counts, model, write_direct_model, tmp_path):
    if model == "direct":
        model = str(write_direct_model(tmp_path, pixel_size_nm=0.0244))
    with pytest.raises(GanDenoiseError, match="draws no samples"):
        drawn(counts, model)


def gain(result, counts) -> float:
    """Nats by which samples explain the counts, a sample."""
    sums, exposure = torch.from_numpy(counts), torch.ones(counts.shape)
    return float(np.mean([log_likelihood(sums, exposure, torch.from_numpy(s), 0.0).sum() for s in result.samples]))


@pytest.mark.parametrize("fields", [{"best_of": 6}, {"refine": 15}])
def test_what_is_chosen_or_refined_explains_the_counts_better(counts, drawing, fields):
    options = {"samples": 4, "residual_step": False}
    assert gain(drawn(counts, drawing, **options, **fields), counts) > gain(drawn(counts, drawing, **options), counts)


def test_the_layer_of_the_samples_has_an_axis_for_them(counts, drawing):
    names = [options["name"] for _, options, _ in drawn(counts, drawing).to_layers()]
    assert names == ["denoised · random", "samples · random", "uncertainty · random"]
    pixels, options, kind = drawn(counts, drawing).layer_of("samples")
    assert (pixels.ndim, kind) == (3, "image")
    assert options["scale"] == (1.0, SIZE, SIZE)
