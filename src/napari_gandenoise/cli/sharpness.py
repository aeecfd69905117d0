"""``napari-gandenoise sharpness``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_gandenoise.cli._options import ConfigFile, Overwrite, settings_of
from napari_gandenoise.cli._progress import drain_with_bar


def sharpness(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="Name of a model, or path of a model file.")],
    output: Annotated[
        Path | None, typer.Option(help="Model file to write; by default MODEL-sharp.safetensors.")
    ] = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
) -> None:
    """Measure a model's sharpness attribute: by how much latents recovered from noise miss the true ones.

    The model is written to a new file, for recover --sharpness; recover there as it was measured here.
    """
    settings = settings_of(ctx, config)
    from napari_gandenoise.models import load_latent_model, new_model_file, save_model
    from napari_gandenoise.recovery import sharpness_steps

    given = load_latent_model(model)
    sharp = output or Path(f"{model.removesuffix('.safetensors')}-sharp.safetensors")
    path = new_model_file(sharp, overwrite=overwrite)
    save_model(path, drain_with_bar(sharpness_steps(given, settings)))
    typer.echo(
        f"{path}: {given.name} with the sharpness attribute of {settings.images} images at {len(settings.levels)} "
        f"noise levels; use it with napari-gandenoise recover --model {path} --sharpness"
    )
