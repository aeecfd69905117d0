"""The pool of tiles: used while it fills, renewed once it is full."""

from __future__ import annotations

import torch

from napari_gandenoise.datasets.pool import TilePool
from napari_gandenoise.datasets.tiles import FrameSet, TileSampler


def make_pool(capacity: int, fresh: int) -> TilePool:
    y, x = torch.meshgrid(torch.arange(60.0), torch.arange(60.0), indexing="ij")
    frames = 1 + 0.3 * torch.sin(x / 1.3 + torch.arange(5.0)[:, None, None]) + 0.1 * torch.sin(y / 5)
    sampler = TileSampler(FrameSet(frames.half(), 0.02), 16, 0.02)
    return TilePool(sampler, capacity, fresh, torch.Generator().manual_seed(0))


def test_a_draw_takes_only_tiles_that_have_been_cut():
    pool = make_pool(50, 3)
    drawn = pool.draw(20)
    assert drawn.shape == (20, 1, 16, 16)
    assert pool.added == 3
    # A place that was never filled would be uninitialised memory; intensities here lie around vacuum.
    held = pool.tiles[:3].float()
    mirrors = torch.cat([held, held.flip(2), held.flip(3), held.flip(2).flip(3)])
    nearest = (drawn[:, None] - mirrors[None]).abs().amax(dim=(2, 3, 4)).min(dim=1).values
    assert nearest.max() == 0


def test_a_full_pool_replaces_its_oldest_tiles():
    pool = make_pool(10, 4)
    pool.fill(10)
    before = pool.tiles.clone()
    pool.draw(2)
    assert not any(torch.equal(pool.tiles[i], before[i]) for i in range(4))
    assert torch.equal(pool.tiles[4:], before[4:])
    pool.draw(2)
    pool.draw(2)
    assert pool.added == 22
    assert not any(torch.equal(pool.tiles[i], before[i]) for i in range(10))


def test_every_mirror_image_occurs():
    pool = make_pool(1, 1)
    drawn = pool.draw(64)
    held = pool.tiles[:1].float()
    for mirror in (held, held.flip(2), held.flip(3), held.flip(2).flip(3)):
        assert (drawn == mirror).all(dim=(1, 2, 3)).any()
