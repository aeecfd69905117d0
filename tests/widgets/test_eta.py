"""The time left, from the plan and the pace."""

from __future__ import annotations

import pytest

from napari_gandenoise.progress import Progress
from napari_gandenoise.widgets.running.eta import Eta


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_pace_of_a_steady_stage(clock):
    eta = Eta(0.0, clock)
    for done in range(1, 6):
        clock.now = 10.0 + 2.0 * done
        left = eta.seconds_left(Progress("refine", done, 20))
    # 15 parts at 2 s each; the 10 s before belong to an earlier stage.
    assert left == pytest.approx(30.0)


def test_plan_counts_for_stages_to_come(clock):
    eta = Eta(100.0, clock)
    clock.now = 10.0
    assert eta.seconds_left(Progress("calibrate", 1, 1)) == pytest.approx(90.0)


def test_time_left_is_never_negative(clock):
    eta = Eta(5.0, clock)
    clock.now = 60.0
    assert eta.seconds_left(Progress("blend", 1, 1)) == 0.0
    assert eta.describe(Progress("blend", 1, 1)) == "blend 1/1 · nearly done"


def test_without_a_plan_only_the_stage_is_known(clock):
    eta = Eta(None, clock)
    assert eta.describe(Progress("brief", 0, 20)) == "brief 0/20"
    clock.now = 10.0
    assert eta.describe(Progress("brief", 5, 20)) == "brief 5/20 · about 30 s left in this stage"


@pytest.mark.parametrize(("seconds", "words"), [(42, "42 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations_in_words(clock, seconds, words):
    assert Eta(seconds, clock).describe(Progress("search", 0, 7)) == f"search 0/7 · about {words} left"
