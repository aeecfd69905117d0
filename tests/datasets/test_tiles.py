"""Training tiles: oriented or upright, normalised or absolute, rarely empty."""

from __future__ import annotations

import math
import subprocess
import sys

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gandenoise.datasets.sources import open_source
from napari_gandenoise.datasets.tiles import NEAR_EMPTY, PEAK, SMALLEST_AMPLITUDE, TileSampler, augment, normalise
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.orientation import fringe_angles, tile_mask
from napari_gandenoise.settings.data import FolderData, SimulatedData, TileConfig

PIXEL_NM, MODEL_NM = 0.0183, 0.0244
UPRIGHT = TileConfig(pose="upright", intensity="absolute", scale=0)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(4)


@pytest.fixture(scope="module")
def fringes(tmp_path_factory, write_set, lattices):
    return open_source(SimulatedData(path=write_set(tmp_path_factory.mktemp("set") / "fringes.zarr", lattices(7))))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Two photographs of different sizes, in which a pixel's colour tells where it lies."""
    folder = tmp_path_factory.mktemp("photographs")
    for name, (height, width) in {"a": (70, 90), "b": (64, 80)}.items():
        y, x = np.mgrid[:height, :width]
        imageio.imwrite(folder / f"{name}.png", np.stack([y, x, np.full_like(x, ord(name))], -1).astype(np.uint8))
    return open_source(FolderData(path=folder, colour=True))


def test_the_strongest_fringe_of_an_oriented_tile_runs_along_x(fringes, generator):
    tiles = TileSampler(fringes, TileConfig(), 64, MODEL_NM).draw(40, generator)
    angles = fringe_angles(normalise(tiles, TileConfig()).template[:, 0], 1)[:, 0]
    assert tiles.shape == (40, 1, 64, 64)
    assert angles.abs().max() < math.radians(3)


@pytest.mark.parametrize("pixel_nm", [PIXEL_NM, MODEL_NM / 4])
def test_the_period_is_that_of_the_models_pixels_within_the_random_scale(
    tmp_path, write_set, lattices, generator, pixel_nm
):
    images = lattices(7, 450, spacing_nm=0.23 * PIXEL_NM / pixel_nm)
    source = open_source(SimulatedData(path=write_set(tmp_path / "set.zarr", images, pixel_nm)))
    tiles = TileSampler(source, TileConfig(scale=0.1), 64, MODEL_NM).draw(40, generator)
    power = torch.fft.rfft(normalise(tiles, TileConfig()).template[:, 0].mean(dim=1), n=1024).abs()
    periods = 1024 / power.argmax(dim=1)
    assert ((periods > 0.88 * 0.23 / MODEL_NM) & (periods < 1.13 * 0.23 / MODEL_NM)).all()
    assert periods.max() / periods.min() > 1.05


def test_an_upright_tile_without_scale_is_a_piece_of_one_image(photographs, generator):
    tiles = 255 * TileSampler(photographs, UPRIGHT, 32, None).draw(100, generator)
    assert tiles.shape == (100, 3, 32, 32)
    offset = torch.arange(32.0)
    corners = tiles[:, :2, 0, 0].round()
    assert torch.allclose(tiles[:, 0], corners[:, 0, None, None] + offset[:, None], atol=1e-3)
    assert torch.allclose(tiles[:, 1], corners[:, 1, None, None] + offset, atol=1e-3)
    assert set(tiles[:, 2].round().flatten(1).unique(dim=1).flatten().tolist()) == {ord("a"), ord("b")}
    # Every place can be drawn, the edges too.
    assert corners.max() > 40
    assert len(corners.unique(dim=0)) > 90


def test_an_image_as_large_as_the_tile_is_the_tile(photographs, generator):
    tiles = TileSampler(photographs, UPRIGHT, 64, None).draw(20, generator)
    assert (tiles[:, 0, 0, 0] * 255).max() <= 6


def test_random_scale_and_rotation_change_what_a_tile_spans(photographs, generator):
    span = {}
    for name, change in {"scale": {"scale": 0.4}, "rotation": {"rotation": True}}.items():
        config = UPRIGHT.model_copy(update=change)
        tiles = 255 * TileSampler(photographs, config, 32, None).draw(60, generator)
        down = (tiles[:, 0, 24] - tiles[:, 0, 8]).mean(dim=1) / 16
        span[name] = down.abs()
    # Flips are part of it; 1 is a pixel that is a pixel.
    assert 0.58 < span["scale"].min() < 0.75
    assert 1.25 < span["scale"].max() < 1.42
    assert span["rotation"].min() < 0.2
    assert 0.9 < span["rotation"].max() < 1.05


