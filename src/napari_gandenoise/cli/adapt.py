"""``napari-gandenoise adapt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_gandenoise.cli._options import ConfigFile, Overwrite, settings_of
from napari_gandenoise.cli._progress import drain_with_bar

Inputs = Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Images or movies of one kind.")]
Adapted = Annotated[Path, typer.Option(help="Model file to write, of some ten kilobytes; it ends in .safetensors.")]


def adapt(
    ctx: typer.Context, inputs: Inputs, output: Adapted, overwrite: Overwrite = False, config: ConfigFile = None
) -> None:
    """Adapt a direct denoiser to images or movies, to denoise more of their kind with it.

    Only the gains of its normalisation move; the file holds these, and needs the model that they belong to.
    """
    from napari_gandenoise.io import check_outputs, read_micrograph

    check_outputs([output], inputs, overwrite, "add --overwrite", suffixes=(".safetensors",))
    settings = settings_of(ctx, config)
    images = [read_micrograph(path, image=settings.image, lazy=True) for path in inputs]
    from napari_gandenoise.denoising import adapt_steps

    adaptation = drain_with_bar(adapt_steps(images, settings))
    adaptation.save(output, overwrite=overwrite)
    typer.echo(f"{output}: {adaptation.sentence()}")
