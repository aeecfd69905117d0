"""Whether the fit map shows a column that was painted into a result, and one that was erased from it.

::

    python -m benchmarks.false_atoms
    python -m benchmarks.false_atoms --quick    # one small frame: checks that everything runs
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from scipy import spatial
from tqdm import tqdm

from benchmarks.heldout import DATA, NOISE_SEED, SIMULATION, VACUUM, Frame, few_frames, heldout_frames
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.denoising import denoise
from napari_gandenoise.evaluation import Columns
from napari_gandenoise.residual import FIT_THRESHOLD, fit_map

__all__ = ["main"]

SUMMED = 4  # input pixels along the side of a grid pixel
DOSES = (0.45, 0.9, 1.8, 4.5)
NEAR = 3  # grid pixels around the place where the map is looked at
REACH = 0.6  # of the spacing of columns: radius of what is painted or erased
APART = 0.45  # of the spacing: no painted column is nearer to a real one

Image = NDArray[np.float64]


def _summed(image: NDArray[Any]) -> Image:
    side = len(image) // SUMMED
    return image.astype(float).reshape(side, SUMMED, side, SUMMED).sum(axis=(1, 3))


class Painter:
    """Paint the mean column of a frame anywhere into its result, or take one out."""

    def __init__(self, rate: Image, columns: Columns, random: np.random.Generator) -> None:
        self.rate, self.random, self.spacing = rate, random, columns.spacing
        self.tree = spatial.cKDTree(columns.positions)
        self.half = int(np.ceil(0.75 * columns.spacing))
        y, x = np.mgrid[-self.half : self.half + 1, -self.half : self.half + 1]
        radius = np.hypot(y, x) / columns.spacing
        self.window, self.rim = np.clip(1 - (radius / REACH) ** 2, 0, 1), (radius > 0.5) & (radius < 0.75)
        inside = np.all((columns.positions > self.half + 1) & (columns.positions < len(rate) - self.half - 2), axis=1)
        self.places = columns.positions[inside]
        mean = np.mean([rate[self._around(place)] for place in self.places], axis=0)
        self.column = (mean - mean[self.rim].mean()) * self.window

    def _around(self, place: NDArray[Any]) -> tuple[slice, slice]:
        y, x = np.round(place).astype(int)
        return slice(y - self.half, y + self.half + 1), slice(x - self.half, x + self.half + 1)

    def painted(self) -> tuple[Image, NDArray[Any]]:
        """Return a rate with one column more, and where it is."""
        while True:
            place = self.random.uniform(self.half + 1, len(self.rate) - self.half - 2, 2)
            if self.tree.query(place)[0] > APART * self.spacing:
                break
        rate = self.rate.copy()
        rate[self._around(place)] = np.maximum(rate[self._around(place)] + self.column, 0.02 * self.rate.mean())
        return rate, place

    def erased(self) -> tuple[Image, NDArray[Any]]:
        """Return a rate with one column less, and where it was."""
        place = self.places[self.random.integers(len(self.places))]
        rate = self.rate.copy()
        own = rate[self._around(place)]
        rate[self._around(place)] = own * (1 - self.window) + own[self.rim].mean() * self.window
        return rate, place


def trials(frame: Frame, dose: float, number: int) -> Iterator[dict[str, Any]]:
    """Denoise a frame at a dose; yield what the map shows of painted and of erased columns, and of neither."""
    random = np.random.default_rng((NOISE_SEED, frame.structure, 3, round(100 * dose)))
    counts = frame.counts if dose == VACUUM else random.poisson(frame.truth * (dose / VACUUM))
    columns = Columns.of(_summed(frame.truth))
    result = denoise(counts, model="hrtem", pixel_size_nm=SIMULATION.pixel_size_nm, preset="fast")
    painter = Painter(_summed(result.rate), columns, random)
    electrons = _summed(counts)
    exposure = np.full(electrons.shape, float(SUMMED**2))
    untouched = _fit(electrons, exposure, painter.rate)
    for _ in range(number):
        for change in (painter.painted, painter.erased):
            rate, place = change()
            y, x = np.round(place).astype(int)
            there = slice(y - NEAR, y + NEAR + 1), slice(x - NEAR, x + NEAR + 1)
            misfit = _fit(electrons, exposure, rate)[there].max()
            yield {
                "change": change.__name__,
                "misfit": float(misfit),
                "best": _best_test(electrons, rate, painter.rate),
                "before": float(untouched[there].max()),
            }


def _fit(electrons: Image, exposure: Image, rate: Image) -> Image:
    """Return the fit map of a rate in electrons per sum."""
    planes = (electrons[np.newaxis], exposure, rate[np.newaxis] / SUMMED**2)
    return fit_map(*(torch.from_numpy(np.ascontiguousarray(plane, np.float32)) for plane in planes), 0.0).numpy()


def _best_test(electrons: Image, changed: Image, untouched: Image) -> float:
    """Return the standard deviations of a test that knows both rates: the likelihood ratio (Neyman, Pearson 1933)."""
    one, other = (np.maximum(rate, 1e-6) for rate in (untouched, changed))
    gain = float((electrons * np.log(one / other) - one + other).sum())
    return max(0.0, 2 * gain) ** 0.5


def _row(dose: float, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"dose": dose, "trials of each": len(found) // 2}
    for change in ("painted", "erased"):
        misfit = np.array([one["misfit"] for one in found if one["change"] == change])
        row[f"{change}: lights up, %"] = float(100 * (misfit > FIT_THRESHOLD).mean())
        row[f"{change}: misfit, median"] = float(np.median(misfit))
        best = np.array([one["best"] for one in found if one["change"] == change])
        row[f"{change}: best test, %"] = float(100 * (best > FIT_THRESHOLD).mean())
    row["neither: lights up, %"] = float(100 * np.mean([one["before"] > FIT_THRESHOLD for one in found]))
    return row


def main(
    quick: Annotated[bool, typer.Option(help="One small frame, one dose.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the held-out frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure and write ``false_atoms``."""
    torch.set_num_threads(1)
    frames = few_frames(cache, quick) if quick else heldout_frames(cache)
    rows = []
    for dose in DOSES[:1] if quick else DOSES:
        found = [one for frame in tqdm(frames, desc=f"{dose} e-/pixel") for one in trials(frame, dose, 5)]
        rows.append(_row(dose, found))
    notes = (
        f"{len(frames)} of the held-out frames, fast preset, five trials each; dose in electrons per pixel of 6.1 pm "
        "in vacuum. *Painted*: the mean column of the frame, put at random where none is. *Erased*: one column, "
        f"levelled to its surroundings. It lights up if the fit map exceeds its threshold, {FIT_THRESHOLD}, within "
        f"{NEAR} grid pixels. *Best test*: trials in which the likelihood ratio of both rates exceeds as much, which "
        "knows where and what to look for. *Neither*: the same places before."
    )
    typer.echo(write_result(results, "false_atoms", "Whether the fit map shows false columns", notes, rows))


if __name__ == "__main__":
    typer.run(main)
