"""Share of the training time that is spent waiting for tiles, with and without processes that cut them ahead.

::

    python -m benchmarks.data_wait
    python -m benchmarks.data_wait --quick
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import imageio.v3 as imageio
import numpy as np
import torch
import typer
import zarr
from skimage import data
from torch.nn import functional

from benchmarks.record import RESULTS, write_result
from napari_gandenoise.datasets.pool import TilePool
from napari_gandenoise.datasets.sources import open_source
from napari_gandenoise.datasets.stream import TileStream
from napari_gandenoise.datasets.tiles import TileSampler, normalise
from napari_gandenoise.models.networks import Discriminator, Generator
from napari_gandenoise.settings.data import AnyData, FolderData, SimulatedData, TileConfig
from napari_gandenoise.settings.networks import Architecture

__all__ = ["main"]

BATCH, FRESH, POOL = 48, 6, 2000  # as a training run has them, but for the smaller pool
PIXEL_NM, MODEL_NM = 0.0183, 0.0244
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket")


class Step:
    """One update of a generator and a discriminator, as a stand-in for a training step."""

    def __init__(self, channels: int) -> None:
        architecture = Architecture(channels=channels)
        self.generator, self.discriminator = Generator(architecture), Discriminator(architecture, norm=False)
        self.adams = [torch.optim.Adam(net.parameters(), lr=1e-4) for net in (self.generator, self.discriminator)]

    def __call__(self, real: torch.Tensor) -> None:
        """Train on one batch."""
        fake = self.generator(torch.randn(len(real), 100))
        self._update(1, functional.softplus(self.discriminator(fake.detach()) - self.discriminator(real)).mean())
        self._update(0, -self.discriminator(fake).mean())

    def _update(self, network: int, loss: torch.Tensor) -> None:
        self.adams[network].zero_grad()
        loss.backward()
        self.adams[network].step()


def write_lattices(path: Path, count: int = 64, side: int = 400) -> AnyData:
    """Write a set of fringes with a little texture, so that it is compressed about as far as simulated images are."""
    rng = np.random.default_rng(0)
    group = zarr.open_group(path, mode="w")
    group.attrs["simulation"] = {"pixel_size_nm": PIXEL_NM, "images_per_structure": 8}
    group.attrs["records"] = [{}] * count
    images = group.create_array("images", shape=(count, side, side), chunks=(1, side, side), dtype="float16")
    y, x = np.mgrid[:side, :side] * (2 * np.pi * PIXEL_NM / 0.23)
    for number, angle in enumerate(rng.uniform(0, np.pi, count)):
        fringes = 0.2 * np.cos(x * np.cos(angle) + y * np.sin(angle))
        images[number] = (1 + fringes + rng.normal(0, 0.01, fringes.shape)).astype(np.float16)
    return SimulatedData(path=path)


def write_photographs(folder: Path) -> AnyData:
    """Write scikit-image's photographs as files."""
    folder.mkdir()
    for name in PHOTOGRAPHS:
        imageio.imwrite(folder / f"{name}.png", getattr(data, name)())
    return FolderData(path=folder, colour=True)


def measure(sampler: TileSampler, workers: int, steps: int) -> dict[str, Any]:
    """Train for some steps and tell the time in them from the time before them."""
    torch.manual_seed(0)
    step = Step(sampler.channels)
    pool = TilePool(TileStream(sampler, FRESH, seed=0, workers=workers), POOL)
    generator = torch.Generator().manual_seed(0)
    waited = worked = 0.0
    try:
        for number in range(-3, steps):  # the first steps start processes and allocate memory
            began = time.perf_counter()
            tiles = pool.draw(BATCH, generator)
            arrived = time.perf_counter()
            step(normalise(tiles, sampler.tiles).template)
            if number >= 0:
                waited += arrived - began
                worked += time.perf_counter() - arrived
    finally:
        pool.close()
    return {
        "workers": workers,
        "wait a step, ms": 1e3 * waited / steps,
        "step, ms": 1e3 * worked / steps,
        "share of waiting, %": 100 * waited / (waited + worked),
    }


def main(
    steps: Annotated[int, typer.Option(help="Steps of each measurement.")] = 60,
    quick: Annotated[bool, typer.Option(help="A few steps.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure and write ``data_wait.json`` and ``data_wait.md``."""
    steps = 5 if quick else steps
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        upright = TileConfig(pose="upright", intensity="absolute")
        sources = {
            "oriented, simulated 400×400": (write_lattices(Path(scratch) / "set.zarr"), TileConfig(), MODEL_NM),
            "upright, photographs in colour": (write_photographs(Path(scratch) / "photographs"), upright, None),
        }
        for tiles, (where, config, pixel_size_nm) in sources.items():
            sampler = TileSampler(open_source(where), config, 64, pixel_size_nm)
            rows += [{"tiles": tiles, **measure(sampler, workers, steps)} for workers in (0, 2)]
    notes = (
        f"{BATCH} tiles of 64×64 a step, {FRESH} of them fresh; {steps} steps in float32 of the standard networks at "
        f"width {Architecture().width} on all cores, so that worker processes compete with the step for them. "
        f"Load average at the end: {os.getloadavg()[0]:.1f}."
    )
    typer.echo(write_result(results, "data_wait", "Waiting for tiles", notes, rows, seed=0))


if __name__ == "__main__":
    typer.run(main)
