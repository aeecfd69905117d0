"""PSNR and SSIM of every method on the held-out frames, over all and per contrast class.

::

    python -m benchmarks.denoising            # the first run takes most of an hour, then baselines come from the cache
    python -m benchmarks.denoising --quick    # seconds: two small frames, few settings
    python -m benchmarks.denoising --presets fast,balanced,thorough
    python -m benchmarks.denoising --keep     # minutes: our rows again, all others as the last record has them
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from benchmarks.heldout import CONTRASTS, DATA, NOISE_SEED, QUICK, SIMULATION, VACUUM, Frame, heldout_frames
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.baselines import OracleChoice, bm3d, flat, nlm, oracle_bin, oracle_blur, tv

__all__ = [
    "BINS", "QUICK_BINS", "Method", "Score", "baseline_methods", "main", "mean_table", "our_methods",
    "reference_scores", "scores_of",
]  # fmt: skip

BINS = tuple(range(1, 11))
FREE_BINS = (3, 4, 6, 8, 10)  # TV and NLM are never best at full sampling, and slow there
QUICK_BINS = (4, 8)
MODEL_PIXEL_NM = 0.0244  # of the bundled model: the residual step alone works on the same grid

Rate = NDArray[np.float32]


class Method(NamedTuple):
    """A row of the table; oracles report the setting they chose."""

    name: str
    run: Callable[[Frame], OracleChoice]


class Score(NamedTuple):
    """One method on one frame."""

    method: str
    structure: int
    contrast: str
    setting: float
    psnr: float
    ssim: float


def baseline_methods(
    cache: Path, bins: Sequence[int] = BINS, free_bins: Sequence[int] = FREE_BINS, threads: int = 0
) -> list[Method]:
    """List the reference rows, slow ones cached in ``cache`` by frame and setting."""
    single = partial(bm3d, threads=threads)
    return [
        Method("noisy", lambda frame: OracleChoice(1, frame.counts.astype(np.float32))),
        Method("flat", _flat),
        Method("Gaussian blur, best sigma", lambda frame: oracle_blur(frame.counts, frame.truth)),
        Method("TV, best bin", partial(_best_bin, cache, "tv", tv, free_bins)),
        Method("NLM, best bin", partial(_best_bin, cache, "nlm", nlm, free_bins)),
        Method("BM3D, full sampling", partial(_best_bin, cache, "bm3d", single, (1,))),
        Method("BM3D, best bin", partial(_best_bin, cache, "bm3d", single, bins)),
    ]


def _flat(frame: Frame) -> OracleChoice:
    return OracleChoice(1, flat(frame.counts))


def our_methods(presets: Sequence[str], pixel_size_nm: float) -> list[Method]:
    """List the rows of this package: each preset, and what the balanced one owes to each of its two halves.

    A run gets the counts and the pixel size, nothing else.
    """

    def run(frame: Frame, **settings: Any) -> OracleChoice:
        from napari_gandenoise.denoising import denoise

        return OracleChoice(1, denoise(frame.counts, model="hrtem", pixel_size_nm=pixel_size_nm, **settings).rate)

    methods = [Method(f"ours, {preset}", partial(run, preset=preset)) for preset in presets]
    if "balanced" in presets:
        methods.append(
            Method("generator alone (no residual step)", partial(run, preset="balanced", residual_step=False))
        )
        methods.append(Method("residual step alone (no generator)", partial(_without_generator, pixel_size_nm)))
    return methods


def _without_generator(pixel_size_nm: float, frame: Frame) -> OracleChoice:
    """Start the residual step from a flat rate, on the grid that the bundled model would use."""
    import torch

    from napari_gandenoise.progress import drain
    from napari_gandenoise.residual import residual_step
    from napari_gandenoise.tiling import Grid, grid_counts, outside

    grid = Grid(frame.counts.shape, MODEL_PIXEL_NM / pixel_size_nm)
    (counts,), exposure = grid_counts(torch.from_numpy(frame.counts.astype(np.float32))[None], grid.summed)
    level = torch.full_like(counts, float(counts.sum() / exposure.sum()))
    rate = drain(residual_step(counts, exposure, level, 0.0))
    return OracleChoice(1, outside(grid.fine(rate[None])))


def _best_bin(
    cache: Path, name: str, method: Callable[[ArrayLike, int], Rate], bins: Sequence[int], frame: Frame
) -> OracleChoice:
    def cached(counts: ArrayLike, bin_factor: int) -> Rate:
        path = cache / "estimates" / f"{name}-bin{bin_factor}" / f"{frame.structure}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".tmp.npy")
            np.save(unfinished, method(counts, bin_factor))
            unfinished.replace(path)
        rate: Rate = np.load(path)
        return rate

    return oracle_bin(cached, frame.counts, frame.truth, bins)


def scores_of(methods: Sequence[Method], frames: Sequence[Frame]) -> Iterator[Score]:
    """Score each method on each frame."""
    from napari_gandenoise.evaluation import psnr, ssim

    for frame in tqdm(frames, desc="frames"):
        for method in methods:
            setting, rate = method.run(frame)
            quality = psnr(frame.truth, rate), ssim(frame.truth, rate)
            yield Score(method.name, frame.structure, frame.contrast, setting, *quality)


def reference_scores(
    methods: Sequence[Method], frames: Sequence[Frame], record: Path | None = None
) -> tuple[list[Score], str]:
    """Score methods, or take their scores from the last record and return a sentence that says so.

    Raises
    ------
    ValueError
        If the record is of other frames: `flat` then scores otherwise than it did.
    """
    if record is None:
        return list(scores_of(methods, frames)), ""
    recorded = json.loads(record.read_text(encoding="utf-8"))
    known = [Score(**fields) for fields in recorded["scores"]]
    by_flat = {score.structure: score.psnr for score in known if score.method == "flat"}
    now = {score.structure: score.psnr for score in scores_of([Method("flat", _flat)], frames)}
    if by_flat.keys() != now.keys() or not np.allclose([by_flat[i] for i in now], list(now.values()), atol=1e-4):
        raise ValueError(f"{record} holds scores of other frames: run without --keep.")
    said = f"Rows of other methods are those of {recorded['date']}, bm3d {recorded['versions']['bm3d']}."
    names = {method.name for method in methods}
    return [score for score in known if score.method in names], said


def mean_table(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Mean PSNR of each method, over all frames and per contrast class, and mean SSIM."""
    rows = []
    for method in dict.fromkeys(score.method for score in scores):
        own = [score for score in scores if score.method == method]
        row: dict[str, Any] = {"method": method, "PSNR": _mean(own, "psnr")}
        row |= {contrast: _mean([s for s in own if s.contrast == contrast], "psnr") for contrast in CONTRASTS}
        rows.append(row | {"SSIM": _mean(own, "ssim")})
    return rows


