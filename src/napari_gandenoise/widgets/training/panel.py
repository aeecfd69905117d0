"""Below the fields of the Train panel: buttons, progress, alarm, curves and samples."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_gandenoise.progress import Progress
from napari_gandenoise.widgets.layout.rows import copy_row, in_row, note
from napari_gandenoise.widgets.plots.loss_plot import LossPlot
from napari_gandenoise.widgets.plots.sample_grid import SampleGrid

__all__ = ["TrainingPanel"]

BAR_HEIGHT = 12
ALARM = "background: #8a4b00; color: white; border-radius: 3px; padding: 5px;"


class TrainingPanel(QWidget):
    """Show where a run stands: curves and pictures here, and in `foot`, which stays in sight, plan and buttons.

    Signals
    -------
    start_clicked, pause_clicked, stop_clicked, new_clicked, save_clicked, use_clicked
        A button was pressed; *Start* may say *Resume* or *Adapt*, and *Pause* may say *Continue*.
    copy_clicked : str
        The settings are wanted as "python", "command" or "yaml".
    """

    start_clicked = Signal()
    pause_clicked = Signal()
    stop_clicked = Signal()
    new_clicked = Signal()
    save_clicked = Signal()
    use_clicked = Signal()
    copy_clicked = Signal(str)

    def __init__(self, theme: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.foot = QWidget()
        self.plan, self.warning = note(), note()
        self.start = _button("Start", "Train with these settings, in a process of its own.")
        self.pause = _button("Pause", "Let the run wait, without losing anything.")
        self.stop = _button("Stop", "Write a checkpoint and end the run; it can be resumed.")
        self.new = _button(
            "New run", "Leave the run of this folder as it is, and set up another one like it beside it."
        )
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(BAR_HEIGHT)
        self.status = note()
        self.alarm = note()
        self.alarm.setStyleSheet(ALARM)
        self.plot = LossPlot(theme)
        self.grid = SampleGrid()
        self.grid.setToolTip("Held-out tiles, and what the model makes: generated ones, or the noisy ones denoised.")
        self.as_layer = QCheckBox("Samples as a layer")
        self.as_layer.setToolTip("A layer of the viewer with the model's tiles, which follows the run.")
        self.save = _button("Save as…", "Keep the model under a name, by which the Denoise panel then offers it.")
        self.use = _button(
            "Use in Denoise", "Keep the model under its name, open the Denoise panel and choose it there."
        )
        self._lay_out()
        for button in ("start", "pause", "stop", "new", "save", "use"):
            getattr(self, button).clicked.connect(getattr(self, f"{button}_clicked"))
        self.show_alarm("")
        self.show_warning("")
        self.show_curves(shown=False)
        self.show_idle("")

    def _lay_out(self) -> None:
        self._run = QWidget()
        inside = self._inside = QVBoxLayout(self._run)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addWidget(self.plot)
        inside.addWidget(self.grid)
        inside.addWidget(self.as_layer)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._run)
        column.addLayout(copy_row(self.copy_clicked))
        foot = QVBoxLayout(self.foot)
        foot.setContentsMargins(0, 0, 0, 0)
        foot.addWidget(self.plan)
        foot.addWidget(self.warning)
        foot.addLayout(in_row(self.start, self.pause, self.stop))
        foot.addLayout(in_row(self.new, self.save, self.use))
        foot.addWidget(self.bar)
        foot.addWidget(self.status)
        foot.addWidget(self.alarm)

    def add_pictures(self, pictures: QWidget) -> None:
        """Add pictures of something else below the samples."""
        self._inside.insertWidget(self._inside.indexOf(self.grid) + 1, pictures)

    def show_pictures(self, *, shown: bool) -> None:
        """Show what a training run draws, or hide it where nothing is trained."""
        self._run.setVisible(shown)

    def show_plan(self, sentence: str) -> None:
        """Say what would be trained, or why it cannot."""
        self.plan.setText(sentence)

    def show_warning(self, sentence: str) -> None:
        """Say what is doubtful about what would be trained on."""
        self.warning.setText(f"⚠ {sentence}" if sentence else "")
        self.warning.setVisible(bool(sentence))

    def show_saving(self) -> None:
        """Offer to keep the model of a run that goes on."""
        self.save.setVisible(True)

    def show_model(self, *, there: bool, may_leave: bool) -> None:
        """Offer what can be done with a model, if there is one, and to leave the run that it is of."""
        for button in (self.save, self.use):
            button.setVisible(there)
        self.new.setVisible(may_leave)

    def show_idle(self, message: str | None = None, *, start: str = "Start", may_start: bool = True) -> None:
        """Show that nothing is running, how the last run ended, and what the first button would do."""
        self.start.setText(start)
        self.start.setEnabled(may_start)
        self.pause.setText("Pause")
        self.pause.setEnabled(False)
        self.stop.setEnabled(False)
        self.bar.setVisible(False)
        if message is not None:
            self._say(message)

    def show_running(self, *, pauses: bool = True) -> None:
        """Show that a run has begun."""
        self.start.setEnabled(False)
        self.show_model(there=False, may_leave=False)
        self.pause.setText("Pause")
        self.pause.setEnabled(pauses)
        self.stop.setEnabled(True)
        self.bar.setVisible(True)
        self.bar.setRange(0, 0)
        self.show_alarm("")
        self._say("starting…")

    def show_background(self) -> None:
        """Show that a run goes on elsewhere: it can be stopped from here, and no more."""
        self.show_idle("", start="Resume", may_start=False)
        self.stop.setEnabled(True)

    def show_paused(self, *, paused: bool) -> None:
        """Show that a run waits, or goes on."""
        self.pause.setText("Continue" if paused else "Pause")
        if paused:
            self._say("paused")

    def show_stopping(self, words: str = "stopping: a checkpoint is written…") -> None:
        """Show that a run was asked to stop."""
        self.pause.setEnabled(False)
        self.stop.setEnabled(False)
        self.bar.setRange(0, 0)
        self._say(words)

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


def _button(title: str, tip: str) -> QPushButton:
    button = QPushButton(title)
    button.setToolTip(tip)
    return button
