"""How far a job is and how long it will still take."""

from __future__ import annotations

import time
from collections.abc import Callable

from napari_gandenoise.progress import Progress

__all__ = ["Eta"]


class Eta:
    """Estimate the time left from the plan, corrected by the pace of the present stage.

    Parameters
    ----------
    planned_seconds : float or None
        What the plan promised for the whole job; 0 if all of it is one stage; None if nobody knows of stages to come.
    clock : callable
        Seconds, for tests.
    """

    def __init__(self, planned_seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._planned = planned_seconds or 0.0
        self._knows_all = planned_seconds is not None
        self._clock = clock
        self._start = clock()
        self._stage = ""
        self._stage_start = self._start

    def seconds_left(self, event: Progress) -> float:
        """Return the seconds left after an event: never less than the present stage still needs."""
        now = self._clock()
        if event.stage != self._stage:
            # The first event of a stage comes when its first part is done; what came before was another stage.
            self._stage, self._stage_start = event.stage, now
            self._stage_done = event.done
        done = event.done - self._stage_done
        rest = (now - self._stage_start) / done * (event.total - event.done) if done > 0 else 0.0
        return max(rest, self._planned - (now - self._start), 0.0)

    def describe(self, event: Progress) -> str:
        """Put an event into words: ``refine 12/40 · about 8 s left``."""
        seconds = self.seconds_left(event)
        left = f"about {_duration(seconds)} left" if seconds >= 1 else "nearly done"
        if not self._knows_all:
            left = f"{left} in this stage" if seconds >= 1 else ""
        return f"{event.stage} {event.done}/{event.total}" + (f" · {left}" if left else "")


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
