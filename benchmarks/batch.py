"""Batch jobs: the same bytes by every door, memory that does not grow, two workers, and what movies gain.

The stack is the sample micrograph with other counts in each frame, 16 bits, under a pixel size of 3 pm: a frame is
summed onto a small grid, so that what a job costs beside the frames shows.

::

    python -m benchmarks.batch
    python -m benchmarks.batch --quick
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import tifffile
import typer
from skimage.metrics import peak_signal_noise_ratio

from benchmarks.record import RESULTS, write_result
from napari_gandenoise.batching import batch
from napari_gandenoise.io import write_tiff
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.simulate.samples import sample_movie, sample_truth

__all__ = ["main"]

PIXEL_NM = 0.003
BY_COMMAND = (
    "import sys; from npe2 import PluginManager; plugins = PluginManager.instance(); plugins.discover();"
    "settings = {'settings': {'preset': 'fast', 'pixel_size_nm': float(sys.argv[3])}};"
    "plugins.commands.execute('napari-gandenoise.batch_denoise', (sys.argv[1], sys.argv[2], settings))"
)
MOVIES: dict[str, dict[str, Any]] = {
    "each frame alone": {},
    "warm start": {"warm_start": 20},
    "mean of 3": {"average": 3},
    "mean of 5": {"average": 5},
    "mean of 5, warm start": {"average": 5, "warm_start": 20},
}


def write_stack(path: Path, frames: int, side: int) -> None:
    """Write a stack frame by frame: it never lies in memory, here neither."""
    truth = sample_truth().pixels[:side, :side]
    random = np.random.default_rng(7)
    with tifffile.TiffWriter(path, bigtiff=True) as tif:
        for _ in range(frames):
            tif.write(random.poisson(truth).astype(np.uint16), contiguous=True)


def door(name: str, stack: Path, output: Path) -> list[str]:
    """Return the command that denoises a stack by one of the doors."""
    if name == "npe2 command":
        return [sys.executable, "-c", BY_COMMAND, str(stack), str(output), str(PIXEL_NM)]
    workers = ["--workers", name.split()[0]] if "worker" in name else []
    options = ["--preset", "fast", "--pixel-size", str(PIXEL_NM), *workers]
    return [sys.executable, "-m", "napari_gandenoise.cli", "batch", str(stack), "--output", str(output), *options]


def watched(command: list[str]) -> tuple[float, float]:
    """Run a command; return its seconds and the most memory that it or one of its processes had, MB."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    peak, ended = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            try:
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                peak = max(peak, *(member.memory_info().rss for member in family))
            except psutil.NoSuchProcess:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    ended.set()
    watcher.join()
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with {code}")
    return time.perf_counter() - started, peak / 1e6


def doors(folder: Path, few: int, many: int, side: int) -> list[dict[str, Any]]:
    """Denoise a short stack by the command line, and a long one by every door."""
    rows: list[dict[str, Any]] = []
    digest = ""
    for name, frames in (
        ("command line", few),
        ("command line", many),
        ("npe2 command", many),
        ("1 Dask worker", many),
        ("2 Dask workers", many),
    ):
        stack, output = folder / f"{frames}.tif", folder / f"{name}-{frames}"
        if not stack.exists():
            write_stack(stack, frames, side)
        seconds, peak = watched(door(name, stack, output))
        result = output / f"{frames}-denoised.ome.tif"
        found = hashlib.sha256(result.read_bytes()).hexdigest()
        digest = found if (name, frames) == ("command line", many) else digest
        result.unlink()
        rows.append(
            {
                "door": name,
                "frames": frames,
                "seconds": seconds,
                "seconds a frame": seconds / frames,
                "peak MB": peak,
                "same bytes": found == digest if frames == many and digest else None,
            }
        )
    for row in rows:
        row["peak, of the first"] = row["peak MB"] / rows[0]["peak MB"]
        row["speed, of one worker"] = rows[3]["seconds"] / row["seconds"] if row["frames"] == many else None
    return rows


def movies(folder: Path, frames: int, side: int, preset: str) -> list[dict[str, Any]]:
    """Denoise the centre of the sample movie in every way."""
    noisy, truth = sample_movie()
    edge = (noisy.pixels.shape[1] - side) // 2
    part = (slice(frames), slice(edge, edge + side), slice(edge, edge + side))
    clean = truth.pixels[part]
    source = folder / "movie.tif"
    write_tiff(source, replace(noisy, pixels=noisy.pixels[part]).pixels, pixel_size_nm=noisy.pixel_size_nm)
    rows = []
    batch(inputs=source, output=folder / "first", settings={"preset": "fast"})  # loads what all will use
    for name, options in MOVIES.items():
        config = BatchConfig(inputs=(str(source),), output=folder / name, settings={"preset": preset}, **options)
        started = time.process_time()
        result = batch(config)
        seconds = time.process_time() - started
        rate = tifffile.imread(result.outputs[0])
        pairs = zip(clean, rate, strict=True)
        psnr = float(np.mean([peak_signal_noise_ratio(c, r.astype(c.dtype), data_range=1) for c, r in pairs]))
        rows.append({"movie": name, "processor seconds a frame": seconds / frames, "PSNR": psnr})
    for row in rows:
        row["speed"] = rows[0]["processor seconds a frame"] / row["processor seconds a frame"]
        row["gain, dB"] = row["PSNR"] - rows[0]["PSNR"]
    return rows


def main(
    frames: Annotated[int, typer.Option(help="Frames of the long stack.")] = 200,
    movie_frames: Annotated[int, typer.Option(help="Frames of the sample movie.")] = 20,
    quick: Annotated[bool, typer.Option(help="Few small frames.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the tables.")] = RESULTS,
) -> None:
    """Measure and write ``batch`` and ``batch_movies``."""
    few, many, side = (2, 6, 300) if quick else (10, frames, 1200)
    with tempfile.TemporaryDirectory(prefix="gandenoise-batch-") as place:
        folder = Path(place)
        taken = movies(folder, *((3, 96, "fast") if quick else (movie_frames, 240, "balanced")))
        notes = (
            f"Centre of the sample movie, {3 if quick else movie_frames} frames; each row is a batch job in one "
            "process and one thread; its time is that of the processor, the model loaded already. PSNR against the "
            "truth (data range 1), mean over frames."
        )
        typer.echo(write_result(results, "batch_movies", "Movies: warm starts and averaged evidence", notes, taken))
        rows = doors(folder, few, many, side)
    notes = (
        f"A stack of {side} x {side} pixels, 16 bits, preset fast, one thread a process; seconds from the start of the "
        "command to its end. Peak memory is that of the largest process with its libraries, looked at ten times a "
        f"second. Load average at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."
    )
    typer.echo(write_result(results, "batch", "Batch jobs by every door", notes, rows))


if __name__ == "__main__":
    typer.run(main)
