"""``napari-gandenoise restore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_gandenoise.cli._progress import drain_with_bar
from napari_gandenoise.cli._settings import check_outputs, read_config


def restore(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Image: TIFF, OME-TIFF, PNG, JPEG.")],
    output: Annotated[Path, typer.Argument(help="Restored float32 TIFF, in the input's units.")],
    task: Annotated[str | None, typer.Option(help="inpaint, colorize, super-resolve, denoise or dequantize.")] = None,
    mask: Annotated[
        Path | None, typer.Option(help="inpaint: image of the input's size; what is not 0 is missing.")
    ] = None,
    factor: Annotated[int | None, typer.Option(help="super-resolve: 2 or 4 times as many pixels a side.")] = None,
    levels: Annotated[int | None, typer.Option(help="dequantize: levels of each channel of the input.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of a model, or path of a model file.")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Pixel size in nm, if the file has none.")] = None,
    white: Annotated[float | None, typer.Option(help="Value of white, for models of photographs.")] = None,
    norm: Annotated[float | None, typer.Option(help="Power of the data term, 1 to 2.")] = None,
    realism: Annotated[float | None, typer.Option(help="Weight of the discriminator's word.")] = None,
    prior: Annotated[float | None, typer.Option(help="Weight of the latents' negative log prior.")] = None,
    restarts: Annotated[int | None, typer.Option(help="Starts of each tile.")] = None,
    steps: Annotated[int | None, typer.Option(help="Gradient steps of each tile.")] = None,
    poisson_blending: Annotated[
        bool | None,
        typer.Option("--poisson-blending/--no-poisson-blending", help="inpaint: continue what is around the hole."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same machine: same result.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    drawn: Annotated[Path | None, typer.Option(help="Also write what the generator drew to this TIFF.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing output files.")] = False,
    config: Annotated[Path | None, typer.Option(help="YAML file with the same fields; options override it.")] = None,
) -> None:
    """Fill holes, add colours, pixels or grey levels, take noise away.

    Models of photographs do all of it, models of micrographs inpaint and denoise.
    """
    check_outputs(source, [path for path in (output, drawn) if path is not None], overwrite)

    from napari_gandenoise.io import read_micrograph, write_tiff
    from napari_gandenoise.restoration import restore_steps
    from napari_gandenoise.settings.restore import RestoreConfig

    settings = read_config(
        RestoreConfig,
        config,
        task=task,
        factor=factor,
        levels=levels,
        model=model,
        pixel_size_nm=pixel_size,
        white=white,
        norm=norm,
        realism=realism,
        prior=prior,
        restarts=restarts,
        steps=steps,
        poisson_blending=poisson_blending,
        seed=seed,
        device=device,
    )
    result = drain_with_bar(restore_steps(read_micrograph(source, lazy=True), settings, mask=mask))
    for path, pixels in ((output, result.image), (drawn, result.drawn)):
        if path is not None:
            write_tiff(
                path,
                pixels,
                pixel_size_nm=result.pixel_size_nm,
                axes=result.axes,
                provenance=result.report,
                overwrite=overwrite,
            )
    for warning in result.report["warnings"]:
        typer.echo(f"napari-gandenoise: {warning}", err=True)
    typer.echo(f"{output}: {result.summary()}")