def test_only_flips_that_are_wanted_occur(photographs, generator):
    for flips in (True, False):
        config = UPRIGHT.model_copy(update={"scale": 0.1, "flips": flips})
        tiles = TileSampler(photographs, config, 32, None).draw(40, generator)
        mirrored = (tiles[:, 1, :, -1] < tiles[:, 1, :, 0]).any()
        assert bool(mirrored) == flips


def test_all_mirror_images_and_quarter_turns_occur_and_no_other(generator):
    tile = torch.arange(12.0).reshape(1, 3, 2, 2).expand(400, 3, 2, 2)
    mirrors = {tuple(tile[0].flip(axes).flatten().tolist()) for axes in ((), (1,), (2,), (1, 2))}
    turned = {tuple(tile[0].rot90(k, (1, 2)).flip(a).flatten().tolist()) for k in range(4) for a in ((), (1,))}

    def seen(**fields):
        drawn = augment(tile, TileConfig(**fields), generator)
        return {tuple(one.flatten().tolist()) for one in drawn}

    assert seen() == mirrors
    assert seen(flips=False) == {tuple(tile[0].flatten().tolist())}
    assert seen(pose="upright", quarter_turns=True) == turned
    # An oriented tile that is turned would be one no more.
    assert seen(quarter_turns=True) == mirrors


@settings(max_examples=20, deadline=None)
@given(
    channels=st.sampled_from([1, 3]),
    size=st.sampled_from([16, 32]),
    pose=st.sampled_from(["oriented", "upright"]),
    intensity=st.sampled_from(["template", "absolute"]),
    seed=st.integers(0, 100),
)
def test_normalise_can_be_undone(channels, size, pose, intensity, seed):
    config = TileConfig(pose=pose, intensity=intensity)
    tile = torch.rand(5, channels, size, size, generator=torch.Generator().manual_seed(seed))
    tiles = normalise(tile, config)
    inside = (tile_mask(pose, size) == 1).expand(5, channels, size, size)
    restored = tiles.mean * (1 + tiles.contrast * tiles.template)
    assert torch.allclose(restored[inside], tile[inside], atol=1e-5)
    outside = (tile_mask(pose, size) == 0).expand(5, channels, size, size)
    assert (tiles.template[outside] == 0).all()
    if intensity == "template":
        assert tiles.template.abs().max().item() == pytest.approx(PEAK, rel=1e-5)
        assert tiles.template.sum(dim=(1, 2, 3)).abs().max().item() < 1e-2
    else:
        assert (tiles.mean == 0.5).all()
        assert (tiles.contrast == 1).all()


def test_vacuum_and_darkness_are_not_blown_up_into_structure():
    ripple = 1 + 0.001 * torch.sin(torch.arange(32.0))[None, None, None, :].expand(1, 1, 32, 32)
    assert normalise(ripple, TileConfig()).template.abs().max() <= 0.0011 / SMALLEST_AMPLITUDE * PEAK
    black = normalise(torch.zeros(1, 3, 16, 16), TileConfig(pose="upright"))
    assert (black.template == 0).all()
    assert torch.isfinite(black.contrast).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_normalise_stays_on_the_device():
    tiles = normalise(torch.rand(2, 1, 16, 16, device="cuda"), TileConfig())
    assert {part.device.type for part in tiles} == {"cuda"}


@pytest.mark.parametrize(("kept", "low", "high"), [(0.0, 0.0, 0.0), (0.1, 0.04, 0.16), (1.0, 0.42, 0.58)])
def test_near_empty_tiles_are_thinned_out(tmp_path, write_set, lattices, generator, kept, low, high):
    # Half of all draws are empty: of these a share is kept, kept / (1 + kept) of what comes out.
    images = lattices(4, 45)  # so small that each tile comes from another image
    path = write_set(tmp_path / "set.zarr", np.concatenate([images, np.ones_like(images)]))
    sampler = TileSampler(open_source(SimulatedData(path=path)), TileConfig(near_empty=kept), 16, MODEL_NM)
    tiles = sampler.draw(200, generator)
    empty = (tiles.std(dim=(1, 2, 3)) <= NEAR_EMPTY).float().mean().item()
    assert low <= empty <= high


def test_absolute_tiles_are_not_thinned_out(tmp_path, generator):
    imageio.imwrite(tmp_path / "black.png", np.zeros((40, 40), np.uint8))
    config = UPRIGHT.model_copy(update={"near_empty": 0.0})
    sampler = TileSampler(open_source(FolderData(path=tmp_path)), config, 32, None)
    assert (sampler.draw(5, generator) == 0).all()


