"""Seconds and peak memory for the 1200 x 1200 sample micrograph: our models and presets beside BM3D.

Every measurement is a process of its own, so that its peak memory (libraries included) is its own too.

::

    python -m benchmarks.speed
    python -m benchmarks.speed --quick
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.memory import peak_gb
from benchmarks.record import RESULTS, write_result

__all__ = ["main"]

BM3D, SUMMED = "BM3D, full sampling", "BM3D, summed"
MEASURE = "--measure"  # how this module calls itself in a process of its own


def measure(method: str, side: int) -> dict[str, Any]:
    """Denoise the centre of the sample once; the clock runs from counts to rate, model loading included."""
    from napari_gandenoise.simulate.samples import sample_micrograph

    sample = sample_micrograph(seed=0)
    edge = (sample.pixels.shape[0] - side) // 2
    counts = sample.pixels[edge : edge + side, edge : edge + side]
    steps = None
    if method in (BM3D, SUMMED):
        from napari_gandenoise.baselines import bm3d, usual_bin

        summed = 1 if method == BM3D else usual_bin(sample.pixel_size_nm)
        started = time.perf_counter()
        bm3d(counts, summed)
    else:
        from napari_gandenoise.denoising import denoise

        started = time.perf_counter()
        model, preset = method.split(", ")
        steps = denoise(counts, pixel_size_nm=sample.pixel_size_nm, model=model, preset=preset).report["steps"]
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak GB": peak_gb(), "steps": steps}


def _apart(method: str, side: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.speed", MEASURE, method, str(side)]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result


def _row(method: str, side: int, repeats: int) -> dict[str, Any]:
    runs = [_apart(method, side) for _ in range(repeats)]
    return {
        "method": method,
        "seconds": statistics.median(run["seconds"] for run in runs),
        "peak GB": max(run["peak GB"] for run in runs),
        "steps": runs[0]["steps"],
    }


def main(
    models: Annotated[str, typer.Option(help="Our models, comma-separated.")] = "auto,hrtem-unet,hrtem",
    presets: Annotated[str, typer.Option(help="Their presets, comma-separated.")] = "fast,balanced",
    repeats: Annotated[int, typer.Option(help="Runs of each; the median counts.")] = 3,
    quick: Annotated[bool, typer.Option(help="Once, the fast presets, 400 x 400.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure and write ``speed.json`` and ``speed.md``."""
    if quick:
        presets, repeats = "fast", 1
    side = 400 if quick else 1200
    ours = [f"{model}, {preset}" for model in models.split(",") for preset in presets.split(",")]
    for method in ours:
        _apart(method, side)  # once for nothing: the first run of a latent model renders its template bank
    rows = [_row(method, side, repeats) for method in [BM3D, SUMMED, *ours]]
    for row in rows:
        row["of BM3D"] = row["seconds"] / rows[0]["seconds"]
        row["of BM3D, summed"] = row["seconds"] / rows[1]["seconds"]
    load = f"{os.getloadavg()[0]:.1f}"
    notes = (
        f"Sample micrograph, {side} x {side} pixels; median of {repeats} run(s) on all cores, each in its own "
        "process; imports not counted, loading the model counted, template bank already on disk. Peak memory is the "
        f"whole process with its libraries. Load average at the end: {load}."
    )
    typer.echo(write_result(results, "speed", "Time and memory", notes, rows, seed=0))


if __name__ == "__main__":
    if sys.argv[1:2] == [MEASURE]:
        typer.echo(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
    else:
        typer.run(main)
