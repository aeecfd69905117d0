"""Defects of detectors: what spikes, bad lines, borders, holes and offsets cost, left out or not.

Counts of the held-out frames are spoilt as detectors spoil them.  The figure is the PSNR of the bundled U-Net in one
view, in electrons per pixel, with the defects left out and without::

    python -m benchmarks.defects          # two minutes
    python -m benchmarks.defects --quick  # one small frame
    python -m benchmarks.defects --figure docs/images/defects.png
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from benchmarks.heldout import DATA, SIMULATION, few_frames, middle
from benchmarks.heldout import Frame as HeldOut
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.denoising import denoise
from napari_gandenoise.evaluation import psnr

__all__ = ["KINDS", "main"]

Image = NDArray[Any]
SIDE = 512


class Kind(NamedTuple):
    """A way to spoil an image: what it becomes, and how its values become electrons again."""

    spoil: Callable[[Image, np.random.Generator], Image]
    back: Callable[[Image, Image], Image] = lambda rate, _: rate


def spikes(counts: Image, random: np.random.Generator, number: int = 3) -> Image:
    """Set a few pixels to a thousand."""
    spoilt = counts.copy()
    spoilt.flat[random.choice(counts.size, number, replace=False)] = 1000
    return spoilt


def hot_pixels(counts: Image, random: np.random.Generator) -> Image:
    """Set 0.12 % of the pixels to the largest value of 16 bits."""
    spoilt = counts.astype(np.uint16)
    spoilt.flat[random.choice(counts.size, counts.size * 12 // 10_000, replace=False)] = 65_535
    return spoilt


def bad_column(counts: Image, _: np.random.Generator) -> Image:
    """Add 50 to a column, and lose another one."""
    spoilt = counts.copy()
    spoilt[:, 100] += 50
    spoilt[:, 200] = 0
    return spoilt


def border(counts: Image, _: np.random.Generator) -> Image:
    """Shift the frame, as a correction of drift does."""
    spoilt = counts.astype(np.float32)
    spoilt[:20], spoilt[:, -12:] = np.nan, np.nan
    return spoilt


def filled_border(counts: Image, _: np.random.Generator) -> Image:
    """Do the same with the mean in place of what is not known."""
    spoilt = counts.astype(np.float32)
    spoilt[:20], spoilt[:, -12:] = counts.mean(), counts.mean()
    return spoilt


KINDS = {
    "as counted": Kind(lambda counts, _: counts),
    "3 spikes of 1000": Kind(spikes),
    "0.12 % hot pixels": Kind(hot_pixels),
    "two bad columns": Kind(bad_column),
    "border of NaN": Kind(border),
    "border of the mean": Kind(filled_border),
    "offset of 1e8": Kind(lambda counts, _: counts + 1e8, lambda rate, _: rate - 1e8),
    "mean and deviation taken away": Kind(
        lambda counts, _: (counts - counts.mean()) / counts.std(),
        lambda rate, counts: rate * counts.std() + counts.mean(),
    ),
    "blurred by one pixel": Kind(lambda counts, _: ndimage.gaussian_filter(counts.astype(np.float32), 1)),
}


def measure(frame: HeldOut, side: int) -> list[dict[str, Any]]:
    """Spoil one frame in all ways, and denoise it with defects left out and without."""
    truth, counts = middle(frame.truth, side), middle(frame.counts, side).astype(np.float64)
    rows = []
    for name, kind in KINDS.items():
        spoilt = kind.spoil(counts, np.random.default_rng(0))
        row: dict[str, Any] = {"the image": name}
        for column, outliers in (("left out", True), ("not left out", False)):
            result = denoise(
                spoilt,
                model="hrtem-unet",
                preset="fast",
                pixel_size_nm=SIMULATION.pixel_size_nm,
                outliers=outliers,
            )
            row[column] = psnr(truth, kind.back(result.rate, counts))
        rows.append(row)
    return rows


def draw(frame: HeldOut, path: Path) -> None:
    """Draw a frame with all kinds of defects, what is left out of it, and what becomes of it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    random = np.random.default_rng(0)
    spoilt = border(bad_column(spikes(middle(frame.counts, 300).astype(np.float64), random, 60), random), random)
    result = denoise(spoilt, model="hrtem-unet", preset="balanced", pixel_size_nm=SIMULATION.pixel_size_nm)
    plain = denoise(
        spoilt, model="hrtem-unet", preset="balanced", outliers=False, pixel_size_nm=SIMULATION.pixel_size_nm
    )
    assert result.missing is not None
    shown = {
        "counts": (spoilt, (0, 3)),
        "left out": (result.missing, (0, 1)),
        "defects left out": (result.rate, (0, 1)),
        "defects taken for counts": (plain.rate, (0, 1)),
    }
    figure, axes = pyplot.subplots(1, len(shown), figsize=(13.6, 3.7), layout="constrained")
    for axis, (title, (image, limits)) in zip(axes, shown.items(), strict=True):
        axis.imshow(image, "gray", vmin=limits[0], vmax=limits[1])
        axis.set_title(title)
        axis.set_axis_off()
    figure.savefig(path, dpi=100)


def main(
    figure: Annotated[Path | None, typer.Option(help="Draw this picture of one frame, and no table.")] = None,
    quick: Annotated[bool, typer.Option(help="One small frame.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the held-out frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure and write ``defects.json`` and ``defects.md``."""
    frames = few_frames(cache, quick)
    if figure is not None:
        draw(frames[0], figure)
        return
    side = 256 if quick else SIDE
    scored = [row for frame in tqdm(frames, desc="frames") for row in measure(frame, side)]
    rows = []
    for name in KINDS:
        own = [row for row in scored if row["the image"] == name]
        columns = ("left out", "not left out")
        rows.append({"the image": name} | {key: float(np.mean([row[key] for row in own])) for key in columns})
    notes = (
        f"{len(frames)} held-out frames, the middle {side} x {side} pixels, spoilt as detectors and programs spoil "
        "images; hrtem-unet in one view, noise calibrated from the spoilt image. PSNR in dB, data range 1, rate in "
        "electrons per pixel, everywhere, in the defects, too. *Left out* is the default."
    )
    typer.echo(write_result(results, "defects", "Defects of detectors", notes, rows))


if __name__ == "__main__":
    typer.run(main)
