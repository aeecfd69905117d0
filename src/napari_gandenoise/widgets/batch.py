"""The Batch panel: many files, one job, that can be cancelled, resumed and looked at."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from napari.utils.notifications import show_error, show_info
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication, QImage, QPixmap
from qtpy.QtWidgets import QLabel, QPushButton, QWidget

from napari_gandenoise.batching import (
    BatchResult,
    batch_steps,
    find_sources,
    has_job,
    open_results,
    read_ledger,
)
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.batch import RESULTS, BatchConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.loader import read_mapping
from napari_gandenoise.settings.restore import RestoreConfig
from napari_gandenoise.widgets.fields.files import FileList
from napari_gandenoise.widgets.forms.form import SettingsForm
from napari_gandenoise.widgets.forms.make import plain
from napari_gandenoise.widgets.forms.snippets import as_yaml, call
from napari_gandenoise.widgets.layout.rows import refusals_shown, to_clipboard
from napari_gandenoise.widgets.layout.scroll import scrolled
from napari_gandenoise.widgets.running.activity import Activity
from napari_gandenoise.widgets.running.eta import Eta
from napari_gandenoise.widgets.running.run_panel import RunPanel
from napari_gandenoise.widgets.running.runner import Runner

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["BatchWidget"]

PANEL = "batch"
THUMBNAIL = 160  # pixels of the screen
MOST_LAYERS = 12
WORKERS = "Processes that compute a frame each; 0: compute here. They need the extra distributed."
SCHEDULER = "A Dask cluster to compute on instead: tcp://HOST:8786."


class BatchWidget(QWidget):
    """Denoise or restore folders and stacks from a viewer.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that gets the results.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.form = self._make_form()
        self.files: FileList = self.form.field("inputs")
        self.panel = RunPanel("Run", "Resume")
        self.thumbnail = QLabel()
        self.thumbnail.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.open = QPushButton("Open results")
        self.open.setToolTip(
            "Add the results that are whole as layers that are read from the disk when they are shown."
        )
        scrolled(self, self.form, self.panel, self.thumbnail, self.open)
        self._runner = Runner(self)
        self._eta = Eta(0.0)
        self._activity = Activity("Batch")
        self._folder: Path | None = None
        self._listed = self._paced = False
        self.form.recall(PANEL)
        self._connect()
        self._on_changed()

    def _make_form(self) -> SettingsForm:
        form = SettingsForm(BatchConfig, {"files": FileList})
        form.field("settings.noise").set_waiting("estimated from each image")
        self.paste = QPushButton("Paste settings")
        self.paste.setToolTip("Take settings that the Denoise or Restore panel has copied as YAML.")
        form.add_below("job", self.paste)
        form.add("workers", plain(int, min=0, max=512, tooltip=WORKERS), "Workers", group=RESULTS)
        form.add("scheduler", plain(str, tooltip=SCHEDULER), "Scheduler", group=RESULTS)
        return form

    def _connect(self) -> None:
        self.form.changed.connect(self._on_changed)
        self.paste.clicked.connect(self._on_paste)
        self.panel.run_clicked.connect(self.run)
        self.panel.other_clicked.connect(self.resume)
        self.panel.cancel_clicked.connect(self.cancel)
        self.panel.copy_clicked.connect(self._on_copy)
        self.open.clicked.connect(self.open_results)
        self._runner.progressed.connect(self._on_progressed)
        self._runner.finished.connect(self._on_finished)
        self._runner.cancelled.connect(self._on_stopped)
        self._runner.failed.connect(self._on_failed)

    @property
    def busy(self) -> bool:
        """Whether anything goes on in the background."""
        return self._runner.running

    # What there is to do

    def _on_changed(self) -> None:
        """Show what the folder for the results already holds, or else the files that the inputs stand for."""
        if self._runner.running:
            return
        output = self._output()
        self.open.setEnabled(self._has_job())
        self.panel.other.setEnabled(self._has_job())
        try:
            if output is not None and self._has_job():
                self._show_ledger(output)
                return
            sources = find_sources(self.files.inputs, output)
            self.files.show_files([source.path for source in sources])
            self._config()
        except GanDenoiseError as error:
            self.panel.show_plan(str(error))
            return
        self.panel.show_plan("1 file." if len(sources) == 1 else f"{len(sources)} files.")

    def _output(self) -> Path | None:
        given: Path | None = self.form["output"].value
        return None if given is None else given.absolute()

    def _config(self) -> BatchConfig:
        if not self.files.inputs:
            raise GanDenoiseError("Add the files or folders to compute.")
        output = self._output()
        if output is None:
            raise GanDenoiseError("Choose the folder for the results.")
        config: BatchConfig = self.form.config(output=output)
        return config

    def _has_job(self) -> bool:
        output = self._output()
        return output is not None and has_job(output)

    def _show_ledger(self, folder: Path) -> None:
        head, states = read_ledger(folder)
        self.files.show_files(head["files"].values(), list(states.values()))
        whole = sum(state.whole for state in states.values())
        done, frames = (sum(column) for column in zip(*((len(s.done), s.frames) for s in states.values()), strict=True))
        goes_on = "" if whole == len(states) else " Resume goes on with it."
        self.panel.show_plan(
            f"This folder holds a job: {done} of {frames} frames are done, {whole} of {len(states)} files are whole."
            f"{goes_on}"
        )

    # The run

    def run(self) -> None:
        """Start the job, in the background; nothing happens while one is under way."""
        if self._runner.running:
            return
        try:
            config = self._config()
        except GanDenoiseError as error:
            show_error(str(error))
            return
        self.form.remember(PANEL)
        self._start(config.output, batch_steps(config, **self._where()))

    def resume(self) -> None:
        """Go on with the job in the folder for the results, with its own settings."""
        output = self._output()
        if not self._runner.running and output is not None:
            self._start(output, batch_steps(output=output, resume=True, **self._where()))

    def _where(self) -> dict[str, Any]:
        return {"workers": self.form["workers"].value, "scheduler": self.form["scheduler"].value.strip() or None}

    def _start(self, folder: Path, steps: Steps[BatchResult]) -> None:
        self._folder, self._eta = folder, Eta(0.0)
        self._listed = self._paced = False
        self.panel.show_running()
        self._runner.start(steps)

    def cancel(self) -> None:
        """Stop the job; finished frames are kept, and Resume goes on with the others."""
        if not self._runner.running or self._runner.stopping:
            return
        self._runner.cancel()
        self._activity.close()
        self.panel.show_stopping("Cancelled; finished frames are kept. Resume goes on.")

    def _on_progressed(self, event: Progress) -> None:
        if not self._listed and self._folder is not None:
            head, states = read_ledger(self._folder)
            self.files.show_files(head["files"].values(), list(states.values()))
            self._listed = True
        if event.values:
            number, done, frames, failed = (int(event.values[name]) for name in ("file", "done", "of", "failed"))
            self.files.show_progress(number, done, frames, failed, event.note)
        elif event.note:
            show_info(event.note)
        words = self._eta.describe(event)
        if event.preview is not None:
            self._show_thumbnail(event.preview)
            self._paced = True
        # Before the first frame is done nobody knows how long one takes.
        self.panel.show_progress(event, words if self._paced else f"{event.stage} {event.done}/{event.total}")
        self._activity.show(event)

    def _show_thumbnail(self, image: NDArray[np.float32]) -> None:
        """Show the last result, small."""
        step = -(-max(image.shape[:2]) // THUMBNAIL)
        small = image[::step, ::step]
        low, high = np.nanpercentile(small, (0.5, 99.5))
        grey = np.clip(255 * (small - low) / max(high - low, 1e-9), 0, 255)
        pixels = np.ascontiguousarray(np.nan_to_num(grey), np.uint8)
        height, width = pixels.shape[:2]
        kind = QImage.Format.Format_RGB888 if pixels.ndim == 3 else QImage.Format.Format_Grayscale8
        shown = QImage(pixels.tobytes(), width, height, pixels.strides[0], kind)
        self.thumbnail.setPixmap(QPixmap.fromImage(shown))

    def _on_finished(self, result: BatchResult) -> None:
        self._end()
        self.panel.show_idle(result.summary())
        self._on_changed()
        if result.failures:
            where, reason = next(iter(result.failures.items()))
            others = f" And {len(result.failures) - 1} more." if len(result.failures) > 1 else ""
            show_error(f"{where}: {reason}{others}")

    def _on_stopped(self) -> None:
        self._end()
        self.panel.show_stopped()
        self._on_changed()

    def _on_failed(self, sentence: str) -> None:
        self._end()
        self.panel.show_idle()
        self._on_changed()
        show_error(sentence)

    def _end(self) -> None:
        self._activity.close()

    def open_results(self) -> None:
        """Add the results that are whole as layers that stay on the disk."""
        output = self._output()
        if output is None:
            return
        try:
            results = open_results(output)
        except GanDenoiseError as error:
            show_error(str(error))
            return
        for result in results[:MOST_LAYERS]:
            self._viewer.add_layer(Layer.create(*result.to_layer_data()))
        if not results:
            show_info("No result is whole yet.")
        elif len(results) > MOST_LAYERS:
            show_info(f"The first {MOST_LAYERS} of {len(results)} results are open; drop others onto the viewer.")

    # The settings elsewhere

    def take(self, settings: dict[str, Any]) -> None:
        """Take the settings of denoising or restoration.

        Raises
        ------
        GanDenoiseError
            If they are neither.
        """
        restores = "task" in settings
        config = configure(RestoreConfig if restores else DenoiseConfig, None, settings)
        job = "restore" if restores else "denoise"
        self.form.set_values({**self.form.values(), "job": job, "settings": config})

    def _on_paste(self) -> None:
        clipboard = QGuiApplication.clipboard()
        try:
            pasted = read_mapping(clipboard.text() if clipboard is not None else "", "The clipboard")
        except GanDenoiseError:
            show_error("There are no settings to paste: press Copy as YAML in the Denoise or Restore panel first.")
            return
        try:
            self.take(pasted)
        except GanDenoiseError as error:
            show_error(f"What was copied cannot be used: {error}")

    def _on_copy(self, kind: str) -> None:
        with refusals_shown():
            config = self._config()
            where = {name: value for name, value in self._where().items() if value}
            if kind == "python":
                text = _python(config, where)
            elif kind == "command":
                words = ["napari-gandenoise", "batch", "batch.yaml", "--output", str(config.output)]
                text = shlex.join(words + [word for name, value in where.items() for word in (f"--{name}", str(value))])
            else:
                text = as_yaml(config)
            to_clipboard(text, kind, " It reads batch.yaml: save the YAML there." if kind == "command" else "")


def _python(config: BatchConfig, where: dict[str, Any]) -> str:
    """Python of a batch job; workers are other processes, which read the script as well."""
    made = "result = " + call("gd.batch", [f"{name}={value!r}" for name, value in where.items()], config)
    lines = [f"    {line}" for line in [*made.splitlines(), "print(result.summary())"]]
    return "\n".join(["import napari_gandenoise as gd", "", 'if __name__ == "__main__":', *lines, ""])
