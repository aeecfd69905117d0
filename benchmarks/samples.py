"""Samples of what an image could be: do they differ as much as they are wrong, and what scoring and refining bring.

What the draws of the bundled model are multiplied by is learnt on simulation seed 3; all else is measured on held-out
frames (seed 4), the middle of each.

::

    python -m benchmarks.samples --learn          # learn that, write it into the model, then measure
    python -m benchmarks.samples                  # measure
    python -m benchmarks.samples --only times     # one of: draws, all, search, columns, times
    python -m benchmarks.samples --quick          # one small frame, few samples: checks that everything runs
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from scipy import ndimage, stats
from tqdm import tqdm

from benchmarks.columns import calibration_error
from benchmarks.heldout import DATA, NOISE_SEED, SIMULATION, VACUUM, Frame, few_frames, heldout_frames, middle
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.denoising import DenoiseResult, denoise
from napari_gandenoise.denoising.posterior import log_likelihood
from napari_gandenoise.evaluation import psnr, spectrum_error
from napari_gandenoise.layers import block_means
from napari_gandenoise.locating import columns
from napari_gandenoise.models import DirectModel, load_model, save_model
from napari_gandenoise.models.calibration import UNCALIBRATED, Calibration, Case, learnt
from napari_gandenoise.settings.denoise import REPLICATES, SAMPLES
from napari_gandenoise.settings.noise import Poisson
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth

__all__ = ["figures", "main", "regions"]

MODEL, UNCONDITIONAL = "hrtem-unet", "hrtem"
DOSES = (0.15, 0.45, 4.5)  # electrons per pixel in vacuum
SIDE, NARROW = 900, 600  # of the middle of a frame: vacuum is to be seen, too; where much is tried, less of it
LEARNT_ON = SIMULATION.model_copy(update={"seed": 3, "structures": 12})
LEARNT_AT = (0.1, 0.3, 1.0, 3.0, 10.0)  # doses
GRID = 4  # input pixels along the side of one of the model's
BLOCK = 8  # grid pixels along the side of a square in which spread is held against error
FEW = 8  # samples of which the mean is judged
SMOOTH, FLAT, RIM = 24.0, 0.02, 48  # pixels; of the rate in vacuum; pixels on either side of an edge
SEARCHES = {
    "as they are drawn": {},
    "best of 4 in each tile": {"best_of": 4},
    "best of 16 in each tile": {"best_of": 16},
    "10 steps of Adam": {"refine": 10},
    "30 steps of Adam": {"refine": 30},
    "best of 4, 10 steps": {"best_of": 4, "refine": 10},
}
NAMES = (
    *("PSNR", "one sample", "mean of 8 less one, dB", "mean of all", "spectrum error of one"),
    *("spectrum error of the result", "rank correlation", "within 2 standard errors, %"),
    *("vacuum, %", "edge, %", "interior, %"),
)
FIGURE = Path("docs/images/samples.png")
PIECE = slice(120, 400), slice(360, 640)

Image = NDArray[Any]


def exposed(frame: Frame, dose: float, side: int) -> tuple[Image, Image]:
    """Return the truth of a frame at a dose, and counts of it."""
    truth = dose / VACUUM * middle(frame.truth, side)
    random = np.random.default_rng((NOISE_SEED, frame.structure, 4, round(1000 * dose)))
    return truth, random.poisson(truth).astype(np.float32)


def drawn(counts: Image, **fields: Any) -> DenoiseResult:
    """Denoise counts with the conditional model."""
    options = {"model": MODEL, "pixel_size_nm": SIMULATION.pixel_size_nm, "noise": Poisson(), "samples": SAMPLES}
    return denoise(counts, **{**options, **fields})


def regions(truth: Image) -> dict[str, NDArray[np.bool_]]:
    """Tell vacuum, edge and interior of a clean frame apart: where it varies, and how far from where that begins."""
    level = ndimage.gaussian_filter(truth, SMOOTH)
    varied = ndimage.gaussian_filter(np.square(truth - level), SMOOTH) > (FLAT * np.median(truth)) ** 2
    inside, outside = ndimage.distance_transform_edt(varied), ndimage.distance_transform_edt(~varied)
    edge = np.where(varied, inside, outside) < RIM
    return {"vacuum": ~varied & ~edge, "edge": edge, "interior": varied & ~edge}


def figures(truth: Image, result: DenoiseResult, dose: float) -> dict[str, float]:
    """Hold samples, or an uncertainty without any, against the truth at a dose in vacuum."""
    assert result.uncertainty is not None
    error, spread = result.rate - truth, result.uncertainty
    within = np.abs(error) < 2 * spread
    found = {"PSNR": psnr(truth / dose, result.rate / dose)}
    if result.samples is not None:
        one = float(np.mean([psnr(truth / dose, sample / dose) for sample in result.samples[:FEW]]))
        several = psnr(truth / dose, result.samples[:FEW].mean(axis=0) / dose)
        found |= {
            "one sample": one,
            "mean of 8 less one, dB": several - one,
            "mean of all": psnr(truth / dose, result.samples.mean(axis=0) / dose),
            "spectrum error of one": float(np.mean([spectrum_error(truth, s) for s in result.samples[:FEW]])),
        }
    found["spectrum error of the result"] = spectrum_error(truth, result.rate)
    sides = GRID * BLOCK
    errors, spreads = (np.sqrt(block_means(np.square(image), sides)) for image in (error, spread))
    found["rank correlation"] = float(stats.spearmanr(errors.ravel(), spreads.ravel()).statistic)
    found["within 2 standard errors, %"] = 100 * float(within.mean())
    for name, place in regions(truth).items():
        found[f"{name}, %"] = 100 * float(within[place].mean()) if place.mean() > 0.02 else np.nan
    return found


def ways_to_uncertainty(count: int) -> dict[str, dict[str, Any]]:
    """Return the settings of so many samples, and of repeated runs."""
    return {
        f"{MODEL}, {count} samples": {"samples": count},
        f"{MODEL}, {REPLICATES} repeated runs": {"samples": 0, "replicates": REPLICATES, "preset": "fast"},
        f"{UNCONDITIONAL}, {REPLICATES} repeated runs": {
            "model": UNCONDITIONAL, "samples": 0, "replicates": REPLICATES, "preset": "fast",
        },
    }  # fmt: skip


def measure(
    frames: Sequence[Frame], ways: dict[str, dict[str, Any]], doses: Sequence[float], side: int
) -> Iterator[dict[str, Any]]:
    """Hold ways to an uncertainty against the truth, dose by dose: means over frames."""
    for dose in doses:
        for way, fields in ways.items():
            rows = []
            for frame in tqdm(frames, desc=f"{dose} e-/pixel, {way}"):
                truth, counts = exposed(frame, dose, side)
                rows.append(figures(truth, drawn(counts, **fields), dose))
            names = [name for name in NAMES if name in rows[0]]
            means = {name: float(np.nanmean([row[name] for row in rows])) for name in names}
            yield {"dose": dose, "way": way, **dict.fromkeys(NAMES), **means}


def searched(frames: Sequence[Frame], side: int, count: int) -> Iterator[dict[str, Any]]:
    """Say what scoring and refining change."""
    for name, fields in SEARCHES.items():
        rows = []
        for frame in tqdm(frames, desc=name):
            truth, counts = exposed(frame, VACUUM, side)
            result = drawn(counts, samples=count, **fields)
            assert result.samples is not None
            seen = torch.from_numpy(counts), torch.ones(counts.shape)
            nats = [float(log_likelihood(*seen, torch.from_numpy(s), 0.0).sum()) for s in result.samples]
            found = figures(truth, result, VACUUM)
            base = float(log_likelihood(*seen, torch.from_numpy(truth.astype(np.float32)), 0.0).sum())
            rows.append({"nats over the truth": float(np.mean(nats)) - base} | found)
        kept = (
            *("one sample", "mean of all", "mean of 8 less one, dB", "nats over the truth"),
            *("spectrum error of one", "within 2 standard errors, %", "rank correlation"),
        )
        yield {"samples": name} | {key: float(np.nanmean([row[key] for row in rows])) for key in kept}


def learn(frames: Sequence[Frame], side: int, count: int) -> Calibration:
    """Learn what draws are to be multiplied by, from draws as they are."""
    store(UNCALIBRATED)
    cases = []
    for frame in tqdm(frames, desc="learning"):
        for dose in LEARNT_AT:
            truth, counts = exposed(frame, dose, side)
            result, mean = drawn(counts, samples=count), float(counts.mean())
            assert result.samples is not None
            seen = np.stack([block_means(image, GRID) / mean for image in (*result.samples, result.rate, truth)])
            cases.append(Case(seen[:-2] - seen[-2], seen[-2], seen[-1], 1 / np.sqrt(mean) / GRID))
    return learnt(cases)


def store(calibration: Calibration) -> None:
    """Write it into the bundled model."""
    model = load_model(MODEL)
    assert isinstance(model, DirectModel)
    assert model.path is not None
    save_model(model.path, replace(model, header=model.header.model_copy(update={"samples": calibration})))


def shared(frames: Sequence[Frame], side: int, count: int) -> list[dict[str, Any]]:
    """Say how often columns that so many samples show are there: by tenths of the share, and the calibration error."""
    shares, there = [], []
    for frame in tqdm(frames, desc="columns"):
        for dose in DOSES[:2]:
            truth, counts = exposed(frame, dose, side)
            result = drawn(counts, samples=count)
            found = columns(result)
            real = columns(truth.astype(np.float32), denoised=truth.astype(np.float32), noise=Poisson())
            places, known = (np.stack([table["y"], table["x"]], axis=1) for table in (found.table, real.table))
            assert result.pixel_size_nm is not None
            apart = np.hypot(*np.moveaxis(places[:, None] - result.pixel_size_nm * known[None], -1, 0)).min(axis=1)
            shares.append(found.table["share"])
            there.append(apart < 0.4 * found.spacing * result.pixel_size_nm)
    said, known = np.concatenate(shares), np.concatenate(there)
    rows = []
    for low in np.arange(0, 1, 0.1):
        place = (said >= low) & ((said < low + 0.1) | (low > 0.85))
        if place.any():
            rows.append(
                {"share of samples": f"{low:.1f}–{low + 0.1:.1f}", "columns": int(place.sum())}
                | {"mean share, %": 100 * float(said[place].mean()), "there, %": 100 * float(known[place].mean())}
            )
    error = 100 * calibration_error(said, known)
    last = {"columns": len(said), "mean share, %": 100 * float(said.mean()), "there, %": 100 * float(known.mean())}
    return [*rows, {"share of samples": f"all; calibration error {error:.1f} %", **last}]


def timed(count: int, side: int) -> list[dict[str, Any]]:
    """Time samples of the middle of the sample micrograph beside repeated runs."""
    counts, size = middle(np.asarray(sample_micrograph().pixels), side), SIMULATION.pixel_size_nm
    ways = {
        "denoised alone": {"samples": 0},
        f"with {count} samples": {"samples": count},
        f"with {REPLICATES} repeated runs": {"samples": 0, "replicates": REPLICATES},
        f"{UNCONDITIONAL}, fast, with {REPLICATES} repeated runs": {
            "model": UNCONDITIONAL, "samples": 0, "replicates": REPLICATES, "preset": "fast",
        },
    }  # fmt: skip
    rows, alone = [], 0.0
    for way, fields in ways.items():
        drawn(counts, **{**fields, "pixel_size_nm": size}) if way == "denoised alone" else None
        started = time.perf_counter()
        drawn(counts, **{**fields, "pixel_size_nm": size})
        seconds = time.perf_counter() - started
        alone = alone or seconds
        rows.append({"way": way, "seconds": seconds, "more than alone, s": seconds - alone})
    return rows


def draw_figure(path: Path) -> None:
    """Draw a piece of the sample: counts, result, truth, four samples, standard error."""
    counts, truth = sample_micrograph(), sample_truth().pixels
    result = drawn(counts)
    assert result.samples is not None
    assert result.uncertainty is not None
    summed = np.kron(block_means(np.asarray(counts.pixels), GRID), np.ones((GRID, GRID)))
    shown = {
        "counts, summed 4×4": summed,
        "denoised": result.rate,
        "truth": truth,
        "standard error": result.uncertainty,
    }
    shown |= {f"sample {number + 1}": sample for number, sample in enumerate(result.samples[:4])}
    low, high = np.quantile(truth[PIECE], (0.002, 0.998))
    figure, axes = plt.subplots(2, 4, figsize=(10, 5.4), layout="constrained")
    for ax, (title, image) in zip(axes.ravel(), shown.items(), strict=True):
        limits = {"cmap": "magma"} if title == "standard error" else {"cmap": "gray", "vmin": low, "vmax": high}
        ax.imshow(image[PIECE], **limits)
        ax.set_title(title, fontsize=9)
        ax.axis("off")
    figure.savefig(path, dpi=110)


def about_draws(frames: int, side: int) -> str:
    """Say what the tables of draws hold."""
    return (
        f"{frames} held-out frames, the middle {side}×{side} pixels; balanced preset of {MODEL}, calibrated on "
        f"simulation seed {LEARNT_ON.seed}. PSNR in dB, data range: the rate in vacuum; exact samples: 2.50 dB. Rank "
        f"correlation (Spearman) of root mean square spread and error in squares of {GRID * BLOCK}×{GRID * BLOCK} "
        "pixels. Within: pixels whose truth lies within two standard errors, also by region. Repeated runs: preset "
        "fast."
    )


def main(
    learn_factor: Annotated[
        bool, typer.Option("--learn", help="First learn what draws are multiplied by, and store it.")
    ] = False,
    only: Annotated[str, typer.Option(help="One of the tables: draws, all, search, columns, times.")] = "",
    frames: Annotated[int, typer.Option(help="How many held-out frames; by default one of each contrast.")] = 0,
    quick: Annotated[bool, typer.Option(help="One small frame, few samples.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the simulated frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the tables.")] = RESULTS,
) -> None:
    """Measure and write ``samples``, ``samples_all``, ``samples_search``, ``samples_columns`` and ``samples_times``."""
    if learn_factor:
        store(learn(heldout_frames(cache / f"seed-{LEARNT_ON.seed}", config=LEARNT_ON, least=3), SIDE, SAMPLES // 2))
    taken = heldout_frames(cache)[:frames] if frames else few_frames(cache, quick)
    side, narrow, count = (200, 200, 4) if quick else (SIDE, NARROW, SAMPLES)
    nearer = f"{len(taken)} held-out frames, the middle {narrow}×{narrow} pixels"
    ways, doses = ways_to_uncertainty(count), DOSES[1:2] if quick else DOSES
    if only in ("", "draws"):
        rows = list(measure(taken, ways, doses, side))
        about = about_draws(len(taken), side)
        typer.echo(write_result(results, "samples", "Samples and repeated runs", about, rows))
    if only in ("", "all"):
        held = taken if quick else heldout_frames(cache)
        rows = list(measure(held, dict(list(ways.items())[:1]), doses, side))
        typer.echo(write_result(results, "samples_all", "Samples, all frames", about_draws(len(held), side), rows))
    if only in ("", "search"):
        notes = (
            f"{nearer} at {VACUUM} electrons per pixel, {count // 4 or 1} samples. Nats: log-likelihood of the counts "
            "under a sample, over that under the truth, all pixels. Spectrum error: relative error of the radial "
            "amplitude spectrum."
        )
        rows = list(searched(taken, narrow, max(2, count // 4)))
        typer.echo(write_result(results, "samples_search", "Samples: scored and refined", notes, rows))
    if only in ("", "columns"):
        notes = (
            f"{nearer} at {DOSES[0]} and {DOSES[1]} electrons per pixel, {count} samples; a column is there if the "
            "truth shows one."
        )
        typer.echo(write_result(results, "samples_columns", "Samples: columns", notes, shared(taken, narrow, count)))
    if only in ("", "times"):
        whole = 200 if quick else 1200
        notes = f"Sample micrograph, {whole}×{whole} pixels, balanced preset, all cores."
        typer.echo(write_result(results, "samples_times", "Samples: time", notes, timed(count, whole)))
    if not quick and not only:
        draw_figure(FIGURE)


if __name__ == "__main__":
    typer.run(main)
