"""An endless, repeatable stream of tiles, cut in this process or ahead of time in others."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from napari_gandenoise.datasets.tiles import TileSampler
from napari_gandenoise.errors import GanDenoiseError

__all__ = ["TileStream"]

AHEAD = 4  # chunks that each process cuts ahead


class TileStream:
    """Tiles in chunks; chunk ``k`` depends on ``(seed, k)`` alone, however many processes cut them.

    Parameters
    ----------
    sampler : TileSampler
        Cuts the tiles.
    chunk : int
        Tiles in a chunk.
    seed : int
        Seed of the stream.
    workers : int
        Processes that cut tiles; with 0 each chunk is cut when it is asked for.  Processes are spawned: a script
        that uses them needs its ``if __name__ == "__main__":``.
    """

    def __init__(self, sampler: TileSampler, chunk: int, seed: int, workers: int = 0) -> None:
        self.sampler = sampler
        self.chunk = chunk
        self.seed = seed
        self.workers = workers
        self._running: Generator[Tensor] | None = None

    def start(self, first: int) -> Iterator[Tensor]:
        """Begin at chunk ``first`` and yield chunks ``(chunk, C, H, W)`` in order; ends what was started before.

        Raises
        ------
        GanDenoiseError
            If tiles cannot be cut, wherever that happens, or a process dies.
        """
        self.close()
        self._running = self._from_workers(first) if self.workers else self._from_here(first)
        return self._running

    def close(self) -> None:
        """End the processes."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def _from_here(self, first: int) -> Generator[Tensor]:
        chunks = _Chunks(self.sampler, self.chunk, self.seed)
        for number in count(first):
            yield _unwrap(chunks[number])

    def _from_workers(self, first: int) -> Generator[Tensor]:
        loader: DataLoader[Any] = DataLoader(
            _Chunks(self.sampler, self.chunk, self.seed),
            batch_size=None,
            sampler=count(first),
            num_workers=self.workers,
            # Arrays travel through the pipe: shared memory is scarce in containers.
            collate_fn=_as_it_is,
            # Not forked: torch's threads do not survive it.
            multiprocessing_context="spawn",
            prefetch_factor=AHEAD,
        )
        chunks = iter(loader)
        try:
            while True:
                yield _unwrap(next(chunks))
        except RuntimeError as error:
            if "exited unexpectedly" not in str(error):
                raise
            raise GanDenoiseError(
                "A process that cuts tiles was ended from outside, perhaps for want of memory: lower workers."
            ) from error
        finally:
            del chunks  # ends the processes


class _Chunks(Dataset[Any]):
    """Chunks by number; an error that a user can put right is handed over like a chunk, with its own words."""

    def __init__(self, sampler: TileSampler, chunk: int, seed: int) -> None:
        self.sampler = sampler
        self.chunk = chunk
        self.seed = seed

    def __getitem__(self, number: int) -> NDArray[np.float32] | GanDenoiseError:
        state = np.random.SeedSequence((self.seed, number)).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0]))
        try:
            # One thread everywhere: sums over several may round differently.
            with _one_thread():
                return self.sampler.draw(self.chunk, generator).numpy()
        except GanDenoiseError as error:
            return error


def _as_it_is(item: Any) -> Any:
    return item


def _unwrap(item: NDArray[np.float32] | GanDenoiseError) -> Tensor:
    if isinstance(item, GanDenoiseError):
        raise item
    return torch.from_numpy(item)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
