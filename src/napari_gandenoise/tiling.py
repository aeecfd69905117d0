"""Tiles: where they sit, which electrons they hold, how they are blended.

An oriented tile is a disk with an angle of its own.  Its electrons are binned anew in the turned frame, straight from
the input pixels, so that they stay Poisson counts; what comes back is a rate, which may be interpolated.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.orientation import tile_mask, turn
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.base import Pose

__all__ = [
    "Blocks",
    "Layout",
    "TileCounts",
    "bin_tiles",
    "blend",
    "block_starts",
    "block_steps",
    "grid_counts",
    "lay_out",
    "refine_grid",
    "upsample",
    "upsample_channels",
]

PIXELS_AT_ONCE = 2**18  # arrays of this length stay in a processor's cache
PREVIEW_SECONDS = 5.0


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
    pose : {"oriented", "upright"}
        Disks that may be turned, or squares as they lie.
    """

    shape: tuple[int, int]
    summed: int
    ratio: float
    size: int
    centres: Tensor
    pose: Pose = "oriented"

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
        ``(N, C, H, W)``, electrons; zero outside the disk of an oriented tile.
    exposure : Tensor
        ``(N, 1, H, W)``, input pixels that each bin collected from; the expected counts are exposure times rate.
    """

    counts: Tensor
    exposure: Tensor


def lay_out(shape: tuple[int, int], ratio: float, size: int, stride: int, pose: Pose = "oriented") -> Layout:
    """Cover a frame with overlapping tiles.

    Parameters
    ----------
    shape : tuple of int
        Input frame, pixels.
    ratio : float
        Input pixels per model pixel.
    size, stride : int
        Tile side and largest distance of neighbouring centres, model pixels.
    pose : {"oriented", "upright"}
        Disks, whose centres reach the frame's edges, or squares, which stay within the frame.
    """
    summed = max(1, round(ratio))
    step = stride * ratio / summed
    centres = _upright_centres if pose == "upright" else _oriented_centres
    axes = [centres(ceil(pixels / summed), size * ratio / summed, step) for pixels in shape]
    return Layout(shape, summed, ratio, size, torch.cartesian_prod(*axes).reshape(-1, 2), pose)


def _oriented_centres(extent: int, _: float, step: float) -> Tensor:
    # The outermost centres sit a little inside: their disks still reach the corners.
    inset = min(0.35 * step, extent / 2)
    count = max(1, ceil((extent - 2 * inset) / step) + 1) if extent > 2 * inset else 1
    return torch.linspace(inset, extent - inset, count) - 0.5


def _upright_centres(extent: int, side: float, step: float) -> Tensor:
    spare = extent - side
    # Whole pixels: a tile on the input's own grid is then neither shifted nor interpolated.
    corners = torch.linspace(0, spare, ceil(spare / step) + 1).round() if spare > 0 else torch.tensor([spare // 2])
    return corners.clamp(max=max(spare, spare // 2)) + side / 2 - 0.5


def grid_counts(counts: Tensor, summed: int, exposed: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Sum counts ``(C, Y, X)`` over ``summed``-sided squares; return sums and the input pixels ``(Y, X)`` in each.

    Where ``exposed`` ``(Y, X)`` is zero, nothing was counted; elsewhere it is one.
    """
    exposed = torch.ones_like(counts[0]) if exposed is None else exposed
    height, width = counts.shape[1:]
    padding = (0, -width % summed, 0, -height % summed)
    stacked = functional.pad(torch.cat([counts * exposed, exposed[None]]), padding)
    sums = functional.avg_pool2d(stacked[:, None], summed)[:, 0] * summed**2
    return sums[:-1], sums[-1]


