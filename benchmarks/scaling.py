"""Seconds and peak memory as frames grow, and as there are more of them: ours beside BM3D in the same run.

Every measurement is a process of its own.  Frames are the sample micrograph's, continued by reflection.  A movie is a
file that a batch job reads and writes, since what a call returns has the size of the movie.

::

    python -m benchmarks.scaling            # two hours: 300 to 8192 pixels a side, 1 to 1,000 frames
    python -m benchmarks.scaling --quick    # a minute: two sizes, two lengths
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tifffile
import typer
from numpy.typing import NDArray

from benchmarks.memory import peak_gb
from benchmarks.record import RESULTS, write_result

__all__ = ["main"]

BM3D, BINNED, OURS, BATCH = "BM3D, full sampling", "BM3D, summed", "ours", "ours, batch"
SIDES, QUICK_SIDES = (300, 600, 1200, 2400, 4096, 8192), (96, 192)
FRAMES, QUICK_FRAMES = (1, 10, 100, 1000), (1, 3)
FRAME_SIDE, QUICK_FRAME_SIDE = 300, 96
LARGEST = {BM3D: 2400, BINNED: 8192, OURS: 8192}  # pixels a side: BM3D would need 40 GB for the largest
MEASURE = "--measure"  # how this module calls itself in a process of its own


def clean(side: int) -> NDArray[Any]:
    """Return the middle of the sample without noise ``(Y, X)``, reflected at its borders where it is too small."""
    from napari_gandenoise.simulate.samples import sample_truth

    rate = sample_truth().pixels
    start = max(0, (len(rate) - side) // 2)
    piece = rate[start : start + side, start : start + side]
    beyond = side - len(piece)
    return np.pad(piece, ((0, beyond), (0, beyond)), mode="symmetric")


def measure(method: str, side: int, frames: int, preset: str) -> dict[str, float]:
    """Denoise frames once; the clock runs from counts to rates, loading of the model included."""
    from napari_gandenoise.baselines import bm3d, usual_bin
    from napari_gandenoise.denoising import denoise
    from napari_gandenoise.settings.denoise import DenoiseConfig
    from napari_gandenoise.settings.noise import Poisson
    from napari_gandenoise.simulate.samples import MICROGRAPH, UPSAMPLING

    size = MICROGRAPH.pixel_size_nm / UPSAMPLING
    ours = DenoiseConfig(model="hrtem-unet", pixel_size_nm=size, noise=Poisson(), preset=preset)
    if method == BATCH:
        return _in_batch(side, frames, ours)
    image = np.random.default_rng(0).poisson(clean(side)).astype(np.uint16)
    started = time.perf_counter()
    if method == OURS:
        denoise(image, ours)
    else:
        bm3d(image, 1 if method == BM3D else usual_bin(size))
    return {"seconds": time.perf_counter() - started, "peak GB": peak_gb()}


def _in_batch(side: int, frames: int, config: Any) -> dict[str, float]:
    """Denoise a file of so many frames into another."""
    from napari_gandenoise.batching import batch

    with tempfile.TemporaryDirectory() as folder:
        source, random, rate = Path(folder) / "movie.tif", np.random.default_rng(0), clean(side)
        with tifffile.TiffWriter(source) as file:
            for _ in range(frames):
                file.write(random.poisson(rate).astype(np.uint16), contiguous=True)
        started = time.perf_counter()
        done = batch(inputs=(str(source),), output=Path(folder) / "out", settings=config)
        assert not done.failures
        return {"seconds": time.perf_counter() - started, "peak GB": peak_gb()}


def _apart(method: str, side: int, frames: int, preset: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.scaling", MEASURE, method, str(side), str(frames), preset]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return result


def _by_size(sides: list[int], preset: str) -> Iterator[dict[str, Any]]:
    for side in sides:
        row: dict[str, Any] = {"side, pixels": side}
        for method, largest in LARGEST.items():
            found = _apart(method, side, 1, preset) if side <= largest else {}
            row |= {f"{method}, s": found.get("seconds"), f"{method}, GB": found.get("peak GB")}
        yield row | {"ours, µs a pixel": 1e6 * row[f"{OURS}, s"] / side**2}


def _by_frames(side: int, lengths: list[int], preset: str) -> Iterator[dict[str, Any]]:
    for frames in lengths:
        found = _apart(BATCH, side, frames, preset)
        yield {
            "frames": frames,
            "seconds": found["seconds"],
            "s a frame": found["seconds"] / frames,
            "peak GB": found["peak GB"],
        }


def main(
    preset: Annotated[str, typer.Option(help="Preset of ours.")] = "balanced",
    largest: Annotated[int, typer.Option(help="Leave out frames larger than this, pixels a side.")] = 8192,
    most: Annotated[int, typer.Option(help="Leave out movies longer than this, frames.")] = 1000,
    quick: Annotated[bool, typer.Option(help="Two small sizes, two short movies.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the tables.")] = RESULTS,
) -> None:
    """Measure and write ``scaling_size`` and ``scaling_frames``, JSON and Markdown."""
    sides, lengths = (QUICK_SIDES, QUICK_FRAMES) if quick else (SIDES, FRAMES)
    side = QUICK_FRAME_SIDE if quick else FRAME_SIDE
    about = (
        f"Sample micrograph, 6.1 pm per pixel; hrtem-unet, {preset} preset; one run of each on all cores, in its own "
        "process, imports not counted, loading the model counted. Peak memory is the whole process with its libraries."
    )
    for name, title, rows, more in (
        ("scaling_size", "Time and memory by frame size", _by_size([s for s in sides if s <= largest], preset),
         "*Summed*: to about 43 pm."),
        ("scaling_frames", "Time and memory by number of frames",
         _by_frames(side, [n for n in lengths if n <= most], preset),
         f"Movies of {side} × {side} pixels in a TIFF file, denoised into another by a batch job."),
    ):  # fmt: skip
        found = list(rows)
        notes = f"{about} {more} Load average at the end: {os.getloadavg()[0]:.1f}."
        typer.echo(write_result(results, name, title, notes, found, seed=0))


if __name__ == "__main__":
    if sys.argv[1:2] == [MEASURE]:
        _, _, method, side, frames, preset = sys.argv
        typer.echo(json.dumps(measure(method, int(side), int(frames), preset)))
    else:
        typer.run(main)
