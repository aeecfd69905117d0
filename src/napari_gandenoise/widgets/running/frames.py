"""How far a movie is: one bar over all frames."""

from __future__ import annotations

import re

from napari_gandenoise.progress import Progress

__all__ = ["Frames"]

PARTS = 100  # of a frame
DENOISE, AFTER = 90, 95  # parts that are done when a frame has been drawn, and while the rest is


class Frames:
    """Turn the events of single frames into those of the whole movie."""

    def __init__(self) -> None:
        self._done: set[int] = set()
        self._part = 0.0
        self._frame = 0

    def of(self, event: Progress) -> Progress | None:
        """Return how far all frames are, stage "frames"; None of an event that is about no frame of a movie."""
        named = re.match(r"frame (\d+)/(\d+): (\w+)", event.stage)
        if named is None:
            return None
        frame, count, stage = int(named[1]), int(named[2]), named[3]
        if frame != self._frame:
            self._frame, self._part = frame, 0.0
        share = event.done / max(event.total, 1)
        if stage == "blend" and share == 1:
            self._done.add(frame)
            self._part = 0.0
        elif frame not in self._done and stage != "look":
            self._part = max(self._part, DENOISE * share if stage == "denoise" else AFTER)
        return Progress("frames", round(PARTS * len(self._done) + self._part), PARTS * count)

    @property
    def done(self) -> int:
        """How many frames are done."""
        return len(self._done)
