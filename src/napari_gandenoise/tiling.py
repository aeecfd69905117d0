"""Tiles that are disks: where they sit, which electrons they hold, how they are blended.

A tile has its own orientation.  Its electrons are binned anew in the turned frame, straight from the input pixels, so
that they stay Poisson counts; what comes back is a rate, which may be interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.orientation import disk, turn

__all__ = ["Layout", "TileCounts", "bin_tiles", "blend", "grid_counts", "lay_out", "upsample"]


@dataclass(frozen=True)
class Layout:
    """How a frame is cut.

    Attributes
    ----------
    shape : tuple of int
        Input frame ``(Y, X)``, pixels.
    summed : int
        Input pixels along one side that are summed into a grid pixel.
    ratio : float
        Input pixels per model pixel.
    size : int
        Tile side in model pixels.
    centres : Tensor
        Tile centres ``(N, 2)``, ``(y, x)`` in grid pixels.
    """

    shape: tuple[int, int]
    summed: int
    ratio: float
    size: int
    centres: Tensor

    @property
    def grid(self) -> tuple[int, int]:
        """Shape of the summed grid."""
        return ceil(self.shape[0] / self.summed), ceil(self.shape[1] / self.summed)

    @property
    def side(self) -> int:
        """Tile side in grid pixels."""
        return max(4, ceil(self.size * self.ratio / self.summed))


@dataclass(frozen=True)
class TileCounts:
    """Electrons of tiles in their own frames.

    Attributes
    ----------
    counts : Tensor
        ``(N, 1, H, W)``, electrons; zero outside the disk.
    exposure : Tensor
        ``(N, 1, H, W)``, input pixels that each bin collected from; the expected counts are exposure times rate.
    """

    counts: Tensor
    exposure: Tensor


def lay_out(shape: tuple[int, int], pixel_size_nm: float, model_pixel_size_nm: float, size: int, stride: int) -> Layout:
    """Cover a frame with overlapping disks.

    Parameters
    ----------
    shape : tuple of int
        Input frame, pixels.
    pixel_size_nm, model_pixel_size_nm : float
        Pixel sizes of the frame and of the model.
    size, stride : int
        Tile side and largest distance of neighbouring centres, model pixels.
    """
    ratio = model_pixel_size_nm / pixel_size_nm
    summed = max(1, round(ratio))
    step = stride * ratio / summed
    axes = []
    for pixels in shape:
        extent = ceil(pixels / summed)
        # The outermost centres sit a little inside: their disks still reach the corners.
        inset = min(0.35 * step, extent / 2)
        count = max(1, ceil((extent - 2 * inset) / step) + 1) if extent > 2 * inset else 1
        axes.append(torch.linspace(inset, extent - inset, count) - 0.5)
    centres = torch.cartesian_prod(*axes).reshape(-1, 2)
    return Layout(shape, summed, ratio, size, centres)


def grid_counts(counts: Tensor, summed: int) -> tuple[Tensor, Tensor]:
    """Sum counts ``(Y, X)`` over ``summed``-sided squares; return sums and the number of input pixels in each."""
    height, width = counts.shape
    padding = (0, -width % summed, 0, -height % summed)
    stacked = torch.stack([functional.pad(counts, padding), functional.pad(torch.ones_like(counts), padding)])
    sums = functional.avg_pool2d(stacked[:, None], summed)[:, 0] * summed**2
    return sums[0], sums[1]


def bin_tiles(counts: Tensor, layout: Layout, tiles: Tensor, angles: Tensor) -> TileCounts:
    """Bin the electrons around tile centres in frames turned by ``angles``.

    Parameters
    ----------
    counts : Tensor
        Input frame ``(Y, X)``, electrons.
    tiles : Tensor
        Tile indices ``(N,)``.
    angles : Tensor
        ``(N,)``, radians; the tile's x axis lies along the angle.
    """
    size, ratio = layout.size, layout.ratio
    reach = ceil(size * ratio / 2) + 1
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32, device=counts.device)
    # Tile centres in input pixels: whole pixels and the rest that is left over.
    centres = (layout.centres[tiles] + 0.5) * layout.summed - 0.5
    whole = centres.round()
    y = (offsets + (whole - centres)[:, :1])[:, :, None] / ratio
    x = (offsets + (whole - centres)[:, 1:])[:, None, :] / ratio
    cos, sin = angles.cos()[:, None, None], angles.sin()[:, None, None]
    column = (cos * x + sin * y + size / 2).floor().long()
    row = (-sin * x + cos * y + size / 2).floor().long()
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    bins = torch.where(inside, row * size + column, size * size).flatten(1)
    height, width = counts.shape
    index_y = offsets.long() + whole[:, :1].long()
    index_x = offsets.long() + whole[:, 1:].long()
    in_y, in_x = (index_y >= 0) & (index_y < height), (index_x >= 0) & (index_x < width)
    present = (in_y[:, :, None] & in_x[:, None, :]).flatten(1).to(counts.dtype)
    flat = index_y.clamp(0, height - 1)[:, :, None] * width + index_x.clamp(0, width - 1)[:, None, :]
    values = counts.flatten()[flat.flatten(1)] * present
    binned = torch.zeros(2, len(tiles), size * size + 1, device=counts.device)
    binned[0].scatter_add_(1, bins, values)
    binned[1].scatter_add_(1, bins, present)
    held = binned[:, :, :-1].view(2, -1, 1, size, size) * (disk(size, counts.device) > 0.5)
    return TileCounts(held[0], held[1])


def blend(layout: Layout, rates: Tensor, angles: Tensor) -> Tensor:
    """Turn tile rates back and average them where they overlap.

    Parameters
    ----------
    rates : Tensor
        ``(N, 1, H, W)``, one for each tile of the layout, in its own frame.
    angles : Tensor
        ``(N,)``.

    Returns
    -------
    Tensor
        ``(Y, X)`` on the summed grid, in the unit of ``rates``.
    """
    side, (height, width) = layout.side, layout.grid
    scale = layout.summed / layout.ratio
    margin = side
    total = torch.zeros(2, height + 2 * margin, width + 2 * margin, device=rates.device)
    axis = torch.linspace(-1, 1, layout.size, device=rates.device)
    radius = torch.hypot(axis[:, None], axis)
    window = (1 - radius.clamp(max=1) ** 2) ** 2 * (disk(layout.size, rates.device) > 0.5)
    window = window.expand(len(rates), 1, -1, -1)
    # Centres between grid pixels are met by sampling the tile off its own centre.
    corner = (layout.centres - (side - 1) / 2).round()
    shift = layout.centres - (corner + (side - 1) / 2)
    for start in range(0, len(rates), 64):
        part = slice(start, start + 64)
        turned = turn(torch.cat([rates[part] * window[part], window[part]], 1), angles[part], side, scale, shift[part])
        for tile, (row, column) in zip(turned, (corner[part].long() + margin).tolist(), strict=True):
            total[:, row : row + side, column : column + side] += tile
    summed = total[:, margin:-margin, margin:-margin]
    return summed[0] / summed[1].clamp(min=1e-6)


def upsample(rate: NDArray[np.float32], summed: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Interpolate a rate on the summed grid to the input grid of ``shape``, by cubic splines; never below zero."""
    image = rate.astype(np.float32)
    if summed > 1:
        image = ndimage.zoom(image, summed, order=3, mode="nearest", grid_mode=True)
    return np.ascontiguousarray(np.maximum(image[: shape[0], : shape[1]], 0))
