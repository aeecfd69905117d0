"""Settings of the classical baselines, tuned once on simulation seed 3: never on the frames that tables are made of.

First the pixel size that oversampled frames are summed to (BM3D, whose strength needs no tuning), then at that size the
strengths that no noise model sets.  What is best here is written by hand into `napari_gandenoise.baselines`.

::

    python -m benchmarks.baseline_settings            # minutes
    python -m benchmarks.baseline_settings --quick    # one small frame, two values each
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.coverage import LEARNT_ON
from benchmarks.heldout import DATA, NOISE_SEED, SIMULATION, VACUUM, Frame, few_frames, heldout_frames, middle
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.baselines import bm3d, gaussian_blur, nlm, tv, usual_bin, wiener
from napari_gandenoise.baselines.binning import COARSE_NM
from napari_gandenoise.evaluation import psnr

__all__ = ["main"]

SIDE = 600
VALUES: dict[str, Sequence[float]] = {
    "pixel size summed to, pm": (12.2, 18.3, 24.4, 30.5, 36.6, 42.7, 48.8),
    "Gaussian blur, σ in bins": (0.4, 0.6, 0.8, 1.0, 1.25, 1.6, 2.0),
    "TV, weight": (0.35, 0.5, 0.7, 1.0, 1.4, 2.0),
    "NLM, strength": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0),
    "Wiener, smoothing": (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0),
}
Run = Callable[[NDArray[Any], float], NDArray[np.float32]]


def runs() -> dict[str, Run]:
    """Return what each value is tried with."""
    size = 1e3 * SIMULATION.pixel_size_nm
    summed = usual_bin(SIMULATION.pixel_size_nm)
    return dict(
        zip(
            VALUES,
            (
                lambda counts, value: bm3d(counts, round(value / size), threads=1),
                lambda counts, value: gaussian_blur(counts, value * summed),
                lambda counts, value: tv(counts, summed, weight=value),
                lambda counts, value: nlm(counts, summed, strength=value),
                lambda counts, value: wiener(counts, summed, smoothing=value),
            ),
            strict=True,
        )
    )


def measure(frames: Sequence[Frame], side: int, most: int) -> list[dict[str, Any]]:
    """Mean PSNR of every value of every setting."""
    rows = []
    for setting, run in tqdm(runs().items(), desc="settings"):
        for value in VALUES[setting][:most]:
            pieces = [(middle(frame.truth, side), middle(frame.counts, side)) for frame in frames]
            scores = [psnr(truth, run(counts, value)) for truth, counts in pieces]
            rows.append({"setting": setting, "value": value, "PSNR": float(np.mean(scores))})
    best = {setting: max(row["PSNR"] for row in rows if row["setting"] == setting) for setting in VALUES}
    return [row | {"best": "×" if row["PSNR"] == best[row["setting"]] else ""} for row in rows]


def main(
    quick: Annotated[bool, typer.Option(help="One small frame and two values of each setting.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the simulated frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure and write ``baseline_settings.json`` and ``baseline_settings.md``."""
    frames = few_frames(cache, quick) if quick else heldout_frames(cache / "learning", config=LEARNT_ON, least=2)
    side, most = (200, 2) if quick else (SIDE, 99)
    notes = (
        f"{len(frames)} simulated frames of seed {LEARNT_ON.seed}, the middle {side} x {side} pixels, Poisson counts "
        f"with vacuum {VACUUM} e-/pixel, noise seed {NOISE_SEED}. Mean PSNR in dB, data range 1. Strengths are tried "
        f"on sums of {1e3 * COARSE_NM:g} pm. No table of results is made on these frames."
    )
    rows = measure(frames, side, most)
    typer.echo(write_result(results, "baseline_settings", "Settings of the baselines", notes, rows))


if __name__ == "__main__":
    typer.run(main)
