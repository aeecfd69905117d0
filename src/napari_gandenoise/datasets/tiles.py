"""Training tiles cut from images: random place, turn and scale, on the model's pixel grid.

An oriented tile is turned so that its strongest lattice fringe runs along x (`napari_gandenoise.orientation`): the
generator learns the oriented templates and the pose turns them.  An upright tile is a square as it lies.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.datasets.sources import ImageSource
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.orientation import fringe_angles, tile_mask
from napari_gandenoise.settings.data import TileConfig
from napari_gandenoise.tiling import block_starts

__all__ = ["TileSampler", "Tiles", "augment", "normalise"]

# Contrast below which a tile counts as near-empty (standard deviation relative to vacuum).
NEAR_EMPTY = 0.02
# Smallest amplitude that is normalised to the peak: vacuum is not blown up into structure.
SMALLEST_AMPLITUDE = 0.05
# Templates peak here rather than at one: within ±0.6 the generator's tanh is nearly linear.
PEAK = 0.6
# Tiles cut from an image that has been read, if it is large enough: reading costs more than cutting.
PER_IMAGE = 4
# Draws in a row without a tile worth keeping, after which the images are said to be empty.
PATIENCE = 2000


class Tiles(NamedTuple):
    """Templates and what takes them back to intensity.

    Attributes
    ----------
    template : Tensor
        ``(N, C, H, W)``, zero outside the part that counts.  With the intensity "template": within ±`PEAK`, zero mean
        over that part; otherwise black -1, white 1.
    mean, contrast : Tensor
        ``(N, 1, 1, 1)``; the intensity inside is ``mean * (1 + contrast * template)``.
    """

    template: Tensor
    mean: Tensor
    contrast: Tensor


def normalise(intensity: Tensor, tiles: TileConfig) -> Tiles:
    """Split intensity tiles ``(N, C, H, W)`` into mean, contrast and template, on whichever device they are."""
    inside = tile_mask(tiles.pose, intensity.shape[-1], intensity.device)
    if tiles.intensity != "template":
        half = intensity.new_full((len(intensity), 1, 1, 1), 0.5)
        return Tiles((2 * intensity - 1) * inside, half, torch.ones_like(half))
    pixels = inside.sum() * intensity.shape[1]
    mean = (intensity * inside).sum(dim=(1, 2, 3), keepdim=True) / pixels
    centred = (intensity - mean) * inside
    amplitude = centred.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=SMALLEST_AMPLITUDE) / PEAK
    # An all black tile has no contrast whatever it is divided by.
    return Tiles(centred / amplitude, mean, amplitude / mean.clamp(min=1e-6))


def augment(intensity: Tensor, tiles: TileConfig, generator: torch.Generator) -> Tensor:
    """Mirror and turn tiles ``(N, C, H, W)`` at random, as far as ``tiles`` says, without resampling them.

    Mirroring keeps the fringes of oriented tiles along x; only upright ones are turned.  The tiles may be elsewhere
    than the generator.
    """
    count, device, there = len(intensity), intensity.device, generator.device
    for axis in (2, 3) if tiles.flips else ():
        mirrored = (torch.rand(count, 1, 1, 1, generator=generator, device=there) < 0.5).to(device)
        intensity = torch.where(mirrored, intensity.flip(axis), intensity)
    if tiles.quarter_turns and tiles.pose == "upright":
        turns = torch.randint(4, (count, 1, 1, 1), generator=generator, device=there).to(device)
        for turn in (1, 2, 3):
            intensity = torch.where(turns == turn, intensity.rot90(turn, (2, 3)), intensity)
    return intensity


class TileSampler:
    """Draw random tiles from images.

    Parameters
    ----------
    source : ImageSource
        Images to cut from.
    tiles : TileConfig
        How to cut.
    size : int
        Tile side in model pixels.
    pixel_size_nm : float or None
        The model's pixel size, nm.  Images are resampled to it if they have a pixel size too; otherwise a pixel is a
        pixel, up to random scaling.

    Raises
    ------
    GanDenoiseError
        If images are too small to cut tiles from, or are no such images as the tiles ask for.
    """

    def __init__(self, source: ImageSource, tiles: TileConfig, size: int, pixel_size_nm: float | None) -> None:
        self.source = source
        self.tiles = tiles
        self.size = size
        self.channels = source.channels
        both = pixel_size_nm is not None and source.pixel_size_nm is not None
        self.step = pixel_size_nm / source.pixel_size_nm if both else 1.0  # type: ignore[operator]
        self._check_kind()
        self.turns = tiles.pose == "oriented" or tiles.rotation
        # Nothing but a shift: pixels stay what they are.
        self.resamples = self.turns or self.step != 1 or tiles.scale > 0
        reach = size * self.step * (1 + tiles.scale)
        self.patch = ceil(reach * 2**0.5) + 4 if self.turns else ceil(reach)
        # Points to a side of a pixel, which collects the electrons of its whole area.
        self.points = max(2, ceil(self.step * (1 + tiles.scale)))
        shapes = np.array([source.shape(index) for index in range(len(source))])
        self._check_shapes(shapes)
        self.per_image = int(np.clip(shapes.prod(axis=1).mean() / self.patch**2, 1, PER_IMAGE))

    def _check_kind(self) -> None:
        if self.tiles.pose == "oriented" and self.channels != 1:
            raise GanDenoiseError(
                "Oriented tiles follow lattice fringes and have one channel: set pose to upright, or take grey images."
            )
        if self.tiles.intensity == "absolute" and self.source.pixel_size_nm is not None:
            raise GanDenoiseError(
                "Micrographs have no black and white for absolute intensities: set intensity to template, or leave out "
                "the pixel size of the images."
            )

    def _check_shapes(self, shapes: NDArray[np.int_]) -> None:
        small = shapes.min(axis=1) < self.patch
        if not small.any():
            return
        least = shapes[shapes.min(axis=1).argmin()]
        crops = ceil(self.size * self.step)
        scale = self.tiles.scale and not self.turns and shapes.min() >= crops
        advice = "set scale to 0" if scale else f"give images of at least {self.patch}×{self.patch} pixels"
        raise GanDenoiseError(
            f"{small.sum()} of {len(shapes)} images are too small to cut tiles from, the smallest has "
            f"{least[0]}×{least[1]} pixels: {advice}."
        )

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw intensity tiles ``(count, C, size, size)``.

        Raises
        ------
        GanDenoiseError
            If an image cannot be read, or all seem to be empty.
        """
        kept: list[Tensor] = []
        missing, barren = count, 0
        while missing:
            tiles = self._draw_any(missing, generator)
            if self.tiles.intensity == "template":
                lottery = torch.rand(missing, generator=generator) < self.tiles.near_empty
                tiles = tiles[(tiles.std(dim=(1, 2, 3)) > NEAR_EMPTY) | lottery]
            barren = 0 if len(tiles) else barren + missing
            if barren > PATIENCE:
                raise GanDenoiseError(
                    "The images seem to be empty: no tile has contrast worth learning; check them, or raise near_empty."
                )
            kept.append(tiles)
            missing -= len(tiles)
        return torch.cat(kept)

    def in_order(self, index: int) -> Tensor:
        """Cut an image into its tiles ``(n, C, size, size)``, row by row: as it lies, unscaled, all of it.

        Where the sides are no multiples, neighbours overlap a little.

        Raises
        ------
        GanDenoiseError
            If the image cannot be read.
        """
        side = ceil(self.size * self.step)
        down, across = (block_starts(extent, side) for extent in self.source.shape(index))
        patches = np.stack(
            [self.source.read(index, slice(y, y + side), slice(x, x + side)) for y in down for x in across]
        )
        tiles = torch.from_numpy(patches)
        if self.step == 1:
            return tiles
        as_it_is = torch.ones(len(tiles))
        return self._render(tiles, 0 * as_it_is, as_it_is, as_it_is * self.size * self.step / side, self.points)

    def _draw_any(self, count: int, generator: torch.Generator) -> Tensor:
        patches = self._patches(count, generator)
        if not self.resamples:
            return patches
        scale = self.tiles.scale
        angle = 2 * torch.pi * torch.rand(count, generator=generator) if self.turns else torch.zeros(count)
        reach = self.size * self.step / self.patch * (1 - scale + 2 * scale * torch.rand(count, generator=generator))
        flip = torch.ones(count)
        if self.tiles.flips:
            flip = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
        if self.tiles.pose == "oriented":
            # Rendered twice: once roughly to see where the fringes run, once more turned so that they run along x.
            template = normalise(self._render(patches, angle, flip, reach, points=1), self.tiles).template
            angle = angle + flip * fringe_angles(template[:, 0], 1)[:, 0]
        return self._render(patches, angle, flip, reach, self.points)

    def _patches(self, count: int, generator: torch.Generator) -> Tensor:
        """Cut random squares ``(count, C, patch, patch)``, several in a row from each image."""
        images = -(-count // self.per_image)
        drawn = torch.randint(len(self.source) * self.source.variants, (images,), generator=generator)
        corners = torch.rand(count, 2, generator=generator, dtype=torch.float64)
        patches = np.empty((count, self.channels, self.patch, self.patch), np.float32)
        for place, (y, x) in enumerate(corners.tolist()):
            index = int(drawn[place // self.per_image])
            height, width = self.source.shape(index)
            top, left = int(y * (height - self.patch + 1)), int(x * (width - self.patch + 1))
            rows, columns = slice(top, top + self.patch), slice(left, left + self.patch)
            patches[place] = self.source.read(index, rows, columns)
        return torch.from_numpy(patches)

    def _render(self, patches: Tensor, angle: Tensor, flip: Tensor, reach: Tensor, points: int) -> Tensor:
        cos, sin, zero = reach * angle.cos(), reach * angle.sin(), torch.zeros_like(angle)
        rows = torch.stack([torch.stack([cos * flip, -sin, zero], 1), torch.stack([sin * flip, cos, zero], 1)], 1)
        # Several points to a pixel, then their mean.
        side = points * self.size
        grid = functional.affine_grid(rows, [len(patches), 1, side, side], align_corners=False)
        fine = functional.grid_sample(patches, grid, mode="bicubic", padding_mode="border", align_corners=False)
        return functional.avg_pool2d(fine, points)
