"""Tiles: every electron is counted once, everything is covered, and what is cut comes back in place."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_gandenoise.tiling import Frame, Grid, Tiles, bin_tiles, blend, lay_out

SIZE, STRIDE = 32, 18

sides = st.integers(8, 150)
ratios = st.floats(0.7, 6.0)
angles = st.floats(-math.pi, math.pi)


def make_layout(height: int, width: int, ratio: float) -> Tiles:
    return lay_out(Grid((height, width), ratio), SIZE, STRIDE)


def input_centres(layout: Tiles) -> torch.Tensor:
    """Tile centres in input pixels; a grid pixel's middle is the middle of the pixels that it sums."""
    return layout.grid.summed * (layout.centres + 0.5) - 0.5


def smooth(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A rate that varies over a few hundred pixels of the input."""
    return 2 + torch.sin(y / 45) + 0.5 * torch.cos(x / 60 + 1)


def frame_of(layout: Tiles) -> torch.Tensor:
    y, x = (torch.arange(n, dtype=torch.float32) for n in layout.grid.shape)
    return smooth(y[:, None], x[None, :])[None]


def grid_positions(layout: Tiles) -> tuple[torch.Tensor, torch.Tensor]:
    y, x = (
        torch.arange(n, dtype=torch.float32) * layout.grid.summed + (layout.grid.summed - 1) / 2
        for n in layout.grid.sides
    )
    return y[:, None], x[None, :]


@settings(deadline=None, max_examples=60)
@given(height=sides, width=sides, ratio=ratios)
def test_every_grid_pixel_lies_well_inside_a_disk(height, width, ratio):
    layout = make_layout(height, width, ratio)
    y, x = (torch.arange(n, dtype=torch.float32) for n in layout.grid.sides)
    pixels = torch.cartesian_prod(y, x)
    nearest = torch.cdist(pixels, layout.centres).min(dim=1).values.max()
    assert nearest < 0.95 * SIZE / 2 * ratio / layout.grid.summed + 1


@settings(deadline=None, max_examples=60)
@given(height=sides, width=sides, ratio=ratios)
def test_neighbouring_centres_are_no_further_apart_than_the_stride(height, width, ratio):
    layout = make_layout(height, width, ratio)
    assert layout.grid.summed == max(1, round(ratio))
    for axis, extent in zip(layout.centres.T, layout.grid.sides, strict=True):
        places = axis.unique()
        assert (places >= -0.5).all()
        assert (places <= extent - 0.5).all()
        if len(places) > 1:
            assert places.diff().max() <= STRIDE * ratio / layout.grid.summed + 1e-3


@settings(deadline=None, max_examples=60)
@given(data=st.data(), height=sides, width=sides, ratio=ratios, angle=angles)
def test_an_electron_inside_the_disk_falls_into_exactly_the_bin_it_hit(data, height, width, ratio, angle):
    layout = make_layout(height, width, ratio)
    tile = data.draw(st.integers(0, len(layout.centres) - 1))
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    dy, dx = (torch.tensor([float(y), float(x)]) - input_centres(layout)[tile]).tolist()
    assume(math.hypot(dy, dx) < (SIZE / 2 - 1.5) * ratio)
    counts = torch.zeros(1, height, width)
    counts[0, y, x] = 1
    binned = bin_tiles(Frame(counts, layout.grid), layout, torch.tensor([tile]), torch.tensor([angle])).counts[0, 0]
    assert binned.sum() == 1
    row, column = divmod(int(binned.argmax()), SIZE)
    # In the tile's frame x lies along the angle; a bin reaches half a pixel to each side of its middle.
    assert column - (SIZE - 1) / 2 == pytest.approx((math.cos(angle) * dx + math.sin(angle) * dy) / ratio, abs=0.51)
    assert row - (SIZE - 1) / 2 == pytest.approx((-math.sin(angle) * dx + math.cos(angle) * dy) / ratio, abs=0.51)


@settings(deadline=None, max_examples=40)
@given(height=sides, width=sides, ratio=ratios, angle=angles)
def test_a_tile_holds_the_electrons_of_its_disk(height, width, ratio, angle):
    layout = make_layout(height, width, ratio)
    generator = torch.Generator().manual_seed(height * width)
    counts = torch.poisson(torch.full((1, height, width), 3.0), generator=generator)
    tiles = torch.arange(len(layout.centres))
    binned = bin_tiles(Frame(counts, layout.grid), layout, tiles, torch.full((len(tiles),), angle))
    y, x = torch.arange(height, dtype=torch.float32), torch.arange(width, dtype=torch.float32)
    for held, seen, (cy, cx) in zip(binned.counts, binned.exposure, input_centres(layout).tolist(), strict=True):
        radius = torch.hypot(y[:, None] - cy, x[None, :] - cx)
        # Bins on the rim are in or out as a whole.
        surely, maybe = radius < (SIZE / 2 - 1.5) * ratio, radius < (SIZE / 2 + 1.5) * ratio
        assert counts[0][surely].sum() <= held.sum() <= counts[0][maybe].sum()
        assert surely.sum() <= seen.sum() <= maybe.sum()


@given(ratio=ratios, angle=angles)
@settings(deadline=None, max_examples=20)
def test_expected_counts_are_exposure_times_rate(ratio, angle):
    layout = make_layout(70, 90, ratio)
    tiles = torch.arange(len(layout.centres))
    binned = bin_tiles(
        Frame(torch.full((1, 70, 90), 0.25), layout.grid), layout, tiles, torch.full((len(tiles),), angle)
    )
    assert torch.equal(binned.counts, 0.25 * binned.exposure)


@settings(deadline=None, max_examples=40)
@given(height=sides, width=sides, ratio=ratios, turned=st.lists(angles, min_size=1, max_size=7))
def test_blending_puts_tile_rates_back_in_place(height, width, ratio, turned):
    layout = make_layout(height, width, ratio)
    found = torch.tensor(turned)[torch.arange(len(layout.centres)) % len(turned)]
    axis = (torch.arange(SIZE) - (SIZE - 1) / 2) * ratio
    cos, sin = found.cos()[:, None, None], found.sin()[:, None, None]
    centres = input_centres(layout)
    along, across = axis[None, None, :], axis[None, :, None]
    y = centres[:, 0, None, None] + sin * along + cos * across
    x = centres[:, 1, None, None] + cos * along - sin * across
    blended = blend(layout, smooth(y, x)[:, None], found)
    assert blended.shape == (1, *layout.grid.sides)
    expected = smooth(*grid_positions(layout)).expand(layout.grid.sides)
    assert torch.allclose(blended[0], expected, atol=0.05)


@pytest.mark.parametrize(("height", "width"), [(240, 251), (100, 320), (40, 50)])
@pytest.mark.parametrize("ratio", [2.0, 3.3, 4.0])
def test_a_smooth_image_survives_binning_and_blending(height, width, ratio):
    layout = make_layout(height, width, ratio)
    found = torch.linspace(-1.5, 1.5, len(layout.centres))
    binned = bin_tiles(Frame(frame_of(layout), layout.grid), layout, torch.arange(len(layout.centres)), found)
    seen = binned.exposure > 0
    outside = binned.counts.sum((1, 2, 3), keepdim=True) / binned.exposure.sum((1, 2, 3), keepdim=True)
    rates = torch.where(seen, binned.counts / binned.exposure.clamp(min=1), outside)
    sums, exposure = Frame(frame_of(layout), layout.grid).sums
    wrong = (blend(layout, rates, found) - sums / exposure)[0].abs()
    # Beyond the frame nothing was seen: near its edge the tiles hold their mean instead.
    assert wrong[3:-3, 3:-3].max() < 0.1
    assert wrong.mean() < 0.03


@given(height=sides, width=sides, stride=st.integers(8, SIZE))
@settings(deadline=None, max_examples=30)
def test_upright_tiles_on_the_input_grid_lose_nothing(height, width, stride):
    layout = lay_out(Grid((height, width)), SIZE, stride, "upright")
    colours = torch.rand(3, height, width, generator=torch.Generator().manual_seed(width))
    tiles = torch.arange(len(layout.centres))
    still = torch.zeros(len(tiles))
    binned = bin_tiles(Frame(colours, layout.grid), layout, tiles, still)
    assert set(binned.exposure.unique().tolist()) <= {0.0, 1.0}
    if min(height, width) >= SIZE:
        assert (binned.exposure == 1).all()
    # What is cut and put back without a change is the image itself.
    assert torch.allclose(blend(layout, binned.counts, still), colours, atol=1e-4)


def test_an_image_as_large_as_an_upright_tile_is_one_tile():
    layout = lay_out(Grid((SIZE, SIZE)), SIZE, 8, "upright")
    assert layout.centres.tolist() == [[SIZE / 2 - 0.5, SIZE / 2 - 0.5]]
