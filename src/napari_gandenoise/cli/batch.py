"""``napari-gandenoise batch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_gandenoise.cli._options import settings_of
from napari_gandenoise.cli._progress import drain_with_bar, tell
from napari_gandenoise.errors import GanDenoiseError

SOME_FAILED = 3


def batch(
    ctx: typer.Context,
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG] [INPUT]...",
            help="YAML file of a job, which may be left out, then files, folders and quoted patterns.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the job in the output folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew and replace existing results.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes to start; 0 computes in this one.")] = 0,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler: tcp://HOST:PORT.")] = None,
    settings: Annotated[
        Path | None, typer.Option(help="YAML file of denoise or restore, as a panel copies it.")
    ] = None,
) -> None:
    """Denoise or restore many images and movies.

    Results get their names when they are whole.  A job that was stopped, killed or had no room goes on with
    --resume --output DIR and ends with the same bytes.  The exit code is 3 if a frame or a file failed and all else is
    done.
    """
    fields = _fields(given or [], settings)
    if "task" in (fields.get("settings") or {}) or ("settings", "task") in ctx.obj:
        fields.setdefault("job", "restore")
    if ("output",) not in ctx.obj and "output" not in fields:
        raise GanDenoiseError("Say with --output where the results go.")
    if resume and not fields and ctx.obj.keys() == {("output",)}:
        job = {"output": ctx.obj["output",]}  # the ledger knows the rest
    else:
        job = dict(settings_of(ctx, fields))

    from napari_gandenoise.batching import batch_steps

    steps = batch_steps(resume=resume, overwrite=overwrite, workers=workers, scheduler=scheduler, **job)
    try:
        result = drain_with_bar(steps)
    except KeyboardInterrupt:
        again = f"napari-gandenoise batch --resume --output {job['output']}"
        tell(f"stopped here; go on with {again}")
        raise typer.Exit(130) from None
    typer.echo(f"{job['output']}: {result.summary()}")
    if result.failures:
        raise typer.Exit(SOME_FAILED)


def _fields(given: list[str], settings: Path | None) -> dict[str, Any]:
    """Lay a settings file over a job's file."""
    from napari_gandenoise.settings.text import read_yaml

    job = [item for item in given if item.lower().endswith((".yaml", ".yml"))]
    inputs = [item for item in given if item not in job]
    if len(job) > 1:
        raise GanDenoiseError(f"Give one job at a time, not {' and '.join(job)}.")
    fields = read_yaml(Path(job[0])) if job else {}
    if not isinstance(fields.get("settings") or {}, dict):
        raise GanDenoiseError(f"{job[0]}: settings must be a mapping of fields, like `preset: fast`.")
    if inputs:
        fields["inputs"] = inputs
    if settings is not None:
        fields["settings"] = {**(fields.get("settings") or {}), **read_yaml(settings)}
    return fields
