"""Seams: borders lie halfway between tiles, and a step on them shows."""

from __future__ import annotations

import numpy as np
import torch

from napari_gandenoise.evaluation import nearest_tiles, seam_energy, tile_borders
from napari_gandenoise.tiling import Grid, Tiles


def test_a_step_on_the_borders_of_tiles_shows_and_one_elsewhere_does_not():
    centres = torch.tensor([[y, x] for y in (9.5, 29.5, 49.5) for x in (9.5, 29.5, 49.5)])
    tiles = Tiles(Grid((60, 60)), 20, centres)
    nearest, borders = nearest_tiles(tiles), tile_borders(tiles)
    y, x = np.indices((60, 60))
    np.testing.assert_array_equal(nearest, 3 * (y // 20) + x // 20)
    assert borders.mean() < 0.2
    smooth = np.random.default_rng(0).normal(0, 1, (60, 60))

    assert 0.8 < seam_energy(smooth, borders) < 1.2
    assert seam_energy(smooth + 5 * nearest, borders) > 3
    # The same steps, ten pixels away from any border.
    assert seam_energy(smooth + 5 * np.roll(nearest, 10, axis=(0, 1)), borders) < 1
