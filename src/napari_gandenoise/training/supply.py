"""The tiles of a run: those it is trained on, from a pool, and those that are held out."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from napari_gandenoise.datasets.pool import TilePool
from napari_gandenoise.datasets.sources import open_source, split
from napari_gandenoise.datasets.stream import TileStream
from napari_gandenoise.datasets.tiles import Tiles, TileSampler, normalise
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.train import RunConfig

__all__ = ["Supply"]

HELD_OUT = 64  # tiles
FILLED_AT_ONCE = 250  # tiles between two events


class Supply:
    """Real tiles of one process.

    Parameters
    ----------
    config : RunConfig
        The run.
    seed : int
        Seed of this process's tiles.
    device : torch.device
        Where tiles are wanted; the pool stays on the CPU.

    Raises
    ------
    GanDenoiseError
        If the images cannot be used.
    """

    def __init__(self, config: RunConfig, seed: int, device: torch.device) -> None:
        self.config = config
        self.device = device
        source = open_source(config.data)
        if source.channels != config.channels:
            raise GanDenoiseError(
                f"The images have {source.channels} channel(s) and the networks {config.channels}: set "
                f"architecture.channels to {source.channels}."
            )
        self.pixel_size_nm = config.pixel_size_nm or source.pixel_size_nm
        held, training = split(source, config.held_out)
        size = config.size
        self._held = TileSampler(held, config.tiles, size, self.pixel_size_nm)
        sampler = TileSampler(training, config.tiles, size, self.pixel_size_nm)
        self.pool = TilePool(TileStream(sampler, config.fresh, seed, config.workers), config.pool)
        self.generator = torch.Generator().manual_seed(seed)
        self._first: list[Tensor] = []
        self._resumed_at = 0
        self._waited = 0.0

    def fill_steps(self) -> Steps[None]:
        """Fill the pool far enough to begin, or with what it held when the run was interrupted."""
        if self._resumed_at:
            yield from self.pool.rebuild(self._resumed_at)
            return
        wanted = min(self.config.pool, self.config.tiles_to_begin)
        while self.pool.added < wanted:
            self._first.append(self.pool.fill(min(FILLED_AT_ONCE, wanted - self.pool.added)))
            yield Progress("tiles", min(self.pool.added, wanted), wanted)

    def first_tiles(self) -> Tiles:
        """Return the tiles that `fill_steps` has added, once, on the device."""
        first = torch.cat(self._first)
        self._first.clear()
        return normalise(first.to(self.device), self.config.tiles)

    def held_out(self) -> Tiles:
        """Return tiles of the held-out images on the device: the same ones in each run of a config."""
        tiles = self._held.draw(HELD_OUT, torch.Generator().manual_seed(self.config.seed))
        return normalise(tiles.to(self.device), self.config.tiles)

    def held_out_image(self, number: int) -> Tiles:
        """Return all tiles of a held-out image, in order, on the device."""
        return normalise(self._held.in_order(number).to(self.device), self.config.tiles)

    def draw(self, count: int) -> Tiles:
        """Draw training tiles."""
        began = time.perf_counter()
        tiles = self.pool.draw(count, self.generator, self.device)
        self._waited += time.perf_counter() - began
        return normalise(tiles, self.config.tiles)

    def waited(self) -> float:
        """Return the seconds spent waiting for tiles since this was last asked."""
        waited, self._waited = self._waited, 0.0
        return waited

    def state(self) -> Tensor:
        """Return the state of the random numbers that choose tiles."""
        return self.generator.get_state()

    def restore(self, added: int, state: Tensor) -> None:
        """Go on from a checkpoint: `fill_steps` will fetch the tiles that the pool held then."""
        self._resumed_at = added
        self.generator.set_state(state)

    def close(self) -> None:
        """End the processes that cut tiles."""
        self.pool.close()
