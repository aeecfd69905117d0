"""Adaptation: what tunes to an image, who judges it, and the file that it is kept in."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from scipy import ndimage

import napari_gandenoise as gd
from napari_gandenoise.denoising.shares import Share
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.models import load_model, save_adapted
from napari_gandenoise.models.adapted import read_adapted_header
from napari_gandenoise.models.denoisers import gains_of
from napari_gandenoise.models.file import HEADER

PIXEL_NM = 0.0244
SIDE = 96


def lattice(mean=4.0, side=SIDE):
    """Sharp dark columns on a square lattice: nothing that the bundled network has learnt from."""
    y, x = np.mgrid[:side, :side] / 7.0
    return mean * (1 - 0.9 * (np.cos(np.pi * x) * np.cos(np.pi * y)) ** 8).astype(np.float32)


@pytest.fixture(scope="module")
def counts():
    return np.random.default_rng(2).poisson(lattice()).astype(np.uint16)


@pytest.fixture(scope="module")
def adaptation(counts):
    return gd.adapt(counts, model="hrtem-unet", pixel_size_nm=PIXEL_NM, adapt_steps=40)


def rate_of(counts, model, **fields):
    return gd.denoise(counts, model=model, pixel_size_nm=PIXEL_NM, preset="fast", **fields).rate


@pytest.mark.parametrize("read_variance", [None, 0.0, 4.0])
def test_shares_add_up_to_the_whole_and_have_independent_noise(read_variance):
    rate = 3.0
    random = np.random.default_rng(0)
    counts = random.poisson(rate, (1, 400, 400)) + (read_variance or 0) ** 0.5 * random.standard_normal((1, 400, 400))
    whole = Share(torch.from_numpy(counts).float(), torch.ones(400, 400), read_variance)
    seen, rest = whole.split(0.8, random)
    share, other = seen.sums / seen.exposure - rate, rest.sums / rest.exposure - rate
    correlation = float((share * other).mean() / (share.std() * other.std()))
    assert abs(correlation) < 5 / 400
    assert float(seen.rate.mean()) == pytest.approx(rate, abs=0.03)
    assert float(rest.rate.mean()) == pytest.approx(rate, abs=0.06)
    for part, scatter in ((seen, share), (rest, other)):
        said = float((part.variance() / part.exposure.square()).mean())
        assert said == pytest.approx(float(scatter.var()), rel=0.06)
        assert part.whole == pytest.approx(0.8 if part is seen else 0.2)


def test_the_likelihood_of_a_share_is_best_at_the_truth():
    truth = torch.from_numpy(lattice())[None]
    seen, rest = Share(torch.poisson(truth), torch.ones(SIDE, SIDE)).split(0.5, np.random.default_rng(1))
    costs = [float(share.cost(factor * truth).mean()) for share in (seen, rest) for factor in (0.8, 1.0, 1.25)]
    assert costs[1] < min(costs[0], costs[2])
    assert costs[4] < min(costs[3], costs[5])


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 3), st.booleans(), st.integers(0, 5), st.integers(0, 5))
def test_parts_of_shares_are_cut_and_turned_with_their_exposure(turns, mirrored, top, left):
    exposure = torch.rand(12, 14)
    share = Share(3 * exposure[None], exposure)
    part = share.cut(top, left, 5, 4).turned(turns, mirrored)
    assert torch.allclose(part.rate, torch.full_like(part.rate, 3.0))
    assert sorted(part.exposure.flatten().tolist()) == sorted(
        exposure[top : top + 5, left : left + 4].flatten().tolist()
    )


def test_only_gains_move_and_the_model_that_came_stays_as_it_was(adaptation):
    base = load_model("hrtem-unet")
    before = {name: value.clone() for name, value in base.network.state_dict().items()}
    gains = {id(weights) for weights in gains_of(adaptation.model.network)}
    assert sum(weights.numel() for weights in gains_of(adaptation.model.network)) == 8704
    moved = 0
    for (name, old), new in zip(before.items(), adaptation.model.network.parameters(), strict=True):
        if id(new) in gains:
            moved += int((old != new).sum())
        else:
            assert torch.equal(old, new), name
    assert moved > 8000
    assert not any(weights.requires_grad for weights in adaptation.model.network.parameters())


@pytest.mark.slow
def test_a_foreign_image_comes_out_better_and_the_report_says_so(counts):
    results = [
        gd.denoise(counts, model="hrtem-unet", pixel_size_nm=PIXEL_NM, preset="fast", adapt=adapt, adapt_steps=40)
        for adapt in ("off", "on")
    ]
    assert psnr(lattice(), results[1].rate) > psnr(lattice(), results[0].rate) + 0.2
    assert results[0].adaptation is None
    assert results[0].report["adaptation"] is None
    assert results[1].report["adaptation"]["kept"]
    assert "adapted to the image in 40 steps" in results[1].summary()


@pytest.mark.slow
def test_the_same_seed_adapts_alike_and_another_otherwise(counts):
    changes = [
        gd.adapt(counts, model="hrtem-unet", pixel_size_nm=PIXEL_NM, adapt_steps=2, seed=seed).change
        for seed in (1, 1, 2)
    ]
    assert changes[0] == changes[1] != changes[2]


def test_what_held_out_frames_are_against_is_given_up(counts, monkeypatch):
    # Steps as large as that end nowhere good.
    monkeypatch.setattr("napari_gandenoise.denoising.tuning.RATE", 30.0)
    movie = np.random.default_rng(5).poisson(lattice(), (4, SIDE, SIDE)).astype(np.uint16)
    spoilt = gd.adapt(movie, model="hrtem-unet", pixel_size_nm=PIXEL_NM, adapt_steps=2)
    assert not spoilt.kept
    assert spoilt.change > spoilt.error
    assert spoilt.model is load_model("hrtem-unet")
    assert "not adapted" in spoilt.sentence()


def test_a_kept_model_works_wherever_a_model_does(counts, adaptation, tmp_path):
    path = adaptation.save(tmp_path / "mine.safetensors")
    assert path.stat().st_size < 60_000
    loaded = load_model(path)
    assert loaded.header.pixel_size_nm == adaptation.base.header.pixel_size_nm
    pairs = zip(loaded.network.parameters(), adaptation.model.network.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert not np.array_equal(rate_of(counts, path), rate_of(counts, "hrtem-unet"))
    with pytest.raises(GanDenoiseError, match="exists already"):
        adaptation.save(path)
    assert adaptation.save(tmp_path).name == "hrtem-unet-adapted.safetensors"


def test_an_adapted_model_is_refused_without_the_model_that_it_belongs_to(
    adaptation, tmp_path, write_direct_model, monkeypatch
):
    other = load_model(write_direct_model(tmp_path, "other", pixel_size_nm=PIXEL_NM))
    path = tmp_path / "lost.safetensors"
    save_adapted(path, other, other, "of another", {})
    (tmp_path / "other.safetensors").rename(tmp_path / "renamed.safetensors")
    assert load_model(path).header.description == "of another"  # found by its hash
    (tmp_path / "renamed.safetensors").unlink()
    lost = tmp_path / "gone.safetensors"
    lost.write_bytes(path.read_bytes())
    with pytest.raises(GanDenoiseError, match="belongs to the model other with the SHA-256"):
        load_model(lost)


def test_the_name_of_a_base_is_no_path_and_long_ones_are_cut(tmp_path, write_direct_model):
    model = load_model(write_direct_model(tmp_path, "\N{CJK UNIFIED IDEOGRAPH-91D1}" * 66))  # of 3 bytes each
    path = tmp_path / "adapted.safetensors"
    save_adapted(path, model, model, "", {})
    assert load_model(path).name.endswith(" adapted")
    header = read_adapted_header(path).model_dump(mode="json")
    for name in ("../other", "a\nb"):
        save_file({}, path, metadata={HEADER: json.dumps({**header, "base": name})})
        with pytest.raises(GanDenoiseError, match="base: a name is no path") as caught:
            load_model(path)
        assert "\n" not in str(caught.value)


def test_gains_of_another_model_are_refused(adaptation, tmp_path, write_direct_model):
    other = load_model(write_direct_model(tmp_path, "other", pixel_size_nm=PIXEL_NM))
    path = tmp_path / "wrong.safetensors"
    save_adapted(path, adaptation.model, other, "gains of a larger network", {})
    with pytest.raises(GanDenoiseError, match="does not hold the gains of other"):
        load_model(path)


def test_what_cannot_be_adapted_is_said(counts, write_tiny_model, tmp_path):
    latent = write_tiny_model(tmp_path)
    with pytest.raises(GanDenoiseError, match="no direct denoiser"):
        gd.adapt(counts, model=latent, pixel_size_nm=PIXEL_NM)
    with pytest.raises(GanDenoiseError, match="denoise without adapt"):
        gd.denoise(counts, model=latent, pixel_size_nm=PIXEL_NM, preset="fast", adapt="on")
    with pytest.raises(GanDenoiseError, match="at least one"):
        gd.adapt([])
    smooth = np.asarray(torch.nn.functional.avg_pool2d(torch.from_numpy(counts.astype(np.float32))[None], 3, 1)[0])
    result = gd.denoise(smooth, model="hrtem-unet", pixel_size_nm=PIXEL_NM, preset="fast", adapt="auto", adapt_steps=2)
    assert "share their noise" in result.report["adaptation"]["sentence"]


def test_frames_of_a_movie_whose_pixels_share_their_noise_are_held_against_each_other():
    truth = np.stack([np.roll(lattice(side=128), frame, 1) for frame in range(6)])
    noisy = np.random.default_rng(4).poisson(truth).astype(np.float32)
    movie, clean = (ndimage.gaussian_filter(frames, (0, 0.8, 0.8), mode="wrap") for frames in (noisy, truth))
    settings = {"model": "hrtem-unet", "pixel_size_nm": PIXEL_NM, "preset": "fast"}
    before = gd.denoise(movie, **settings)
    after = gd.denoise(movie, adapt="on", adapt_steps=40, **settings)
    assert after.report["correlated"]
    assert after.report["adaptation"]["kept"]
    assert psnr(clean, after.rate) > psnr(clean, before.rate) + 0.3
    with pytest.raises(GanDenoiseError, match="4 frames or more"):
        gd.denoise(movie[:3], adapt="on", **settings)


def test_several_images_are_adapted_to_together(counts):
    other = np.random.default_rng(3).poisson(lattice(side=72)).astype(np.uint16)
    adaptation = gd.adapt([counts, other], model="hrtem-unet", pixel_size_nm=PIXEL_NM, adapt_steps=2)
    assert np.isfinite([adaptation.change, adaptation.error]).all()


def test_cancelled_it_has_shown_the_image_as_it_is_without(counts):
    plain = rate_of(counts, "hrtem-unet")
    steps = gd.denoise_steps(
        counts, model="hrtem-unet", pixel_size_nm=PIXEL_NM, preset="fast", adapt="on", adapt_steps=5
    )
    shown = None
    for event in steps:
        shown = event.preview if event.preview is not None else shown
        if event.stage == "adapt" and event.done == 3:
            steps.close()
            break
    np.testing.assert_allclose(shown, plain, rtol=1e-5)
