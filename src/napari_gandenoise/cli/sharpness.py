"""``napari-gandenoise sharpness``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_gandenoise.cli._progress import drain_with_bar
from napari_gandenoise.cli._settings import read_config


def sharpness(
    model: Annotated[str, typer.Argument(help="Name of a model, or path of a model file.")],
    output: Annotated[
        Path | None, typer.Option(help="Model file to write; by default MODEL-sharp.safetensors.")
    ] = None,
    images: Annotated[int | None, typer.Option(help="Generated images; 400 by default.")] = None,
    levels: Annotated[
        str | None, typer.Option(help="Noise levels relative to the range from black to white, such as 0.1,0.5,1.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="As for denoise, and so are the next two.")] = None,
    objective: Annotated[str | None, typer.Option(help="likelihood or squared.")] = None,
    clipping: Annotated[str | None, typer.Option(help="projected, stochastic or none.")] = None,
    saturated: Annotated[
        bool | None, typer.Option("--saturated/--unlimited", help="Noise is cut off at black and white, as in 8 bits.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the images and their noise.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    config: Annotated[Path | None, typer.Option(help="YAML file with the same fields; options override it.")] = None,
) -> None:
    """Measure a model's sharpness attribute: by how much latents recovered from noise miss the true ones.

    The model is written to a new file, for denoise --sharpness; recover there as it was measured here.
    """
    from napari_gandenoise.inversion.sharpness import sharpness_steps
    from napari_gandenoise.models import load_latent_model, new_model_file, save_model
    from napari_gandenoise.settings.recover import SharpnessConfig

    settings = read_config(
        SharpnessConfig,
        config,
        images=images,
        levels=None if levels is None else levels.split(","),
        preset=preset,
        objective=objective,
        clipping=clipping,
        saturated=saturated,
        seed=seed,
    )
    given = load_latent_model(model)
    path = new_model_file(
        output or Path(f"{model.removesuffix('.safetensors')}-sharp.safetensors"), overwrite=overwrite
    )
    measured = drain_with_bar(sharpness_steps(given, settings))
    save_model(path, measured)
    typer.echo(
        f"{path}: {given.name} with the sharpness attribute of {settings.images} images at {len(settings.levels)} "
        f"noise levels; use it with napari-gandenoise denoise --model {path} --sharpness"
    )
