"""Distortions of a scan: shifts that are known, memories, the mains, and what is looked up where the beam was."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gandenoise.noise.chance import Chance
from napari_gandenoise.noise.distortion import ScanMotion, Shifts, displacements, hum, random_walk, resample


def chance(seed: int = 0) -> Chance:
    return Chance(torch.Generator().manual_seed(seed))


def scans(n: int, height: int, width: int, **motion: float):
    """Displacements of scans in which nothing happens but what is named."""
    amounts = (torch.full((n,), motion.get(name, 0.0)) for name in ScanMotion._fields)
    return displacements(chance(), ScanMotion(*amounts), height, width)


def test_shifts_are_looked_up():
    # Cubic convolution is exact for parabolas.
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    shifts = Shifts(0.25 + 0.02 * torch.arange(20.0)[None], -1.5 + 0.1 * x[None])
    moved = resample((3 * y + 0.2 * x**2)[None, None], shifts)
    expected = 3 * (y + shifts.down.T) + 0.2 * (x + shifts.across[0]) ** 2
    assert torch.allclose(moved[0, 0, 4:-4, 4:-4], expected[4:-4, 4:-4], atol=1e-3)


@given(n=st.integers(1, 3), height=st.integers(1, 30), width=st.integers(1, 30), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_a_steady_scan_is_the_image(n, height, width, seed):
    image = torch.rand(n, 2, height, width, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(resample(image, scans(n, height, width).all), image)


def test_a_beam_too_far_right_draws_too_far_left():
    shifts = scans(1, 150, 200, jitter=0.8).all
    x = torch.arange(200.0)
    line = torch.exp(-0.5 * ((x - 100) / 4) ** 2).expand(1, 1, 150, 200)
    scanned = resample(line, shifts)[0, 0]
    centroids = (scanned * x).sum(-1) / scanned.sum(-1)
    # Within the line only the mains move, by less than they do in a line's middle: the mean of both ends tells.
    expected = 100 - shifts.across[0, :, 80:121].mean(-1)
    torch.testing.assert_close(centroids, expected, atol=0.1, rtol=0)
    assert centroids.std() > 0.3


def test_jitter_is_as_large_as_said_and_a_third_of_it_across():
    shifts = scans(400, 64, 8, jitter=2.0).all
    assert shifts.across.std() == pytest.approx(2.0, rel=0.1)
    assert shifts.down.std() == pytest.approx(2.0 / 3, rel=0.1)


def test_the_mains_sway_the_beam_in_time():
    # Pixels follow each other in time from line to line: s(t + dt) + s(t - dt) = 2 cos(w dt) s(t) all along.
    sways = hum(chance(), 40, 64, 50).flatten(1).double()
    middle, sum_of_both = sways[:, 1:-1], sways[:, 2:] + sways[:, :-2]
    cosine = (sum_of_both * middle).sum(1) / middle.square().sum(1) / 2
    assert (sum_of_both - 2 * cosine[:, None] * middle).abs().max() < 1e-3
    cycles_a_line = torch.acos(cosine.clamp(-1, 1)) / (2 * torch.pi) * 50
    assert cycles_a_line.min() < 0.3
    assert 0.9 < cycles_a_line.max() < 1.25
    assert sways.square().mean() == pytest.approx(1, abs=0.05)


def test_drift_shears_and_stretches_evenly():
    n, height = 400, 64
    drift = scans(n, height, 8, drift=2.0)
    steps = torch.stack([drift.all.down.diff(dim=1), drift.all.across[..., 0].diff(dim=1)])
    torch.testing.assert_close(steps, steps[..., :1].expand_as(steps), atol=1e-5, rtol=0)
    lengths = steps.sum(-1).norm(dim=0)
    torch.testing.assert_close(lengths, torch.full((n,), 2.0), atol=1e-4, rtol=0)
    # It has no preferred direction, and a frame that is sheared as a whole looks like another specimen.
    assert steps.sum(-1).mean(-1).abs().max() < 0.25
    assert torch.equal(drift.all.across, drift.lasting.across)


def test_the_beam_settles_exponentially_where_lines_begin():
    late = scans(50, 8, 64, flyback=2.0).all
    assert torch.allclose(late.across[:, :, 0], torch.full((50, 8), -2.0))
    rates = late.across[:, 0].neg().log().diff(dim=1)[:, :30]
    torch.testing.assert_close(rates, rates[:, :1].expand_as(rates), atol=1e-3, rtol=0)
    assert (rates < 0).all()
    assert not late.down.any()


@given(memory=st.floats(0.0, 0.9))
@settings(max_examples=10, deadline=None)
def test_a_wander_has_variance_one_and_its_memory(memory):
    walks = random_walk(chance(), torch.full((3000,), memory), 12)
    assert torch.allclose(walks.var(dim=0), torch.ones(12), atol=0.15)
    assert (walks[:, 5:] * walks[:, 4:-1]).mean() == pytest.approx(memory, abs=0.05)


def test_what_lasts_is_smooth_from_line_to_line():
    jitter = scans(20, 128, 4, jitter=2.0)
    rough, smooth = (shifts.down.diff(dim=1).std() for shifts in jitter)
    assert smooth < rough / 3
