from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.inversion.presets import PRESETS
from napari_gandenoise.noise.holes import stand_in
from napari_gandenoise.tiling import Frame, Grid, bin_tiles, lay_out


def test_tiles_in_the_middle_of_a_hole_are_left_out():
    tiles = lay_out(Grid((200, 200)), 64, 24)
    missing = np.zeros((200, 200), bool)
    missing[30:170, 30:170] = True
    left = tiles.around_holes(missing).centres
    assert 0 < len(left) < len(tiles.centres)
    assert not ((left - 100).abs() < 25).all(dim=1).any()


@pytest.mark.parametrize("pose", ["oriented", "upright"])
@pytest.mark.parametrize("shape", [(70, 210), (200, 131)])
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_without_holes_tiles_reach_everywhere(pose, shape, preset, size):
    assert lay_out(Grid(shape), size, PRESETS[preset].stride(size), pose).reached().all()


def test_a_tile_reaches_about_as_far_as_its_disk():
    tiles = lay_out(Grid((300, 300), 2.0), 64, 24)
    one = replace(tiles, centres=torch.tensor([[70.0, 80.0]])).reached()
    y, x = np.mgrid[:150, :150]
    np.testing.assert_array_equal(one, np.hypot(y - 70, x - 80) <= 0.45 * 64)


def test_an_image_of_which_nearly_nothing_is_left_is_refused():
    missing = np.ones((200, 200), bool)
    missing[0, 0] = False
    with pytest.raises(GanDenoiseError, match="too little of the image"):
        lay_out(Grid((200, 200)), 64, 24).around_holes(missing)


@given(st.integers(0, 2**31), st.floats(0.05, 0.99), st.integers(2, 40), st.integers(2, 40))
def test_stand_ins_come_from_the_image(seed, share, height, width):
    rng = np.random.default_rng(seed)
    pixels, missing = rng.poisson(3, (height, width)), rng.random((height, width)) < share
    missing[0, 0] = False
    pixels[missing] = -1
    filled = stand_in(pixels, missing)
    np.testing.assert_array_equal(filled[~missing], pixels[~missing])
    assert filled.min() >= 0


def test_a_large_hole_is_filled_with_noise_of_the_same_kind(rng):
    pixels, missing = rng.poisson(4.0, (300, 300)), np.zeros((300, 300), bool)
    missing[80:200, 60:220] = True
    filled = stand_in(np.where(missing, 0, pixels), missing)
    hole = filled[missing]
    assert hole.mean() == pytest.approx(4, abs=0.1)
    assert hole.var() == pytest.approx(4, abs=0.3)
    apart = hole.var() - np.mean((filled[81:199, 61:219] - filled[81:199, 62:220]) ** 2.0) / 2
    assert abs(apart) < 0.3  # neighbours are independent, as they are in the image


def test_nothing_is_counted_where_nothing_was_exposed(rng):
    counts = torch.from_numpy(rng.poisson(5.0, (1, 90, 90))).float()
    exposed = torch.ones(90, 90)
    exposed[20:50, 30:60] = 0
    tiles = lay_out(Grid((90, 90), 2.0), 16, 8)
    part = torch.arange(len(tiles.centres))
    angles = torch.linspace(-1, 1, len(part))
    frames = [Frame(c, tiles.grid, exposed=e) for c, e in ((counts * exposed, None), (counts, exposed))]
    whole, holed = (bin_tiles(frame, tiles, part, angles) for frame in frames)
    assert torch.equal(whole.counts, holed.counts)
    assert holed.exposure.sum() < whole.exposure.sum()
    assert (holed.counts[(holed.exposure == 0)] == 0).all()
    sums, seen = frames[1].sums
    assert sums.sum() == (counts * exposed).sum()
    assert seen.sum() == exposed.sum()
