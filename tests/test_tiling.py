"""Tiles: every electron is counted once, everything is covered, and what is cut comes back in place."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_gandenoise.progress import drain, relay
from napari_gandenoise.tiling import (
    Blocks,
    Layout,
    bin_tiles,
    blend,
    block_steps,
    grid_counts,
    lay_out,
    refine_grid,
    upsample,
)

SIZE, STRIDE = 32, 18

sides = st.integers(8, 150)
ratios = st.floats(0.7, 6.0)
angles = st.floats(-math.pi, math.pi)


def make_layout(height: int, width: int, ratio: float) -> Layout:
    return lay_out((height, width), ratio, SIZE, STRIDE)


def input_centres(layout: Layout) -> torch.Tensor:
    """Tile centres in input pixels; a grid pixel's middle is the middle of the pixels that it sums."""
    return layout.summed * (layout.centres + 0.5) - 0.5


def smooth(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A rate that varies over a few hundred pixels of the input."""
    return 2 + torch.sin(y / 45) + 0.5 * torch.cos(x / 60 + 1)


def frame_of(layout: Layout) -> torch.Tensor:
    y, x = (torch.arange(n, dtype=torch.float32) for n in layout.shape)
    return smooth(y[:, None], x[None, :])[None]


def grid_positions(layout: Layout) -> tuple[torch.Tensor, torch.Tensor]:
    y, x = (torch.arange(n, dtype=torch.float32) * layout.summed + (layout.summed - 1) / 2 for n in layout.grid)
    return y[:, None], x[None, :]


@settings(deadline=None, max_examples=60)
@given(height=sides, width=sides, ratio=ratios)
def test_every_grid_pixel_lies_well_inside_a_disk(height, width, ratio):
    layout = make_layout(height, width, ratio)
    y, x = (torch.arange(n, dtype=torch.float32) for n in layout.grid)
    pixels = torch.cartesian_prod(y, x)
    nearest = torch.cdist(pixels, layout.centres).min(dim=1).values.max()
    assert nearest < 0.95 * SIZE / 2 * ratio / layout.summed + 1


@settings(deadline=None, max_examples=60)
@given(height=sides, width=sides, ratio=ratios)
def test_neighbouring_centres_are_no_further_apart_than_the_stride(height, width, ratio):
    layout = make_layout(height, width, ratio)
    assert layout.summed == max(1, round(ratio))
    for axis, extent in zip(layout.centres.T, layout.grid, strict=True):
        places = axis.unique()
        assert (places >= -0.5).all()
        assert (places <= extent - 0.5).all()
        if len(places) > 1:
            assert places.diff().max() <= STRIDE * ratio / layout.summed + 1e-3


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
    binned = bin_tiles(counts, layout, torch.tensor([tile]), torch.tensor([angle])).counts[0, 0]
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
    binned = bin_tiles(counts, layout, tiles, torch.full((len(tiles),), angle))
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
    binned = bin_tiles(torch.full((1, 70, 90), 0.25), layout, tiles, torch.full((len(tiles),), angle))
    assert torch.equal(binned.counts, 0.25 * binned.exposure)


@settings(deadline=None, max_examples=60)
@given(height=st.integers(1, 70), width=st.integers(1, 70), summed=st.integers(1, 9))
def test_summing_onto_the_grid_loses_no_electron(height, width, summed):
    counts = torch.poisson(torch.full((3, height, width), 2.0), generator=torch.Generator().manual_seed(height))
    sums, exposure = grid_counts(counts, summed)
    assert sums.shape[1:] == exposure.shape == (math.ceil(height / summed), math.ceil(width / summed))
    assert sums.sum().item() == pytest.approx(counts.sum().item(), rel=1e-5)
    assert exposure.sum().item() == pytest.approx(height * width, rel=1e-5)
    assert sums[2, 0, 0].item() == pytest.approx(counts[2, :summed, :summed].sum().item(), rel=1e-5, abs=1e-5)
    last = counts[2, summed * (sums.shape[1] - 1) :, summed * (sums.shape[2] - 1) :]
    assert sums[2, -1, -1].item() == pytest.approx(last.sum().item(), rel=1e-5, abs=1e-5)


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
    assert blended.shape == (1, *layout.grid)
    expected = smooth(*grid_positions(layout)).expand(layout.grid)
    assert torch.allclose(blended[0], expected, atol=0.05)


@pytest.mark.parametrize(("height", "width"), [(240, 251), (100, 320), (40, 50)])
@pytest.mark.parametrize("ratio", [2.0, 3.3, 4.0])
def test_a_smooth_image_survives_binning_and_blending(height, width, ratio):
    layout = make_layout(height, width, ratio)
    found = torch.linspace(-1.5, 1.5, len(layout.centres))
    binned = bin_tiles(frame_of(layout), layout, torch.arange(len(layout.centres)), found)
    seen = binned.exposure > 0
    outside = binned.counts.sum((1, 2, 3), keepdim=True) / binned.exposure.sum((1, 2, 3), keepdim=True)
    rates = torch.where(seen, binned.counts / binned.exposure.clamp(min=1), outside)
    sums, exposure = grid_counts(frame_of(layout), layout.summed)
    wrong = (blend(layout, rates, found) - sums / exposure)[0].abs()
    # Beyond the frame nothing was seen: near its edge the tiles hold their mean instead.
    assert wrong[3:-3, 3:-3].max() < 0.1
    assert wrong.mean() < 0.03


@given(height=sides, width=sides, summed=st.integers(1, 6))
def test_upsampling_a_ramp_puts_every_pixel_where_it_was(height, width, summed):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ramp = 100 + y + 2 * x
    sums, exposure = grid_counts(torch.from_numpy(ramp)[None], summed)
    back = upsample((sums[0] / exposure).numpy(), summed, (height, width))
    assert back.shape == ramp.shape
    assert back.dtype == np.float32
    # Within two grid pixels of an edge the spline sees mirrored or partial sums.
    rim = 3 * summed
    inside = back[rim : height - rim, rim : width - rim] - ramp[rim : height - rim, rim : width - rim]
    assert np.abs(inside).max(initial=0) < 0.3 * summed


def test_upsampling_never_goes_below_zero():
    rate = np.zeros((8, 8), np.float32)
    rate[3, 3] = 1
    assert upsample(rate, 4, (30, 31)).min() == 0


@given(height=sides, width=sides, stride=st.integers(8, SIZE))
@settings(deadline=None, max_examples=30)
def test_upright_tiles_on_the_input_grid_lose_nothing(height, width, stride):
    layout = lay_out((height, width), 1.0, SIZE, stride, "upright")
    colours = torch.rand(3, height, width, generator=torch.Generator().manual_seed(width))
    tiles = torch.arange(len(layout.centres))
    still = torch.zeros(len(tiles))
    binned = bin_tiles(colours, layout, tiles, still)
    assert set(binned.exposure.unique().tolist()) <= {0.0, 1.0}
    if min(height, width) >= SIZE:
        assert (binned.exposure == 1).all()
    # What is cut and put back without a change is the image itself.
    assert torch.allclose(blend(layout, binned.counts, still), colours, atol=1e-4)


def test_an_image_as_large_as_an_upright_tile_is_one_tile():
    layout = lay_out((SIZE, SIZE), 1.0, SIZE, 8, "upright")
    assert layout.centres.tolist() == [[SIZE / 2 - 0.5, SIZE / 2 - 0.5]]


def test_blocks_that_are_left_alone_give_the_image_back():
    image = torch.rand(2, 100, 77, generator=torch.Generator().manual_seed(0))
    same = drain(block_steps(image, Blocks(32, 8, 4), lambda blocks: blocks, 32**2))
    assert torch.allclose(same, image, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    batch=st.integers(1, 5),
    overlap=st.integers(0, 15),
    multiple=st.sampled_from([1, 4, 16]),
)
def test_an_image_of_any_size_is_covered_by_whole_blocks(height, width, batch, overlap, multiple):
    image = torch.rand(1, height, width, generator=torch.Generator().manual_seed(0))
    shapes = []

    def halved(blocks):
        shapes.append(blocks.shape)
        return blocks / 2

    blocks = Blocks(16, overlap, multiple)
    result = drain(block_steps(image, blocks, halved, batch * 256))
    assert torch.allclose(result, image / 2, atol=1e-5)
    assert sum(shape[0] for shape in shapes) == blocks.count((height, width))
    for count, _, *sides in shapes:
        assert count * sides[0] * sides[1] <= batch * 256
        assert all(side <= 16 and side % multiple == 0 for side in sides)


def test_blocks_that_disagree_are_blended_without_a_seam():
    # Each block adds a constant of its own: the result must pass from one to the next without a jump.
    image = torch.zeros(1, 64, 400)
    levels = iter(range(100))

    def shifted(blocks):
        return blocks + torch.tensor([float(next(levels)) for _ in blocks]).view(-1, 1, 1, 1)

    result = drain(block_steps(image, Blocks(64, 32, 8), shifted, 64**2))
    steps = result.diff(dim=2).abs().max()
    assert steps < 0.1


@pytest.mark.usefixtures("hurried_clock")
def test_rows_of_blocks_that_are_done_show_in_the_preview():
    image = torch.rand(3, 100, 60, generator=torch.Generator().manual_seed(3))
    steps = block_steps(image, Blocks(32, 8, 4), lambda blocks: blocks / 2, 32**2)
    previews = []

    def keep(event):
        previews.extend([] if event.preview is None else [event.preview])
        return event

    result = drain(relay(steps, keep))
    assert len(previews) == 3  # four rows of blocks
    for preview in previews:
        done = int((preview[0] == result[0]).all(dim=1).sum())
        assert 0 < done < 100
        assert torch.equal(preview[:, :done], result[:, :done])
        assert torch.equal(preview[:, done:], image[:, done:])


@given(factor=st.integers(1, 6), height=st.integers(3, 12), width=st.integers(3, 12), seed=st.integers(0, 99))
@settings(deadline=None)
def test_a_refined_grid_has_the_means_it_was_made_of(factor, height, width, seed):
    # Of a rate that has no detail finer than its pixels; points stand for means over an input pixel, hence a per cent.
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).random((height + 24, width + 24)), 2)
    means = smooth[12:-12, 12:-12].astype(np.float32)
    fine = refine_grid(means, factor)
    assert fine.shape == (factor * height, factor * width)
    again = fine.reshape(height, factor, width, factor).mean(axis=(1, 3))
    assert np.abs(again - means)[1:-1, 1:-1].max() < 0.02 * (np.ptp(means) + 1e-6)


def test_a_refined_grid_keeps_the_height_of_fringes():
    # Fringes of five pixels of the summed grid: their means over pixels are lower than they are.
    x = (np.arange(400) + 0.5) / 4
    fringes = np.tile(1 + 0.5 * np.cos(2 * np.pi * x / 5), (400, 1)).astype(np.float32)
    means = fringes.reshape(100, 4, 100, 4).mean(axis=(1, 3))
    middle = (slice(40, -40), slice(40, -40))
    refined, plain = refine_grid(means, 4), upsample(means, 4, fringes.shape)
    errors = [np.abs(image - fringes)[middle].max() for image in (refined, plain)]
    assert errors[0] < 0.2 * errors[1]
