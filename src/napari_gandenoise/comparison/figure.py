"""A comparison as one figure: a piece of every image, a line profile, and radial spectra."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import radial_spectrum

if TYPE_CHECKING:
    from napari_gandenoise.comparison.result import CompareResult

__all__ = ["draw", "frequencies"]

PIECE = 400  # pixels a side
ACROSS = 4  # panels in a row
INCHES = 2.6  # side of a panel
DEPTH = 1e-5  # of the highest power: what is drawn of spectra
LINES = 6  # that can still be told apart in a plot
BACKDROP = ("noisy", "flat")  # shown as pictures; in plots they only hide the others


def draw(result: CompareResult, path: Path) -> None:
    """Draw a comparison into a PNG; parameters and errors are those of `CompareResult.write_figure`."""
    try:
        from matplotlib.figure import Figure
    except ImportError as missing:
        raise GanDenoiseError(
            "Figures need the package matplotlib: install it with `pip install napari-gandenoise[compare]`."
        ) from missing
    if not path.parent.is_dir():
        raise GanDenoiseError(f"The folder {path.parent} does not exist; create it first.")
    panels = _panels(result)
    rows = math.ceil(len(panels) / ACROSS)
    heights = [1.16 * rows, 1.2]
    figure = Figure(figsize=(ACROSS * INCHES, sum(heights) * INCHES), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=heights).ravel()
    piece = _piece(result.noisy.shape[:2])
    places = above.subplots(rows, ACROSS, squeeze=False).ravel()
    for axes in places:
        axes.set_axis_off()
    for axes, (title, image) in zip(places, panels, strict=False):
        _show(axes, title, image[piece], result)
    left, right = below.subplots(1, 2)
    _profiles(left, result, piece)
    _spectra(right, result)
    figure.savefig(path, dpi=110, format="png")


def frequencies(result: CompareResult, frequency: NDArray[np.float64]) -> tuple[NDArray[np.float64], str]:
    """Turn cycles per pixel into cycles per nanometre where the pixel size is known, and name the unit."""
    if result.pixel_size_nm is None:
        return frequency, "cycles per pixel"
    return frequency / result.pixel_size_nm, "1/nm"


def _panels(result: CompareResult) -> list[tuple[str, NDArray[np.float32]]]:
    truth = [] if result.truth is None else [("Truth", result.truth)]
    rows = {row["name"]: row for row in result.rows}
    return truth + [(_title(rows[name]), image) for name, image in result.images.items()]


def _title(row: dict[str, Any]) -> str:
    for column, unit in (("PSNR", " dB"), ("uPSNR", " dB"), ("held-out gain", " nats")):
        if column in row:
            return f"{row['method']}\n{row[column]:.2f}{unit}"
    return str(row["method"])


def _piece(shape: tuple[int, ...]) -> tuple[slice, slice]:
    sides = [min(PIECE, side) for side in shape]
    starts = [(whole - side) // 2 for whole, side in zip(shape, sides, strict=True)]
    return slice(starts[0], starts[0] + sides[0]), slice(starts[1], starts[1] + sides[1])


def _show(axes: Any, title: str, image: NDArray[np.float32], result: CompareResult) -> None:
    low, high = result.limits()
    if image.ndim == 3:
        axes.imshow(np.clip((image - low) / (high - low), 0, 1))
    else:
        axes.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    axes.set_title(title, fontsize=8)


def _lines(result: CompareResult) -> list[tuple[str, NDArray[np.float32], str]]:
    """Return titles, images and colours of what is drawn as lines: the truth, and the best few."""
    names = [name for name in result.images if name not in BACKDROP]
    rows = {row["name"]: row for row in result.rows}
    ranked = next((c for c in ("PSNR", "uPSNR", "held-out gain") if any(c in rows[n] for n in names)), None)
    if ranked is not None:
        names = sorted(names, key=lambda name: -rows[name].get(ranked, -np.inf))
    truth = [] if result.truth is None else [("Truth", result.truth, "black")]
    return truth + [(rows[n]["method"], result.images[n], f"C{i}") for i, n in enumerate(names[:LINES])]


def _profiles(axes: Any, result: CompareResult, piece: tuple[slice, slice]) -> None:
    row = (piece[0].start + piece[0].stop) // 2
    size = result.pixel_size_nm or 1.0
    along = np.arange(piece[1].start, piece[1].stop) * size
    for title, image, colour in _lines(result):
        line = image[row, piece[1]]
        axes.plot(along, line.mean(axis=-1) if line.ndim == 2 else line, color=colour, lw=1, label=title)
    axes.set_xlabel("nm" if result.pixel_size_nm else "pixels", fontsize=8)
    axes.set_title("Profile through the middle", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.margins(x=0)


def _spectra(axes: Any, result: CompareResult) -> None:
    top, end = 0.0, 0.0
    for title, image, colour in _lines(result):
        frequency, power = radial_spectrum(image)
        along, unit = frequencies(result, frequency)
        axes.semilogy(along, np.maximum(power, 1e-30), color=colour, lw=1, label=title)
        axes.set_xlabel(unit, fontsize=8)
        top = max(top, float(power.max()))
        end = max(end, float(along[power > DEPTH * top].max(initial=along[0])))
    if top > 0:
        axes.set_ylim(DEPTH * top, 2 * top)
        axes.set_xlim(0, end)
    axes.set_title("Radial power spectrum", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=6)
    axes.margins(x=0)
