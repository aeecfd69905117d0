"""Blocks: how a large image is cut for a function that takes many pixels at once, and put together without seams."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import ceil

import torch
from torch import Tensor

from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.shrinkage import mirrored

__all__ = ["Blocks", "Place", "block_starts", "block_steps"]

Place = tuple[int, int]  # row and column

PREVIEW_SECONDS = 5.0


def block_starts(extent: int, side: int, overlap: int = 0, step: int = 1) -> list[int]:
    """Where blocks begin that cover an extent: evenly spread, neighbours sharing at least ``overlap`` pixels.

    With a step they are multiples of it, as extent and side are; neighbours may then share a step less.
    """
    if extent <= side:
        return [0]
    count = ceil((extent - overlap) / (side - overlap))
    last = (extent - side) // step
    return [step * round(i * last / (count - 1)) for i in range(count)]


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
    aligned : bool
        Whether blocks begin at multiples, too.
    """

    side: int
    overlap: int
    multiple: int
    aligned: bool = False

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Shape of the blocks of an image: an image that is smaller than a block is only filled up to a multiple."""
        height, width = (min(self.side, ceil(extent / self.multiple) * self.multiple) for extent in shape)
        return height, width

    def count(self, shape: tuple[int, int]) -> int:
        """Count the blocks of an image of a shape."""
        sides = zip(self.filled(shape), self.shape(shape), strict=True)
        down, across = (len(self.starts(extent, side)) for extent, side in sides)
        return down * across

    def filled(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Shape of an image once it is filled up so that blocks cover it."""
        if not self.aligned:
            height, width = (max(*sides) for sides in zip(shape, self.shape(shape), strict=True))
            return height, width
        height, width = (ceil(extent / self.multiple) * self.multiple for extent in shape)
        return height, width

    def starts(self, extent: int, side: int) -> list[int]:
        """Where blocks of a side begin."""
        return block_starts(extent, side, self.overlap, self.multiple if self.aligned else 1)


def block_steps(
    image: Tensor, blocks: Blocks, clean: Callable[[Tensor, Sequence[Place]], Tensor], pixels_at_once: int
) -> Steps[Tensor]:
    """Apply a function to overlapping blocks of an image and blend what it returns, without seams.

    Beside the image and the result, memory is bounded by a row of blocks.

    Parameters
    ----------
    image : Tensor
        ``(C, Y, X)`` of any size; what is missing to a block is mirrored at its edges.
    blocks : Blocks
        How it is cut.
    clean : callable
        Takes blocks ``(N, C, h, w)`` and the row and column at which each begins; returns ``(N, D, h, w)``.
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
        ``(D, Y, X)``.
    """
    channels, height, width = image.shape
    high, broad = blocks.shape((height, width))
    tall, wide = blocks.filled((height, width))
    rows, columns = blocks.starts(tall, high), blocks.starts(wide, broad)
    down = mirrored(height, 0, tall - height, image.device)
    across = mirrored(width, 0, wide - width, image.device)
    fall, drop = (_taper(side, blocks.overlap, image.device) for side in (high, broad))
    total: Tensor | None = None
    batch = max(1, pixels_at_once // (high * broad))
    done, count, shown = 0, len(rows) * len(columns), time.perf_counter()
    # Windows are products of an axis each, and so are their sums.
    weight, weight_across = _summed(fall, rows, tall)[:, None], _summed(drop, columns, wide)
    for top, following in zip_longest(rows, rows[1:], fillvalue=0):
        strip = image[:, down[top : top + high]]
        for first in range(0, len(columns), batch):
            part = columns[first : first + batch]
            cut = torch.stack([strip[:, :, across[left : left + broad]] for left in part])
            made = clean(cut, [(top, left) for left in part])
            total = image.new_zeros(made.shape[1], tall, wide) if total is None else total
            for left, block in zip(part, made * fall[:, None] * drop, strict=True):
                total[:, top : top + high, left : left + broad] += block
            done += len(part)
            preview, same = None, len(total) == channels
            if same and first + batch >= len(columns) and following and time.perf_counter() - shown > PREVIEW_SECONDS:
                above = total[:, :following, :width] / weight[:following] / weight_across[:width]
                preview, shown = torch.cat([above, image[:, following:]], dim=1), time.perf_counter()
            yield Progress("denoise", done, count, preview)
    assert total is not None
    total /= weight
    total /= weight_across
    return total[:, :height, :width]


def _taper(side: int, overlap: int, device: torch.device) -> Tensor:
    """Make a trapezium: its flanks add up to one where two blocks meet in the least overlap."""
    axis = torch.arange(side, device=device) + 0.5
    return (torch.minimum(axis, side - axis) / max(overlap, 1)).clamp(max=1)


def _summed(taper: Tensor, starts: list[int], extent: int) -> Tensor:
    weight = taper.new_zeros(extent)
    for start in starts:
        weight[start : start + len(taper)] += taper
    return weight
