"""A pool of training tiles that is used while it fills and renewed once it is full."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from napari_gandenoise.datasets.stream import TileStream
from napari_gandenoise.datasets.tiles import augment
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress, Steps

__all__ = ["TilePool"]

REPORT_EVERY = 10  # chunks between two events
CPU = torch.device("cpu")


class TilePool:
    """Tiles in memory, drawn many times in all their mirror images while fresh ones join at every draw.

    Cutting and turning a tile costs more than a training step can spare; reusing it a few times does not hurt.
    The tiles held are a function of the stream's seed and of how many were added: nothing else need be remembered.

    Parameters
    ----------
    stream : TileStream
        Source of fresh tiles; a chunk of them joins at each draw.
    capacity : int
        Tiles held (float16); from then on fresh tiles replace the oldest.
    """

    def __init__(self, stream: TileStream, capacity: int) -> None:
        self.stream = stream
        size = stream.sampler.size
        self.tiles = torch.empty(capacity, stream.sampler.channels, size, size, dtype=torch.float16)
        self.added = 0  # always a multiple of the stream's chunk
        self._chunks: Iterator[Tensor] | None = None

    def fill(self, count: int) -> Tensor:
        """Add at least ``count`` fresh tiles, whole chunks, and return them: intensity ``(n, C, H, W)``."""
        fresh = torch.cat([self._next_chunk() for _ in range(-(-count // self.stream.chunk))])
        places = torch.arange(self.added, self.added + len(fresh)) % len(self.tiles)
        # A place that occurs twice must keep the later tile.
        latest = slice(max(0, len(fresh) - len(self.tiles)), None)
        self.tiles[places[latest]] = fresh[latest].half()
        self.added += len(fresh)
        return fresh

    def draw(self, count: int, generator: torch.Generator, device: torch.device = CPU) -> Tensor:
        """Add one chunk, then draw tiles ``(count, C, H, W)`` of all that are held, mirrored and turned at random."""
        self.fill(self.stream.chunk)
        held = min(self.added, len(self.tiles))
        tiles = self.tiles[torch.randint(held, (count,), generator=generator)]
        if device.type == "cuda":
            # From pinned memory the copy runs while the processor prepares the next step.
            tiles = tiles.pin_memory()
        return augment(tiles.to(device, non_blocking=True).float(), self.stream.sampler.tiles, generator)

    def rebuild(self, added: int) -> Steps[None]:
        """Fill the pool with what it held when ``added`` tiles had been added.

        Yields
        ------
        Progress
            Stage "tiles".

        Raises
        ------
        GanDenoiseError
            If ``added`` is not a multiple of the stream's chunk.
        """
        chunk = self.stream.chunk
        if added % chunk:
            raise GanDenoiseError(
                f"The pool had {added} tiles, which are not whole chunks of {chunk}: resume with as many fresh tiles a "
                "step as before."
            )
        self.close()
        self.added = max(0, added - len(self.tiles)) // chunk * chunk
        first = self.added
        while self.added < added:
            self.fill(min(REPORT_EVERY * chunk, added - self.added))
            yield Progress("tiles", self.added - first, added - first)

    def close(self) -> None:
        """End the processes of the stream; the next tiles start them again where they were."""
        self._chunks = None
        self.stream.close()

    def _next_chunk(self) -> Tensor:
        if self._chunks is None:
            self._chunks = self.stream.start(self.added // self.stream.chunk)
        return next(self._chunks)
