"""Run a long job in napari's worker thread, and bring its events back to the window's thread."""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QEvent, QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress, Steps

__all__ = ["Runner"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Failure:
    """Why a job ended without a result, in a sentence."""

    message: str


def _guarded(steps: Steps[Any]) -> Generator[Progress, None, Any]:
    """Turn errors into a returned sentence.

    superqt's worker takes any RuntimeError (torch raises many) for an aborted thread and then never finishes.
    """
    try:
        return (yield from steps)
    except GanDenoiseError as error:
        return _Failure(str(error))
    except Exception as error:
        _log.exception("A job failed.")
        return _Failure(f"The run failed ({type(error).__name__}: {error}); the log has the details.")


class Runner(QObject):
    """Run one job at a time, in the background.

    Parameters
    ----------
    parent : QWidget
        The panel as napari docks it; closing it cancels the job.

    Signals
    -------
    progressed : Progress
        An event of the job.
    finished : object
        The job's result.
    cancelled
        The job has stopped before its end.
    failed : str
        The job has ended with an error; the sentence is for the user.
    """

    progressed = Signal(object)
    finished = Signal(object)
    cancelled = Signal()
    failed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None
        self._steps: Steps[Any] | None = None
        self._result: Any = None
        if parent is not None:
            parent.installEventFilter(self)

    @property
    def running(self) -> bool:
        """Whether a job is under way, or still stopping."""
        return self._worker is not None

    @property
    def stopping(self) -> bool:
        """Whether the job was asked to stop and has not yet."""
        return self._worker is not None and bool(self._worker.abort_requested)

    def start(self, steps: Steps[Any]) -> None:
        """Start a job: a generator of events that returns a result."""
        if self.running:
            raise RuntimeError("A job is running already.")
        self._steps = steps
        self._worker = create_worker(_guarded, steps)
        self._worker.yielded.connect(self._on_yielded)
        self._worker.returned.connect(self._on_returned)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()

    def cancel(self) -> None:
        """Ask the job to stop; it does so before its next event."""
        if self._worker is not None:
            self._worker.quit()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Cancel when the panel is closed: napari takes it out of its dock then, and tells it nothing else."""
        moved = event is not None and event.type() == QEvent.Type.ParentChange
        if moved and isinstance(watched, QWidget) and watched.parent() is None:
            self.cancel()
        return False

    def _on_yielded(self, event: Progress) -> None:
        if not self.stopping:
            self.progressed.emit(event)

    def _on_returned(self, result: Any) -> None:
        self._result = result

    def _on_finished(self) -> None:
        """Settle the job: the worker sends this last, and after a request to stop sends nothing else for sure."""
        result, stopped = self._result, self._worker.abort_requested
        if self._steps is not None:
            # A stopped worker leaves the generator where it is; closing it lets the job clean up.
            self._steps.close()
        self._worker = self._steps = self._result = None
        if isinstance(result, _Failure):
            self.failed.emit(result.message)
        elif stopped:
            self.cancelled.emit()
        else:
            self.finished.emit(result)