@pytest.mark.slow
def test_images_without_any_contrast_end_in_a_sentence(tmp_path, write_set, generator):
    source = open_source(SimulatedData(path=write_set(tmp_path / "set.zarr", np.ones((2, 60, 60)))))
    with pytest.raises(GanDenoiseError, match="seem to be empty"):
        TileSampler(source, TileConfig(near_empty=0), 16, MODEL_NM).draw(5, generator)


def test_same_seed_same_tiles(fringes):
    sampler = TileSampler(fringes, TileConfig(), 32, MODEL_NM)
    first, second, other = (sampler.draw(5, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_images_too_small_for_a_tile_are_counted(fringes, photographs):
    with pytest.raises(GanDenoiseError, match=r"7 of 7 images .* 200×200 pixels: give images of at least 270×270"):
        TileSampler(fringes, TileConfig(), 128, MODEL_NM)
    with pytest.raises(GanDenoiseError, match=r"2 of 2 images .* 64×80 pixels: set scale to 0\."):
        TileSampler(photographs, UPRIGHT.model_copy(update={"scale": 0.2}), 64, None)
    with pytest.raises(GanDenoiseError, match=r"1 of 2 images .* 64×80 pixels: give images of at least 67×67"):
        TileSampler(photographs, UPRIGHT, 67, None)


def test_poses_and_intensities_that_make_no_sense_are_refused(fringes, photographs):
    with pytest.raises(GanDenoiseError, match="one channel: set pose to upright"):
        TileSampler(photographs, TileConfig(), 32, None)
    with pytest.raises(GanDenoiseError, match="no black and white"):
        TileSampler(fringes, UPRIGHT, 32, None)


@pytest.mark.slow
def test_a_set_larger_than_memory_is_read_tile_by_tile(tmp_path):
    group = zarr.open_group(tmp_path / "set.zarr", mode="w")
    group.attrs["simulation"] = {"pixel_size_nm": PIXEL_NM, "images_per_structure": 8}
    group.attrs["records"] = [{"defocus_nm": 4.0}] * 20_000
    # 29 GB; Zarr stores only what is written, and reads the rest as zeros.
    shape = (20_000, 850, 850)
    group.create_array("images", shape=shape, chunks=(1, *shape[1:]), dtype="float16")[7] = np.ones(shape[1:])
    code = f"""
import resource, torch
from pathlib import Path
from napari_gandenoise.settings.data import SimulatedData, TileConfig
from napari_gandenoise.datasets.sources import open_source
from napari_gandenoise.datasets.tiles import TileSampler
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
torch.fft.rfft2(torch.rand(8, 256, 256))
before = peak()
source = open_source(SimulatedData(path=Path({str(tmp_path / "set.zarr")!r})))
sampler = TileSampler(source, TileConfig(near_empty=1), 64, {MODEL_NM})
for chunk in range(10):
    sampler.draw(8, torch.Generator().manual_seed(chunk))
print(len(source), peak() - before)
"""
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert int(answer[0]) == 20_000
    assert float(answer[1]) < 250  # MB, libraries that load late included


def test_tiles_in_order_are_all_of_each_image(photographs):
    sampler = TileSampler(photographs, UPRIGHT, 32, None)
    corners = {i: (255 * sampler.in_order(i)[:, :2, 0, 0]).round().int().tolist() for i in (0, 1)}
    # 70 x 90 pixels: three rows of three, the last ones flush with the edge; 64 x 80: two rows of three.
    assert corners[0] == [[y, x] for y in (0, 19, 38) for x in (0, 29, 58)]
    assert corners[1] == [[y, x] for y in (0, 32) for x in (0, 24, 48)]


def test_tiles_in_order_are_brought_to_the_models_grid(fringes):
    sampler = TileSampler(fringes, TileConfig(pose="upright", scale=0.2), 64, MODEL_NM)
    tiles = sampler.in_order(3)
    side = math.ceil(64 * MODEL_NM / PIXEL_NM)
    assert tiles.shape == (math.ceil(200 / side) ** 2, 1, 64, 64)
    # Neither scaled nor turned: cells of the model's grid are means over cells of the image.
    part = torch.from_numpy(fringes.read(3, slice(0, side), slice(0, side)))
    wanted = torch.nn.functional.interpolate(part[None], 64, mode="area")[0]
    assert torch.nn.functional.mse_loss(tiles[0], wanted).sqrt() < 0.02 < tiles[0].std()
