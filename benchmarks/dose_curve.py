"""PSNR against dose: what the residual step is worth from 0.05 to 100 electrons per pixel, and where BM3D stands.

Of each contrast class one held-out frame is taken, a square in its middle, and counts are drawn at every dose.

::

    python -m benchmarks.dose_curve            # half an hour
    python -m benchmarks.dose_curve --quick    # a minute: one small frame, two doses
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
import typer
from tqdm import tqdm

from benchmarks.denoising import BINS, QUICK_BINS
from benchmarks.heldout import (
    DATA,
    NOISE_SEED,
    SIMULATION,
    VACUUM,
    Frame,
    few_frames,
    middle,
)
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.baselines import bm3d, oracle_bin
from napari_gandenoise.denoising import denoise
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.settings.noise import Poisson

__all__ = ["curve", "main"]

DOSES = (0.05, 0.15, 0.45, 1.5, 4.5, 15.0, 45.0, 100.0)  # electrons per pixel in vacuum
SIDE = 600
FIGURE = Path("docs/images/dose-curve.png")
METHODS = ("BM3D, best bin", "without residual step", "with residual step")


def curve(frame: Frame, doses: Sequence[float], side: int, bins: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Score the methods on one frame at every dose; PSNR in dB, data range 1 in units of the vacuum's rate."""
    clean = middle(frame.truth, side) / VACUUM
    for number, dose in enumerate(doses):
        seed = (NOISE_SEED, frame.structure, 2, number)
        counts = np.random.default_rng(seed).poisson(dose * clean).astype(np.float32)
        best = oracle_bin(bm3d, counts, (dose * clean).astype(np.float32), bins)
        rates = {"BM3D, best bin": best.rate}
        for method, step in (("without residual step", False), ("with residual step", True)):
            result = denoise(
                counts,
                model="hrtem",
                pixel_size_nm=SIMULATION.pixel_size_nm,
                noise=Poisson(),
                preset="fast",
                residual_step=step,
            )
            rates[method] = result.rate
        scores = {method: psnr(clean, rates[method] / dose) for method in METHODS}
        yield {"contrast": frame.contrast, "dose": dose, "bin": best.setting, **scores}


def table(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean over frames at each dose, and the worst margin over BM3D among the frames."""
    means = []
    for dose in dict.fromkeys(row["dose"] for row in rows):
        own = [row for row in rows if row["dose"] == dose]
        row: dict[str, Any] = {"dose": dose} | {m: float(np.mean([r[m] for r in own])) for m in METHODS}
        row["least margin"] = min(r["with residual step"] - r["BM3D, best bin"] for r in own)
        means.append(row)
    return means


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw PSNR against dose."""
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for method, style in zip(METHODS, ("k--", "C1:", "C0-"), strict=True):
        axes.semilogx([r["dose"] for r in rows], [r[method] for r in rows], style, marker="o", label=method)
    axes.set(xlabel="electrons per pixel in vacuum", ylabel="PSNR, dB")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main(
    quick: Annotated[bool, typer.Option(help="One small frame and two doses; no figure.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the held-out frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure, write ``dose_curve.json`` and ``dose_curve.md``, and draw the figure."""
    frames = few_frames(cache, quick)
    doses, side, bins = ((0.45, 4.5), 300, QUICK_BINS) if quick else (DOSES, SIDE, BINS)
    rows = [row for frame in tqdm(frames, desc="frames") for row in curve(frame, doses, side, bins)]
    notes = (
        f"{len(frames)} held-out frames, the middle {side} x {side} pixels of 6.1 pm; dose in electrons per pixel in "
        "vacuum, Poisson counts, fast preset. Mean PSNR in dB, rates relative to vacuum, data range 1. BM3D chooses "
        "its bin factor by the truth. *Least margin*: with residual step minus BM3D on the frame where that is least."
    )
    typer.echo(write_result(results, "dose_curve", "PSNR against dose", notes, table(rows), frames=rows))
    if not quick:
        draw(table(rows), FIGURE)


if __name__ == "__main__":
    typer.run(main)
