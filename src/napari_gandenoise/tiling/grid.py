"""How the counts of a frame are summed, what the engines get of a frame, and what they give back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.tiling.spline import through_means, through_values

__all__ = ["Drawn", "Frame", "Grid", "Latents", "grid_counts", "outside"]


def grid_counts(counts: Tensor, summed: int, exposed: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Sum counts ``(C, Y, X)`` over ``summed``-sided squares; return sums and the input pixels ``(Y, X)`` in each.

    Where ``exposed`` ``(Y, X)`` is zero, nothing was counted; elsewhere it is one, or the number of frames that the
    counts are means of.
    """
    exposed = torch.ones_like(counts[0]) if exposed is None else exposed
    height, width = counts.shape[1:]
    padding = (0, -width % summed, 0, -height % summed)
    stacked = functional.pad(torch.cat([counts * exposed, exposed[None]]), padding)
    sums = functional.avg_pool2d(stacked[:, None], summed)[:, 0] * summed**2
    return sums[:-1], sums[-1]


@dataclass(frozen=True)
class Grid:
    """How a frame's counts are summed for a model.

    Attributes
    ----------
    shape : tuple of int
        Input frame ``(Y, X)``, pixels.
    ratio : float
        Input pixels per model pixel.
    """

    shape: tuple[int, int]
    ratio: float = 1.0

    @property
    def summed(self) -> int:
        """Input pixels along one side that are summed into a grid pixel."""
        return max(1, round(self.ratio))

    @property
    def sides(self) -> tuple[int, int]:
        """Shape of the summed grid."""
        return ceil(self.shape[0] / self.summed), ceil(self.shape[1] / self.summed)

    def fine(self, rate: Tensor) -> Tensor:
        """Interpolate a rate ``(C, y, x)`` on the grid to the input's pixels; never below zero."""
        return self._cut(through_values(rate, self.summed)).clamp(min=0)

    def fine_means(self, rate: Tensor) -> Tensor:
        """Interpolate a rate ``(C, y, x)`` to the input's pixels so that its means over grid pixels stay."""
        return self._cut(through_means(rate, self.summed))

    def means(self, fine: Tensor) -> Tensor:
        """Return the means of an image ``(C, Y, X)`` on the input's pixels over the pixels of the grid."""
        if self.summed == 1:
            return fine
        sums, pixels = grid_counts(fine, self.summed)
        return sums / pixels

    def _cut(self, fine: Tensor) -> Tensor:
        return fine[:, : self.shape[0], : self.shape[1]]


@dataclass(frozen=True)
class Frame:
    """The electrons of one frame, on the device that computes.

    Attributes
    ----------
    counts : Tensor
        ``(C, Y, X)``, electrons per input pixel.
    grid : Grid
        How they are summed.
    read_variance : float
        Electrons² per input pixel.
    white : float
        Electrons per input pixel of white, for models of photographs.
    exposed : Tensor, optional
        ``(Y, X)``: zero where pixels are missing, else one; where ``counts`` are means over several frames, how many.
    """

    counts: Tensor
    grid: Grid
    read_variance: float = 0.0
    white: float = 0.0
    exposed: Tensor | None = None

    @classmethod
    def of(
        cls,
        electrons: NDArray[np.float32],
        grid: Grid,
        device: torch.device,
        read_variance: float = 0.0,
        white: float = 0.0,
        exposed: Tensor | None = None,
    ) -> Frame:
        """Bring electrons ``(Y, X)`` or ``(Y, X, C)`` to a device."""
        channels = np.ascontiguousarray(np.moveaxis(np.atleast_3d(electrons), -1, 0))
        return cls(torch.from_numpy(channels).to(device), grid, read_variance, white, exposed)

    def again(self, electrons: NDArray[np.float32]) -> Frame:
        """Return the frame with other electrons."""
        return Frame.of(electrons, self.grid, self.counts.device, self.read_variance, self.white, self.exposed)

    @property
    def exposure(self) -> Tensor:
        """How often each pixel was seen, ``(Y, X)``."""
        return torch.ones_like(self.counts[0]) if self.exposed is None else self.exposed

    @cached_property
    def often(self) -> float:
        """How often pixels were seen on average, those apart that were not."""
        if self.exposed is None:
            return 1.0
        return float(self.exposed.sum() / (self.exposed > 0).sum().clamp(min=1))

    @cached_property
    def sums(self) -> tuple[Tensor, Tensor]:
        """Sums of the counts ``(C, y, x)`` on the grid, and the input pixels ``(y, x)`` in each."""
        return grid_counts(self.counts, self.grid.summed, self.exposed)


@dataclass(frozen=True)
class Latents:
    """What was found for each tile: ``(N, d)`` latents, their spread, and ``(N,)`` angles in radians."""

    values: Tensor
    spread: Tensor
    angles: Tensor


@dataclass(frozen=True)
class Drawn:
    """What an engine makes of a frame.

    Attributes
    ----------
    rate : Tensor
        ``(C, y, x)`` on the grid, electrons per input pixel.
    fine : Tensor, optional
        ``(C, Y, X)``: the same on the input's pixels, where the engine looked finer than the grid.
    kept : float
        Share of the rate that the residual step keeps whatever it finds.
    photograph : bool
        Whether it is a photograph, which repeats in little patches only.
    latents : Latents, optional
        Of all tiles, of engines that search.
    gains : Tensor, optional
        Log-likelihood gained over flat tiles, ``(N,)``, nats, of engines that search.
    steps : int
        Gradient steps, summed over tiles.
    """

    rate: Tensor
    fine: Tensor | None = None
    kept: float = 0.0
    photograph: bool = False
    latents: Latents | None = None
    gains: Tensor | None = None
    steps: int = 0


def outside(image: Tensor) -> NDArray[np.float32]:
    """Take an image ``(C, Y, X)`` to the outside: ``(Y, X)``, or ``(Y, X, C)`` if there are colours."""
    pixels: NDArray[Any] = image.cpu().numpy()
    return np.ascontiguousarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
