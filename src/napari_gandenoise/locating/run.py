"""From an image and what it is denoised to a table of atom columns, frame by frame."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np

from napari_gandenoise.denoising import DenoiseResult, as_micrograph, denoise_steps
from napari_gandenoise.layers import pixel_sides
from napari_gandenoise.locating.finding import find, shares
from napari_gandenoise.locating.linking import linked
from napari_gandenoise.locating.measuring import measure
from napari_gandenoise.locating.probability import column_probability, places_looked_at
from napari_gandenoise.locating.result import ColumnsResult
from napari_gandenoise.locating.source import Source
from napari_gandenoise.locating.table import FrameTable, empty, rows_of, units_of
from napari_gandenoise.progress import Progress, Steps, drain
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.columns import ColumnsConfig

__all__ = ["columns", "columns_steps"]

SHARED_NOISE = "Pixels share their noise: errors are larger than stated, and probabilities less sure."


def columns(
    image: Any, /, config: ColumnsConfig | None = None, *, denoised: Any = None, **fields: Any
) -> ColumnsResult:
    """Find the atom columns of a micrograph or a movie: where they are, how strong, and whether they are there.

    The denoised image says where to look, the counts decide: a Gaussian is fitted to them by their Poisson likelihood.

    Parameters
    ----------
    image : DenoiseResult, array, dask array, napari layer, path or Micrograph
        A result of `denoise`, or a noisy image ``(Y, X)`` or ``(T, Y, X)``, which is denoised first.
    config : ColumnsConfig, optional
        Settings; ``**fields`` are laid over it, for instance ``columns(image, pixel_size_nm=0.0061, contrast="dark")``.
    denoised : array, dask array, napari layer, path or Micrograph, optional
        The denoised image, if there is one already, whoever made it.

    Returns
    -------
    ColumnsResult
        A table, and the Points layer that it becomes.

    Raises
    ------
    GanDenoiseError
        If the image or the settings do not fit, in one sentence.
    """
    return drain(columns_steps(image, config, denoised=denoised, **fields))


def columns_steps(
    image: Any, /, config: ColumnsConfig | None = None, *, denoised: Any = None, **fields: Any
) -> Steps[ColumnsResult]:
    """Find columns as a generator of events; closing it cancels.

    Parameters
    ----------
    image, config, denoised, **fields
        As for `columns`.

    Yields
    ------
    Progress
        Those of `denoise_steps`, if the image is denoised first; then stage "columns" after each frame, whose preview
        is the `ColumnsResult` so far, and "link" for a movie.

    Returns
    -------
    ColumnsResult
        What `columns` returns.
    """
    config = configure(ColumnsConfig, config, fields)
    started = time.perf_counter()
    result = image if isinstance(image, DenoiseResult) else None
    micrograph = None if result is not None else as_micrograph(image, config.denoising())
    if micrograph is not None and denoised is not None:
        source = Source.of_images(micrograph, denoised, config)
    else:
        if result is None:
            result = yield from denoise_steps(micrograph, config.denoising())
        source = Source.of_result(result, config, micrograph)
    job = _Job(source, config, None if image is result else result, started)
    tables: list[FrameTable] = []
    yield Progress("columns", 0, source.frames)
    for index in range(source.frames):
        tables.append(job.frame(index))
        yield Progress("columns", index + 1, source.frames, preview=job.result(tables))
    if source.frames == 1:
        return job.result(tables)
    yield Progress("link", 0, 1)
    found = job.result(tables, link=True)
    yield Progress("link", 1, 1)
    return found


@dataclass(frozen=True)
class _Job:
    """What is known when the columns are looked for."""

    source: Source
    config: ColumnsConfig
    denoised: DenoiseResult | None
    started: float

    @property
    def sides(self) -> tuple[float, float]:
        """Height and width of a pixel: in nm, or 1 if nobody knows them."""
        noisy = self.source.noisy
        return pixel_sides(noisy.pixel_size_nm or 1.0, noisy.aspect)

    def frame(self, index: int) -> FrameTable:
        """Find the columns of a frame."""
        counted = self.source.counted(index)
        drawn = None if counted is None else find(counted.rate, self.config.contrast)
        if counted is None or drawn is None:
            return empty(index)
        measured = measure(counted, drawn)
        places = places_looked_at(counted.rate.shape, drawn.spacing)
        probability = column_probability(measured, places)
        share = shares(drawn, self.source.samples_of(index))
        table = rows_of(index, measured, probability, share, self.source.summed, self.sides)
        return replace(table, places=places)

    def result(self, tables: list[FrameTable], *, link: bool = False) -> ColumnsResult:
        """Put frames together."""
        source, noisy = self.source, self.source.noisy
        names = tables[0].rows
        table = {name: np.concatenate([one.rows[name] for one in tables]) for name in names}
        spacing = max((one.spacing for one in tables), default=0.0)
        table["sure"] = table["probability"] > self.config.threshold
        warnings = list(dict.fromkeys([*source.report.get("warnings", noisy.warnings), *self._warnings(table)]))
        if link:
            table["column"], more = linked(table, spacing * min(self.sides))
            warnings += more
        report = {
            "config": self.config.model_dump(mode="json"),
            "noise": source.noise.model_dump(mode="json"),
            "pixel_size_nm": noisy.pixel_size_nm,
            "summed": source.summed,
            "frames": source.frames,
            "done": len(tables),
            "places": [one.places for one in tables],
            "denoised": source.report,
            "warnings": warnings,
            "seconds": round(time.perf_counter() - self.started, 3),
            "versions": {name: version(name) for name in ("napari-gandenoise", "numpy", "scipy")},
        }
        return ColumnsResult(
            table=table,
            units=units_of(noisy.pixel_size_nm),
            lattices=[lattice for one in tables for lattice in one.lattices],
            report=report,
            pixel_size_nm=noisy.pixel_size_nm,
            spacing=spacing,
            movie=noisy.is_stack,
            name=noisy.name,
            aspect=noisy.aspect,
            frame_interval_s=noisy.frame_interval_s,
            denoised=self.denoised,
        )

    def _warnings(self, table: dict[str, Any]) -> list[str]:
        said = [SHARED_NOISE] if self.source.correlated else []
        if not len(table["frame"]):
            said.append("No columns were found: the denoised image shows none, or they are less than 4 pixels apart.")
        return said
