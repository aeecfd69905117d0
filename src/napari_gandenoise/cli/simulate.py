"""``napari-gandenoise simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_gandenoise.cli._options import Overwrite, settings_of
from napari_gandenoise.cli._progress import drain_with_bar
from napari_gandenoise.errors import GanDenoiseError

if TYPE_CHECKING:
    from napari_gandenoise.settings.simulate import SimulationConfig


def simulate(
    ctx: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="[CONFIG] OUTPUT",
            help="YAML file, which may be left out, and what to write: a Zarr group for a set, a TIFF for one image.",
        ),
    ],
    dose: Annotated[
        float | None,
        typer.Option(
            help="One image: electrons per pixel in vacuum, or of a scanning beam; 4 by default, 1000 for HAADF."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Simulate clean images, HRTEM or STEM of atoms or scenes without a lattice, to train on or to test with.

    Options override the YAML file.  An unfinished set of the same settings is continued.  An OUTPUT that ends in .tif
    gets one micrograph as a detector records it, with its truth beside it in OUTPUT-truth.tif.
    """
    if len(paths) > 2:
        raise GanDenoiseError("Give at most a config and an output: napari-gandenoise simulate [CONFIG] OUTPUT.")
    *given, output = paths

    settings = settings_of(ctx, given[0] if given else None)
    from napari_gandenoise.models.device import choose_device
    from napari_gandenoise.simulate import missing_extra, simulate_steps

    if missing := missing_extra(settings):
        raise GanDenoiseError(missing)
    if output.suffix.lower() in (".tif", ".tiff"):
        _simulate_one(settings, output, dose, overwrite)
        return
    if dose is not None or overwrite:
        raise GanDenoiseError("A set holds clean images and is continued, so --dose and --overwrite are for one .tif.")
    path = drain_with_bar(simulate_steps(settings, output, choose_device(settings.device)))
    images = settings.structures * settings.images_per_structure
    typer.echo(f"{path}: {images} images of {settings.structures} structures, {settings.pixel_size_nm} nm/pixel")


def _simulate_one(settings: SimulationConfig, output: Path, dose: float | None, overwrite: bool) -> None:
    from napari_gandenoise.io import check_outputs, write_tiff
    from napari_gandenoise.models.device import choose_device
    from napari_gandenoise.simulate import simulate_micrograph_steps

    truth = output.with_name(f"{output.stem}-truth{output.suffix}")
    check_outputs([output, truth], [], overwrite, "add --overwrite")
    made = drain_with_bar(simulate_micrograph_steps(settings, dose, device=choose_device(settings.device)))
    for path, image in ((output, made.counts), (truth, made.truth)):
        size = image.pixel_size_nm
        write_tiff(path, image.pixels, pixel_size_nm=size, provenance=made.report, overwrite=overwrite)
    dosed = "" if made.report["dose"] is None else f", {made.report['dose']:.4g} electrons per pixel"
    typer.echo(f"{output}: {made.counts.name}{dosed}; the truth is in {truth}")
