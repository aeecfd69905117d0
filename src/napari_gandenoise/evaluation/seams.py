"""Seams: whether the borders of tiles show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from napari_gandenoise.tiling import Tiles

__all__ = ["nearest_tiles", "seam_energy", "tile_borders"]


def nearest_tiles(tiles: Tiles) -> NDArray[np.int64]:
    """Say for each grid pixel which tile's centre is nearest, ``(Y, X)``."""
    height, width = tiles.grid.sides
    pixels = np.moveaxis(np.indices((height, width)), 0, -1)
    nearest: NDArray[np.int64] = spatial.cKDTree(tiles.centres.numpy()).query(pixels)[1]
    return nearest


def tile_borders(tiles: Tiles) -> NDArray[np.bool_]:
    """Say for each grid pixel whether the nearest tile changes beside it, ``(Y, X)``."""
    nearest = nearest_tiles(tiles)
    borders: NDArray[np.bool_] = ndimage.maximum_filter(nearest, 3) != ndimage.minimum_filter(nearest, 3)
    return borders


def seam_energy(image: NDArray[np.floating], borders: NDArray[np.bool_]) -> float:
    """Mean squared gradient of an image ``(Y, X)`` on borders over that elsewhere.

    Divided by the same of the truth, it is 1 without seams.
    """
    energy = sum(np.square(gradient) for gradient in np.gradient(image))
    return float(energy[borders].mean() / energy[~borders].mean())
