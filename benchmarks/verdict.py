"""The verdict: how often it calls a right result right, and finds what is wrong with a wrong one.

Results are made of the truths of the held-out frames, so that it is known what is wrong with them, and by running the
models as they must not be run.  Beside each stands what the best possible test finds: the one that knows both the truth
and the fault, and looks for nothing else (for what may be anywhere, in all places)::

    python -m benchmarks.verdict          # ten minutes
    python -m benchmarks.verdict --quick  # one small frame
    python -m benchmarks.verdict --figure docs/images/verdict.png
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from scipy import ndimage, stats
from tqdm import tqdm

from benchmarks.heldout import DATA, SIMULATION, VACUUM, few_frames, heldout_frames, middle
from benchmarks.heldout import Frame as HeldOut
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.denoising import denoise
from napari_gandenoise.denoising.verdict import Check, Verdict, judge
from napari_gandenoise.residual import reduced_deviance, support_of
from napari_gandenoise.settings.noise import Poisson

__all__ = ["main"]

Image = NDArray[np.float64]
SUMMED, SIDE = 4, 800  # pixels
WELL = "U-Net as it should be run"
DOSES = (0.45, 4.5)  # electrons per pixel in vacuum
REPEATS = 5  # draws of the counts
AROUND = 8.0  # grid pixels
LEFT_OUT = 0.02  # of the structure
TOPS = 0.02  # share of a frame that the tops of its columns have at least
COLUMNS, SPACING, WIDTH = 8, 9.0, 1.7  # of a painted row; grid pixels
CERTAIN, ALARMS = 0.95, 0.05


class Result(NamedTuple):
    """A result on the grid, of which it is known what is wrong with it.

    Attributes
    ----------
    kind : str
        What that is.
    rate : ndarray
        Electrons a grid pixel.
    places : int
        Where it could be.
    asked : tuple of Check
        What only a run asks: the pixel size.
    fault : ndarray, optional
        What was done to it, electrons a grid pixel; by default all by which it is off the truth.
    """

    kind: str
    rate: Image
    places: int = 1
    asked: tuple[Check, ...] = ()
    fault: Image | None = None


def exposed(frame: HeldOut, dose: float, side: int, random: np.random.Generator) -> tuple[Image, Image]:
    """Return counts and truth of the middle of a frame at another dose, electrons a pixel."""
    truth = middle(frame.truth, side).astype(np.float64) * dose / VACUUM
    return random.poisson(truth).astype(np.float64), truth


def on_grid(image: Image) -> Image:
    """Sum an image over the squares of the model's grid."""
    height, width = (side // SUMMED for side in image.shape)
    return image.reshape(height, SUMMED, width, SUMMED).sum(axis=(1, 3))


def made(counts: Image, truth: Image, random: np.random.Generator) -> Iterator[Result]:
    """Make results of a truth: right ones, and such as are wrong in a known way."""
    yield Result("right: the truth", truth)
    # As wrong as results are, but by less than any test could tell.
    error = ndimage.gaussian_filter(random.standard_normal(truth.shape), 3) * truth
    yield Result("right: within one standard deviation of the best test", truth + error / power(error, truth))
    for kept in (0.1, 0.3):
        yield Result(f"keeps {100 * kept:.0f} % of the noise", truth + kept * (counts - truth))
    yield Result("2 % of the structure left out", truth - LEFT_OUT * structure_of(truth))
    shape = row(truth.shape, random) * truth
    painted = truth + strongest(truth) * shape
    yield Result("a painted row of columns, as strong as those of the frame", painted, truth.size)
    for certainty in (1.0, 1.25, 1.5, 2.0):
        wanted = certainty * needed(truth.size)
        yield Result(
            f"a painted row of columns, {certainty:g} times as strong as the best test needs",
            truth + shape * wanted / power(shape, truth),
            truth.size,
        )


def structure_of(rate: Image) -> Image:
    """Return what is not smooth of a rate."""
    return rate - ndimage.gaussian_filter(rate, AROUND)


def strongest(truth: Image) -> float:
    """Return how much brighter or darker than around them columns of a frame are at their tops, as a share."""
    share = structure_of(truth) / truth
    bright, dark = np.quantile(share, (1 - TOPS, TOPS))
    return float(bright if bright > -dark else dark)


def row(shape: tuple[int, int], random: np.random.Generator) -> Image:
    """Draw a row of columns anywhere, in any direction."""
    angle, y, x = random.uniform(0, np.pi), *(random.uniform(0.3, 0.7, 2) * shape)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    found = np.zeros(shape)
    for number in range(COLUMNS):
        along = (number - (COLUMNS - 1) / 2) * SPACING
        distance = (rows - y - along * np.sin(angle)) ** 2 + (columns - x - along * np.cos(angle)) ** 2
        found += np.exp(-0.5 * distance / WIDTH**2)
    return found


def power(error: Image, truth: Image) -> float:
    """Return by how many standard deviations the best test tells a rate with this error from the truth."""
    return float(np.sqrt((error**2 / np.maximum(truth, 1e-9)).sum()))


def needed(places: int) -> float:
    """Return how many it needs to be certain, where it looks in so many places and may raise few false alarms."""
    return float(stats.norm.isf(ALARMS / places) + stats.norm.isf(1 - CERTAIN))


def run(counts: NDArray[Any], *, well_alone: bool = False) -> Iterator[Result]:
    """Run models as they should be run, and, if wanted, as they should not."""
    for kind, fields in {
        WELL: {},
        "pixel size half as large": {"pixel_size_nm": 0.5 * SIMULATION.pixel_size_nm},
        "pixel size 30 % too small": {"pixel_size_nm": 0.7 * SIMULATION.pixel_size_nm},
        "pixel size 30 % too large": {"pixel_size_nm": 1.3 * SIMULATION.pixel_size_nm},
        "pixel size twice as large": {"pixel_size_nm": 2.0 * SIMULATION.pixel_size_nm},
        "wrong model: the GAN without residual step": {"model": "hrtem", "residual_step": False},
    }.items():
        settings: dict[str, Any] = {"model": "hrtem-unet", "pixel_size_nm": SIMULATION.pixel_size_nm, **fields}
        result = denoise(counts, noise=Poisson(), preset="fast", **settings)
        asked = tuple(check for check in result.verdict.checks if check.name == "size")
        rate = on_grid(result.rate.astype(np.float64))
        yield Result(kind, rate, asked=asked)
        if kind == WELL:
            # Its own noise has structure, too: what is left out is told from that, which the truth has none of.
            fault = -LEFT_OUT * structure_of(rate)
            yield Result(f"{WELL}, then 2 % of its structure left out", rate + fault, fault=fault)
        if well_alone:
            return


def verdict(counts: Image, rate: Image) -> Verdict:
    """Judge a result on the grid."""
    electrons, found = (torch.from_numpy(image)[None].float() for image in (counts, rate))
    exposure = torch.ones(counts.shape)
    deviance = reduced_deviance(electrons, exposure, found, 0.0)
    return judge(0, 1, deviance, float(rate.mean()), support_of(electrons, exposure, found, 0.0), None)


def measure(
    frame: HeldOut, number: int, side: int, repeats: int, *, runs_alone: bool = False
) -> Iterator[dict[str, Any]]:
    """Judge all results of a frame, those that are made of its truth with several draws of the counts."""
    for dose in () if runs_alone else DOSES:
        for repeat in range(repeats):
            random = np.random.default_rng((number, int(100 * dose), repeat))
            counts, truth = map(on_grid, exposed(frame, dose, side, random))
            yield from (_row(dose, result, counts, truth) for result in made(counts, truth, random))
    for dose in DOSES:
        fine, truth = exposed(frame, dose, side, np.random.default_rng((number, int(100 * dose), REPEATS)))
        results = run(fine, well_alone=dose != DOSES[0])
        yield from (_row(dose, result, on_grid(fine), on_grid(truth)) for result in results)


def _row(dose: float, result: Result, counts: Image, truth: Image) -> dict[str, Any]:
    found = verdict(counts, np.maximum(result.rate, 1e-6))
    found = replace(found, checks=(*found.checks, *result.asked))
    return {
        "kind": result.kind,
        "dose": dose,
        "colour": found.colour,
        "checks": {check.name: check.colour for check in found.checks},
        "certain": power(result.rate - truth if result.fault is None else result.fault, truth)
        >= 0.999 * needed(result.places),
    }


def summary(kind: str, dose: float, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the results of a kind at a dose into one row."""
    certain = rows if kind.startswith("right") else [row for row in rows if row["certain"]]
    share = {
        colour: float(np.mean([row["colour"] == colour for row in certain])) if certain else float("nan")
        for colour in ("green", "amber", "red")
    }
    return {
        "the result": kind,
        "e-/pixel": dose,
        "results": len(rows),
        "found by the best test": "–" if kind.startswith("right") else len(certain),
        **{f"of these {colour}": f"{100 * value:.0f} %" for colour, value in share.items()},
    }


def draw(frame: HeldOut, path: Path) -> None:
    """Draw a result with a row painted into it, what the verdict outlines, and what the counts say place by place."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import patches, pyplot

    random = np.random.default_rng(3)
    counts, truth = map(on_grid, exposed(frame, DOSES[0], SIDE, random))
    shape = row(truth.shape, random) * truth
    rate = truth + shape * 2 * needed(truth.size) / power(shape, truth)
    electrons, found = (torch.from_numpy(image)[None].float() for image in (counts, rate))
    misfit = support_of(electrons, torch.ones(counts.shape), found, 0.0).misfit.numpy()
    shown = {
        "counts": (counts, "gray", np.quantile(counts, (0.01, 0.99))),
        "result with a painted row": (rate, "gray", np.quantile(truth, (0.002, 0.998))),
        "standard deviations that the counts show more": (misfit, "RdBu", (-8, 8)),
    }
    figure, axes = pyplot.subplots(1, len(shown), figsize=(13.2, 4.5), layout="constrained")
    for axis, (title, (image, colours, limits)) in zip(axes, shown.items(), strict=True):
        axis.imshow(image, colours, vmin=limits[0], vmax=limits[1])
        axis.set_title(title)
        axis.set_axis_off()
    for top, left, bottom, right in (region.box for region in verdict(counts, rate).regions):
        outline = (left - 0.5, top - 0.5), right - left, bottom - top
        axes[1].add_patch(patches.Rectangle(*outline, fill=False, edgecolor="red", linewidth=1.5))
    figure.savefig(path, dpi=100)


def _kept(results: Path) -> list[dict[str, Any]]:
    """Return the rows of an earlier table that are of spoilt truths."""
    rows = json.loads((results / "verdict.json").read_text())["results"]
    return [row for row in rows if row["kind"].startswith(("right", "keeps", "2 %", "a painted"))]


def main(
    figure: Annotated[Path | None, typer.Option(help="Draw this picture of one frame, and no table.")] = None,
    quick: Annotated[bool, typer.Option(help="One small frame.")] = False,
    keep: Annotated[bool, typer.Option(help="Run the models anew, and keep the rows of spoilt truths.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the held-out frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Judge right and wrong results, and write the table."""
    frames = few_frames(cache, quick=True) if quick else heldout_frames(cache)
    if figure is not None:
        draw(frames[3], figure)
        return
    groups: dict[tuple[str, float], list[dict[str, Any]]] = defaultdict(list)
    for row in _kept(results) if keep else ():
        groups[row["kind"], row["dose"]].append(row)
    for number, frame in enumerate(tqdm(frames, desc="frames")):
        for row in measure(frame, number, 320 if quick else SIDE, 1 if quick else REPEATS, runs_alone=keep):
            groups[row["kind"], row["dose"]].append(row)
    rows = [summary(kind, dose, found) for (kind, dose), found in sorted(groups.items())]
    notes = (
        f"Held-out frames of the table *Denoising*, the middle {SIDE} × {SIDE} pixels summed to the model's grid, "
        f"at two doses; of what is made of their truths {REPEATS} draws of the counts each. The best test knows truth "
        "and fault and looks for that alone, for a painted row in every place; it must find it with "
        f"{100 * CERTAIN:.0f} % certainty at {100 * ALARMS:.0f} % false alarms. Green: explains the counts; amber: look"
        " at it; red: wrong. No setting was chosen on these frames."
    )
    typer.echo(
        write_result(results, "verdict", "The verdict", notes, rows, results=[r for g in groups.values() for r in g])
    )


if __name__ == "__main__":
    typer.run(main)
