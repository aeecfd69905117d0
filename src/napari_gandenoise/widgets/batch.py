"""The Batch panel: many files, one job, that can be cancelled, resumed and looked at."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QMimeData
from qtpy.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QGuiApplication
from qtpy.QtWidgets import QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_gandenoise.batching import (
    BatchResult,
    FileProgress,
    Pair,
    batch_steps,
    find_sources,
    has_job,
    pairs_of,
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
from napari_gandenoise.widgets.layout.rows import in_row, refusals_shown, to_clipboard
from napari_gandenoise.widgets.layout.scroll import scrolled
from napari_gandenoise.widgets.pairs.model import Row
from napari_gandenoise.widgets.running.activity import Activity
from napari_gandenoise.widgets.running.eta import Eta
from napari_gandenoise.widgets.running.run_panel import RunPanel
from napari_gandenoise.widgets.running.runner import Runner
from napari_gandenoise.widgets.viewer.pair_layers import PairLayers

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["BatchWidget"]

PANEL = "batch"
FRONT = (
    "inputs",
    "output",
    "job",
    "settings.model",
    "settings.task",
    "mask",
    "settings.preset",
    "settings.pixel_size_nm",
)
MOST_OPEN = 12  # results that are opened together
NEW = "not part of the job in this folder; choose another folder for its results"
WORKERS = "Processes that compute a frame each; 0: compute here. They need the extra distributed."
SCHEDULER = "A Dask cluster to compute on instead: tcp://HOST:8786."
TOOLTIPS = {
    "run": "Begin the job: compute all files and write the results into the folder.",
    "other": "Go on with the job in the folder: what is done stays, what failed is tried again.",
    "cancel": "Stop the job; frames that are done are kept, and Resume goes on.",
    "bar": "Frames of all files.",
}


class BatchWidget(QWidget):
    """Denoise or restore folders and stacks from a viewer.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that gets the results.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._shown = PairLayers(napari_viewer)
        self.form = self._make_form()
        self.files: FileList = self.form.field("inputs")
        self.panel = RunPanel("Run", "Resume", large=True)
        for name, words in TOOLTIPS.items():
            getattr(self.panel, name).setToolTip(words)
        self.open_pair = QPushButton("Open pair")
        self.open_pair.setToolTip(
            "Open the selected file and its result in the viewer, as a double-click or Enter does."
        )
        self.open = QPushButton("Open results")
        self.open.setToolTip(f"Open the results that are whole beside each other, up to {MOST_OPEN}, a layer each.")
        self._lay_out()
        self._runner = Runner(self)
        self._eta = Eta(0.0)
        self._activity = Activity("Batch")
        self._folder: Path | None = None
        self._listed: tuple[object, ...] = ()  # what the list was made of
        self._said = ""  # of what is in the list
        self._paced = False
        self.form.recall(PANEL)
        self._connect()
        self.open_pair.setEnabled(False)
        self._on_changed()

    def _make_form(self) -> SettingsForm:
        form = SettingsForm(BatchConfig, {"files": FileList}, front=FRONT)
        form.field("settings.noise").set_waiting("estimated from each image")
        self.paste = QPushButton("Paste settings")
        self.paste.setToolTip("Take settings that the Denoise or Restore panel has copied as YAML.")
        form.add_below("job", self.paste)
        form.add("workers", plain(int, min=0, max=512, tooltip=WORKERS), "Workers", group=RESULTS)
        form.add("scheduler", plain(str, tooltip=SCHEDULER), "Scheduler", group=RESULTS)
        return form

    def _lay_out(self) -> None:
        """Put what is pressed below what scrolls, so that it is always to be seen."""
        pinned = QWidget()
        rows = QVBoxLayout(pinned)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addLayout(in_row(self.open_pair, self.open))
        rows.addWidget(self.panel)
        scrolled(self, self.form, pinned=pinned)
        self.setAcceptDrops(True)
        for line in self.findChildren(QLineEdit):  # wherever a file is dropped, it is an input
            line.setAcceptDrops(False)

    def _connect(self) -> None:
        self.form.changed.connect(self._on_changed)
        self.paste.clicked.connect(self._on_paste)
        self.panel.run_clicked.connect(self.run)
        self.panel.other_clicked.connect(self.resume)
        self.panel.cancel_clicked.connect(self.cancel)
        self.panel.copy_clicked.connect(self._on_copy)
        self.open.clicked.connect(self.open_results)
        self.open_pair.clicked.connect(self._on_open_pair)
        self.files.view.opened.connect(self._open_row)
        self.files.view.selected.connect(self.open_pair.setEnabled)
        self._runner.progressed.connect(self._on_progressed)
        self._runner.finished.connect(self._on_finished)
        self._runner.cancelled.connect(self._on_stopped)
        self._runner.failed.connect(self._on_failed)

    @property
    def busy(self) -> bool:
        """Whether anything goes on in the background."""
        return self._runner.running

    # Files that are dropped

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:  # noqa: N802 - Qt's name
        """Take files and folders, unless a job runs."""
        if event is not None and not self.busy and _dropped(event.mimeData()):
            self.files.view.set_dropping(True)
            event.acceptProposedAction()

    def dragLeaveEvent(self, _event: QDragLeaveEvent | None) -> None:  # noqa: N802 - Qt's name
        """Forget what was dragged over the panel."""
        self.files.view.set_dropping(False)

    def dropEvent(self, event: QDropEvent | None) -> None:  # noqa: N802 - Qt's name
        """Add files and folders that were dropped, and say which of them hold no image."""
        self.files.view.set_dropping(False)
        if event is None:
            return
        refused = self.files.add_images(_dropped(event.mimeData()))
        event.acceptProposedAction()
        if refused:
            others = f" And {len(refused) - 1} more were left out." if len(refused) > 1 else ""
            show_info(f"Left out: {refused[0]}{others}")

    # What there is to do

    def _on_changed(self) -> None:
        """Show what the folder for the results already holds and the files that the inputs stand for."""
        if self._runner.running:
            return
        listed = (tuple(self.files.inputs), self._output(), self._has_job(), self.form["settings.image"].value)
        try:
            if listed != self._listed:  # to look into folders may take long
                self._said = self._list_files()
                self._listed = listed
            if not self._has_job():
                self._config()
        except GanDenoiseError as error:
            self.panel.show_plan(str(error), possible=False)
        else:
            self.panel.show_plan(self._said, possible=not self._has_job())
        self.open.setEnabled(self._has_job())
        self.panel.other.setEnabled(self._has_job())

    def _list_files(self) -> str:
        """List the files of the job in the folder and the inputs; return what there is to say of them."""
        output = self._output()
        job = pairs_of(output) if output is not None and self._has_job() else []
        known = {pair.source for pair in job}
        try:
            sources = find_sources(self.files.inputs, output)
        except GanDenoiseError:
            self.files.show_rows([Row(pair) for pair in job])
            raise
        image = self.form["settings.image"].value or None
        given = [Pair(source.name, source.path, image=image) for source in sources if source.path not in known]
        self.files.show_rows([*(Row(pair) for pair in job), *(Row(pair, NEW if job else "") for pair in given)])
        if not job:
            return "1 file." if len(sources) == 1 else f"{len(sources)} files."
        return _summary(job, len(given))

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
        self._listed, self._paced = (), False
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
            pairs = pairs_of(self._folder)
            self.files.view.thumbnails.forget(pair.result for pair in pairs if pair.result is not None)
            self.files.show_rows([Row(pair) for pair in pairs])
            self._listed = (self._folder,)
        if isinstance(event, FileProgress):
            self.files.show_progress(event)
        elif event.note:
            show_info(event.note)
        words = self._eta.describe(event)
        self._paced = self._paced or event.preview is not None
        # Before the first frame is done nobody knows how long one takes.
        self.panel.show_progress(event, words if self._paced else f"{event.stage} {event.done}/{event.total}")
        self._activity.show(event)

    def _on_finished(self, result: BatchResult) -> None:
        self._end(result.summary())
        if result.failures:
            where, reason = next(iter(result.failures.items()))
            others = f" And {len(result.failures) - 1} more." if len(result.failures) > 1 else ""
            show_error(f"{where}: {reason}{others}")

    def _on_stopped(self) -> None:
        self._end(self.panel.status.text())

    def _on_failed(self, sentence: str) -> None:
        self._end()
        show_error(sentence)

    def _end(self, message: str = "") -> None:
        """Show where the job stands now."""
        self._activity.close()
        self.files.view.pairs.rest()
        self._listed = ()
        self.panel.show_idle(message)
        self._on_changed()

    # What is looked at

    def _on_open_pair(self) -> None:
        row = self.files.view.current()
        if row is not None:
            self._open_row(row)

    def _open_row(self, row: Row) -> None:
        """Open a file and, if that is whole, its result."""
        with refusals_shown():
            self._shown.open([row.pair])
            if row.failed:
                show_info(f"{row.pair.source.name} has no result: {row.sentence}")

    def open_results(self) -> None:
        """Open the results that are whole, beside each other; movies stay on the disk."""
        output = self._output()
        if output is None:
            return
        with refusals_shown():
            whole = [pair for pair in pairs_of(output) if pair.standing.whole]
            if not self._shown.open(whole[:MOST_OPEN], sources=False):
                show_info("No result is whole yet.")
            elif len(whole) > MOST_OPEN:
                show_info(f"The first {MOST_OPEN} of {len(whole)} results are open; a double-click opens any other.")

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


def _dropped(dragged: QMimeData | None) -> list[Path]:
    """List files and folders of this computer that are dragged."""
    urls = [] if dragged is None or not dragged.hasUrls() else dragged.urls()
    return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]


def _summary(job: list[Pair], new: int) -> str:
    """Say how far a job is, and that there are inputs that it does not know."""
    standings = [pair.standing for pair in job]
    whole = sum(standing.whole for standing in standings)
    done, frames = sum(standing.done for standing in standings), sum(standing.frames for standing in standings)
    goes_on = "" if whole == len(job) else " Resume goes on with it."
    files = "1 file is" if new == 1 else f"{new} files are"
    more = f" {files} new: choose another folder for the results." if new else ""
    return (
        f"This folder holds a job: {done} of {frames} frames are done, {whole} of {len(job)} files are whole."
        f"{goes_on}{more}"
    )
