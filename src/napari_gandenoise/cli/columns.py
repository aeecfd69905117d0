"""``napari-gandenoise columns``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_gandenoise.cli._options import ConfigFile, Overwrite, settings_of
from napari_gandenoise.cli._progress import drain_with_bar, tell


def columns(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Noisy image or movie: TIFF, OME-TIFF, PNG.")],
    output: Annotated[Path, typer.Argument(help="Table to write, with units: .csv or .parquet.")],
    denoised: Annotated[
        Path | None, typer.Option(help="The denoised image, if there is one; else it is denoised first.")
    ] = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
) -> None:
    """Find atom columns: where they are, how strong, and how likely it is that they are there.

    The denoised image says where to look; errors and probabilities come from the counts.
    """
    from napari_gandenoise.io import read_micrograph
    from napari_gandenoise.locating import check_table, columns_steps

    check_table(output, [source, denoised], overwrite, "add --overwrite")
    settings = settings_of(ctx, config)
    image = read_micrograph(source, image=settings.image, lazy=True)
    result = drain_with_bar(columns_steps(image, settings, denoised=denoised))
    result.write(output, overwrite=overwrite)
    for warning in result.report["warnings"]:
        tell(warning)
    typer.echo(f"{output}: {result.summary()}")
