"""Events that long jobs yield, and the one way to drain them.

Every long job in this package is a generator of `Progress` events that *returns* its result.  Closing the
generator cancels the job; what it has finished by then is kept by the job itself (a checkpoint, a partial file).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

__all__ = ["Progress", "Steps", "drain", "instead", "relay", "ticking"]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Progress:
    """One event of a long job.

    Attributes
    ----------
    stage : str
        What the job is doing, in a word or two ("search", "refine", "train").
    done, total : int
        Work finished and work planned within this stage.
    preview : object
        A partial result worth showing (an image, a batch of samples), or None.
    values : dict
        Named numbers of this moment: losses, likelihoods, rates.
    note : str
        A sentence for the user, such as an alarm; empty as a rule.
    """

    stage: str
    done: int
    total: int
    preview: Any = None
    values: dict[str, float] = field(default_factory=dict)
    note: str = ""


Steps = Generator[Progress, None, Result]


def drain(steps: Generator[Any, None, Result]) -> Result:
    """Run a job to its end and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result


def instead(steps: Steps[Result], event: Progress) -> Steps[Result]:
    """Show one event in the place of all those of a job, whose pictures would only confuse."""
    return relay(steps, lambda _: event)


def relay(steps: Steps[Result], change: Callable[[Progress], Progress]) -> Steps[Result]:
    """Pass a job's events on, each changed by a function, and return its result; closing this closes the job."""
    try:
        while True:
            try:
                event = next(steps)
            except StopIteration as stop:
                result: Result = stop.value
                return result
            yield change(event)
    finally:
        steps.close()


def ticking(parts: Generator[Any, None, Result], event: Progress) -> Steps[Result]:
    """Say the same event after each part of a computation, and return its result."""
    while True:
        try:
            next(parts)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        yield event
