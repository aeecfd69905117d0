"""What a comparison returns: images by method, and a table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.comparison.scores import COLUMNS
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import check_outputs, check_space, files_of, read_micrograph, write_tiff
from napari_gandenoise.layers import LayerData, contrast_limits, image_layer
from napari_gandenoise.writing import check_writable, refuse_inputs

__all__ = ["CompareResult", "check_folder", "check_images_space"]

Image = NDArray[np.float32]
TABLE, FIGURE = "comparison.csv", "comparison.png"


@dataclass(frozen=True)
class CompareResult:
    """Methods beside each other.

    Attributes
    ----------
    noisy : ndarray
        The image, float32, ``(Y, X)`` or ``(Y, X, 3)``.
    truth : ndarray or None
        The rate, if it is known.
    images : dict of str to ndarray
        What each method made of it, input units, by the method's name.
    uncertainties : dict of str to ndarray
        Standard error of each pixel, of methods that say so.
    rows : tuple of dict
        A row a method: "name", "method" (its title), "setting", "strength", figures, "blank" (why some are left out, by
        their names), or "note" on why there are none.
    report : dict
        Provenance, ready for JSON: "config", "noise", "pixel_size_nm", "bin_factor", "data_range", "columns" (how many
        atom columns the truth has), "notes" (what could not be measured), "versions".
    pixel_size_nm : float or None
        Pixel size, nm.
    name : str
        Name of the input.
    sources : tuple of Path
        Files that image, truth and copies were read from, which are not written over.
    aspect : float
        Height of a pixel over its width.
    """

    noisy: Image
    truth: Image | None
    images: dict[str, Image]
    uncertainties: dict[str, Image]
    rows: tuple[dict[str, Any], ...]
    report: dict[str, Any]
    pixel_size_nm: float | None
    name: str = ""
    sources: tuple[Path, ...] = ()
    aspect: float = 1.0

    def with_image(self, row: dict[str, Any], image: Image, uncertainty: Image | None) -> CompareResult:
        """Add a method that has worked."""
        name = row["name"]
        errors = self.uncertainties if uncertainty is None else {**self.uncertainties, name: uncertainty}
        return replace(self, rows=(*self.rows, row), images={**self.images, name: image}, uncertainties=errors)

    def with_failure(self, row: dict[str, Any], why: str) -> CompareResult:
        """Add a method that has not."""
        return replace(self, rows=(*self.rows, {**row, "note": why}))

    @property
    def titles(self) -> dict[str, str]:
        """Title of each method that has an image."""
        return {row["name"]: row["method"] for row in self.rows if row["name"] in self.images}

    def table(self) -> list[dict[str, Any]]:
        """Return the rows with the same columns in each: None where a method has no figure, no column without any."""
        columns = [column for column in COLUMNS if any(column in row for row in self.rows)]
        notes = ["note"] if any("note" in row for row in self.rows) else []
        return [{name: row.get(name) for name in ("method", "setting", *columns, *notes)} for row in self.rows]

    def summary(self) -> str:
        """One line: how many methods, and which one was best."""
        failed = len(self.rows) - len(self.images)
        words = f"{len(self.images)} methods" + (f", {failed} without a result" if failed else "")
        ranked = [column for column in ("PSNR", "uPSNR", "held-out gain") if any(column in row for row in self.rows)]
        if not ranked:
            return words
        best = max((row for row in self.rows if ranked[0] in row), key=lambda row: float(row[ranked[0]]))
        return f"{words}; the highest {ranked[0]} has {best['method']}: {best[ranked[0]]:.2f}"

    def caption(self) -> str:
        """Say what the table rests on: data range, summing, atom columns, and what could not be measured."""
        told = [_ranged(self.report["data_range"])] if self._ranged() else []
        told.append(f"Baselines sum {self.report['bin_factor']} × {self.report['bin_factor']} pixels.")
        if self.report["columns"]:
            told.append(f"The truth has {self.report['columns']} atom columns.")
        return " ".join([*told, *self.report["notes"]])

    def _ranged(self) -> bool:
        return any("PSNR" in row or "uPSNR" in row for row in self.rows)

    def to_layers(self) -> list[LayerData]:
        """Return a layer of each method's image, all with the same contrast limits, named after the method."""
        of = f" · {self.name}" if self.name else ""
        limits = self.limits()
        rows = {row["name"]: row for row in self.rows}
        return [
            image_layer(
                image,
                f"{rows[method]['method']}{of}",
                {**self.report, "row": rows[method]},
                pixel_size_nm=self.pixel_size_nm,
                aspect=self.aspect,
                limits=limits,
                colours=image.ndim == 3,
            )
            for method, image in self.images.items()
        ]

    def limits(self) -> tuple[float, float]:
        """Contrast limits that suit the truth, or else the estimates."""
        shown = [self.truth] if self.truth is not None else [im for n, im in self.images.items() if n != "noisy"]
        return contrast_limits(*(shown or [self.noisy]), colours=self.noisy.ndim == 3)

    def to_csv(self) -> str:
        """Return the table as CSV, with the data range in a column of its own."""
        text = io.StringIO()
        rows = [{**row, "data range": self.report["data_range"]} for row in self.table()]
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def write_csv(self, path: str | PathLike[str]) -> None:
        """Write the table as CSV, UTF-8.

        Raises
        ------
        GanDenoiseError
            If the folder cannot be written to, or the file is an input.
        """
        path = Path(path)
        check_outputs([path], self.sources, True, "", suffixes=[path.suffix.lower()])
        path.write_text(self.to_csv(), encoding="utf-8")

    def write_figure(self, path: str | PathLike[str]) -> None:
        """Write a figure as PNG: a piece of every image, a line profile, and radial spectra.

        Raises
        ------
        GanDenoiseError
            If matplotlib is missing, the folder cannot be written to, or the file is an input.
        """
        from napari_gandenoise.comparison.figure import draw

        refuse_inputs([Path(path)], self.sources)
        draw(self, Path(path))

    def write(self, folder: str | PathLike[str], *, overwrite: bool = False) -> list[str]:
        """Write table, figure, and a TIFF of each method into a folder, which is made if need be.

        Parameters
        ----------
        folder : path
            Gets ``comparison.csv``, ``comparison.png`` and ``METHOD.tif``.
        overwrite : bool
            Whether an earlier comparison in it may be replaced.

        Returns
        -------
        list of str
            What was not written and why.
        """
        folder = Path(folder)
        check_folder(folder, overwrite, self.images, self.sources)
        folder.mkdir(parents=True, exist_ok=True)
        for row in self.rows:
            if row["name"] in self.images:
                self._write_image(folder, row)
        self.write_csv(folder / TABLE)
        try:
            self.write_figure(folder / FIGURE)
        except GanDenoiseError as error:  # matplotlib is an extra
            return [str(error)]
        return []

    def _write_image(self, folder: Path, row: dict[str, Any]) -> None:
        image = self.images[row["name"]]
        write_tiff(
            folder / _image_file(row["name"]),
            image,
            pixel_size_nm=self.pixel_size_nm,
            aspect=self.aspect,
            axes="YXS" if image.ndim == 3 else "YX",
            provenance={**self.report, "row": row},
            overwrite=True,
        )


