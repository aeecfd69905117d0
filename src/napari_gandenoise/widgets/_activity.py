"""A run in napari's activity dock."""

from __future__ import annotations

from napari.utils import progress

from napari_gandenoise.progress import Progress

__all__ = ["Activity"]


class Activity:
    """Show one bar at a time, one a stage.  To be used in the window's thread, as napari asks."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._stage = ""
        self._bar: progress | None = None
        self._wanted = False

    def show(self, event: Progress) -> None:
        """Show how far a stage is."""
        if self._bar is None or event.stage != self._stage:
            self.close()
            self._stage, self._wanted = event.stage, True
            bar = progress(total=event.total, desc=f"{self._title}: {event.stage}", leave=False)
            # napari handles other events of the window while it makes a bar, and one of them may be Cancel.
            if not self._wanted:
                bar.close()
                return
            self._bar = bar
        self._bar.update(event.done - self._bar.n)

    def close(self) -> None:
        """Remove the bar."""
        self._wanted = False
        if self._bar is not None:
            self._bar.close()
            self._bar = None
