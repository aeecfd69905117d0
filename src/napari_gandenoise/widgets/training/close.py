"""What becomes of a run when napari is closed: the user is asked, and may still not close it."""

from __future__ import annotations

from collections.abc import Callable
from weakref import ReferenceType, ref

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QMainWindow, QMessageBox, QWidget

from napari_gandenoise.widgets.training.process import TrainingProcess

__all__ = ["CloseGuard"]

TITLE = "Training is under way"
STOP, GO_ON, STAY = "Stop, keep the checkpoint", "Train on in the background", "Do not close"
WHAT = (
    "{run} is being trained.\n\n"
    "Stopped, it goes on from its checkpoint whenever you choose its folder in the Train panel and press Resume. "
    "In the background it trains on without napari, and the Train panel finds it there."
)


class CloseGuard(QObject):
    """Ask before the window closes in which a run is under way.

    Parameters
    ----------
    panel : QWidget
        The panel that runs it.
    process : TrainingProcess
        The run.
    what : callable
        Names the run: ``hrtem (step 350 of 1,500)``.
    """

    def __init__(self, panel: QWidget, process: TrainingProcess, what: Callable[[], str]) -> None:
        super().__init__(panel)
        self._panel, self._process, self._what = panel, process, what
        self._seen: ReferenceType[QMainWindow] | None = None  # a window must not live on for who looks after it

    @property
    def _window(self) -> QMainWindow | None:
        return None if self._seen is None else self._seen()

    def watch(self) -> None:
        """Look after the window that the panel is in now, if it is in one."""
        found: QObject | None = self._panel
        while found is not None and not isinstance(found, QMainWindow):
            found = found.parent()
        if found is self._window:
            return
        if self._window is not None:
            self._window.removeEventFilter(self)
        self._seen = None if found is None else ref(found)
        if found is not None:
            found.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Let the window close only if the user says so; napari itself is asked afterwards."""
        closes = event is not None and event.type() == QEvent.Type.Close and watched is self._window
        if not closes or event is None or not self._process.running or self._by_script():
            return False
        answer = self._ask()
        if answer == STAY:
            event.ignore()
            return True
        self._process.goes_on = answer == GO_ON
        return False

    def _by_script(self) -> bool:
        """Whether a script closes the viewer, which closes the canvas first and would not be told of a refusal."""
        centre = None if self._window is None else self._window.centralWidget()
        if centre is None:
            return False
        options = Qt.FindChildOption.FindDirectChildrenOnly
        return all(part.isHidden() for part in centre.findChildren(QWidget, options=options))

    def _ask(self) -> str:
        box = QMessageBox(QMessageBox.Icon.Question, TITLE, WHAT.format(run=self._what()), parent=self._window)
        stop = box.addButton(STOP, QMessageBox.ButtonRole.AcceptRole)
        box.addButton(GO_ON, QMessageBox.ButtonRole.AcceptRole)
        stay = box.addButton(STAY, QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(stop)
        box.setEscapeButton(stay)
        box.exec()
        clicked = box.clickedButton()
        return STAY if clicked is None else clicked.text().replace("&", "")
