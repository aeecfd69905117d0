"""``napari-gandenoise models``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="The models that can be named with --model.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the models that come with the package, and your own; of files that cannot be used, why."""
    from napari_gandenoise.errors import in_short
    from napari_gandenoise.models import list_models

    bad: dict[str, str] = {}
    for card in list_models(bad):
        about = in_short(card.description, longest=2000)
        typer.echo(f"{card.name}  {card.sampling}  {card.size_bytes / 1e6:.1f} MB  {about}".rstrip())
    for name, reason in bad.items():
        typer.echo(f"{in_short(name)}  bad: {reason}")


@app.command()
def show(name: Annotated[str, typer.Argument(help="Name of a model, or path of a model file.")]) -> None:
    """Show a model's card: domain, pixel size, figures, hash."""
    from dataclasses import asdict

    import yaml

    from napari_gandenoise.models import load_model, model_card

    card = asdict(model_card(load_model(name)))
    typer.echo(yaml.safe_dump(card, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def install(
    path: Annotated[Path, typer.Argument(help="A model file.")],
    name: Annotated[str, typer.Option(help="Name to list it under; by default its own.", show_default=False)] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace your own model of that name.")] = False,
) -> None:
    """Copy a model file into your folder of models, so that it can be named as those that come with the package."""
    from napari_gandenoise.models import install_model, load_model

    written = install_model(path, name or load_model(path).name, overwrite=overwrite)
    typer.echo(f"{written}: use it with napari-gandenoise denoise --model {shlex.quote(written.stem)}")


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="Name of a model, or path of a model file.")],
    path: Annotated[Path, typer.Argument(help="File to write, or a folder.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    small: Annotated[bool, typer.Option("--small", help="Round the weights to eight bits: half the size.")] = False,
    bioimage: Annotated[bool, typer.Option("--bioimage", help="A package of the BioImage Model Zoo (.zip).")] = False,
) -> None:
    """Copy a model file to where it can be handed on, which holds no code; or write a package for other programs."""
    from napari_gandenoise.errors import GanDenoiseError
    from napari_gandenoise.models import export_bioimage, export_model

    if bioimage and small:
        raise GanDenoiseError("Choose --small or --bioimage: packages of the Zoo hold weights of 32 bits.")
    if bioimage:
        typer.echo(f"{export_bioimage(name, path, overwrite=overwrite)}: package of the model {name}")
        return
    written = export_model(name, path, overwrite=overwrite, bits=8 if small else None)
    typer.echo(f"{written}: copy of the model {name}")


@app.command()
def verify(name: Annotated[str, typer.Argument(help="Name of a model, or path of a model file.")]) -> None:
    """Check a model: header, shapes, weights, and whether it draws; exit code 0 if it is sound."""
    from napari_gandenoise.models import load_model, verify_model

    model = load_model(name)
    verify_model(model)
    typer.echo(f"{name}: sound, SHA-256 {model.sha256}")