def _ranged(data_range: float) -> str:
    """Say which data range figures have, and what they would be at 1, as tables often have it."""
    told = f"Data range of PSNR and SSIM: {data_range:.4g}"
    more = -20 * math.log10(data_range)
    if abs(more) < 0.005:
        return f"{told}."
    return f"{told}; at a data range of 1 every PSNR is {abs(more):.2f} dB {'higher' if more > 0 else 'lower'}."


def _image_file(method: str) -> str:
    letters = (letter if letter.isalnum() or letter in "-_." else "-" for letter in method)
    return f"{''.join(letters)}.tif"


def check_images_space(folder: Path, image: Any, methods: Iterable[str]) -> None:
    """Refuse before the work a folder without room for an image of each method.

    Parameters
    ----------
    folder : Path
        Where they are to be.
    image : path, array, Micrograph or napari layer
        What methods are compared on.
    methods : iterable of str
        Which there is to be an image of.

    Raises
    ------
    GanDenoiseError
        If there is too little room, or the image cannot be read.
    """
    opened = read_micrograph(Path(image), lazy=True) if isinstance(image, str | PathLike) else image
    check_space([folder / _image_file(method) for method in methods], opened)


def check_folder(folder: Path, overwrite: bool, methods: Iterable[str] = (), inputs: Iterable[Any] = ()) -> None:
    """Refuse before the work a folder that could not or must not be written after it.

    Parameters
    ----------
    folder : Path
        Where table, figure and images are to be.
    overwrite : bool
        Whether an earlier comparison may be replaced.
    methods : iterable of str
        Which there is to be an image of.
    inputs : iterable of object
        Image, truth and copies.

    Raises
    ------
    GanDenoiseError
        If it cannot be written to, holds a comparison, or holds an input that would be replaced.
    """
    written = [folder / name for name in (TABLE, FIGURE, *map(_image_file, methods))]
    refuse_inputs(written, (file for given in inputs for file in files_of(given)))
    if folder.exists() and not folder.is_dir():
        raise GanDenoiseError(f"The output {folder} is a file, and a folder is wanted: choose another name.")
    if (folder / TABLE).exists() and not overwrite:
        raise GanDenoiseError(f"{folder / TABLE} already exists: choose another folder, or allow overwriting.")
    check_writable(folder)