def _mean(scores: Sequence[Score], metric: str) -> float | None:
    return float(np.mean([getattr(score, metric) for score in scores])) if scores else None


def main(
    presets: Annotated[
        str, typer.Option(help="Our presets, comma-separated; empty for the reference rows alone.")
    ] = "fast,balanced",
    frames: Annotated[int, typer.Option(help="How many of the 20 frames.")] = 20,
    quick: Annotated[
        bool, typer.Option(help="Two small frames and few settings: checks that everything runs.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Take the rows of other methods from the last record of the same frames.")
    ] = False,
    threads: Annotated[int, typer.Option(help="Threads of BM3D; 0 takes all cores.")] = 0,
    cache: Annotated[Path, typer.Option(help="Folder for frames and baseline images.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Score all methods on the held-out frames and write ``denoising.json`` and ``denoising.md``."""
    simulation = QUICK if quick else SIMULATION
    ours = our_methods([preset for preset in presets.split(",") if preset], simulation.pixel_size_nm)
    said = ""
    if quick:
        with tempfile.TemporaryDirectory() as scratch:
            small = heldout_frames(Path(scratch), config=QUICK, least=0)
            methods = baseline_methods(Path(scratch), QUICK_BINS, QUICK_BINS, threads) + ours
            scores = list(scores_of(methods, small[:frames]))
    else:
        held = heldout_frames(cache)[:frames]
        others = baseline_methods(cache, threads=threads)
        scores, said = reference_scores(others, held, results / "denoising.json" if keep else None)
        scores += scores_of(ours, held)
    count = len({score.structure for score in scores})
    notes = (
        f"{count} held-out simulated Pt/CeO2 frames, {simulation.shape} pixels a side, "
        f"{1e3 * simulation.pixel_size_nm:g} pm per pixel, Poisson counts with vacuum {VACUUM} e-/pixel; simulation "
        f"seed {simulation.seed}, noise seed {NOISE_SEED}. Mean PSNR in dB (all frames, then per contrast) and mean "
        "SSIM; data range 1, rate in electrons per pixel. Rows named best choose their setting for each frame by its "
        "truth: they are upper limits of the method, not something a user can run. No setting was chosen on these "
        f"frames. {said}"
    ).strip()
    scored = [score._asdict() for score in scores]
    typer.echo(write_result(results, "denoising", "Denoising", notes, mean_table(scores), scores=scored))


if __name__ == "__main__":
    typer.run(main)
