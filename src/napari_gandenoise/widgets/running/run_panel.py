"""Below the fields: the plan, Run and Cancel, progress, the line of trust, and copies of the settings."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QProgressBar, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_gandenoise.progress import Progress
from napari_gandenoise.widgets.layout.rows import copy_row, in_row, note

__all__ = ["RunPanel"]


class RunPanel(QWidget):
    """Show where a run stands.

    Parameters
    ----------
    title, other : str
        What the button that runs says; what a second one says, if there is a second way to run.
    large : bool
        Whether it is the one button of its panel.

    Signals
    -------
    run_clicked, cancel_clicked
        A button was pressed.
    other_clicked
        The second way to run, where there is one.
    copy_clicked : str
        The settings are wanted as "python", "command" or "yaml".
    """

    run_clicked = Signal()
    other_clicked = Signal()
    cancel_clicked = Signal()
    copy_clicked = Signal(str)

    def __init__(
        self, title: str = "Run", other: str = "", parent: QWidget | None = None, *, large: bool = False
    ) -> None:
        super().__init__(parent)
        self.plan = note()
        self._free = self._possible = True
        self.run = QPushButton(title)
        if large:
            self.run.setStyleSheet("font-weight: bold; padding: 8px")
            self.run.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.other = QPushButton(other, self)
        self.other.setVisible(bool(other))
        self.cancel = QPushButton("Cancel")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.status = note()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.plan)
        if other:
            column.addLayout(in_row(self.run, self.other))
            column.addWidget(self.cancel)
        else:
            column.addLayout(in_row(self.run, self.cancel))
        column.addWidget(self.bar)
        column.addWidget(self.status)
        column.addLayout(copy_row(self.copy_clicked))
        self.run.clicked.connect(self.run_clicked)
        self.other.clicked.connect(self.other_clicked)
        self.cancel.clicked.connect(self.cancel_clicked)
        self.show_idle()

    def show_plan(
        self, sentence: str, warnings: tuple[str, ...] = (), *, details: str = "", possible: bool = True
    ) -> None:
        """Show the plan in a line, its warnings below, details where the mouse rests; or what stands in the way."""
        self.plan.setText("\n".join([sentence, *(f"⚠ {warning}" for warning in warnings)]))
        self.plan.setToolTip(details)
        self._possible = possible
        self.run.setEnabled(self._free and possible)

    def show_idle(self, message: str = "") -> None:
        """Show that nothing is running, and how the last run ended."""
        self._free = True
        self._allow_runs()
        self.cancel.setEnabled(False)
        self.bar.setVisible(False)
        self._say(message)

    def show_running(self) -> None:
        """Show that a run has begun."""
        self._free = False
        self._allow_runs()
        self.cancel.setEnabled(True)
        self.bar.setVisible(True)
        self.bar.setRange(0, 0)
        self._say("starting…")

    def show_progress(self, event: Progress, words: str) -> None:
        """Show how far a run is."""
        self.bar.setRange(0, event.total)
        self.bar.setValue(event.done)
        self._say(words)

    def show_stopping(self, message: str) -> None:
        """Show that a run was cancelled; the next one waits until its computation has stopped."""
        self.show_idle(message)
        self._free = False
        self._allow_runs()

    def show_stopped(self) -> None:
        """Show that the next run can begin."""
        self._free = True
        self._allow_runs()

    def _allow_runs(self) -> None:
        self.run.setEnabled(self._free and self._possible)
        self.other.setEnabled(self._free)

    def _say(self, words: str) -> None:
        self.status.setText(words)
        self.status.setVisible(bool(words))
