"""Training images that are made where training runs: a few at a time, kept in a pool there, and drawn many times.

A mode draws clean images from a seed: scenes without a lattice, HRTEM or HAADF of atomic structures.  Images come in
chunks, each of one mode; a chunk depends on nothing but the seed and its number, as those of
`napari_gandenoise.datasets.stream` do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.datasets.tiles import augment
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.data import ModesData, TileConfig
from napari_gandenoise.simulate.scenes import draw_scenes

__all__ = ["HeldOutImages", "MadeImages", "MadePool", "Mode", "modes_of"]

GOLDEN = (5**0.5 - 1) / 2  # multiples of it fill the circle evenly from the first on
TRAINING, HELD_OUT, TESTED = range(3)  # streams of chunks that have nothing in common
PATIENCE = 20  # structures of a chunk that may come to nothing
VALIDATED_TOGETHER = 16  # images of a chunk that is held out: all modes are among a few chunks

Draw = Callable[[int, int], Tensor]


class Mode(NamedTuple):
    """A kind of image.

    Attributes
    ----------
    share : float
        Of the images, relative to those of other modes.
    draw : callable
        Takes a count and a seed; returns clean images ``(count, C, side, side)`` within [0, 1] on the training device.
    """

    share: float
    draw: Draw


class MadeImages:
    """Chunks of clean images.

    Parameters
    ----------
    modes : sequence of Mode
        Those with a share of 0 are never drawn.
    seed : int
        Of all chunks.

    Raises
    ------
    GanDenoiseError
        If no mode has a share.
    """

    def __init__(self, modes: Sequence[Mode], seed: int) -> None:
        self.modes = [mode for mode in modes if mode.share > 0]
        if not self.modes:
            raise GanDenoiseError("There is nothing to draw: give one of the modes a share above 0.")
        shares = np.cumsum([mode.share for mode in self.modes])
        self.ends = shares / shares[-1]
        self.seed = seed

    def chunk(self, stream: int, number: int, count: int) -> Tensor:
        """Make a chunk ``(count, C, side, side)``."""
        place = (number + 0.5) * GOLDEN % 1.0
        mode = self.modes[int(np.searchsorted(self.ends, place, side="right"))]
        state = np.random.SeedSequence((self.seed, stream, number)).generate_state(1, np.uint64)
        return mode.draw(count, int(state[0] >> np.uint64(1)))


class MadePool:
    """Images on the training device; tiles are cut from all that are held while fresh images take the oldest's places.

    Images held are a function of the seed and of how many were owed: nothing else need be remembered.  Once the pool is
    filled, nothing goes from the device to the processor and nothing waits for it, but for what a mode does.

    Parameters
    ----------
    images : MadeImages
        Makes them.
    shape : tuple of int
        Channels, and side of the images.
    size : int
        Side of the tiles.
    tiles : TileConfig
        How they are turned and scaled.
    capacity : int
        Images held (float16).
    fresh : int
        Images that are owed at every draw.
    chunk : int
        Images that are made together.
    device : torch.device
        Where.

    Raises
    ------
    GanDenoiseError
        If images are too small to cut tiles from.
    """

    def __init__(
        self,
        images: MadeImages,
        shape: tuple[int, int],
        size: int,
        tiles: TileConfig,
        *,
        capacity: int,
        fresh: int,
        chunk: int,
        device: torch.device,
    ) -> None:
        channels, side = shape
        self.images, self.tiles, self.size = images, tiles, size
        self.patch = ceil(size * (1 + tiles.scale) * (2**0.5 if tiles.rotation else 1))
        if side < self.patch:
            raise GanDenoiseError(
                f"Images of {side} pixels are too small to cut, turn and scale tiles of {size} from: set data.side to "
                f"{self.patch} at least."
            )
        self.fresh, self.chunk = fresh, chunk
        self.held = torch.empty(max(capacity, chunk), channels, side, side, dtype=torch.float16, device=device)
        self.added = 0  # images owed, of which whole chunks are made
        self._made = 0

    def fill(self, count: int) -> Tensor:
        """Make at least ``count`` images, whole chunks, and return the middle of each: ``(n, C, size, size)``."""
        middles = [middle(self._make(), self.size) for _ in range(ceil(count / self.chunk))]
        self.added = self._made
        return torch.cat(middles)

    def draw(self, count: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Make the images that are due, then draw tiles ``(count, C, size, size)`` of all that are held."""
        self.added += self.fresh
        while self._made + self.chunk <= self.added:
            self._make()
        held = min(self._made, len(self.held))
        which = torch.randint(held, (count,), generator=generator, device=generator.device).to(device)
        room = self.held.shape[-1] - self.patch + 1
        corners = torch.randint(room, (2, count), generator=generator, device=generator.device).to(device)
        line = torch.arange(self.patch, device=device)
        rows, columns = (corner[:, None] + line for corner in corners)
        # Pictures, rows and columns are looked up at once: channels come last then.
        patches = self.held[which[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).float()
        return augment(self._turned(patches, generator), self.tiles, generator)

    def rebuild(self, added: int) -> Steps[None]:
        """Make the images that the pool held when ``added`` had been owed.

        Yields
        ------
        Progress
            Stage "tiles".
        """
        self.added = added
        made = added // self.chunk * self.chunk
        self._made = first = max(0, made - len(self.held)) // self.chunk * self.chunk
        while self._made < made:
            self._make()
            yield Progress("tiles", self._made - first, made - first)

    def close(self) -> None:
        """End nothing: no process works for this pool."""

    def _make(self) -> Tensor:
        fresh = self.images.chunk(TRAINING, self._made // self.chunk, self.chunk)
        places = (self._made + torch.arange(len(fresh), device=fresh.device)) % len(self.held)
        self.held[places] = fresh.half()
        self._made += len(fresh)
        return fresh

    def _turned(self, patches: Tensor, generator: torch.Generator) -> Tensor:
        """Turn and scale patches at random, as far as the tiles' settings say."""
        scale, count = self.tiles.scale, len(patches)
        if not (scale or self.tiles.rotation):
            return patches
        random = torch.rand(2, count, generator=generator, device=generator.device).to(patches)
        angle = 2 * torch.pi * random[0] * self.tiles.rotation
        reach = self.size / self.patch * (1 - scale + 2 * scale * random[1])
        cos, sin, zero = reach * angle.cos(), reach * angle.sin(), torch.zeros_like(angle)
        rows = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
        grid = functional.affine_grid(rows, [count, 1, self.size, self.size], align_corners=False)
        turned = functional.grid_sample(patches, grid, mode="bicubic", padding_mode="border", align_corners=False)
        return turned.clamp(0, 1)  # cubic convolution overshoots at edges


class HeldOutImages:
    """Images that no tile of the training is cut from: the same ones in each run of a seed.

    Parameters
    ----------
    images : MadeImages
        Makes them.
    size : int
        Side of the tiles, cut from the middles.
    """

    def __init__(self, images: MadeImages, size: int) -> None:
        self.images, self.size = images, size

    def draw(self, count: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - numbers say which they are
        """Return the first tiles ``(count, C, size, size)``."""
        together = VALIDATED_TOGETHER
        chunks = [self.images.chunk(HELD_OUT, number, together) for number in range(ceil(count / together))]
        return middle(torch.cat(chunks)[:count], self.size)

    def in_order(self, index: int) -> Tensor:
        """Return the tile of a test image, ``(1, C, size, size)``."""
        return middle(self.images.chunk(TESTED, index, 1), self.size)


def middle(images: Tensor, size: int) -> Tensor:
    """Cut the middles ``(N, C, size, size)`` out of images."""
    first = (images.shape[-1] - size) // 2
    return images[..., first : first + size, first : first + size]


# What makes structures and their images is imported where it is wanted: scenes need no ASE.


def modes_of(data: ModesData, device: torch.device) -> list[Mode]:
    """Return the modes of a source of images, drawn on a device."""
    return [
        Mode(data.scenes, partial(_scenes, data, device)),
        Mode(data.hrtem, partial(_hrtem, data, device)),
        Mode(data.haadf, partial(_haadf, data, device)),
    ]


def _scenes(data: ModesData, device: torch.device, count: int, seed: int) -> Tensor:
    generator = torch.Generator("cpu" if device.type == "mps" else device).manual_seed(seed)
    return draw_scenes(data.scene, count, data.side, generator, data.channels).to(device)


def _structures(data: ModesData, count: int, rng: np.random.Generator) -> tuple[list[Any], list[int]]:
    """Draw structures in boxes of one size, and which of them each of so many images shows."""
    from napari_gandenoise.simulate.structures import build_structure

    low, high = np.log(data.sampling_nm)
    box_nm = data.side * float(np.exp(rng.uniform(low, high)))
    structures: list[Any] = []
    refused = 0
    while len(structures) < ceil(count / data.per_structure):
        try:
            structures.append(build_structure(data.structure, rng, box_nm))
        except GanDenoiseError:
            # Now and then chance leaves nothing to see; a run that nobody watches must not end of it.
            refused += 1
            if refused > PATIENCE:
                raise
    return structures, [number // data.per_structure for number in range(count)]


def _hrtem(data: ModesData, device: torch.device, count: int, seed: int) -> Tensor:
    from napari_gandenoise.simulate.conditions import draw_conditions
    from napari_gandenoise.simulate.multislice import ExitWaves, exit_waves
    from napari_gandenoise.simulate.optics import hrtem_images

    rng = np.random.default_rng(seed)
    structures, shown = _structures(data, count, rng)
    waves = exit_waves(structures, data.imaging.energy_kev, data.side, device)
    waves = ExitWaves(waves.waves[shown], waves.projected_potential[shown], waves.pixel_size_nm)
    return _within_range(hrtem_images(waves, [draw_conditions(data.imaging, rng) for _ in shown]))


def _haadf(data: ModesData, device: torch.device, count: int, seed: int) -> Tensor:
    from napari_gandenoise.simulate.probe import draw_probe
    from napari_gandenoise.simulate.stem import stem_images

    rng = np.random.default_rng(seed)
    structures, shown = _structures(data, count, rng)
    conditions = [draw_probe(data.probe, rng) for _ in shown]
    return _within_range(stem_images([structures[number] for number in shown], conditions, data.side, device))


def _within_range(images: Tensor) -> Tensor:
    """Divide images ``(N, Y, X)`` by the brightest pixel of each and give them a channel: zero stays no electrons."""
    return (images / images.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)).clamp(min=0)[:, None]
