"""A pool of training tiles that is used while it fills and renewed once it is full."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_gandenoise.datasets.tiles import TileSampler

__all__ = ["TilePool"]


class TilePool:
    """Tiles in memory, drawn many times in all four mirror images while a few fresh ones join at every draw.

    Cutting and turning a tile costs more than a training step can spare; reusing it a few times does not hurt.

    Parameters
    ----------
    sampler : TileSampler
        Source of fresh tiles.
    capacity : int
        Tiles held (float16); from then on fresh tiles replace the oldest.
    fresh : int
        Tiles that join at each draw.
    generator : torch.Generator
        Source of every draw.
    """

    def __init__(self, sampler: TileSampler, capacity: int, fresh: int, generator: torch.Generator) -> None:
        self.sampler = sampler
        self.fresh = fresh
        self.generator = generator
        self.tiles = torch.empty(capacity, 1, sampler.size, sampler.size, dtype=torch.float16)
        self.added = 0

    def fill(self, count: int) -> Tensor:
        """Add fresh tiles and return them, ``(count, 1, H, W)`` intensity relative to vacuum."""
        tiles = self.sampler.draw(count, self.generator)
        places = torch.arange(self.added, self.added + count) % len(self.tiles)
        self.tiles[places] = tiles.half()
        self.added += count
        return tiles

    def draw(self, count: int) -> Tensor:
        """Draw tiles ``(count, 1, H, W)``, each randomly mirrored (which keeps its fringes along x)."""
        self.fill(self.fresh)
        held = min(self.added, len(self.tiles))
        tiles = self.tiles[torch.randint(held, (count,), generator=self.generator)].float()
        for axis in (2, 3):
            mirrored = torch.rand(count, 1, 1, 1, generator=self.generator) < 0.5
            tiles = torch.where(mirrored, tiles.flip(axis), tiles)
        return tiles
