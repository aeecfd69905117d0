"""Training tiles: oriented, normalised, rarely empty."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import zarr

from napari_gandenoise.datasets.tiles import NEAR_EMPTY, PEAK, SMALLEST_AMPLITUDE, FrameSet, TileSampler, normalise
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.orientation import disk, fringe_angles

PIXEL_NM, MODEL_NM = 0.0183, 0.0244


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(4)


def lattice_frames(count: int, side: int = 200, spacing_nm: float = 0.23) -> FrameSet:
    """Frames of fringes on vacuum, each along its own direction."""
    axis = torch.arange(side) * PIXEL_NM
    angles = torch.linspace(0.1, 3.0, count)[:, None, None]
    along = angles.cos() * axis[None, None, :] + angles.sin() * axis[None, :, None]
    return FrameSet((1 + 0.2 * torch.cos(2 * math.pi * along / spacing_nm)).half(), PIXEL_NM)


def test_the_strongest_fringe_of_a_tile_runs_along_x(generator):
    tiles = TileSampler(lattice_frames(7), 64, MODEL_NM).draw(40, generator)
    angles = fringe_angles(normalise(tiles).template[:, 0], 1)[:, 0]
    assert tiles.shape == (40, 1, 64, 64)
    assert angles.abs().max() < math.radians(3)


def test_the_period_is_that_of_the_models_pixels_within_the_random_scale(generator):
    tiles = TileSampler(lattice_frames(7), 64, MODEL_NM, scale=0.1).draw(40, generator)
    power = torch.fft.rfft(normalise(tiles).template[:, 0].mean(dim=1), n=1024).abs()
    periods = 1024 / power.argmax(dim=1)
    assert ((periods > 0.88 * 0.23 / MODEL_NM) & (periods < 1.13 * 0.23 / MODEL_NM)).all()
    assert periods.max() / periods.min() > 1.05


def test_normalise_can_be_undone_and_its_template_peaks_where_it_should():
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    intensity = (0.8 + 0.2 * torch.sin(x / 2) * torch.cos(y / 3))[None, None]
    tiles = normalise(intensity)
    inside = disk(32) == 1
    restored = tiles.mean * (1 + tiles.contrast * tiles.template)
    assert torch.allclose(restored[0, 0][inside], intensity[0, 0][inside], atol=1e-5)
    assert tiles.template.abs().max().item() == pytest.approx(PEAK, rel=1e-5)
    assert (tiles.template[0, 0][disk(32) == 0] == 0).all()
    assert tiles.template.sum().item() == pytest.approx(0, abs=1e-3)


def test_vacuum_is_not_blown_up_into_structure():
    ripple = 1 + 0.001 * torch.sin(torch.arange(32.0))[None, None, None, :].expand(1, 1, 32, 32)
    template = normalise(ripple).template
    assert template.abs().max() <= 0.0011 / SMALLEST_AMPLITUDE * PEAK


@pytest.mark.parametrize(("kept", "low", "high"), [(0.0, 0.0, 0.0), (0.1, 0.04, 0.16), (1.0, 0.42, 0.58)])
def test_near_empty_tiles_are_thinned_out(kept, low, high, generator):
    # Half of all draws are empty: of these a share is kept, kept / (1 + kept) of what comes out.
    frames = lattice_frames(4).frames
    half_empty = FrameSet(torch.cat([frames, torch.ones_like(frames)]), PIXEL_NM)
    tiles = TileSampler(half_empty, 16, MODEL_NM, near_empty=kept).draw(400, generator)
    empty = (tiles.std(dim=(1, 2, 3)) <= NEAR_EMPTY).float().mean().item()
    assert low <= empty <= high


def test_same_seed_same_tiles():
    sampler = TileSampler(lattice_frames(3), 32, MODEL_NM)
    first, second = (sampler.draw(5, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, second)


def test_frames_too_small_for_a_tile_are_refused():
    with pytest.raises(GanDenoiseError, match=r"images of 60×60 pixels are too small.*\d+ pixels"):
        TileSampler(lattice_frames(2, side=60), 64, MODEL_NM)


def test_only_the_images_that_are_finished_are_read(tmp_path):
    group = zarr.open_group(tmp_path / "set.zarr", mode="w")
    group.attrs["simulation"] = {"pixel_size_nm": PIXEL_NM}
    group.attrs["records"] = [{}, {}]
    images = group.create_array("images", shape=(5, 8, 8), chunks=(1, 8, 8), dtype="float16")
    images[:2] = np.full((2, 8, 8), 1.5)
    frames = FrameSet.open(tmp_path / "set.zarr")
    assert frames.frames.shape == (2, 8, 8)
    assert (frames.frames == 1.5).all()
    assert frames.pixel_size_nm == PIXEL_NM


@pytest.mark.parametrize("content", ["missing", "something else"])
def test_what_is_no_simulated_set_is_refused(tmp_path, content):
    path = tmp_path / "set.zarr"
    if content == "something else":
        zarr.open_group(path, mode="w").attrs["colour"] = "blue"
    with pytest.raises(GanDenoiseError, match=r"set\.zarr is not a simulated set"):
        FrameSet.open(path)
