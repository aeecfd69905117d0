"""``napari-gandenoise denoise``, ``restore``, ``recover``: one image or movie in, one out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_gandenoise.cli._options import ConfigFile, Overwrite, settings_of
from napari_gandenoise.cli._progress import drain_with_bar, tell

if TYPE_CHECKING:
    from napari_gandenoise.progress import Steps

Source = Annotated[Path, typer.Argument(metavar="INPUT", help="Image or movie: TIFF, OME-TIFF, PNG, JPEG.")]
Output = Annotated[Path, typer.Argument(help="float32 TIFF to write, in the input's units.")]
FitMap = Annotated[Path | None, typer.Option(help="Also write the fit map to this TIFF.")]
Missing = Annotated[Path | None, typer.Option(help="Also write to this TIFF which pixels were left out: 1, else 0.")]
Uncertainty = Annotated[
    Path | None,
    typer.Option(help="Also write the standard error to this TIFF: of the samples, or of repeated runs; see there."),
]
Mask = Annotated[Path | None, typer.Option(help="To inpaint: image of the input's size; what is not 0 is missing.")]
Draws = Annotated[
    Path | None,
    typer.Option("--samples-file", help="Also write the samples to this TIFF, one after the other; see --samples."),
]
DriftFile = Annotated[
    Path | None, typer.Option(help="Also write the drift of a movie to this CSV file, which --drift takes.")
]
TABLE = "drift"  # of the outputs; the others are images
Drawn = Annotated[Path | None, typer.Option(help="Also write what the generator drew to this TIFF.")]


def denoise(
    ctx: typer.Context,
    source: Source,
    output: Output,
    fit_map: FitMap = None,
    uncertainty: Uncertainty = None,
    missing: Missing = None,
    drawn: Draws = None,
    drift_file: DriftFile = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
) -> None:
    """Denoise a low-dose micrograph or movie.

    Without --gain, --offset and --read-noise (a camera) or --sigma the noise is calibrated from the image; once one
    number of a camera is given, the others are 1, 0 and 0.
    """
    outputs = {"": output, "fit_map": fit_map, "uncertainty": uncertainty, "missing": missing, "samples": drawn}
    outputs[TABLE] = drift_file
    image, settings = _prepared(ctx, (source, None), outputs, overwrite, config)
    from napari_gandenoise.denoising import denoise_steps

    _finish(denoise_steps(image, settings), outputs, overwrite)


def restore(
    ctx: typer.Context,
    source: Source,
    output: Output,
    mask: Mask = None,
    drawn: Drawn = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
) -> None:
    """Fill holes, add colours, pixels or grey levels, take noise away.

    Models of photographs do all of it, models of micrographs inpaint and denoise.
    """
    outputs = {"": output, "drawn": drawn}
    image, settings = _prepared(ctx, (source, mask), outputs, overwrite, config)
    from napari_gandenoise.restoration import restore_steps

    _finish(restore_steps(image, settings, mask=mask), outputs, overwrite)


def recover(
    ctx: typer.Context,
    source: Source,
    output: Output,
    mask: Mask = None,
    fit_map: FitMap = None,
    uncertainty: Uncertainty = None,
    drawn: Drawn = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
) -> None:
    """Recover latents as published: with squared error and stochastic clipping, or by constrained generation.

    To reproduce papers; denoise and restore find more.
    """
    outputs = {"": output, "fit_map": fit_map, "uncertainty": uncertainty, "drawn": drawn}
    image, settings = _prepared(ctx, (source, mask), outputs, overwrite, config)
    from napari_gandenoise.recovery import recover_steps

    _finish(recover_steps(image, settings, mask=mask), outputs, overwrite)


def _prepared(
    ctx: typer.Context,
    inputs: tuple[Path, Path | None],
    outputs: dict[str, Path | None],
    overwrite: bool,
    config: Path | None,
) -> tuple[Any, Any]:
    """Return the image, the first of the inputs, and the settings; what must not be written is refused before."""
    from napari_gandenoise.io import CSV, check_outputs, check_space, read_micrograph

    settings = settings_of(ctx, config)
    tables = [path for name, path in outputs.items() if name == TABLE and path is not None]
    wanted = [path for name, path in outputs.items() if name != TABLE and path is not None]
    check_outputs(wanted, inputs, overwrite, "add --overwrite")
    check_outputs(tables, [*inputs, getattr(settings, "drift", None)], overwrite, "add --overwrite", suffixes=(CSV,))
    settings = _with_uncertainty(settings, outputs)
    image = read_micrograph(inputs[0], image=settings.image, lazy=True)
    drawn = [path for name, path in outputs.items() if name == "samples" and path is not None]
    each = drawn * (settings.samples - 1) if drawn else []
    check_space([*wanted, *each], image, getattr(settings, "finer", 1))
    return image, settings


def _with_uncertainty(settings: Any, outputs: dict[str, Path | None]) -> Any:
    """Ask for what is to be written."""
    from napari_gandenoise.settings.denoise import REPLICATES, SAMPLES, DenoiseConfig

    if not isinstance(settings, DenoiseConfig):
        repeat = outputs.get("uncertainty") is not None and not settings.replicates
        return settings.model_copy(update={"replicates": REPLICATES}) if repeat else settings
    if outputs.get("samples") is not None and not settings.samples:
        settings = settings.model_copy(update={"samples": SAMPLES})
    if outputs.get("uncertainty") is None:
        return settings
    from napari_gandenoise.denoising import uncertain

    return uncertain(settings)


def _finish(steps: Steps[Any], outputs: dict[str, Path | None], overwrite: bool) -> None:
    """Do the work, write what it made and say how it went."""
    from napari_gandenoise.io import write_result

    result = drain_with_bar(steps)
    for part, path in outputs.items():
        if path is not None and not write_result(path, result, part, overwrite=overwrite):
            none = "no pixel was left out" if part == "missing" else f"this job has no {part.replace('_', ' ')}"
            tell(f"{path} was not written: {none}.")
    for warning in result.report["warnings"]:
        tell(warning)
    typer.echo(f"{outputs['']}: {result.summary()}")
