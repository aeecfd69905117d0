"""``napari-gandenoise batch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_gandenoise.cli._progress import drain_with_bar, with_notes
from napari_gandenoise.cli._settings import read_config, read_yaml
from napari_gandenoise.errors import GanDenoiseError

SOME_FAILED = 3


def batch(
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG] [INPUT]...",
            help="YAML file of a job, which may be left out, then files, folders and quoted patterns.",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the results and the ledger.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the job in the output folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew and replace existing results.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes to start; 0 computes in this one.")] = 0,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler: tcp://HOST:PORT.")] = None,
    settings: Annotated[
        Path | None, typer.Option(help="YAML file of denoise or restore, as a panel copies it.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Restore: inpaint, colorize, super-resolve, …")] = None,
    model: Annotated[str | None, typer.Option(help="Name of a model, or path of a model file.")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Pixel size in nm, if the files have none.")] = None,
    preset: Annotated[str | None, typer.Option(help="Denoise: fast, balanced, thorough or paper.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Inpaint: what is missing, the same in all frames.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="tiff or zarr.")] = None,
    fit_map: Annotated[bool | None, typer.Option("--fit-map", help="Denoise: also write fit maps.")] = None,
    uncertainty: Annotated[bool | None, typer.Option("--uncertainty", help="Denoise: also write errors.")] = None,
    warm_start: Annotated[
        int | None, typer.Option(help="Movies: frames in a run, each of which starts from the one before.")
    ] = None,
    average: Annotated[int | None, typer.Option(help="Movies: neighbouring frames whose evidence is averaged.")] = None,
) -> None:
    """Denoise or restore many images and movies.

    Results get their names when they are whole.  A job that was stopped, killed or had no room goes on with
    --resume --output DIR and ends with the same bytes.  The exit code is 3 if a frame or a file failed and all else is
    done.
    """
    fields = _fields(
        given or [], settings, {"task": task, "model": model, "pixel_size_nm": pixel_size, "preset": preset}
    )
    options = {
        "output": output,
        "mask": mask,
        "format": form,
        "fit_map": fit_map,
        "uncertainty": uncertainty,
        "warm_start": warm_start,
        "average": average,
    }
    fields |= {name: value for name, value in options.items() if value is not None}
    if "output" not in fields:
        raise GanDenoiseError("Say with --output where the results go.")

    from napari_gandenoise.batching import batch_steps
    from napari_gandenoise.settings.batch import BatchConfig

    if not (resume and fields.keys() == {"output"}):
        fields = dict(read_config(BatchConfig, None, **fields))
    steps = batch_steps(resume=resume, overwrite=overwrite, workers=workers, scheduler=scheduler, **fields)
    try:
        result = drain_with_bar(with_notes(steps))
    except KeyboardInterrupt:
        again = f"napari-gandenoise batch --resume --output {fields['output']}"
        typer.echo(f"napari-gandenoise: stopped here; go on with {again}", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{fields['output']}: {result.summary()}")
    if result.failures:
        raise typer.Exit(SOME_FAILED)


def _fields(given: list[str], settings: Path | None, options: dict[str, Any]) -> dict[str, Any]:
    """Lay options over a settings file over a job's file."""
    job = [item for item in given if item.lower().endswith((".yaml", ".yml"))]
    inputs = [item for item in given if item not in job]
    if len(job) > 1:
        raise GanDenoiseError(f"Give one job at a time, not {' and '.join(job)}.")
    fields = read_yaml(Path(job[0])) if job else {}
    if inputs:
        fields["inputs"] = inputs
    changes = {} if settings is None else read_yaml(settings)
    changes |= {name: value for name, value in options.items() if value is not None}
    if changes:
        fields["settings"] = {**(fields.get("settings") or {}), **changes}
    if "task" in (fields.get("settings") or {}):
        fields.setdefault("job", "restore")
    return fields
