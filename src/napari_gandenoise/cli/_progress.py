"""A progress bar in the terminal."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from napari_gandenoise.progress import Progress, Steps

__all__ = ["drain_with_bar", "with_notes"]

Result = TypeVar("Result")


def drain_with_bar(steps: Steps[Result]) -> Result:
    """Drain a job with a progress bar a stage; however this ends, the job is closed."""
    from tqdm import tqdm

    from napari_gandenoise.progress import drain, relay

    stage = ""

    def show(event: Progress) -> Progress:
        nonlocal stage
        if event.stage != stage:
            stage = event.stage
            bar.reset()
            bar.set_description(stage)
        bar.total = event.total
        bar.update(event.done - bar.n)
        if event.values:
            bar.set_postfix({name: f"{value:.3g}" for name, value in event.values.items()})
        return event

    with tqdm(disable=None, leave=False) as bar, closing(relay(steps, show)) as shown:
        return drain(shown)


def with_notes(steps: Steps[Result]) -> Steps[Result]:
    """Pass events on; what they have to say goes to stderr."""
    with closing(steps):
        while True:
            try:
                event = next(steps)
            except StopIteration as stop:
                result: Result = stop.value
                return result
            if event.note:
                typer.echo(f"napari-gandenoise: {event.note}", err=True)
            yield event
