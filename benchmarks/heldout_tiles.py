"""Tiles of the held-out frames without noise, for benchmarks that look at the inversion of single tiles."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks import heldout
from napari_gandenoise.inversion.search import find_angles
from napari_gandenoise.models import Model
from napari_gandenoise.tiling import Frame, Grid, TileCounts, bin_tiles, lay_out

__all__ = ["draw_counts", "expected_tiles"]

BRIGHT = 1000  # times the dose: orientations come from the lattice, not from the noise


def expected_tiles(model: Model, frames: Sequence[heldout.Frame], each: int, pixel_size_nm: float) -> TileCounts:
    """Return the expected electrons of the tiles with the most structure, ``each`` of every frame.

    Tiles do not overlap and lie in the orientation of their strongest fringes without noise: a benchmark of
    optimisers should not measure how well orientations are found.
    """
    assert model.pixel_size_nm is not None
    parts = []
    for frame in frames:
        grid = Grid(frame.truth.shape, model.pixel_size_nm / pixel_size_nm)
        layout = lay_out(grid, model.size, stride=model.size)
        bright = Frame.of(BRIGHT * frame.truth, grid, torch.device("cpu"))
        everywhere = torch.arange(len(layout.centres))
        angles = find_angles(bright, layout, everywhere, 1)[:, 0]
        tiles = bin_tiles(bright.again(frame.truth), layout, everywhere, angles)
        best = _structure(tiles).argsort(descending=True)[:each]
        parts.append(TileCounts(tiles.counts[best], tiles.exposure[best]))
    return TileCounts(torch.cat([p.counts for p in parts]), torch.cat([p.exposure for p in parts]))


def draw_counts(expected: TileCounts, dose: float, seed: int) -> TileCounts:
    """Draw Poisson counts at ``dose`` times the frames' dose."""
    generator = torch.Generator().manual_seed(seed)
    return TileCounts(torch.poisson(dose * expected.counts, generator=generator), expected.exposure)


def _structure(tiles: TileCounts) -> Tensor:
    """Power of the structure of clean tiles, ``(N,)``; tiles over an edge show less and count less."""
    rate = tiles.counts / tiles.exposure.clamp(min=1)
    seen = tiles.exposure > 0
    mean = tiles.counts.sum((1, 2, 3), keepdim=True) / tiles.exposure.sum((1, 2, 3), keepdim=True).clamp(min=1)
    return ((rate - mean) * seen).square().sum((1, 2, 3))
