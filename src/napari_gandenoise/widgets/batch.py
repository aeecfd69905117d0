"""The Batch panel: many files, one job, that can be cancelled, resumed and looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from napari.utils.notifications import show_error, show_info
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QLabel, QPushButton, QWidget

from napari_gandenoise.batching import (
    LEDGER,
    BatchResult,
    batch_steps,
    find_sources,
    open_results,
    read_ledger,
)
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import list_models
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.widgets.running.activity import Activity
from napari_gandenoise.widgets._batch_form import BatchForm, Remembered
from napari_gandenoise.widgets.running.eta import Eta
from napari_gandenoise.widgets.layout.rows import refusals_shown, to_clipboard
from napari_gandenoise.widgets.running.run_panel import RunPanel
from napari_gandenoise.widgets.running.runner import Runner
from napari_gandenoise.widgets.layout.scroll import scrolled
from napari_gandenoise.widgets.forms.memory import recall, remember
from napari_gandenoise.widgets.forms.snippets import batch_command, batch_python, batch_yaml

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["BatchWidget"]

PANEL = "batch"
THUMBNAIL = 160  # pixels of the screen
MOST_LAYERS = 12


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
        self.form = BatchForm(list_models())
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
        self.form.restore(recall(PANEL, Remembered))
        self._connect()
        self._on_changed()

    def _connect(self) -> None:
        self.form.changed.connect(self._on_changed)
        self.form.failed.connect(show_error)
        self.form.model.failed.connect(show_error)
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
        output = self.form.output.value()
        self.open.setEnabled(self._has_job())
        self.panel.other.setEnabled(self._has_job())
        try:
            if output is not None and self._has_job():
                self._show_ledger(output)
                return
            sources = find_sources(self.form.files.inputs, output)
            self.form.files.show_files([source.path for source in sources])
            self.form.config()
        except GanDenoiseError as error:
            self.panel.show_plan(str(error))
            return
        self.panel.show_plan("1 file." if len(sources) == 1 else f"{len(sources)} files.")

    def _has_job(self) -> bool:
        output = self.form.output.value()
        return output is not None and (output / LEDGER).is_file()

    def _show_ledger(self, folder: Path) -> None:
        head, states = read_ledger(folder)
        self.form.files.show_files(head["files"].values(), list(states.values()))
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
            config = self.form.config()
        except GanDenoiseError as error:
            show_error(str(error))
            return
        remember(PANEL, self.form.remembered())
        self._start(config.output, batch_steps(config, **self._where()))

    def resume(self) -> None:
        """Go on with the job in the folder for the results, with its own settings."""
        output = self.form.output.value()
        if not self._runner.running and output is not None:
            self._start(output, batch_steps(output=output, resume=True, **self._where()))

    def _where(self) -> dict[str, Any]:
        return {"workers": self.form.workers.value(), "scheduler": self.form.scheduler.text().strip() or None}

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
            self.form.files.show_files(head["files"].values(), list(states.values()))
            self._listed = True
        if event.values:
            number, done, frames, failed = (int(event.values[name]) for name in ("file", "done", "of", "failed"))
            self.form.files.show_progress(number, done, frames, failed, event.note)
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
        output = self.form.output.value()
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

    def _on_copy(self, kind: str) -> None:
        with refusals_shown():
            config = self.form.config()
            where = {name: value for name, value in self._where().items() if value}
            text = {
                "python": lambda: batch_python(config, where),
                "command": lambda: batch_command(config, where),
                "yaml": lambda: batch_yaml(config),
            }[kind]()
            to_clipboard(text, kind, " It reads batch.yaml: save the YAML there." if kind == "command" else "")
