"""A progress bar in the terminal."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from napari_gandenoise.progress import Progress, Steps

__all__ = ["drain_with_bar", "tell"]

Result = TypeVar("Result")


def tell(sentence: str) -> None:
    """Say something on stderr."""
    typer.echo(f"napari-gandenoise: {sentence}", err=True)


def drain_with_bar(steps: Steps[Result]) -> Result:
    """Drain a job with a progress bar a stage and its notes on stderr; however this ends, the job is closed."""
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
        if event.note:
            tell(event.note)
        return event

    with tqdm(disable=None, leave=False) as bar, closing(relay(steps, show)) as shown:
        return drain(shown)
