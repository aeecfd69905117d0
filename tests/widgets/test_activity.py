"""The bar in napari's activity dock."""

from __future__ import annotations

from napari_gandenoise.progress import Progress
from napari_gandenoise.widgets.running.activity import Activity
from napari_gandenoise.widgets.running.runner import Runner


def test_a_job_of_very_many_events_does_not_pile_up(qtbot, viewer):
    """napari draws a bar by handling waiting events, each of which would draw the bar again."""
    activity, runner, seen = Activity("Denoise"), Runner(), []

    def show(event):
        seen.append(event.done)
        activity.show(event)

    def job():
        for done in range(3000):
            yield Progress("search", done, 3000)

    runner.progressed.connect(show)
    with qtbot.waitSignal(runner.finished, timeout=60_000):
        runner.start(job())
    activity.close()
    assert len(seen) == 3000
