"""Atom columns by the counts: how well their places are known, and whether the probability that they are there holds.

Columns are taken out of the truth of each frame and put into it before its counts are drawn, and false ones are painted
into the denoised image after it.  What is there is known, then: a column counts as there if the truth has at least half
of what is drawn.

::

    python -m benchmarks.columns                  # the first run takes an hour, then estimates come from the cache
    python -m benchmarks.columns --quick          # one small frame: checks that everything runs
    GANDENOISE_BENCH_DATA=… python -m benchmarks.columns --learn    # on frames of seed 3: the numbers of the engine
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from scipy import optimize, spatial, special
from tqdm import tqdm

from benchmarks.heldout import DATA, NOISE_SEED, SIMULATION, VACUUM, Frame, few_frames, heldout_frames
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.baselines import bm3d
from napari_gandenoise.denoising import denoise
from napari_gandenoise.locating.finding import Drawn, find
from napari_gandenoise.locating.measuring import Counted, Measured, measure
from napari_gandenoise.locating.probability import CLIPPED, as_drawn, column_probability, places_looked_at
from napari_gandenoise.settings.noise import Poisson

__all__ = ["calibration_error", "changed", "main", "painted"]

SUMMED = 4  # input pixels along the side of a grid pixel
PRESETS = {"hrtem-unet": "balanced", "hrtem": "fast"}
# By electrons per input pixel, of which 16 are summed: 2 and 7.2 a grid pixel.
RUNS = {0.125: ("hrtem-unet",), VACUUM: ("hrtem-unet", "hrtem")}
LEARNT = dict.fromkeys((0.1, 0.2, 0.45, 1.0), tuple(PRESETS))
BM3D_BIN = 5
TAKEN, PUT, PAINTED = 0.08, 8, 0.08  # share of the columns, number, share
THERE = 0.5  # of what is drawn, that the truth has at least of a column
BORDER = 2.0  # spacings from the edge of the frame where nothing is put
SURE = 0.95
VERDICTS = (
    *("by the counts alone, pm", "usual bound, pm", "error over bound", "the same, usually"),
    *("there, %", "sure, %", "calibration error, %"),
    *("false but sure, in 20 frames", "s a frame"),
)

Image = NDArray[np.float64]


def summed(image: NDArray[Any]) -> Image:
    """Sum an image onto the grid."""
    rows, columns = (side // SUMMED for side in image.shape)
    whole = image[: rows * SUMMED, : columns * SUMMED].astype(float)
    return whole.reshape(rows, SUMMED, columns, SUMMED).sum(axis=(1, 3))


def changed(truth: NDArray[Any], random: np.random.Generator) -> Image:
    """Take columns out of a clean rate, and put some into it where none is."""
    grid = summed(truth)
    columns = find(grid)
    assert columns is not None
    rate, known = truth.astype(float), _known(columns)
    heights, widths = columns.fitted.values[:, 0] / SUMMED**2, SUMMED * columns.fitted.values[:, 3]
    for one in random.choice(len(known), int(TAKEN * len(known)), replace=False):
        rate -= heights[one] * _bump(rate.shape, _fine(known[one]), widths[one])
    tree, put = spatial.cKDTree(known), 0
    while put < PUT:
        place = _anywhere(random, grid.shape, columns.spacing)
        if tree.query(place)[0] > 0.8 * columns.spacing:
            like = random.integers(len(known))
            rate += random.uniform(0.5, 1) * heights[like] * _bump(rate.shape, _fine(place), widths[like])
            put += 1
    return np.maximum(rate, 0.02 * rate.mean())


def painted(rate: Image, drawn: Drawn, random: np.random.Generator) -> Image:
    """Paint false columns into a denoised image on the grid: anywhere, and where its lattices would go on."""
    places, values = _known(drawn), drawn.fitted.values
    near = spatial.cKDTree(places).query(places, k=min(5, len(places)))[1]
    rate, wanted = rate.copy(), max(3, int(PAINTED * len(places)))
    for _ in range(200 * wanted):
        like = random.integers(len(values))
        place = _anywhere(random, rate.shape, drawn.spacing)
        if random.random() < 0.5 and near.shape[1] > 1:
            place = 2 * places[like] - places[near[like, random.integers(1, near.shape[1])]]
        edge = 1.5 * drawn.spacing
        inside = (place > edge).all() and (place < np.array(rate.shape) - edge).all()
        if inside and spatial.cKDTree(places).query(place)[0] > 0.75 * drawn.spacing:
            rate += random.uniform(0.3, 1) * values[like, 0] * _bump(rate.shape, place, values[like, 3])
            places = np.vstack([places, place])
            wanted -= 1
        if not wanted:
            break
    return np.maximum(rate, 0.02 * rate.mean())


def _known(drawn: Drawn) -> Image:
    places: Image = drawn.places + drawn.fitted.values[:, 1:3]
    return places


def _fine(place: Image) -> Image:
    return SUMMED * place + (SUMMED - 1) / 2


def _anywhere(random: np.random.Generator, shape: tuple[int, ...], spacing: float) -> Image:
    return random.uniform(BORDER * spacing, np.array(shape) - BORDER * spacing)


def _bump(shape: tuple[int, ...], place: Image, width: float) -> Image:
    profiles = (np.exp(-((np.arange(side) - at) ** 2) / (2 * width**2)) for side, at in zip(shape, place, strict=True))
    return np.outer(*profiles)


def trials(frame: Frame, dose: float, models: Sequence[str], cache: Path) -> Iterator[dict[str, Any]]:
    """Change a frame, draw its counts, denoise it by models; yield what the counts say of what is drawn."""
    random = np.random.default_rng((NOISE_SEED, frame.structure, 4, round(1000 * dose)))
    truth = changed(frame.truth, random) * (dose / VACUUM)
    counts = random.poisson(truth)
    clean, electrons = summed(truth), summed(counts)
    for model in models:
        rate = _estimate(cache, model, frame, dose, partial(_denoised, counts, model))
        drawn = find(rate)
        if drawn is None:
            continue
        for kind, image in (("as drawn", rate), ("with false ones", painted(rate, drawn, random))):
            yield {"model": model, "kind": kind, "dose": dose, **_judged(image, electrons, clean)}
    by_bm3d = _estimate(cache, "bm3d", frame, dose, partial(bm3d, counts.astype(np.uint16), BM3D_BIN, threads=1))
    yield {"model": "BM3D", "kind": "plain fit", "dose": dose, **_plain(by_bm3d, clean)}


def _denoised(counts: NDArray[Any], model: str) -> NDArray[Any]:
    known = {"pixel_size_nm": SIMULATION.pixel_size_nm, "noise": Poisson()}
    return denoise(counts, model=model, preset=PRESETS[model], **known).rate


def _estimate(cache: Path, name: str, frame: Frame, dose: float, make: Callable[[], NDArray[Any]]) -> Image:
    """Read what a method made of a frame, on the grid, or have it made."""
    path = cache / "estimates" / f"columns-{name}-{dose:g}" / f"{frame.structure}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, summed(make()))
    return np.load(path)


def _judged(rate: Image, electrons: Image, truth: Image) -> dict[str, Any]:
    """Find and measure columns, and hold them against the truth."""
    exposure, nothing = np.ones_like(rate), np.zeros_like(rate)
    started = time.perf_counter()
    drawn = find(rate)
    assert drawn is not None
    measured = measure(Counted(electrons, exposure, nothing, rate), drawn)
    places = places_looked_at(rate.shape, drawn.spacing)
    probability = column_probability(measured, places)
    seconds = time.perf_counter() - started
    ideal = measure(Counted(truth, exposure, nothing, rate), drawn)
    there = drawn.sign * ideal.fitted.values[:, 0] >= THERE * np.abs(drawn.fitted.values[:, 0])
    return {
        "probability": probability,
        "there": there,
        "ratio": np.clip(as_drawn(measured), -CLIPPED, CLIPPED),
        "seconds": seconds,
        **_errors(measured, truth, drawn, there),
    }


def _errors(measured: Measured, truth: Image, drawn: Drawn, there: NDArray[np.bool_]) -> dict[str, Any]:
    """Compare the places of columns that are there with those of Gaussians fitted to the truth alone."""
    ideal = find(truth, "dark" if drawn.sign < 0 else "bright")
    assert ideal is not None
    distance, which = spatial.cKDTree(_known(ideal)).query(measured.places)
    matched = distance < drawn.spacing / 2
    kept = matched & there
    return {
        "error": (measured.places - _known(ideal)[which])[kept],
        "counted": (measured.counted - _known(ideal)[which])[kept],
        "bound": measured.fitted.errors[kept][:, 1:3],
        "matched": matched,
    }


def _plain(rate: Image, truth: Image) -> dict[str, Any]:
    """Fit Gaussians to a denoised image alone."""
    drawn, ideal = find(rate), find(truth)
    if drawn is None or ideal is None:
        return {"error": np.empty((0, 2)), "matched": np.empty(0, bool)}
    distance, which = spatial.cKDTree(_known(ideal)).query(_known(drawn))
    matched = distance < ideal.spacing / 2
    return {"error": (_known(drawn) - _known(ideal)[which])[matched], "matched": matched}


def calibration_error(probability: Image, there: NDArray[np.bool_], bins: int = 10) -> float:
    """Return the expected calibration error: mean distance of share and mean probability in bins of equal width."""
    which = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [
        abs(probability[which == one].mean() - there[which == one].mean()) * (which == one).mean()
        for one in np.unique(which)
    ]
    return float(sum(gaps))


def _row(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    pixel = 1e3 * SIMULATION.pixel_size_nm * SUMMED
    error = np.concatenate([one["error"] for one in found])
    matched = np.concatenate([one["matched"] for one in found])
    row: dict[str, Any] = {
        "dose": found[0]["dose"],
        "model": found[0]["model"],
        "image": found[0]["kind"],
        "columns a frame": len(matched) / len(found),
        "without a top of the truth, %": float(100 * (~matched).mean()),
        "error, pm": float(pixel * np.sqrt((error**2).mean())),
    }
    return row | (_verdicts(found, error, pixel) if "bound" in found[0] else dict.fromkeys(VERDICTS))


def _verdicts(found: Sequence[dict[str, Any]], error: Image, pixel: float) -> dict[str, Any]:
    bound, counted = (np.concatenate([one[name] for one in found]) for name in ("bound", "counted"))
    probability, there = (np.concatenate([one[name] for one in found]) for name in ("probability", "there"))
    figures = (
        float(pixel * np.sqrt((counted**2).mean())),
        float(pixel * np.median(bound)),  # that of a column of no height has no limit
        float(np.sqrt(((error / bound) ** 2).mean())),
        float(np.median(np.linalg.norm(error, axis=1) / np.linalg.norm(bound, axis=1))),
        float(100 * there.mean()),
        float(100 * (probability > SURE).mean()),
        100 * calibration_error(probability, there),
        20 * float((~there & (probability > SURE)).sum()) / len(found),
        float(np.mean([one["seconds"] for one in found])),
    )
    return dict(zip(VERDICTS, figures, strict=True))


def _learn(found: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return prior and weight of the logarithm of the odds: logistic regression, all frames alike."""
    found = [one for one in found if "ratio" in one]
    ratio, there = (np.concatenate([one[name] for one in found]) for name in ("ratio", "there"))

    def surprise(numbers: Image) -> float:
        odds = numbers[0] + numbers[1] * ratio
        return float(-special.log_expit(np.where(there, odds, -odds)).mean())

    prior, weight = optimize.minimize(surprise, [2.0, 0.5]).x
    return float(prior), float(weight)


