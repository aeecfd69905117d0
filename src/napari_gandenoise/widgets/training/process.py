"""Training in a process of its own, so that the viewer stays free: lines of JSON come back, commands go in."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from numpy.typing import NDArray
from qtpy.QtCore import QCoreApplication, QObject, QProcess, QTimer, Signal

from napari_gandenoise.progress import Progress
from napari_gandenoise.settings.train import AnyTrainConfig
from napari_gandenoise.training import TrainPreview
from napari_gandenoise.widgets.training.background import give_way, start_background

__all__ = ["TrainingProcess"]

GRACE_MS = 20_000  # to write a checkpoint after the request to stop
LAST_GRACE_MS = 5_000
KEPT_ERRORS = 20_000  # characters of stderr

_log = logging.getLogger(__name__)
# A child that is still writing its checkpoint outlives the panel that started it.
_running: set[TrainingProcess] = set()


class TrainingProcess(QObject):
    """One training run at a time, as a child process.

    Parameters
    ----------
    command : list of str, optional
        What to run instead of ``napari-gandenoise`` of this Python.
    grace_ms, last_grace_ms : int
        Milliseconds that a run has to write a checkpoint after the request to stop, and to end once it is told to.

    Signals
    -------
    progressed : Progress
        An event of the run.
    finished : bool
        The run has ended without an error; True if it was stopped before its end.
    failed : str
        The run has ended with an error; the sentence is for the user.

    Attributes
    ----------
    goes_on : bool
        Whether the run, once it is stopped, goes on from its checkpoint in a process that outlives the application.
    """

    progressed = Signal(object)
    finished = Signal(bool)
    failed = Signal(str)

    def __init__(
        self, command: list[str] | None = None, *, grace_ms: int = GRACE_MS, last_grace_ms: int = LAST_GRACE_MS
    ) -> None:
        super().__init__()
        self._command = command or [sys.executable, "-m", "napari_gandenoise.cli"]
        self._grace, self._last_grace = grace_ms, last_grace_ms
        self._process: QProcess | None = None
        self._folder: Path | None = None
        self._errors = ""
        self._stopping = False
        self.goes_on = False
        self._config: AnyTrainConfig | None = None
        self._preview: tuple[str, float] = ("", 0.0)

    @property
    def running(self) -> bool:
        """Whether the child lives."""
        return self._process is not None

    @property
    def stopping(self) -> bool:
        """Whether the child was asked to stop and has not yet."""
        return self.running and self._stopping

    def start(self, config: AnyTrainConfig, *, resume: bool) -> None:
        """Start a run, or go on with the one in its output folder."""
        if self.running:
            raise RuntimeError("A run is under way already.")
        self._folder = Path(tempfile.mkdtemp(prefix="gandenoise-"))
        settings = self._folder / f"{config.name}.yaml".replace("/", "-")
        settings.write_text(yaml.safe_dump(config.model_dump(mode="json"), allow_unicode=True), encoding="utf-8")
        self._errors, self._stopping, self._preview = "", False, ("", 0.0)
        self._config, self.goes_on = config, False
        process = self._process = QProcess()
        process.readyReadStandardOutput.connect(self._on_output)
        process.readyReadStandardError.connect(self._on_errors)
        process.started.connect(self._on_started)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.wait)
        _running.add(self)
        program, *words = self._command
        process.start(program, [*words, "train", str(settings), "--events", *(["--resume"] if resume else [])])

    def pause(self) -> None:
        """Let the run wait before its next step."""
        self._say("pause")

    def resume(self) -> None:
        """Let a run that waits go on."""
        self._say("resume")

    def stop(self) -> None:
        """Ask the run to write a checkpoint and end; one that does not answer is ended."""
        if self._process is None or self._stopping:
            return
        self._stopping = True
        self._say("stop")
        process = self._process
        for delay, end in ((self._grace, process.terminate), (self._grace + self._last_grace, process.kill)):
            timer = QTimer(process)  # which goes with the process
            timer.setSingleShot(True)
            timer.timeout.connect(end)
            timer.start(delay)

    def wait(self) -> None:
        """Stop the run and wait until it has: for the moment in which the application ends."""
        if self._process is None:
            return
        self.stop()
        process = self._process
        if process.waitForFinished(self._grace):
            return
        process.terminate()
        if not process.waitForFinished(self._last_grace):
            process.kill()
            process.waitForFinished(self._last_grace)

    def _say(self, command: str) -> None:
        if self._process is not None:
            self._process.write(f"{command}\n".encode())
            # Without a turn of the event loop nothing would be sent while the application ends.
            self._process.waitForBytesWritten(100)

    def _on_started(self) -> None:
        if self._process is None:
            return
        try:
            give_way(psutil.Process(int(self._process.processId())))
        except psutil.Error as error:
            _log.info("The priority of the run stays as it is: %s", error)

    def _on_output(self) -> None:
        process = self._process
        # Whoever hears of an event may do something that ends the run.
        while process is not None and process is self._process and process.canReadLine():
            line = bytes(process.readLine().data()).decode("utf-8", "replace")
            event = self._event(line)
            if event is not None:
                self.progressed.emit(event)

    def _event(self, line: str) -> Progress | None:
        try:
            fields: dict[str, Any] = json.loads(line)
            stage, done, total = str(fields["stage"]), int(fields["done"]), int(fields["total"])
            values = {str(name): float(value) for name, value in (fields.get("values") or {}).items()}
        except (ValueError, TypeError, KeyError, AttributeError):
            _log.info("The run said: %s", line.rstrip())
            return None
        preview = self._read_preview(fields.get("preview"))
        return Progress(stage, done, total, preview, values, str(fields.get("note") or ""))

    def _read_preview(self, path: Any) -> TrainPreview | None:
        """Read the preview unless it is one that was read before."""
        if not path:
            return None
        try:
            identity = (str(path), Path(path).stat().st_mtime)
            if identity == self._preview:
                return None
            with np.load(path, allow_pickle=False) as stored:
                preview = TrainPreview(_tiles(stored["samples"]), _tiles(stored["real"]))
        except (OSError, ValueError, KeyError) as error:
            _log.info("The preview %s cannot be read: %s", path, error)
            return None
        self._preview = identity
        return preview

    def _on_errors(self) -> None:
        if self._process is not None:
            said = bytes(self._process.readAllStandardError().data()).decode("utf-8", "replace")
            self._errors = (self._errors + said)[-KEPT_ERRORS:]

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._settle()
            self.failed.emit("Training could not be started: the Python of this napari is not found any more.")

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._on_output()
        self._on_errors()
        stopping, errors = self._stopping, self._errors
        self._settle()
        if stopping and self.goes_on and self._config is not None:
            try:
                start_background(self._command, self._config)
            except OSError as error:
                _log.error("The run could not go on in the background: %s", error)
        crashed = status == QProcess.ExitStatus.CrashExit
        if not crashed and code == 0:
            self.finished.emit(stopping)
        elif stopping:
            _log.info("The run was ended while it stopped (%s): %s", code, errors)
            self.finished.emit(True)
        else:
            _log.error("Training failed (exit code %s):\n%s", code, errors)
            self.failed.emit(_sentence(errors, code, crashed=crashed))

    def _settle(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.deleteLater()
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.disconnect(self.wait)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        _running.discard(self)


def _tiles(array: NDArray[Any]) -> NDArray[np.float32]:
    if array.ndim != 4:
        raise ValueError(f"tiles of {array.ndim} axes")
    return np.asarray(array, np.float32)


def _sentence(errors: str, code: int, *, crashed: bool) -> str:
    """Say in a sentence why a run ended: its own, the last line of a traceback, or that it was killed."""
    own, traceback = "napari-gandenoise: ", "Traceback (most recent call last)"
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    sentences = [line.removeprefix(own) for line in lines if line.startswith(own)]
    if sentences and not crashed:
        return sentences[-1]
    if traceback in errors and not crashed:
        return f"Training failed ({lines[-1]}); the log has the details."
    return f"Training ended unexpectedly (code {code}); Resume goes on from its last checkpoint, if there is one."
