"""The tiles of a run: those it is trained on, from a pool, and those that are held out."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from napari_gandenoise.datasets.modes import HeldOutImages, MadeImages, MadePool, modes_of
from napari_gandenoise.datasets.pool import TilePool
from napari_gandenoise.datasets.sources import open_source, split
from napari_gandenoise.datasets.stream import TileStream
from napari_gandenoise.datasets.tiles import Tiles, TileSampler, normalise
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.data import ModesData
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
        Where tiles are wanted; a pool of tiles stays on the CPU, one of images that are made is there.

    Raises
    ------
    GanDenoiseError
        If the images cannot be used.
    """

    def __init__(self, config: RunConfig, seed: int, device: torch.device) -> None:
        self.config = config
        self.device = device
        self._held: TileSampler | HeldOutImages
        self.pool: TilePool | MadePool
        if isinstance(config.data, ModesData):
            self._make(config.data, seed)
        else:
            self._cut(config, seed)
        self._first: list[Tensor] = []
        self._resumed_at = 0
        self._waited = 0.0

    def _make(self, data: ModesData, seed: int) -> None:
        """Have images made on the device."""
        config = self.config
        _check_channels(data.channels, config)
        self.pixel_size_nm = config.pixel_size_nm
        size = config.drawn_size
        modes = modes_of(data, self.device)
        self._held = HeldOutImages(MadeImages(modes, config.seed), size)
        self.pool = MadePool(
            MadeImages(modes, seed), (config.channels, data.side), size, config.tiles,
            capacity=config.pool, fresh=config.fresh, chunk=data.together, device=self.device,
        )  # fmt: skip
        kind = "cpu" if self.device.type == "mps" else self.device
        self.generator = torch.Generator(kind).manual_seed(seed)

    def _cut(self, config: RunConfig, seed: int) -> None:
        """Have tiles cut from images."""
        source = open_source(config.data)
        _check_channels(source.channels, config)
        self.pixel_size_nm = config.pixel_size_nm or source.pixel_size_nm
        held, training = split(source, config.held_out)
        size = config.drawn_size
        self._held = TileSampler(held, config.tiles, size, self.pixel_size_nm)
        sampler = TileSampler(training, config.tiles, size, self.pixel_size_nm)
        self.pool = TilePool(TileStream(sampler, config.fresh, seed, config.workers), config.pool)
        self.generator = torch.Generator().manual_seed(seed)

    @property
    def added(self) -> int:
        """How many tiles or images have joined the pool."""
        return self.pool.added

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

    def restore(self, added: int, state: Tensor | int) -> None:
        """Go on from a checkpoint, or from a new seed: `fill_steps` will fetch the tiles that the pool held then."""
        self._resumed_at = added
        if isinstance(state, int):
            self.generator.manual_seed(state)
        else:
            self.generator.set_state(state)

    def close(self) -> None:
        """End the processes that cut tiles."""
        self.pool.close()


def _check_channels(channels: int, config: RunConfig) -> None:
    if channels != config.channels:
        raise GanDenoiseError(
            f"The images have {channels} channel(s) and the networks {config.channels}: set architecture.channels to "
            f"{channels}."
        )
