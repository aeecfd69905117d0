"""``napari-gandenoise denoise``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_gandenoise.cli._progress import drain_with_bar
from napari_gandenoise.cli._settings import check_outputs, noise_model, read_config


def denoise(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Image or movie: TIFF, OME-TIFF, PNG, JPEG.")],
    output: Annotated[Path, typer.Argument(help="Denoised float32 TIFF, in the input's units.")],
    model: Annotated[str | None, typer.Option(help="Name of a model, or path of a model file.")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Pixel size in nm, if the file has none.")] = None,
    gain: Annotated[float | None, typer.Option(help="Input units per electron.")] = None,
    offset: Annotated[float | None, typer.Option(help="Input units without any electron.")] = None,
    read_noise: Annotated[float | None, typer.Option(help="Read noise, standard deviation in input units.")] = None,
    sigma: Annotated[
        float | None, typer.Option(help="Gaussian noise instead: standard deviation in input units.")
    ] = None,
    white: Annotated[float | None, typer.Option(help="Value of white, for models of photographs.")] = None,
    preset: Annotated[str | None, typer.Option(help="fast, balanced, thorough or paper.")] = None,
    objective: Annotated[str | None, typer.Option(help="likelihood, or squared: no noise level needed.")] = None,
    clipping: Annotated[
        str | None, typer.Option(help="Latents beyond a uniform prior's bounds: projected, stochastic or none.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same machine: same result.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    sharpness: Annotated[
        bool | None, typer.Option("--sharpness/--no-sharpness", help="Add the model's sharpness attribute.")
    ] = None,
    intensity: Annotated[
        float | None, typer.Option(help="How much of the noise is taken away, 0 (nothing) to 1 (all that was found).")
    ] = None,
    views: Annotated[
        int | None, typer.Option(help="Direct denoisers: views of the image that are averaged, 1 to 16.")
    ] = None,
    strength: Annotated[
        float | None, typer.Option(help="Direct denoisers: standard deviation of the noise; 1 is white, or the mean.")
    ] = None,
    grain: Annotated[float | None, typer.Option(help="Direct denoisers: grain size of the noise in pixels.")] = None,
    residual_step: Annotated[
        bool | None, typer.Option("--residual-step/--no-residual-step", help="Add back what the counts prove.")
    ] = None,
    fit_map: Annotated[Path | None, typer.Option(help="Also write the fit map to this TIFF.")] = None,
    uncertainty: Annotated[Path | None, typer.Option(help="Also write the standard error to this TIFF.")] = None,
    replicates: Annotated[
        int | None, typer.Option(help="Repetitions that the uncertainty is estimated from: 8 with --uncertainty.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing output files.")] = False,
    config: Annotated[Path | None, typer.Option(help="YAML file with the same fields; options override it.")] = None,
) -> None:
    """Denoise a low-dose micrograph or movie.

    Without --gain, --offset and --read-noise (a camera) or --sigma the noise is calibrated from the image; once one
    number of a camera is given, the others are 1, 0 and 0.
    """
    check_outputs(source, [path for path in (output, fit_map, uncertainty) if path is not None], overwrite)

    from napari_gandenoise.denoising import denoise_steps
    from napari_gandenoise.io import read_micrograph, write_tiff
    from napari_gandenoise.settings.denoise import REPLICATES, DenoiseConfig

    settings = read_config(
        DenoiseConfig,
        config,
        model=model,
        pixel_size_nm=pixel_size,
        noise=noise_model(gain, offset, read_noise, sigma),
        white=white,
        preset=preset,
        objective=objective,
        clipping=clipping,
        seed=seed,
        device=device,
        sharpness=sharpness,
        intensity=intensity,
        views=views,
        strength=strength,
        grain=grain,
        residual_step=residual_step,
        replicates=replicates,
    )
    if uncertainty is not None and not settings.replicates:
        settings = settings.model_copy(update={"replicates": REPLICATES})
    result = drain_with_bar(denoise_steps(read_micrograph(source, lazy=True), settings))
    written = (
        (output, result.rate, result.axes),
        (fit_map, result.fit_map, None),
        (uncertainty, result.uncertainty, None),
    )
    for path, pixels, axes in written:
        if path is not None and pixels is not None:
            size = result.pixel_size_nm
            write_tiff(path, pixels, pixel_size_nm=size, axes=axes, provenance=result.report, overwrite=overwrite)
    for warning in result.report["warnings"]:
        typer.echo(f"napari-gandenoise: {warning}", err=True)
    typer.echo(f"{output}: {result.summary()}")