def main(
    quick: Annotated[bool, typer.Option(help="One small frame, one dose.")] = False,
    learn: Annotated[bool, typer.Option(help="Learn the numbers of the engine instead, on frames of seed 3.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the held-out frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure and write ``columns``."""
    torch.set_num_threads(1)
    frames = few_frames(cache, quick) if quick else heldout_frames(cache)
    runs = {VACUUM: RUNS[VACUUM][:1]} if quick else LEARNT if learn else RUNS
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for dose, models in runs.items():
            for frame in tqdm(frames, desc=f"{dose} e-/pixel"):
                found += trials(frame, dose, models, Path(scratch) if quick else cache)
    if learn:
        prior, weight = _learn(found)
        typer.echo(f"PRIOR, WEIGHT = {prior:.3g}, {weight:.3g}")
        return
    groups = dict.fromkeys((one["dose"], one["model"], one["kind"]) for one in found)
    rows = [_row([one for one in found if (one["dose"], one["model"], one["kind"]) == group]) for group in groups]
    typer.echo(write_result(results, "columns", "Atom columns: places, errors and probabilities", _notes(frames), rows))


def _notes(frames: Sequence[Frame]) -> str:
    return (
        f"{len(frames)} held-out frames; dose in electrons per pixel of 6.1 pm in vacuum, {SUMMED**2} of which are "
        f"summed. Of the truth, {100 * TAKEN:.0f} % of the columns are taken out and {PUT} put in before counts are "
        f"drawn. *With false ones*: as many as {100 * PAINTED:.0f} % of the columns are painted into the denoised "
        "image. *Error*: of y and x of those that are there, root mean square, to Gaussians fitted to the truth; "
        "*bound*: that of Cramér and Rao, as the tables state; error over bound as a root mean square and *usually*, "
        "the median of distances. *There*: the truth has at least half of the column. "
        f"*Sure*: probability above {SURE}. *Plain fit*: Gaussians fitted to BM3D (sums of {BM3D_BIN} × {BM3D_BIN}) "
        "by least squares."
    )


if __name__ == "__main__":
    typer.run(main)
