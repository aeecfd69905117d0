"""Training tiles cut from simulated frames: random place, flip and scale, on the model's pixel grid.

A tile is turned so that its strongest lattice fringe runs along x (`napari_gandenoise.orientation`): the generator
learns the oriented templates and the pose turns them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.orientation import disk, fringe_angles

__all__ = ["FrameSet", "TileSampler", "Tiles", "normalise"]

# Contrast below which a tile counts as near-empty (standard deviation relative to vacuum).
NEAR_EMPTY = 0.02
# Smallest amplitude that is normalised to the peak: vacuum is not blown up into structure.
SMALLEST_AMPLITUDE = 0.05
# Templates peak here rather than at one: within ±0.6 the generator's tanh is nearly linear.
PEAK = 0.6


class FrameSet(NamedTuple):
    """Clean frames ``(N, Y, X)``, intensity relative to vacuum, and their pixel size in nm."""

    frames: Tensor
    pixel_size_nm: float

    @classmethod
    def open(cls, path: Path) -> FrameSet:
        """Read a set written by `napari_gandenoise.simulate` into memory (float16).

        Raises
        ------
        GanDenoiseError
            If there is no such set.
        """
        import zarr

        try:
            # zarr types what a group holds as anything that JSON can say.
            group: Any = zarr.open_group(path, mode="r")
            images, whole = group["images"], len(group.attrs["records"])
            pixel_size_nm = float(group.attrs["simulation"]["pixel_size_nm"])
        except (OSError, KeyError):
            raise GanDenoiseError(f"{path} is not a simulated set: make one with napari-gandenoise simulate.") from None
        return cls(torch.from_numpy(np.asarray(images[:whole])), pixel_size_nm)


class Tiles(NamedTuple):
    """Contrast-normalised templates and what was divided out.

    Attributes
    ----------
    template : Tensor
        ``(N, 1, H, W)`` within ±`PEAK`, zero mean over the disk, zero outside it.
    mean, contrast : Tensor
        ``(N, 1, 1, 1)``; the intensity inside the disk is ``mean * (1 + contrast * template)``.
    """

    template: Tensor
    mean: Tensor
    contrast: Tensor


def normalise(intensity: Tensor) -> Tiles:
    """Split intensity tiles ``(N, 1, H, W)`` into mean, contrast and template."""
    inside = disk(intensity.shape[-1])
    mean = (intensity * inside).sum(dim=(1, 2, 3), keepdim=True) / inside.sum()
    centred = (intensity - mean) * inside
    amplitude = centred.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=SMALLEST_AMPLITUDE) / PEAK
    return Tiles(centred / amplitude, mean, amplitude / mean)


class TileSampler:
    """Draw random tiles from frames.

    Parameters
    ----------
    frames : FrameSet
        Source frames.
    size : int
        Tile side in model pixels.
    pixel_size_nm : float
        The model's pixel size, nm.
    scale : float
        Relative range of random scaling; 0.1 is ±10 %.
    near_empty : float
        Share of near-empty tiles that is kept.

    Raises
    ------
    GanDenoiseError
        If the frames are too small to cut a turned tile from.
    """

    def __init__(
        self, frames: FrameSet, size: int, pixel_size_nm: float, scale: float = 0.1, near_empty: float = 0.05
    ) -> None:
        self.frames = frames
        self.size = size
        self.step = pixel_size_nm / frames.pixel_size_nm
        self.scale = scale
        self.near_empty = near_empty
        self.patch = int(np.ceil(size * self.step * (1 + scale) * 2**0.5)) + 4
        height, width = frames.frames.shape[1:]
        if min(height, width) < self.patch:
            raise GanDenoiseError(
                f"The images of {height}×{width} pixels are too small to cut tiles from: simulate images of at least "
                f"{self.patch} pixels."
            )

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw ``(count, 1, size, size)`` tiles, intensity relative to vacuum."""
        kept: list[Tensor] = []
        while sum(map(len, kept)) < count:
            tiles = self._draw_any(count, generator)
            lottery = torch.rand(count, generator=generator) < self.near_empty
            kept.append(tiles[(tiles.std(dim=(1, 2, 3)) > NEAR_EMPTY) | lottery])
        return torch.cat(kept)[:count]

    def _draw_any(self, count: int, generator: torch.Generator) -> Tensor:
        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(count, generator=generator)

        total, height, width = self.frames.frames.shape
        index = torch.randint(total, (count,), generator=generator).tolist()
        top = torch.randint(height - self.patch + 1, (count,), generator=generator).tolist()
        left = torch.randint(width - self.patch + 1, (count,), generator=generator).tolist()
        patches = torch.stack(
            [
                self.frames.frames[i, y : y + self.patch, x : x + self.patch]
                for i, y, x in zip(index, top, left, strict=True)
            ]
        )[:, None].float()
        angle = uniform(0, 2 * torch.pi)
        reach = self.size * self.step / self.patch * uniform(1 - self.scale, 1 + self.scale)
        flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
        # Rendered twice: once to see where the fringes run, once more turned so that they run along x.
        fringe = fringe_angles(normalise(self._render(patches, angle, flip, reach)).template[:, 0], 1)[:, 0]
        return self._render(patches, angle + flip * fringe, flip, reach)

    def _render(self, patches: Tensor, angle: Tensor, flip: Tensor, reach: Tensor) -> Tensor:
        cos, sin, zero = reach * angle.cos(), reach * angle.sin(), torch.zeros_like(angle)
        rows = torch.stack([torch.stack([cos * flip, -sin, zero], 1), torch.stack([sin * flip, cos, zero], 1)], 1)
        # Twice the grid, then 2x2 means: a pixel collects the electrons of its whole area.
        grid = functional.affine_grid(rows, [len(patches), 1, 2 * self.size, 2 * self.size], align_corners=False)
        fine = functional.grid_sample(patches, grid, mode="bicubic", padding_mode="border", align_corners=False)
        return functional.avg_pool2d(fine, 2)
