"""Distortions of a scan against scipy's splines, exponential memories and shifts that are known."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from scipy import ndimage

from napari_gandenoise.settings.stem import ScanConfig
from napari_gandenoise.simulate.scan import (
    ScanConditions,
    displace,
    draw_scans,
    lag,
    scan,
    scan_displacements,
)


def still(count=1, **values):
    """Return conditions of a scan that distorts nothing but what is named."""
    fields = dict.fromkeys(ScanConditions._fields, 0.0) | values
    return ScanConditions(**{name: torch.full((count,), float(value)) for name, value in fields.items()})


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(7)


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=25, deadline=None)
def test_a_steady_scan_is_the_image(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(shape, generator=generator)
    scanned = scan(image, still(shape[0]), generator)
    torch.testing.assert_close(scanned, image, atol=3e-6, rtol=0)
    torch.testing.assert_close(scan(image[:, 0], still(shape[0]), generator), image[:, 0], atol=3e-6, rtol=0)


@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(13, 30), st.integers(13, 30)),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=25, deadline=None)
def test_resampling_is_scipys_spline(shape, seed):
    rng = np.random.default_rng(seed)
    image = rng.random(shape, np.float32)
    moved = rng.normal(0, 3, (shape[0], 2, *shape[2:])).astype(np.float32)
    ours = displace(torch.from_numpy(image), torch.from_numpy(moved)).numpy()
    rows, columns = np.indices(shape[2:], np.float32)
    for layers, place, result in zip(image, moved, ours, strict=True):
        for layer, drawn in zip(layers, result, strict=True):
            expected = ndimage.map_coordinates(layer, [rows + place[1], columns + place[0]], order=3, mode="mirror")
            np.testing.assert_allclose(drawn, expected, atol=2e-4)


def test_a_shift_by_half_a_pixel_keeps_what_is_fine():
    x = torch.arange(64.0)
    wave = torch.cos(2 * torch.pi * x / 4).expand(1, 64, 64)
    moved = displace(wave, torch.stack([torch.full((64, 64), 0.5), torch.zeros(64, 64)])[None])
    expected = torch.cos(2 * torch.pi * (x + 0.5) / 4).expand(1, 64, 64)
    inside = (..., slice(16, -16))
    # A cubic spline has (sinc 1/4)⁴ / (2/3) = 0.985 of a wave of four pixels, and its first alias 0.014.
    assert (moved - expected)[inside].abs().max() < 0.035


def test_jitter_moves_each_line_by_its_draw(generator):
    conditions = still(jitter_px=0.8)
    x = torch.arange(200.0)
    line = torch.exp(-0.5 * ((x - 100) / 4) ** 2).expand(1, 150, 200)
    away = scan_displacements(150, 200, conditions, generator.manual_seed(3))
    scanned = scan(line, conditions, generator.manual_seed(3))
    centroids = (scanned * x).sum(-1) / scanned.sum(-1)
    # The beam is too far to the right: what it finds there, it draws too far to the left.
    torch.testing.assert_close(centroids, 100 - away[:, 0, :, 0], atol=1e-3, rtol=0)
    assert torch.equal(away[:, 0], away[:, 0, :, :1].expand(-1, -1, 200))
    assert not away[:, 1].any()


@pytest.mark.parametrize(("name", "axis"), [("jitter_px", 0), ("slow_jitter_px", 1)])
def test_jitter_is_as_large_as_said(generator, name, axis):
    away = scan_displacements(400, 2, still(20, **{name: 0.7}), generator)
    assert away[:, axis, :, 0].std() == pytest.approx(0.7, rel=0.03)
    assert away[:, axis, :, 0].mean(-1).abs().max() < 1e-5
    assert not away[:, 1 - axis].any()


def test_a_walk_is_bounded_and_forgets(generator):
    lines = 8.0
    shifts = scan_displacements(800, 2, still(12, wander_px=0.5, wander_lines=lines), generator)[..., 0]
    assert shifts.std() == pytest.approx(0.5, rel=0.08)
    for apart in (1, 4, 12):
        kept = (shifts[..., apart:] * shifts[..., :-apart]).mean() / shifts.square().mean()
        assert kept == pytest.approx(np.exp(-apart / lines), abs=0.05)


def test_drift_shears_and_stretches(generator):
    conditions = still(2, drift_px=10.0)._replace(drift_angle=torch.tensor([0.0, np.pi / 2]))
    away = scan_displacements(100, 5, conditions, generator)
    steps = torch.diff(away, dim=2)
    expected = torch.zeros_like(steps)
    expected[0, 0] = expected[1, 1] = 10 / 100
    torch.testing.assert_close(steps, expected, atol=1e-5, rtol=0)
    assert away.mean((2, 3)).abs().max() < 1e-5


def test_unsteady_drift_is_smooth_and_as_large_as_said(generator):
    away = scan_displacements(256, 2, still(400, unsteady_drift_px=1.5), generator)[..., 0]
    assert away.square().mean().sqrt() == pytest.approx(1.5, rel=0.08)
    assert away.mean(-1).abs().max() < 1e-4
    assert torch.diff(away).square().mean().sqrt() < 0.05


def test_hum_sways_in_time(generator):
    height, width, cycles = 64, 50, 0.31
    away = scan_displacements(height, width, still(hum_px=0.4, hum_cycles=cycles), generator)[0]
    time = (np.arange(height)[:, None] + np.arange(width) / width).ravel()
    waves = np.stack([np.cos(2 * np.pi * cycles * time), np.sin(2 * np.pi * cycles * time), np.ones_like(time)], 1)
    sway = away.flatten(1).numpy().T
    found, residual, *_ = np.linalg.lstsq(waves, sway, rcond=None)
    assert residual.max() < 1e-6 * len(time)
    assert np.sqrt((found[:2] ** 2).sum()) == pytest.approx(0.4, rel=1e-3)


def test_fly_back_compresses_the_start_of_a_line(generator):
    away = scan_displacements(4, 60, still(flyback_px=2.0, flyback_length_px=5.0), generator)
    expected = 2 * np.exp(-np.arange(60) / 5)
    np.testing.assert_allclose(away[0, 0], np.broadcast_to(expected, (4, 60)), atol=1e-6)
    assert not away[:, 1].any()


@pytest.mark.parametrize("length", [0.5, 2.0])
def test_lag_correlates_noise_along_lines(generator, length):
    kept = np.exp(-1 / length)
    noise = torch.randn(2, 1, 400, 600, generator=generator)
    smeared = lag(noise, torch.full((2,), length))[..., 50:]
    variance = smeared.square().mean()
    assert variance == pytest.approx((1 - kept) / (1 + kept), rel=0.02)
    assert (smeared[..., 1:] * smeared[..., :-1]).mean() / variance == pytest.approx(kept, abs=0.01)
    assert (smeared[:, :, 1:] * smeared[:, :, :-1]).mean() / variance == pytest.approx(0, abs=0.01)


def test_lag_keeps_levels_and_the_past(generator):
    step = torch.zeros(2, 3, 40)
    step[..., 20:] = 1
    smeared = lag(step, torch.tensor([0.0, 3.0]))
    torch.testing.assert_close(smeared[0], step[0])
    np.testing.assert_allclose(smeared[1, 0, 20:], 1 - np.exp(-np.arange(1, 21) / 3), atol=1e-6)
    assert not smeared[..., :20].any()
    torch.testing.assert_close(lag(torch.ones(1, 2, 9), torch.tensor([4.0])), torch.ones(1, 2, 9))


def test_draws_lie_in_their_ranges(generator):
    config = ScanConfig()
    drawn = draw_scans(config, 500, generator)
    for name, (low, high) in config.model_dump().items():
        values = getattr(drawn, name)
        assert low <= values.min()
        assert values.max() <= high
        assert values.max() - values.min() > 0.9 * (high - low)
    first, again = (draw_scans(config, 5, generator.manual_seed(1)) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_images_of_a_batch_are_scanned_each_for_itself(generator):
    image = torch.rand(1, 2, 30, 30, generator=generator)
    scanned = scan(image.expand(3, -1, -1, -1), draw_scans(ScanConfig(), 3, generator), generator)
    assert not torch.allclose(scanned[0], scanned[1], atol=1e-3)
    assert scanned.shape == (3, 2, 30, 30)
