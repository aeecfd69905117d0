"""``napari-gandenoise train``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer

from napari_gandenoise.cli._options import settings_of
from napari_gandenoise.cli._progress import drain_with_bar


def train(
    ctx: typer.Context,
    config: Annotated[Path | None, typer.Argument(help="YAML file of a training run; options override it.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the output folder.")
    ] = False,
    events: Annotated[
        bool,
        typer.Option("--events", help="For programs: events as JSON lines; reads pause, resume, stop from stdin."),
    ] = False,
) -> None:
    """Train a latent GAN or a direct denoiser, or with --cif a direct denoiser for one material.

    The kind of the architecture tells which of the first two.  With --cif only --mode, --microscope, --pixel-size,
    --dose, --minutes, --name, --output, --device and --seed mean anything.  Ctrl-C writes a checkpoint and ends with
    exit code 130; --resume goes on from there.
    """
    settings = settings_of(ctx, config)
    from napari_gandenoise.finetuning import lay_out, run_steps
    from napari_gandenoise.finetuning.comparison import TABLE
    from napari_gandenoise.settings.cif import CifTrainConfig
    from napari_gandenoise.training.distributed import Ranks
    from napari_gandenoise.training.protocol import serve

    if isinstance(settings, CifTrainConfig):
        settings = lay_out(settings)
    with _stop_on_signals() as (stop, received):
        steps = run_steps(settings, resume, stop)
        path = serve(steps, stop, settings.output, sys.stdin, sys.stdout) if events else drain_with_bar(steps)
    finished = path == settings.output / f"{settings.name}.safetensors"
    if Ranks.from_environment().first:
        if finished:
            if (table := settings.output / TABLE).exists():
                typer.echo(table.read_text(encoding="utf-8"), err=events)
            typer.echo(f"{path}: trained; use it with napari-gandenoise denoise --model {path}", err=events)
        else:
            again = settings.output / "config.yaml"
            typer.echo(f"{path}: stopped here; go on with napari-gandenoise train {again} --resume", err=True)
    if received and not finished:
        raise typer.Exit(128 + received[0])


@contextmanager
def _stop_on_signals() -> Iterator[tuple[Event, list[int]]]:
    """Yield an event that Ctrl-C or a request to terminate sets, and a list that then holds the signal.

    A signal that came at any moment would leave a training step half done; a second one does end the process at once.
    """
    stop, received = Event(), list[int]()

    def ask(number: int, _: object) -> None:
        stop.set()
        received.append(number)
        signal.signal(number, before[number])

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, ask)
    try:
        yield stop, received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
