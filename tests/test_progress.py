"""Events of long jobs: drained, passed on, cancelled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_gandenoise.progress import Progress, drain, relay


def job(closed: list[int], count: int = 3):
    """Count to ``count``; note at which number it was closed."""
    done = 0
    try:
        for done in range(1, count + 1):
            yield Progress("count", done, count)
    except GeneratorExit:
        closed.append(done)
        raise
    return "result"


def test_a_drained_job_gives_its_result():
    assert drain(job([])) == "result"


def test_relayed_events_are_changed_and_the_result_is_not():
    seen = []

    def change(event):
        seen.append(event.done)
        return replace(event, stage="relayed")

    steps = relay(job([]), change)
    assert next(steps) == Progress("relayed", 1, 3)
    assert drain(steps) == "result"
    assert seen == [1, 2, 3]


def test_closing_a_relay_closes_the_job():
    closed: list[int] = []
    steps = relay(job(closed), lambda event: event)
    next(steps)
    next(steps)
    steps.close()
    assert closed == [2]


def test_a_change_that_fails_closes_the_job():
    closed: list[int] = []

    def fail(event):
        raise ValueError("a broken consumer")

    with pytest.raises(ValueError, match="broken consumer"):
        drain(relay(job(closed), fail))
    assert closed == [1]