def bin_tiles(
    counts: Tensor, layout: Layout, tiles: Tensor, angles: Tensor, exposed: Tensor | None = None
) -> TileCounts:
    """Bin the electrons around tile centres in frames turned by ``angles``.

    Parameters
    ----------
    counts : Tensor
        Input frame ``(C, Y, X)``, electrons.
    tiles : Tensor
        Tile indices ``(N,)``.
    angles : Tensor
        ``(N,)``, radians; the tile's x axis lies along the angle.
    exposed : Tensor, optional
        ``(Y, X)``: one where electrons were counted, zero where nobody looked; by default they were everywhere.
    """
    size = layout.size
    reach = ceil(size * layout.ratio / 2) + 1
    side, margin = 2 * reach + 1, reach + layout.summed
    seen = torch.ones_like(counts[0]) if exposed is None else exposed
    frame = functional.pad(torch.cat([counts * seen, seen[None]]), [margin] * 4)
    # Tile centres in input pixels: whole pixels and the rest that is left over.
    centres = (layout.centres[tiles] + 0.5) * layout.summed - 0.5
    whole = centres.round()
    corners = (whole.long() - reach + margin).tolist()
    binned = torch.zeros(len(tiles), len(frame), size * size + 1, device=counts.device)
    for part in torch.arange(len(tiles)).split(max(1, PIXELS_AT_ONCE // side**2)):
        bins = _bins_of(layout, reach, (whole - centres)[part], angles[part])
        for tile, places in zip(part.tolist(), bins, strict=True):
            row, column = corners[tile]
            patch = frame[:, row : row + side, column : column + side].flatten(1)
            binned[tile].scatter_add_(1, places.expand_as(patch), patch)
    held = binned[:, :, :-1].unflatten(2, (size, size)) * (tile_mask(layout.pose, size, counts.device) > 0.5)
    return TileCounts(held[:, :-1].contiguous(), held[:, -1:].contiguous())


def _bins_of(layout: Layout, reach: int, shift: Tensor, angles: Tensor) -> Tensor:
    """Return for the input pixels around tile centres ``(N, pixels)`` the tile pixel they fall into, outside the last.

    ``shift`` ``(N, 2)`` leads from a tile's centre to the input pixel that is nearest to it.
    """
    size, ratio = layout.size, layout.ratio
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32, device=shift.device)
    y = (offsets + shift[:, :1])[:, :, None] / ratio
    x = (offsets + shift[:, 1:])[:, None, :] / ratio
    cos, sin = angles.cos()[:, None, None], angles.sin()[:, None, None]
    column = (cos * x + sin * y).add_(size / 2).floor_()
    row = (-sin * x + cos * y).add_(size / 2).floor_()
    outside = (column < 0) | (column >= size) | (row < 0) | (row >= size)
    return row.mul_(size).add_(column).masked_fill_(outside, size * size).flatten(1).long()


def blend(layout: Layout, rates: Tensor, angles: Tensor) -> Tensor:
    """Turn tile rates back and average them where they overlap.

    Parameters
    ----------
    rates : Tensor
        ``(N, C, H, W)``, one for each tile of the layout, in its own frame.
    angles : Tensor
        ``(N,)``.

    Returns
    -------
    Tensor
        ``(C, Y, X)`` on the summed grid, in the unit of ``rates``.
    """
    side, (height, width) = layout.side, layout.grid
    scale = layout.summed / layout.ratio
    margin = side
    total = torch.zeros(rates.shape[1] + 1, height + 2 * margin, width + 2 * margin, device=rates.device)
    window = _window(layout, rates.device).expand(len(rates), 1, -1, -1)
    # Centres between grid pixels are met by sampling the tile off its own centre.
    corner = (layout.centres - (side - 1) / 2).round()
    shift = layout.centres - (corner + (side - 1) / 2)
    for start in range(0, len(rates), 64):
        part = slice(start, start + 64)
        turned = turn(torch.cat([rates[part] * window[part], window[part]], 1), angles[part], side, scale, shift[part])
        for tile, (row, column) in zip(turned, (corner[part].long() + margin).tolist(), strict=True):
            total[:, row : row + side, column : column + side] += tile
    summed = total[:, margin:-margin, margin:-margin]
    return summed[:-1] / summed[-1].clamp(min=1e-6)


def _window(layout: Layout, device: torch.device) -> Tensor:
    """Weight of a tile's pixels when tiles are averaged: falls to the rim, for squares to a hundredth."""
    if layout.pose == "upright":
        taper = 0.1 + torch.sin(torch.pi * (torch.arange(layout.size, device=device) + 0.5) / layout.size) ** 2
        return taper[:, None] * taper
    axis = torch.linspace(-1, 1, layout.size, device=device)
    radius = torch.hypot(axis[:, None], axis)
    return (1 - radius.clamp(max=1) ** 2) ** 2 * (tile_mask("oriented", layout.size, device) > 0.5)


def upsample(rate: NDArray[np.float32], summed: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Interpolate a rate ``(Y, X)`` on the summed grid to the input grid of ``shape``, by cubic splines.

    Never below zero.
    """
    image = rate.astype(np.float32)
    if summed > 1:
        image = ndimage.zoom(image, summed, order=3, mode="nearest", grid_mode=True)
    return np.ascontiguousarray(np.maximum(image[: shape[0], : shape[1]], 0))


def refine_grid(means: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Interpolate means over pixels ``(Y, X)`` on a grid ``factor`` times as fine, by the cubic spline that has them.

    `upsample` takes them for values at the pixels' centres, which dampens what is fine.  The mean of a cubic B-spline
    over a pixel is a value of the quartic one: the spline's coefficients are found with that, and drawn with the cubic
    (Unser, "Splines: a perfect fit for signal and image processing" (1999)).  It brings out noise that is left, too.
    """
    if factor == 1:
        return means
    coefficients = ndimage.spline_filter(means, order=4, output=np.float32, mode="nearest")
    fine = ndimage.zoom(coefficients, factor, order=3, mode="nearest", grid_mode=True, prefilter=False)
    return np.asarray(fine, np.float32)


def block_starts(extent: int, side: int, overlap: int = 0) -> list[int]:
    """Where blocks begin that cover an extent: evenly spread, neighbours sharing at least ``overlap`` pixels."""
    if extent <= side:
        return [0]
    count = ceil((extent - overlap) / (side - overlap))
    return [round(i * (extent - side) / (count - 1)) for i in range(count)]


@dataclass(frozen=True)
class Blocks:
    """How an image is cut for a function that takes many pixels at once.

    Attributes
    ----------
    side : int
        Largest side of a block, pixels.
    overlap : int
        Least that neighbours share, pixels.
    multiple : int
        What sides must be multiples of; ``side`` is one.
    """

    side: int
    overlap: int
    multiple: int

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Shape of the blocks of an image: an image that is smaller than a block is only filled up to a multiple."""
        height, width = (min(self.side, ceil(extent / self.multiple) * self.multiple) for extent in shape)
        return height, width

    def count(self, shape: tuple[int, int]) -> int:
        """Count the blocks of an image of a shape."""
        sides = zip(shape, self.shape(shape), strict=True)
        down, across = (len(block_starts(extent, side, self.overlap)) for extent, side in sides)
        return down * across


def block_steps(image: Tensor, blocks: Blocks, clean: Callable[[Tensor], Tensor], pixels_at_once: int) -> Steps[Tensor]:
    """Apply a function to overlapping blocks of an image and blend what it returns, without seams.

    Beside the image and the result, memory is bounded by a row of blocks.

    Parameters
    ----------
    image : Tensor
        ``(C, Y, X)`` of any size; what is missing to a block is mirrored at its edges.
    blocks : Blocks
        How it is cut.
    clean : callable
        Takes and returns ``(N, C, h, w)``.
    pixels_at_once : int
        As many blocks are handed over together as hold so many pixels, one at least.

    Yields
    ------
    Progress
        Stage "denoise", in blocks.  Every few seconds, at the end of a row of blocks, the preview is the image
        ``(C, Y, X)`` with what is done already in its place.

    Returns
    -------
    Tensor
        ``(C, Y, X)``.
    """
    channels, height, width = image.shape
    high, broad = blocks.shape((height, width))
    tall, wide = max(height, high), max(width, broad)
    rows, columns = block_starts(tall, high, blocks.overlap), block_starts(wide, broad, blocks.overlap)
    down, across = _mirrored(height, tall, image.device), _mirrored(width, wide, image.device)
    fall, drop = (_taper(side, blocks.overlap, image.device) for side in (high, broad))
    total = image.new_zeros(channels, tall, wide)
    batch = max(1, pixels_at_once // (high * broad))
    done, count, shown = 0, len(rows) * len(columns), time.perf_counter()
    # Windows are products of an axis each, and so are their sums.
    weight, weight_across = _summed(fall, rows, tall)[:, None], _summed(drop, columns, wide)
    for top, following in zip_longest(rows, rows[1:], fillvalue=0):
        strip = image[:, down[top : top + high]]
        for first in range(0, len(columns), batch):
            part = columns[first : first + batch]
            cut = torch.stack([strip[:, :, across[left : left + broad]] for left in part])
            for left, block in zip(part, clean(cut) * fall[:, None] * drop, strict=True):
                total[:, top : top + high, left : left + broad] += block
            done += len(part)
            preview = None
            if first + batch >= len(columns) and following and time.perf_counter() - shown > PREVIEW_SECONDS:
                above = total[:, :following, :width] / weight[:following] / weight_across[:width]
                preview, shown = torch.cat([above, image[:, following:]], dim=1), time.perf_counter()
            yield Progress("denoise", done, count, preview)
    total /= weight
    total /= weight_across
    return total[:, :height, :width]


def _taper(side: int, overlap: int, device: torch.device) -> Tensor:
    """Make a trapezium: its flanks add up to one where two blocks meet in the least overlap."""
    axis = torch.arange(side, device=device) + 0.5
    return (torch.minimum(axis, side - axis) / max(overlap, 1)).clamp(max=1)


def _mirrored(extent: int, wanted: int, device: torch.device) -> Tensor:
    """Return indices that continue an axis by its mirror image, as often as need be."""
    place = torch.arange(wanted, device=device) % (2 * extent)
    return torch.minimum(place, 2 * extent - 1 - place)


def _summed(taper: Tensor, starts: list[int], extent: int) -> Tensor:
    weight = taper.new_zeros(extent)
    for start in starts:
        weight[start : start + len(taper)] += taper
    return weight


def upsample_channels(grid: Tensor, layout: Layout) -> NDArray[np.float32]:
    """Bring a rate ``(C, Y, X)`` to the input grid: ``(Y, X)``, or ``(Y, X, C)`` if there are colours."""
    channels = [upsample(image, layout.summed, layout.shape) for image in grid.cpu().numpy()]
    return channels[0] if len(channels) == 1 else np.stack(channels, axis=-1)
