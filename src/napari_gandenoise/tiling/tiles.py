"""Tiles: where they sit, which electrons they hold, how they are blended.

An oriented tile is a disk with an angle of its own.  Its electrons are binned anew in the turned frame, straight from
the input pixels, so that they stay Poisson counts; what comes back is a rate, which may be interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.orientation import tile_mask, turn
from napari_gandenoise.settings.base import Pose
from napari_gandenoise.tiling.grid import Frame, Grid

__all__ = ["TileCounts", "Tiles", "bin_tiles", "blend", "lay_out"]

PIXELS_AT_ONCE = 2**18  # arrays of this length stay in a processor's cache
LEAST_SEEN = 0.1  # share of a tile: with less, its template is a guess
RADIUS = 0.45  # of a disk's side: beyond it, its weight in a blend is next to nothing


@dataclass(frozen=True)
class Tiles:
    """Where the tiles of a frame sit.

    Attributes
    ----------
    grid : Grid
        How the frame is summed.
    size : int
        Tile side in model pixels.
    centres : Tensor
        Tile centres ``(N, 2)``, ``(y, x)`` in grid pixels.
    pose : {"oriented", "upright"}
        Disks that may be turned, or squares as they lie.
    """

    grid: Grid
    size: int
    centres: Tensor
    pose: Pose = "oriented"

    @property
    def side(self) -> int:
        """Tile side in grid pixels."""
        return max(4, ceil(self.size * self.grid.ratio / self.grid.summed))

    def to(self, device: torch.device) -> Tiles:
        """Return the tiles with their centres on a device."""
        return replace(self, centres=self.centres.to(device))

    def around_holes(self, missing: NDArray[np.bool_]) -> Tiles:
        """Leave out tiles that hardly see anything.

        Parameters
        ----------
        missing : ndarray of bool
            ``(Y, X)``, of the frame's shape.

        Raises
        ------
        GanDenoiseError
            If no tile is left.
        """
        side = self.side * self.grid.summed
        seen = ndimage.uniform_filter((~missing).astype(np.float32), side, mode="constant")
        inside = ndimage.uniform_filter(np.ones(missing.shape, np.float32), side, mode="constant")
        places = ((self.centres + 0.5) * self.grid.summed - 0.5).round().long().cpu().numpy()
        y, x = (np.clip(places[:, axis], 0, missing.shape[axis] - 1) for axis in (0, 1))
        kept = (seen / inside)[y, x] >= LEAST_SEEN
        if not kept.any():
            raise GanDenoiseError("The mask leaves too little of the image to go by: mask less of it.")
        return replace(self, centres=self.centres[kept])

    def reached(self) -> NDArray[np.bool_]:
        """Say which pixels of the summed grid a tile lies on, ``(y, x)``."""
        apart = np.ones(self.grid.sides, bool)
        if self.pose == "upright":
            for y, x in (self.centres - (self.side - 1) / 2).round().long().tolist():
                apart[max(0, y) : y + self.side, max(0, x) : x + self.side] = False
            return ~apart
        centres = self.centres.round().long().cpu().numpy()
        apart[tuple(np.clip(centres[:, axis], 0, self.grid.sides[axis] - 1) for axis in (0, 1))] = False
        disks: NDArray[np.bool_] = ndimage.distance_transform_edt(apart) <= RADIUS * self.side
        return disks


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


def lay_out(grid: Grid, size: int, stride: int, pose: Pose = "oriented") -> Tiles:
    """Cover a frame with overlapping tiles.

    Parameters
    ----------
    grid : Grid
        How the frame is summed.
    size, stride : int
        Tile side and largest distance of neighbouring centres, model pixels.
    pose : {"oriented", "upright"}
        Disks, whose centres reach the frame's edges, or squares, which stay within the frame.
    """
    scale = grid.ratio / grid.summed
    centres = _upright_centres if pose == "upright" else _oriented_centres
    axes = [centres(extent, size * scale, stride * scale) for extent in grid.sides]
    return Tiles(grid, size, torch.cartesian_prod(*axes).reshape(-1, 2), pose)


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


def bin_tiles(frame: Frame, tiles: Tiles, part: Tensor, angles: Tensor) -> TileCounts:
    """Bin the electrons around tile centres in frames turned by ``angles``.

    Parameters
    ----------
    frame : Frame
        The electrons.
    tiles : Tiles
        Where tiles sit.
    part : Tensor
        Indices ``(N,)`` of the tiles that are wanted.
    angles : Tensor
        ``(N,)``, radians; the tile's x axis lies along the angle.
    """
    size, summed = tiles.size, tiles.grid.summed
    reach = ceil(size * tiles.grid.ratio / 2) + 1
    side, margin = 2 * reach + 1, reach + summed
    seen = frame.exposure
    padded = functional.pad(torch.cat([frame.counts * seen, seen[None]]), [margin] * 4)
    # Tile centres in input pixels: whole pixels and the rest that is left over.
    centres = (tiles.centres[part] + 0.5) * summed - 0.5
    whole = centres.round()
    corners = (whole.long() - reach + margin).tolist()
    binned = torch.zeros(len(part), len(padded), size * size + 1, device=padded.device)
    for some in torch.arange(len(part)).split(max(1, PIXELS_AT_ONCE // side**2)):
        bins = _bins_of(tiles, reach, (whole - centres)[some], angles[some])
        for tile, places in zip(some.tolist(), bins, strict=True):
            row, column = corners[tile]
            patch = padded[:, row : row + side, column : column + side].flatten(1)
            binned[tile].scatter_add_(1, places.expand_as(patch), patch)
    held = binned[:, :, :-1].unflatten(2, (size, size)) * (tile_mask(tiles.pose, size, padded.device) > 0.5)
    return TileCounts(held[:, :-1].contiguous(), held[:, -1:].contiguous())


def _bins_of(tiles: Tiles, reach: int, shift: Tensor, angles: Tensor) -> Tensor:
    """Return for the input pixels around tile centres ``(N, pixels)`` the tile pixel they fall into, outside the last.

    ``shift`` ``(N, 2)`` leads from a tile's centre to the input pixel that is nearest to it.
    """
    size, ratio = tiles.size, tiles.grid.ratio
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32, device=shift.device)
    y = (offsets + shift[:, :1])[:, :, None] / ratio
    x = (offsets + shift[:, 1:])[:, None, :] / ratio
    cos, sin = angles.cos()[:, None, None], angles.sin()[:, None, None]
    column = (cos * x + sin * y).add_(size / 2).floor_()
    row = (-sin * x + cos * y).add_(size / 2).floor_()
    outside = (column < 0) | (column >= size) | (row < 0) | (row >= size)
    return row.mul_(size).add_(column).masked_fill_(outside, size * size).flatten(1).long()


def blend(tiles: Tiles, rates: Tensor, angles: Tensor) -> Tensor:
    """Turn tile rates back and average them where they overlap.

    Parameters
    ----------
    rates : Tensor
        ``(N, C, H, W)``, one for each tile, in its own frame.
    angles : Tensor
        ``(N,)``.

    Returns
    -------
    Tensor
        ``(C, Y, X)`` on the summed grid, in the unit of ``rates``.
    """
    side, (height, width) = tiles.side, tiles.grid.sides
    scale = tiles.grid.summed / tiles.grid.ratio
    margin = side
    total = torch.zeros(rates.shape[1] + 1, height + 2 * margin, width + 2 * margin, device=rates.device)
    window = _window(tiles, rates.device).expand(len(rates), 1, -1, -1)
    # Centres between grid pixels are met by sampling the tile off its own centre.
    corner = (tiles.centres - (side - 1) / 2).round()
    shift = tiles.centres - (corner + (side - 1) / 2)
    for start in range(0, len(rates), 64):
        part = slice(start, start + 64)
        turned = turn(torch.cat([rates[part] * window[part], window[part]], 1), angles[part], side, scale, shift[part])
        for tile, (row, column) in zip(turned, (corner[part].long() + margin).tolist(), strict=True):
            total[:, row : row + side, column : column + side] += tile
    summed = total[:, margin:-margin, margin:-margin]
    return summed[:-1] / summed[-1].clamp(min=1e-6)


def _window(tiles: Tiles, device: torch.device) -> Tensor:
    """Weight of a tile's pixels when tiles are averaged: falls to the rim, for squares to a hundredth."""
    if tiles.pose == "upright":
        taper = 0.1 + torch.sin(torch.pi * (torch.arange(tiles.size, device=device) + 0.5) / tiles.size) ** 2
        return taper[:, None] * taper
    axis = torch.linspace(-1, 1, tiles.size, device=device)
    radius = torch.hypot(axis[:, None], axis)
    return (1 - radius.clamp(max=1) ** 2) ** 2 * (tile_mask("oriented", tiles.size, device) > 0.5)
