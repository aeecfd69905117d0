"""The noisy image as the model saw it: summed onto a coarser grid, frame by frame, and cut off at a column."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.layers import block_means

__all__ = ["Summed"]


class Summed:
    """The mean of blocks of pixels, so that values are those of the denoised image; computed for the frame in sight.

    It is what napari asks of an array, and cheap to cut: what `until` makes shares the last frame, and can be cut anew.

    Parameters
    ----------
    pixels : ndarray
        ``(..., Y, X)``, or with ``colours`` ``(..., Y, X, C)``.
    side : int
        Pixels along the side of a block; what is left over at the edges is left out.
    colours : bool
        Whether the last axis is colours.
    """

    def __init__(self, pixels: NDArray[Any], side: int, *, colours: bool = False) -> None:
        self._pixels, self._side, self._colours = pixels, side, colours
        rows, columns = (-3, -2) if colours else (-2, -1)
        shape = list(pixels.shape)
        self.full_width = int(shape[columns]) // side
        shape[rows], shape[columns] = shape[rows] // side, self.full_width
        self.shape = tuple(shape)
        self.dtype = np.dtype(np.float32)
        self._last: dict[Any, NDArray[np.float32]] = {}

    @property
    def name(self) -> str:
        """What it is, for a list of layers."""
        return "noisy" if self._side == 1 else f"noisy, summed {self._side}×{self._side}"

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many values there are."""
        return prod(self.shape)

    def until(self, column: int) -> Summed:
        """Return the part before a column."""
        part = object.__new__(Summed)
        part.__dict__.update(self.__dict__)
        part.cut(column)
        return part

    def cut(self, column: int) -> None:
        """Have only the columns before one there."""
        shape = list(self.shape)
        shape[-2 if self._colours else -1] = column
        self.shape = tuple(shape)

    @property
    def _leading(self) -> tuple[int, ...]:
        """Shape without that of an image."""
        return self.shape[: -3 if self._colours else -2]

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Return a part, as an array would."""
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in keys:
            place = keys.index(Ellipsis)
            keys[place : place + 1] = [slice(None)] * (self.ndim - len(keys) + 1)
        frames = np.arange(prod(self._leading)).reshape(self._leading)
        wanted = np.asarray(frames[tuple(keys[: len(self._leading)])])
        rest = tuple(keys[len(self._leading) :])
        found = [self.frame(int(number))[rest] for number in wanted.ravel()]
        return np.stack(found).reshape(*wanted.shape, *found[0].shape) if found else np.empty(0, np.float32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all of it."""
        return np.array(self[...], dtype, copy=copy)

    def frame(self, number: int) -> NDArray[np.float32]:
        """Return an image ``(Y, X)`` or ``(Y, X, C)``, counted through the leading axes, up to where it is cut off."""
        if number not in self._last:
            self._last.clear()
            self._last[number] = block_means(self._pixels[np.unravel_index(number, self._leading)], self._side)
        return self._last[number][:, : self.shape[-2 if self._colours else -1]]
