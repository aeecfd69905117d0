"""The figures of one method: whatever a truth, copies, held-out electrons and the counts themselves allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_gandenoise.comparison.subject import Subject
from napari_gandenoise.evaluation import (
    coverage,
    psnr,
    reduced_deviance,
    seam_energy,
    spectrum_error,
    ssim,
    tile_borders,
    upsnr,
)
from napari_gandenoise.noise.splitting import split_score
from napari_gandenoise.tiling import Grid, Tiles

__all__ = ["BETTER", "COLUMNS", "blank", "scores"]

Image = NDArray[np.float32]
LEAST_SIDE = 11  # pixels of the window of SSIM
KEEPS_NOISE = 0.5  # reduced deviance below which most of the noise is still in a result
OF_COLUMNS = ("precision", "recall", "F1", "position error, pm", "position error, pixels")
FOUND_IN_NOISE = (
    "Blank: the result keeps most of the noise. What would be scored is the filter of the search for columns, which "
    "takes that noise away: raw counts would have a recall of 1."
)
NOTHING_FOUND = "Blank: no column was found, so that none can be right or in its place."

# In the order of the table, each with what it means.
COLUMNS = {
    "PSNR": "dB against the truth, at the stated data range",
    "SSIM": "structural similarity to the truth, at the stated data range",
    "precision": "share of atom columns found that are there",
    "recall": "share of atom columns there that were found",
    "F1": "harmonic mean of precision and recall",
    "position error, pm": "mean distance of matched atom columns",
    "position error, pixels": "mean distance of matched atom columns",
    "spectrum error": "relative error of the radial amplitude spectrum: 0 is the truth's, 1 a flat image's",
    "coverage, %": "pixels whose truth lies within two standard errors",
    "seams": "gradient energy on borders of tiles, relative to the truth's: 1 is none",
    "uPSNR": "dB against noisy copies, their noise taken off, at the stated data range",
    "held-out gain": "nats per thousand held-out electrons over a flat image",
    "deviance": "reduced deviance of the image: near 1 if noise explains the rest, far below 1 if noise is kept",
    "seconds": "time of one run",
}
# Whether more is better; what is named here not, has its best value elsewhere.
BETTER = {
    "PSNR": True,
    "SSIM": True,
    "precision": True,
    "recall": True,
    "F1": True,
    "position error, pm": False,
    "position error, pixels": False,
    "spectrum error": False,
    "uPSNR": True,
    "held-out gain": True,
    "seconds": False,
}


def scores(
    subject: Subject,
    estimate: Image,
    from_kept: Image | None,
    uncertainty: Image | None,
    tiles: Tiles | None,
    share: float,
) -> dict[str, float]:
    """Measure what can be measured.

    Parameters
    ----------
    subject : Subject
        What there is to judge by.
    estimate : ndarray
        Of the rate, input units.
    from_kept : ndarray or None
        The same made from the kept electrons of a split.
    uncertainty : ndarray or None
        Standard error of each pixel, input units.
    tiles : Tiles or None
        Tiles that the estimate was put together from.
    share : float
        Share of the electrons that were kept.
    """
    found = {} if subject.truth is None else _against(subject, subject.truth, estimate)
    if subject.truth is not None and uncertainty is not None and uncertainty.shape == estimate.shape:
        found["coverage, %"] = 100 * coverage(subject.truth, estimate, uncertainty)
    if subject.truth is not None and tiles is not None and estimate.ndim == 2:
        seams = _seams(subject.truth, estimate, tiles)
        found |= {} if seams is None else {"seams": seams}
    if subject.copies is not None:
        found["uPSNR"] = upsnr(estimate, subject.copies, subject.data_range)
    if subject.held is not None and from_kept is not None:
        found["held-out gain"] = split_score(subject.held, subject.noise.to_electrons(from_kept), share)
    found["deviance"] = reduced_deviance(subject.micrograph.pixels, estimate, subject.noise)
    return found


def blank(figures: dict[str, float]) -> dict[str, str]:
    """Say which of the figures of a method mean nothing, and why, a sentence each.

    Figures of atom columns do where noise passes them: a result that keeps most of its noise has the columns that the
    search for them finds in any raw counts.  Where nothing was found there is nothing that could be right.
    """
    if "recall" not in figures:
        return {}
    if figures["deviance"] < KEEPS_NOISE:
        return dict.fromkeys(OF_COLUMNS, FOUND_IN_NOISE)
    if figures["recall"] == 0 and figures["precision"] == 0:
        return dict.fromkeys(set(OF_COLUMNS) - {"recall", "F1"}, NOTHING_FOUND)
    return {}


def _against(subject: Subject, truth: Image, estimate: Image) -> dict[str, float]:
    found = {"PSNR": psnr(truth, estimate, subject.data_range)}
    if min(truth.shape[:2]) >= LEAST_SIDE:
        found["SSIM"] = ssim(truth, estimate, subject.data_range)
    if subject.columns is not None:
        precision, recall, f1, error = subject.columns.score(estimate)
        size = subject.micrograph.pixel_size_nm
        column = "position error, pixels" if size is None else "position error, pm"
        found |= {"precision": precision, "recall": recall, "F1": f1}
        found |= {} if np.isnan(error) else {column: error * (1e3 * size if size else 1)}
    found["spectrum error"] = spectrum_error(truth, estimate)
    return found


def _seams(truth: Image, estimate: Image, tiles: Tiles) -> float | None:
    borders = tile_borders(tiles)
    if not borders.any() or borders.all():
        return None
    there, own = (seam_energy(_on_grid(image, tiles.grid), borders) for image in (truth, estimate))
    return own / there if there > 0 else None


def _on_grid(image: Image, grid: Grid) -> Image:
    """Average the pixels that tiles saw as one."""
    rows, columns = (side * grid.summed for side in grid.sides)
    padded = np.pad(image, ((0, rows - image.shape[0]), (0, columns - image.shape[1])), mode="edge")
    averaged: Image = ndimage.uniform_filter(padded, grid.summed)
    half = grid.summed // 2
    return averaged[half :: grid.summed, half :: grid.summed]
