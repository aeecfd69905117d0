"""Look at an image in the background: calibrate its noise and plan the run, while the user sets the fields."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, QTimer, Signal

from napari_gandenoise.errors import GanDenoiseError

__all__ = ["Answer", "Inspector"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """A value, or the sentence that says why there is none."""

    value: Any = None
    refusal: str = ""


def _answer(question: Callable[[], Any]) -> Answer:
    try:
        return Answer(question())
    except GanDenoiseError as error:
        return Answer(refusal=str(error))
    except Exception as error:
        _log.exception("Looking at the image failed.")
        return Answer(refusal=f"Looking at the image failed ({type(error).__name__}: {error}).")


class Inspector(QObject):
    """Answer the latest of many questions, away from the window's thread.

    A question waits until none has come for a moment; an answer to a question that is no longer the latest
    is dropped.

    Signals
    -------
    answered : Answer
        The answer to the latest question.
    """

    answered = Signal(object)

    def __init__(self, parent: QObject | None = None, *, patience_ms: int = 150) -> None:
        super().__init__(parent)
        self._question: Callable[[], Any] | None = None
        self._worker: Any = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(patience_ms)
        self._timer.timeout.connect(self._ask)

    @property
    def busy(self) -> bool:
        """Whether a question is open."""
        return self._question is not None or self._worker is not None

    def ask(self, question: Callable[[], Any]) -> None:
        """Ask a question: a function that is called in another thread."""
        self._question = question
        self._timer.start()

    def forget(self) -> None:
        """Drop the open question and its answer."""
        self._question = None
        self._timer.stop()

    def _ask(self) -> None:
        if self._worker is not None or self._question is None:
            return
        question = self._question
        self._worker = create_worker(_answer, question)
        self._asked = question
        self._worker.returned.connect(self._on_returned)
        self._worker.start()

    def _on_returned(self, answer: Answer) -> None:
        self._worker = None
        if self._question is self._asked:
            self._question = None
            self.answered.emit(answer)
        elif self._question is not None and not self._timer.isActive():
            self._ask()
