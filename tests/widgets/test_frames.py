"""One bar over all frames of a movie."""

from __future__ import annotations

from napari_gandenoise.progress import Progress
from napari_gandenoise.widgets.running.frames import PARTS, Frames


def test_frames_add_up_whatever_their_order():
    frames, shown = Frames(), []
    for frame in (3, 1, 2):
        for stage, done, total in (
            ("look", 1, 1),
            ("denoise", 1, 4),
            ("denoise", 4, 4),
            ("residual", 0, 1),
            ("blend", 1, 1),
        ):
            shown.append(frames.of(Progress(f"frame {frame}/3: {stage}", done, total)))
    assert all(event.stage == "frames" and event.total == 3 * PARTS for event in shown)
    assert [event.done for event in shown] == sorted(event.done for event in shown)
    assert shown[-1].done == 3 * PARTS
    assert frames.done == 3


def test_what_is_no_movie_is_left_alone():
    assert Frames().of(Progress("denoise", 1, 4)) is None
    assert Frames().of(Progress("calibrate", 0, 1)) is None
