"""Seconds and peak memory as frames grow, and as there are more of them: ours against BM3D in the same run.

Every measurement is a process of its own.  Frames are the sample micrograph's, continued by reflection.

::

    python -m benchmarks.scaling            # hours: 300 to 4096 pixels a side, 1 to 200 frames
    python -m benchmarks.scaling --quick    # a minute: two sizes, two lengths
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.memory import peak_gb
from benchmarks.record import RESULTS, write_result

__all__ = ["main"]

BM3D, BINNED, OURS = "BM3D, full sampling", "BM3D, summed", "ours"
SIDES, QUICK_SIDES = (300, 600, 1200, 2400, 4096), (96, 192)
FRAMES, QUICK_FRAMES = (1, 5, 20, 80, 200), (1, 3)
FRAME_SIDE, QUICK_FRAME_SIDE = 300, 96
MEASURE = "--measure"  # how this module calls itself in a process of its own


def counts(side: int, frames: int) -> NDArray[np.uint16]:
    """Draw frames ``(T, Y, X)`` of the sample, reflected at its borders where it is too small."""
    from napari_gandenoise.simulate.samples import sample_truth

    rate = sample_truth().pixels
    start = max(0, (len(rate) - side) // 2)
    piece = rate[start : start + side, start : start + side]
    beyond = side - len(piece)
    whole = np.pad(piece, ((0, beyond), (0, beyond)), mode="reflect" if beyond < len(piece) else "symmetric")
    random = np.random.default_rng(0)
    return np.stack([random.poisson(whole).astype(np.uint16) for _ in range(frames)])


def measure(method: str, side: int, frames: int, preset: str) -> dict[str, float]:
    """Denoise frames once; the clock runs from counts to rates, loading of the model included."""
    from napari_gandenoise.baselines import bm3d, usual_bin
    from napari_gandenoise.denoising import denoise
    from napari_gandenoise.settings.noise import Poisson
    from napari_gandenoise.simulate.samples import MICROGRAPH, UPSAMPLING

    size = MICROGRAPH.pixel_size_nm / UPSAMPLING
    images = counts(side, frames)
    started = time.perf_counter()
    if method == OURS:
        denoise(images if frames > 1 else images[0], model="hrtem", pixel_size_nm=size, noise=Poisson(), preset=preset)
    else:
        for image in images:
            bm3d(image, 1 if method == BM3D else usual_bin(size))
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak GB": peak_gb()}


def _apart(method: str, side: int, frames: int, preset: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.scaling", MEASURE, method, str(side), str(frames), preset]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return result


def _rows(cases: list[tuple[int, int]], preset: str) -> Iterator[dict[str, Any]]:
    for side, frames in cases:
        row: dict[str, Any] = {"side, pixels": side, "frames": frames}
        for method in (OURS, BM3D, BINNED):
            found = _apart(method, side, frames, preset)
            row |= {f"{method}, s": found["seconds"], f"{method}, GB": found["peak GB"]}
        yield row | {"ours / BM3D": row[f"{OURS}, s"] / row[f"{BM3D}, s"]}


def main(
    preset: Annotated[str, typer.Option(help="Preset of ours.")] = "fast",
    largest: Annotated[int, typer.Option(help="Leave out frames larger than this, pixels a side.")] = 4096,
    most: Annotated[int, typer.Option(help="Leave out movies longer than this, frames.")] = 200,
    quick: Annotated[bool, typer.Option(help="Two small sizes, two short movies.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the tables.")] = RESULTS,
) -> None:
    """Measure and write ``scaling_size`` and ``scaling_frames``, JSON and Markdown."""
    sides, lengths = (QUICK_SIDES, QUICK_FRAMES) if quick else (SIDES, FRAMES)
    side = QUICK_FRAME_SIDE if quick else FRAME_SIDE
    by_size = [(own, 1) for own in sides if own <= largest]
    by_frames = [(side, frames) for frames in lengths if frames <= most]
    _apart(OURS, *by_size[0], preset)  # renders the template bank of the model, once for all later runs
    for name, title, cases in (
        ("scaling_size", "Time and memory by frame size", by_size),
        ("scaling_frames", "Time and memory by number of frames", by_frames),
    ):
        rows = list(_rows(cases, preset))
        notes = (
            f"Sample micrograph, 6.1 pm per pixel, noise seed 0; {preset} preset; one run of each on all cores, in its "
            "own process, imports not counted, loading the model counted. Peak memory is the whole process with its "
            f"libraries. *Summed*: to about 43 pm. Load average at the end: {os.getloadavg()[0]:.1f}."
        )
        typer.echo(write_result(results, name, title, notes, rows, seed=0))


if __name__ == "__main__":
    if sys.argv[1:2] == [MEASURE]:
        _, _, method, side, frames, preset = sys.argv
        typer.echo(json.dumps(measure(method, int(side), int(frames), preset)))
    else:
        typer.run(main)
