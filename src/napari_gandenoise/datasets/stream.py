"""An endless, repeatable stream of tiles, cut in this process or ahead of time in others."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import count
from threading import Thread, Timer

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_gandenoise.datasets.tiles import TileSampler
from napari_gandenoise.errors import GanDenoiseError

__all__ = ["TileStream"]

AHEAD = 4  # chunks that each process cuts ahead
GRACE = 5.0  # seconds


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
        self._running: Generator[Tensor, None, None] | None = None

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

    def _from_here(self, first: int) -> Generator[Tensor, None, None]:
        for number in count(first):
            yield torch.from_numpy(_cut(self.sampler, self.chunk, self.seed, number))

    def _from_workers(self, first: int) -> Generator[Tensor, None, None]:
        # Not torch's DataLoader: when one of its processes dies it raises in the middle of whatever the caller does.
        # Not forked: torch's threads do not survive it.
        executor = ProcessPoolExecutor(
            self.workers, multiprocessing.get_context("spawn"), _begin, (self.sampler, self.chunk, self.seed)
        )
        try:
            ahead: deque[Future[NDArray[np.float32]]] = deque()
            for number in count(first):
                ahead.append(executor.submit(_cut_there, number))
                if len(ahead) > AHEAD * self.workers:
                    yield torch.from_numpy(ahead.popleft().result())
        except BrokenProcessPool as error:
            raise GanDenoiseError(
                "A process that cuts tiles was ended from outside, perhaps for want of memory: lower workers."
            ) from error
        finally:
            executor.shutdown(cancel_futures=True)


def _cut(sampler: TileSampler, chunk: int, seed: int, number: int) -> NDArray[np.float32]:
    state = np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)
    # One thread everywhere: sums over several may round differently.
    with _one_thread():
        tiles: NDArray[np.float32] = sampler.draw(chunk, torch.Generator().manual_seed(int(state[0]))).numpy()
    return tiles


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


# --- in a worker process --------------------------------------------------------------------------------------------

_task: tuple[TileSampler, int, int]


def _begin(sampler: TileSampler, chunk: int, seed: int) -> None:
    """Keep what this process is to do for all of its life."""
    global _task
    _task = sampler, chunk, seed
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the run, and that ends its processes
    signal.signal(signal.SIGTERM, _end_soon)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_soon(*_: object) -> None:
    """End after a while: schedulers ask all processes at once, and the run still needs tiles to end in order."""
    timer = Timer(GRACE, os._exit, (1,))
    timer.daemon = True
    timer.start()


def _end_with_parent() -> None:
    """Do not outlive a run that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _cut_there(number: int) -> NDArray[np.float32]:
    return _cut(*_task, number)
