"""Cutting frames: the grid that counts are summed on, tiles for a search, blocks for a forward pass.

Counts are summed and binned, never interpolated; rates may be interpolated.
"""

from __future__ import annotations

from napari_gandenoise.tiling.blocks import Blocks, Place, block_starts, block_steps
from napari_gandenoise.tiling.filling import filled_rate
from napari_gandenoise.tiling.grid import Drawn, Frame, Grid, Latents, grid_counts, outside
from napari_gandenoise.tiling.tiles import TileCounts, Tiles, bin_tiles, blend, lay_out

__all__ = [
    "Blocks",
    "Drawn",
    "Frame",
    "Grid",
    "Latents",
    "Place",
    "TileCounts",
    "Tiles",
    "bin_tiles",
    "blend",
    "block_starts",
    "block_steps",
    "filled_rate",
    "grid_counts",
    "lay_out",
    "outside",
]
