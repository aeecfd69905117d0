"""A training run as the panel shows it: layers are written, a process trains, its events become curves and words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from napari.layers import Image
from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QObject, Signal

from napari_gandenoise.progress import Progress
from napari_gandenoise.settings.train import AnyTrainConfig, DirectTrainConfig
from napari_gandenoise.widgets.running.activity import Activity
from napari_gandenoise.widgets.running.eta import Eta
from napari_gandenoise.widgets.running.inspector import Answer, Inspector
from napari_gandenoise.widgets.training.folder import length_of
from napari_gandenoise.widgets.training.layers import write_layers
from napari_gandenoise.widgets.training.panel import TrainingPanel
from napari_gandenoise.widgets.training.process import TrainingProcess

__all__ = ["TrainingRun"]

STATUS_SECONDS = 0.2  # between two looks of the progress line: a run may send hundreds of events a second
STOPPED = "Stopped; Resume goes on from here."
FINISHED = "Finished. Use it in Denoise, or save it under another name."


class TrainingRun(QObject):
    """One run at a time.

    Parameters
    ----------
    panel : TrainingPanel
        Where it is shown.
    process : TrainingProcess
        What runs it.
    parent : QObject
        What it goes with.

    Signals
    -------
    drawn : TrainPreview
        Samples of the model, after its file was written.
    ended : str, bool
        The run has ended; what there is to say, and whether it has come to its end.
    """

    drawn = Signal(object)
    ended = Signal(str, bool)

    def __init__(self, panel: TrainingPanel, process: TrainingProcess, parent: QObject) -> None:
        super().__init__(parent)
        self._panel, self.process = panel, process
        self._writer = Inspector(self)
        self._activity = Activity("Train")
        self._eta, self._shown_at = Eta(0.0), 0.0
        self._resumes = self._paused = False
        self._taken: dict[str, int] = {}
        self._at: Progress | None = None
        self.config: AnyTrainConfig | None = None
        self._writer.answered.connect(self._on_layers_written)
        process.progressed.connect(self._on_progressed)
        process.finished.connect(self._on_finished)
        process.failed.connect(self._on_failed)

    @property
    def busy(self) -> bool:
        """Whether a run, or its preparation, is under way."""
        return self.process.running or self._writer.busy

    def start(self, config: AnyTrainConfig, *, resume: bool, layers: Sequence[Image] = ()) -> None:
        """Start a run, or go on with the one in its folder.

        Parameters
        ----------
        config : TrainConfig or DirectTrainConfig
            The run.
        resume : bool
            Whether to go on.
        layers : sequence of Image
            What is written first, if it is trained on layers.
        """
        self.config, self._resumes = config, resume
        self._eta, self._taken, self._paused, self._at = Eta(0.0), {}, False, None
        self._panel.show_plan(f"{config.name}: {length_of(config)}")
        self._panel.show_running()
        writes = partial(write_layers, layers, config.output / "layers")
        self._writer.ask(writes if layers else lambda: None)

    def _on_layers_written(self, answer: Answer) -> None:
        if self.config is None:
            return
        if answer.refusal:
            self._on_failed(answer.refusal)
            return
        self.process.start(self.config, resume=self._resumes)

    def pause(self) -> None:
        """Let the run wait, or go on if it does."""
        if not self.process.running or self.process.stopping:
            return
        self._paused = not self._paused
        if self._paused:
            self.process.pause()
        else:
            self.process.resume()
            self._eta = Eta(0.0)
        self._panel.show_paused(paused=self._paused)

    def stop(self) -> None:
        """Stop the run; it writes a checkpoint first, from which it can go on."""
        self._writer.forget()
        if self.process.running:
            self._panel.show_stopping()
            self.process.stop()
        elif self.config is not None:
            self._end("Stopped before the first step.", finished=False)

    def described(self) -> str:
        """Name the run and say where it stands: ``hrtem (train 350 of 1,500)``."""
        name = self.config.name if self.config is not None else "A model"
        at = self._at
        return name if at is None else f"{name} ({at.stage} {at.done:,} of {at.total:,})"

    def _on_progressed(self, event: Progress) -> None:
        config, self._at = self.config, event
        if config is None:
            return
        if event.note:
            self._panel.show_alarm(event.note)
            show_warning(event.note)
        if event.preview is not None:
            self.drawn.emit(event.preview)
        if event.values and event.stage in config.stages:
            self._panel.plot.add(self._before(event, config) + event.done, event.values)
            self._panel.show_curves(shown=True)
        words = self._eta.describe(event)
        now = time.monotonic()
        too_soon = now - self._shown_at < STATUS_SECONDS and event.done < event.total
        if self._paused or self.process.stopping or too_soon:
            return
        self._shown_at = now
        pace = event.values.get("steps per second")
        self._panel.show_progress(event, words + (f" · {pace:.3g} steps/s" if pace else ""))
        self._activity.show(event)

    def _before(self, event: Progress, config: AnyTrainConfig) -> int:
        """Count the steps of the stages before an event's; of a run by time no more is known than what was seen."""
        self._taken[event.stage] = event.done
        names = list(config.stages)
        timed = isinstance(config, DirectTrainConfig) and config.seconds is not None
        taken = self._taken if timed else {}
        return sum(taken.get(name, config.stages[name]) for name in names[: names.index(event.stage)])

    def _on_finished(self, stopped: bool) -> None:
        self._end(STOPPED if stopped else FINISHED, finished=not stopped)

    def _on_failed(self, sentence: str) -> None:
        self._end("", finished=False)
        show_error(sentence)

    def _end(self, message: str, *, finished: bool) -> None:
        self._activity.close()
        self.config = None
        self.ended.emit(message, finished)
