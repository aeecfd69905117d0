"""Images made on the training device: chunks, the pool they are kept in, and tiles cut from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_gandenoise.datasets.modes import HeldOutImages, MadeImages, MadePool, Mode, modes_of
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.data import ModesData, TileConfig

CPU = torch.device("cpu")
AS_THEY_LIE = TileConfig(pose="upright", intensity="standard", scale=0.0, flips=False)


def flat(level: float) -> Mode:
    """A mode whose images are even, at a level that tells them from all others."""

    def draw(count: int, seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return (level + 0.1 * torch.rand(count, 1, 1, 1, generator=generator)).expand(-1, 1, 12, 12)

    return Mode(1.0, draw)


def ramps(count: int, seed: int) -> torch.Tensor:
    """Images whose value says where a pixel lies: row + column / 100, over 12."""
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    return ((y + x / 100) / 12).expand(count, 1, 12, 12)


def pool_of(images: MadeImages, tiles: TileConfig = AS_THEY_LIE, **fields) -> MadePool:
    usual = {"capacity": 16, "fresh": 2, "chunk": 4, "device": CPU}
    return MadePool(images, (1, 12), 8, tiles, **{**usual, **fields})


def test_modes_have_their_shares_from_the_first_chunks_on():
    modes = [flat(level)._replace(share=share) for level, share in ((0.0, 0.2), (0.3, 0.0), (0.6, 0.6))]
    images = MadeImages(modes, 0)
    levels = torch.stack([images.chunk(0, number, 1).mean() for number in range(20)])
    assert not ((levels > 0.25) & (levels < 0.55)).any()
    assert int((levels > 0.5).sum()) == pytest.approx(15, abs=1)


def test_a_chunk_is_a_function_of_seed_stream_and_number():
    images = MadeImages([flat(0.0)], 3)
    assert torch.equal(images.chunk(0, 7, 4), MadeImages([flat(0.0)], 3).chunk(0, 7, 4))
    others = [MadeImages([flat(0.0)], 4).chunk(0, 7, 4), images.chunk(1, 7, 4), images.chunk(0, 8, 4)]
    assert not any(torch.equal(images.chunk(0, 7, 4), other) for other in others)


def test_modes_without_a_share_are_refused():
    with pytest.raises(GanDenoiseError, match="share above 0"):
        MadeImages([flat(0.0)._replace(share=0.0)], 0)


def test_tiles_lie_within_their_images():
    pool = pool_of(MadeImages([Mode(1.0, ramps)], 0))
    pool.fill(4)
    tiles = pool.draw(64, torch.Generator().manual_seed(0), CPU)
    assert tiles.shape == (64, 1, 8, 8)
    assert torch.allclose(tiles.diff(dim=2), torch.tensor(1 / 12), atol=2e-3)  # half precision
    corners = 12 * tiles[:, 0, 0, 0]
    assert set(corners.floor().int().tolist()) == set(range(5))


def test_tiles_are_scaled_and_turned():
    pool = pool_of(MadeImages([Mode(1.0, ramps)], 0), AS_THEY_LIE.model_copy(update={"scale": 0.25}))
    pool.fill(4)
    steps = 12 * pool.draw(200, torch.Generator().manual_seed(0), CPU)[:, 0, 2:6, 4].diff(dim=1).mean(dim=1)
    # Cubic convolution keeps the slope of a ramp to some percent.
    assert 0.72 < steps.min() < 0.8
    assert 1.2 < steps.max() < 1.3
    turned = MadePool(
        MadeImages([Mode(1.0, ramps)], 0), (1, 12), 6, AS_THEY_LIE.model_copy(update={"rotation": True}),
        capacity=16, fresh=2, chunk=4, device=CPU,
    )  # fmt: skip
    turned.fill(4)
    middles = 12 * turned.draw(200, torch.Generator().manual_seed(0), CPU)[:, 0, 2:4, 2:4]
    slopes = torch.stack([middles.diff(dim=1).mean(dim=(1, 2)), middles.diff(dim=2).mean(dim=(1, 2))])
    assert torch.allclose(slopes.norm(dim=0), torch.tensor(1.0), atol=0.08)
    assert slopes.amin() < -0.85


def test_fresh_images_take_the_place_of_the_oldest():
    pool = pool_of(MadeImages([flat(0.0)], 0), fresh=4)
    pool.fill(16)
    before = pool.held.clone()
    generator = torch.Generator().manual_seed(0)
    pool.draw(2, generator, CPU)
    assert pool.added == 20
    assert (pool.held != before).flatten(1).any(dim=1).tolist() == [True] * 4 + [False] * 12


def test_images_are_made_when_a_chunk_of_them_is_owed():
    made = []

    def draw(count: int, seed: int) -> torch.Tensor:
        made.append(count)
        return torch.zeros(count, 1, 12, 12)

    pool = pool_of(MadeImages([Mode(1.0, draw)], 0), fresh=1)
    pool.fill(6)
    assert made == [4, 4]
    for _ in range(9):
        pool.draw(2, torch.Generator().manual_seed(0), CPU)
    assert made == [4] * 4


@pytest.mark.parametrize("draws", [0, 1, 5, 30])
def test_a_pool_is_rebuilt_as_it_was(draws):
    images = MadeImages([flat(0.0), flat(0.5)], 1)
    pool = pool_of(images, fresh=3)
    pool.fill(8)
    generator = torch.Generator().manual_seed(0)
    for _ in range(draws):
        pool.draw(2, generator, CPU)
    again = pool_of(images, fresh=3)
    drain(again.rebuild(pool.added))
    states = [torch.Generator().manual_seed(5) for _ in range(2)]
    for _ in range(6):
        assert torch.equal(*(p.draw(5, state, CPU) for p, state in zip((pool, again), states, strict=True)))


def test_held_out_images_are_none_of_the_training():
    images = MadeImages([flat(0.0)], 0)
    held = HeldOutImages(images, 8)
    first = held.draw(10, torch.Generator())
    assert first.shape == (10, 1, 8, 8)
    assert torch.equal(first, HeldOutImages(MadeImages([flat(0.0)], 0), 8).draw(10, torch.Generator()))
    trained = torch.cat([images.chunk(0, number, 4) for number in range(20)])[:, 0, 0, 0]
    assert not torch.isin(first[:, 0, 0, 0], trained).any()
    assert not torch.isin(torch.cat([held.in_order(n) for n in range(5)])[:, 0, 0, 0], first[:, 0, 0, 0]).any()


def test_images_too_small_to_cut_from_are_refused():
    with pytest.raises(GanDenoiseError, match="at least"):
        pool_of(MadeImages([flat(0.0)], 0), AS_THEY_LIE.model_copy(update={"rotation": True, "scale": 0.2}))


@pytest.mark.parametrize("colour", [False, True])
def test_scenes_are_a_mode(colour):
    data = ModesData(side=64, colour=colour)
    drawn = MadeImages(modes_of(data, CPU), 0).chunk(0, 0, 3)
    assert drawn.shape == (3, data.channels, 64, 64)
    assert 0 <= drawn.min() < drawn.max() <= 1
    assert np.ptp(drawn.flatten(1).numpy(), axis=1).min() > 0


@pytest.mark.parametrize("mode", ["hrtem", "haadf"])
def test_simulated_images_are_modes(mode):
    pytest.importorskip("ase")
    structure = {"kind": "crystal", "materials": ["Au"], "shapes": ["sphere"], "diameter_nm": [1.5, 1.5]}
    fields = {"scenes": 0.0, mode: 1.0, "side": 48, "per_structure": 2, "sampling_nm": [0.05, 0.05]}
    images = MadeImages(modes_of(ModesData.model_validate({**fields, "structure": structure}), CPU), 0).chunk(0, 0, 4)
    assert images.shape == (4, 1, 48, 48)
    assert torch.isfinite(images).all()
    assert 0 <= images.min() < images.max() == 1  # the brightest pixel of each, so that zero is no electrons
    # Two images of a structure, under conditions of their own; then another structure.
    assert not torch.allclose(images[0], images[1], atol=1e-3)
    likeness = [float(torch.corrcoef(torch.stack([images[0].flatten(), images[i].flatten()]))[0, 1]) for i in (1, 2)]
    if mode == "haadf":
        assert likeness[0] > 0.9 > likeness[1]
