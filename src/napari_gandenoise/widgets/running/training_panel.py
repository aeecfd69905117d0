"""Below the fields of the Train panel: buttons, progress, alarm, curves and samples."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_gandenoise.progress import Progress
from napari_gandenoise.widgets.layout.rows import copy_row, in_row, note
from napari_gandenoise.widgets.plots.loss_plot import LossPlot
from napari_gandenoise.widgets.plots.sample_grid import SampleGrid

__all__ = ["TrainingPanel"]

ALARM = "background: #8a4b00; color: white; border-radius: 3px; padding: 5px;"


class TrainingPanel(QWidget):
    """Show where a run stands.

    Signals
    -------
    start_clicked, pause_clicked, stop_clicked, save_clicked
        A button was pressed; *Start* may say *Resume* and *Pause* may say *Continue*.
    copy_clicked : str
        The settings are wanted as "python", "command" or "yaml".
    """

    start_clicked = Signal()
    pause_clicked = Signal()
    stop_clicked = Signal()
    save_clicked = Signal()
    copy_clicked = Signal(str)

    def __init__(self, theme: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plan = note()
        self.start = QPushButton("Start")
        self.pause = QPushButton("Pause")
        self.stop = QPushButton("Stop")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.status = note()
        self.alarm = note()
        self.alarm.setStyleSheet(ALARM)
        self.plot = LossPlot(theme)
        self.grid = SampleGrid()
        self.as_layer = QCheckBox("Samples as a layer")
        self.as_layer.setToolTip("A layer of the viewer with the generated tiles, which follows the run.")
        self.save = QPushButton("Save as…")
        self.save.setToolTip("Keep the model under a name, by which the Denoise panel then offers it.")
        self._lay_out()
        self.start.clicked.connect(self.start_clicked)
        self.pause.clicked.connect(self.pause_clicked)
        self.stop.clicked.connect(self.stop_clicked)
        self.save.clicked.connect(self.save_clicked)
        self.show_alarm("")
        self.show_curves(shown=False)
        self.show_idle("")

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.plan)
        column.addLayout(in_row(self.start, self.pause, self.stop))
        for widget in (self.bar, self.status, self.alarm, self.plot, self.grid):
            column.addWidget(widget)
        column.addLayout(in_row(self.as_layer, self.save))
        column.addLayout(copy_row(self.copy_clicked))

    def show_plan(self, sentence: str) -> None:
        """Say what would be trained, or why it cannot."""
        self.plan.setText(sentence)

    def show_idle(self, message: str | None = None, *, resumes: bool = False, may_start: bool = True) -> None:
        """Show that nothing is running, and how the last run ended."""
        self.start.setText("Resume" if resumes else "Start")
        self.start.setEnabled(may_start)
        self.pause.setText("Pause")
        self.pause.setEnabled(False)
        self.stop.setEnabled(False)
        self.bar.setVisible(False)
        if message is not None:
            self._say(message)

    def show_running(self) -> None:
        """Show that a run has begun."""
        self.start.setEnabled(False)
        self.pause.setText("Pause")
        self.pause.setEnabled(True)
        self.stop.setEnabled(True)
        self.bar.setVisible(True)
        self.bar.setRange(0, 0)
        self.show_alarm("")
        self._say("starting…")

    def show_paused(self, *, paused: bool) -> None:
        """Show that a run waits, or goes on."""
        self.pause.setText("Continue" if paused else "Pause")
        if paused:
            self._say("paused")

    def show_stopping(self) -> None:
        """Show that a run was asked to stop."""
        self.pause.setEnabled(False)
        self.stop.setEnabled(False)
        self.bar.setRange(0, 0)
        self._say("stopping: a checkpoint is written…")

    def show_progress(self, event: Progress, words: str) -> None:
        """Show how far a run is."""
        self.bar.setRange(0, max(event.total, 1))
        self.bar.setValue(event.done)
        self._say(words)

    def show_alarm(self, sentence: str) -> None:
        """Show what the run wants the user to know, until the next run; nothing hides the line."""
        self.alarm.setText(f"⚠ {sentence}" if sentence else "")
        self.alarm.setVisible(bool(sentence))

    def show_curves(self, *, shown: bool) -> None:
        """Show or hide the curves."""
        self.plot.setVisible(shown)

    def _say(self, words: str) -> None:
        self.status.setText(words)
        self.status.setVisible(bool(words))
