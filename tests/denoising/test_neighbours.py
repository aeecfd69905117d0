"""Movies: counts of neighbouring frames are used where they show the same, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_gandenoise as gd
from napari_gandenoise.denoising.neighbours import Look, gathered, matched, moved
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.tiling import Frame, Grid

PIXEL_NM = 0.0244
SIDE = 96
FIELDS = {"model": "hrtem-unet", "pixel_size_nm": PIXEL_NM, "preset": "fast", "noise": gd.Poisson()}


def scene(down=0.0, right=0.0, extra=0.0, side=SIDE):
    """A patch of lattice on vacuum, some pixels on, with or without one more column beside it."""
    y, x = np.mgrid[:side, :side].astype(float)
    y, x = y - down, x - right
    inside = 1 / (1 + np.exp(np.hypot(y - 48, x - 48) - 26))
    lattice = np.cos(2 * np.pi * y / 9) * np.cos(2 * np.pi * x / 9)
    column = np.exp(-0.5 * ((y - 14) ** 2 + (x - 80) ** 2) / 1.8**2)
    return (4 * (1 + 0.6 * inside * lattice + extra * column)).astype(np.float32)


def counted(truths, seed=0):
    return np.random.default_rng(seed).poisson(truths).astype(np.uint16)


def look(image, rate=None, grid=None):
    grid = grid or Grid(image.shape)
    frame = Frame.of(np.asarray(image, np.float32), grid, torch.device("cpu"))
    return Look(frame, torch.from_numpy(np.asarray(image if rate is None else rate, np.float32))[None])


@settings(deadline=None, max_examples=30)
@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 3))
def test_counts_are_moved_by_whole_pixels_and_what_comes_from_outside_is_not_seen(down, right, seed):
    image = np.random.default_rng(seed).poisson(3.0, (20, 24)).astype(np.float32)
    shifts = torch.tensor([down, right])[:, None, None].expand(2, 20, 24)
    counts, exposed = moved(look(image), shifts)
    assert float(exposed.sum()) == max(0, 20 - abs(down)) * max(0, 24 - abs(right))
    inside = exposed.numpy() > 0
    rolled = np.roll(image, (-down, -right), (0, 1))
    np.testing.assert_array_equal(counts[0].numpy()[inside], rolled[inside])


@pytest.mark.parametrize("moved_by", [(2, -1), (14, -21)])
def test_the_drift_is_found(moved_by):
    down, right = moved_by
    truths = scene(), scene(down=down, right=right)
    looks = [look(counted(truth, seed), truth) for seed, truth in enumerate(truths)]
    assert matched(looks[0], looks[1])[1] == (down, right)
    assert matched(looks[1], looks[0])[1] == (-down, -right)


def test_a_lattice_without_end_stays_where_it_is():
    y, x = np.mgrid[:SIDE, :SIDE]
    endless = (4 * (1 + 0.5 * np.cos(2 * np.pi * y / 9) * np.cos(2 * np.pi * x / 9))).astype(np.float32)
    shifts, drift = matched(*[look(counted(endless, seed), endless) for seed in (1, 2)])
    assert drift == (0, 0)
    assert float(shifts.abs().float().mean()) < 0.5


@pytest.mark.parametrize("moved_by", [(2, -1), (-3, 4), (3, -6)])
def test_a_bright_camera_with_read_noise_tells_the_drift_as_well(moved_by):
    """Sums of such counts have more digits than single precision keeps; only what differs may be summed."""
    bright, read_variance, random = 750.0, 3e5, np.random.default_rng(3)
    looks = []
    for down, right in ((0, 0), moved_by):
        truth = bright * scene(down=down, right=right)
        seen = truth + random.normal(0, np.sqrt(truth + read_variance))
        one = look(seen.astype(np.float32), truth)
        looks.append(replace(one, frame=replace(one.frame, read_variance=read_variance)))
    shifts, drift = matched(*looks)
    assert drift == moved_by
    inside = shifts[:, 32:64, 32:64].float()
    assert (inside - torch.tensor(moved_by)[:, None, None]).abs().max() <= 1


def test_what_has_moved_is_brought_back_and_counted_as_often_as_it_was_seen():
    truths = [scene(), scene(down=2, right=1)]
    looks = [look(counted(truth, seed), truth) for seed, truth in enumerate(truths)]
    frame, _ = gathered(looks[0], looks[1:])
    assert frame.exposed.max() == 2
    assert float((frame.exposed == 2).float().mean()) > 0.9
    error = float((frame.counts[0].numpy() - truths[0])[20:76, 20:76].var())
    assert error < 0.65 * float((looks[0].frame.counts[0].numpy() - truths[0])[20:76, 20:76].var())


def test_a_column_that_comes_or_goes_is_in_its_own_frames_only():
    truths = [scene(), scene(extra=3.0)]
    without, with_it = (look(counted(truth, seed), truth) for seed, truth in enumerate(truths))
    there = (slice(12, 17), slice(78, 83))
    before, _ = gathered(without, [with_it])
    assert float(before.counts[0][there].mean()) < 1.3 * truths[0][there].mean()
    after, _ = gathered(with_it, [without])
    assert float(after.counts[0][there].mean()) > 0.8 * truths[1][there].mean()


@pytest.fixture(scope="module")
def movie():
    return np.stack([scene(down=0.7 * frame, right=-0.4 * frame) for frame in range(5)])


@pytest.fixture(scope="module")
def counts(movie):
    return counted(movie, 5)


@pytest.fixture(scope="module")
def result(counts):
    return gd.denoise(counts, **FIELDS)


def test_a_movie_gains_by_its_neighbours(movie, counts, result):
    alone = gd.denoise(counts, neighbours=0, **FIELDS)
    gains = [
        psnr(truth, rate) - psnr(truth, one) for truth, rate, one in zip(movie, result.rate, alone.rate, strict=True)
    ]
    assert np.mean(gains) > 1.0
    assert min(gains) > 0
    single = gd.denoise(counts[2], **FIELDS)
    np.testing.assert_allclose(alone.rate[2], single.rate, rtol=1e-4)


def test_the_drift_is_reported_from_frame_to_frame_in_whole_pixels(result):
    drift = np.array(result.report["drift"])
    assert drift[0].tolist() == [0, 0]
    assert (np.abs(drift[1:] - (0.7, -0.4)) <= 1).all()


def test_frames_do_not_depend_on_how_a_movie_is_cut(counts, result):
    part = gd.drain(gd.denoise_steps(counts, only=range(1, 3), **FIELDS))
    assert part.rate.shape == (2, SIDE, SIDE)
    np.testing.assert_array_equal(part.rate, result.rate[1:3])
    assert part.report["frames"] == 2


@pytest.mark.slow
def test_a_blank_frame_has_no_say(counts, result):
    spoilt = counts.copy()
    spoilt[2] = 0
    found = gd.denoise(spoilt, **FIELDS)
    assert (found.rate[2] == 0).all()
    assert abs(float(found.rate[1].mean()) / float(result.rate[1].mean()) - 1) < 0.05
    assert "Frame 3 is blank" in " ".join(found.report["warnings"])


@pytest.mark.slow
def test_uncertainty_and_doubt_know_how_often_a_pixel_was_seen(counts):
    few = gd.denoise(counts[:3], replicates=2, doubt=True, **FIELDS)
    one = gd.denoise(counts[:3], replicates=2, neighbours=0, **FIELDS)
    assert float(few.uncertainty[1].mean()) < 0.85 * float(one.uncertainty[1].mean())
    assert {check.name for check in few.verdict.checks} == {"counts", "structure", "doubt", "size"}


@pytest.mark.slow
def test_the_frame_that_is_looked_at_comes_first_and_results_stay_the_same(counts, result):
    at, seen = [3], []
    steps = gd.denoise_steps(counts, attended=lambda: at[0], **FIELDS)
    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            found = stop.value
            break
        if event.stage.endswith("blend"):
            seen.append(int(event.stage.split()[1].split("/")[0]) - 1)
            at[0] = 0
    assert seen == [3, 0, 1, 2, 4]
    np.testing.assert_array_equal(found.rate, result.rate)
    assert found.report["drift"] == result.report["drift"]
