"""``napari-gandenoise compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_gandenoise.cli._options import ConfigFile, Overwrite, settings_of
from napari_gandenoise.cli._progress import drain_with_bar, tell


def compare(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="NOISY", help="Image: TIFF, OME-TIFF, PNG, JPEG.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the table, the figure and a TIFF of each method.")
    ],
    truth: Annotated[Path | None, typer.Option(help="Clean image of the same size and units.")] = None,
    copies: Annotated[Path | None, typer.Option(help="Stack of other noisy images of the same view.")] = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
) -> None:
    """Denoise one image by many methods and put them beside each other.

    Without --truth methods are scored on electrons that they have not seen. One that fails has a row that says why.
    """
    settings = settings_of(ctx, config)
    from napari_gandenoise.comparison import check_folder, check_images_space, compare_steps
    from napari_gandenoise.evaluation import markdown_table

    check_folder(output, overwrite, settings.methods, [source, truth, copies])
    check_images_space(output, source, settings.methods)
    result = drain_with_bar(compare_steps(source, settings, truth=truth, copies=copies))
    for sentence in result.write(output, overwrite=overwrite):
        tell(sentence)
    typer.echo(markdown_table(result.table()))
    typer.echo(f"{result.caption()}\n{output}: {result.summary()}")
