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
        self._drawing = False

    def show(self, event: Progress) -> None:
        """Show how far a stage is; an event that comes while the bar is drawn is left out."""
        # napari handles other events of the window while it draws a bar: those of a fast job would pile up in here.
        if self._drawing:
            return
        self._drawing = True
        try:
            self._draw(event)
        finally:
            self._drawing = False

    def _draw(self, event: Progress) -> None:
        if self._bar is None or event.stage != self._stage:
            self.close()
            self._stage, self._wanted = event.stage, True
            bar = progress(total=event.total, desc=f"{self._title}: {event.stage}", leave=False)
            # One of the events handled meanwhile may have been Cancel.
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
