"""``napari-gandenoise compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_gandenoise.cli._progress import drain_with_bar
from napari_gandenoise.cli._settings import noise_model, read_config


def compare(
    source: Annotated[Path, typer.Argument(metavar="NOISY", help="Image: TIFF, OME-TIFF, PNG, JPEG.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the table, the figure and a TIFF of each method.")
    ],
    truth: Annotated[Path | None, typer.Option(help="Clean image of the same size and units.")] = None,
    copies: Annotated[Path | None, typer.Option(help="Stack of other noisy images of the same view.")] = None,
    methods: Annotated[
        str | None, typer.Option(help="Names with commas between them, or all; the usual ones by default.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of a model, or path of a model file.")] = None,
    preset: Annotated[str | None, typer.Option(help="fast, balanced, thorough or paper.")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Pixel size in nm, if the file has none.")] = None,
    gain: Annotated[float | None, typer.Option(help="Input units per electron.")] = None,
    offset: Annotated[float | None, typer.Option(help="Input units without any electron.")] = None,
    read_noise: Annotated[float | None, typer.Option(help="Read noise, standard deviation in input units.")] = None,
    sigma: Annotated[
        float | None, typer.Option(help="Gaussian noise instead: standard deviation in input units.")
    ] = None,
    white: Annotated[float | None, typer.Option(help="Value of white, for models of photographs.")] = None,
    bin_factor: Annotated[int | None, typer.Option(help="Side of the blocks that baselines sum.")] = None,
    data_range: Annotated[float | None, typer.Option(help="Peak of PSNR and SSIM, input units.")] = None,
    replicates: Annotated[int | None, typer.Option(help="Repetitions for uncertainty and coverage.")] = None,
    splitting: Annotated[
        bool | None, typer.Option("--splitting/--no-splitting", help="Score on held-out electrons.")
    ] = None,
    share: Annotated[float | None, typer.Option(help="Share of the electrons that splitting lets methods see.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same machine: same result.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing output files.")] = False,
    config: Annotated[Path | None, typer.Option(help="YAML file with the same fields; options override it.")] = None,
) -> None:
    """Denoise one image by many methods and put them beside each other.

    Without --truth methods are scored on electrons that they have not seen. One that fails has a row that says why.
    """
    from napari_gandenoise.comparison import check_folder, compare_steps
    from napari_gandenoise.evaluation import markdown_table
    from napari_gandenoise.io import read_micrograph
    from napari_gandenoise.settings.compare import ALL, CompareConfig

    settings = read_config(
        CompareConfig,
        config,
        methods=",".join(ALL) if methods == "all" else methods,
        model=model,
        preset=preset,
        pixel_size_nm=pixel_size,
        noise=noise_model(gain, offset, read_noise, sigma),
        white=white,
        bin_factor=bin_factor,
        data_range=data_range,
        replicates=replicates,
        splitting=splitting,
        share=share,
        seed=seed,
        device=device,
    )
    check_folder(output, overwrite)
    result = drain_with_bar(compare_steps(read_micrograph(source), settings, truth=truth, copies=copies))
    for sentence in result.write(output, overwrite=overwrite):
        typer.echo(f"napari-gandenoise: {sentence}", err=True)
    typer.echo(markdown_table(result.table()))
    typer.echo(f"{result.caption()}\n{output}: {result.summary()}")
