"""The fields of the Batch panel, and the config they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from qtpy.QtCore import Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QLineEdit, QPushButton, QSpinBox, QVBoxLayout, QWidget

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import ModelCard
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.batch import MAPS, BatchConfig, Job
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.restore import RestoreConfig
from napari_gandenoise.widgets._config_fields import ConfigFields
from napari_gandenoise.widgets._file_list import FileList
from napari_gandenoise.widgets._model_field import ModelField
from napari_gandenoise.widgets._parts import align_labels, combo, folded, form_rows, note
from napari_gandenoise.widgets._path_field import FolderField
from napari_gandenoise.widgets._preset_field import PresetField
from napari_gandenoise.widgets._restore_form import TASKS

__all__ = ["BatchForm", "Remembered"]

JOBS: dict[Job, str] = {"denoise": "Denoise", "restore": "Restore"}
OF_MOVIES = ("warm_start", "average")
OPTIONS = ("format", "fit_map", "uncertainty", "drawn", *OF_MOVIES, "threads")
TITLES = {
    "format": "Results as",
    "fit_map": "Fit map",
    "uncertainty": "Uncertainty",
    "drawn": "What the model drew",
    "warm_start": "Warm start over",
    "average": "Average over",
}
CHOICES = {"format": {"tiff": "OME-TIFF", "zarr": "OME-Zarr"}}
SHOWN = ("model", "preset", "task", "pixel_size_nm")


class Remembered(BaseModel):
    """What the panel keeps for the next session: all but the inputs."""

    job: Job = "denoise"
    settings: dict[str, Any] = {}
    options: dict[str, Any] = {}
    output: str = ""
    workers: int = 0
    scheduler: str = ""


class BatchForm(QWidget):
    """All settings of a job.

    Signals
    -------
    changed
        A field has another value, whoever changed it.
    failed : str
        What was pasted cannot be used; the sentence is for the user.
    """

    changed = Signal()
    failed = Signal(str)

    def __init__(self, cards: list[ModelCard], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.files = FileList()
        self.output = FolderField("Folder for the results")
        self.job = combo(JOBS)
        self.task = combo(TASKS)
        self.mask_file = QLineEdit()
        self.mask_file.setPlaceholderText("file of what is missing")
        self.model = ModelField(cards)
        self.preset = PresetField()
        self.sampling = ConfigFields(
            DenoiseConfig, ("pixel_size_nm",), titles={"pixel_size_nm": "Pixel size"}, parent=self
        )
        self.sampling["pixel_size_nm"].setToolTip("Automatic: each file's own.")
        self.paste = QPushButton("Paste settings")
        self.paste.setToolTip("Take settings that the Denoise or Restore panel has copied as YAML.")
        self.more = note()
        self._more: dict[str, Any] = {}
        self.options = ConfigFields(BatchConfig, OPTIONS, CHOICES, TITLES, parent=self)
        for name in OF_MOVIES:
            self.options[name].setSuffix(" frames")  # type: ignore[attr-defined] # both are spin boxes
        self.workers = QSpinBox()
        self.workers.setRange(0, 512)
        self.workers.setSpecialValueText("none: compute here")
        self.workers.setToolTip("Processes that compute a frame each; they need the extra distributed.")
        self.scheduler = QLineEdit()
        self.scheduler.setPlaceholderText("tcp://HOST:8786")
        self.scheduler.setToolTip("A Dask cluster to compute on instead.")
        self._lay_out()
        self._connect()
        self.show_fields()

    def _lay_out(self) -> None:
        self._rows = form_rows()
        self._rows.addRow("Inputs", self.files)
        self._rows.addRow("Results in", self.output)
        self._rows.addRow("Job", self.job)
        self._rows.addRow("Task", self.task)
        self._rows.addRow("Mask", self.mask_file)
        self._rows.addRow("Model", self.model)
        self._rows.addRow("", self.model.card)
        self.sampling.add_to(self._rows)
        self._rows.addRow("", self.paste)
        self._rows.addRow(self.more)
        advanced = QWidget()
        self._advanced = form_rows(advanced)
        self.options.add_to(self._advanced)
        self._advanced.addRow("Workers", self.workers)
        self._advanced.addRow("Scheduler", self.scheduler)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._rows)
        column.addWidget(self.preset)
        column.addWidget(folded("Results, movies and workers", advanced))
        align_labels(self._rows, self._advanced)

    def _connect(self) -> None:
        for field in (self.files, self.output, self.model, self.preset, self.sampling, self.options):
            field.changed.connect(self._on_changed)
        self.job.currentIndexChanged.connect(self._on_changed)
        self.task.currentIndexChanged.connect(self._on_changed)
        self.mask_file.editingFinished.connect(self._on_changed)
        self.paste.clicked.connect(self._on_paste)

    def show_fields(self) -> None:
        """Show the fields that the job has."""
        restores = self.job.currentData() == "restore"
        self._rows.setRowVisible(self.task, restores)
        self._rows.setRowVisible(self.mask_file, restores and self.task.currentData() == "inpaint")
        self.preset.setVisible(not restores)
        for name in (*MAPS["denoise"], *OF_MOVIES):
            self._advanced.setRowVisible(self.options[name], not restores)
        self._advanced.setRowVisible(self.options["drawn"], restores)
        self.more.setText("And: " + ", ".join(f"{k} {v}" for k, v in self._more.items()) if self._more else "")
        self._rows.setRowVisible(self.more, bool(self._more))

    # Settings from elsewhere

    def take(self, settings: dict[str, Any]) -> None:
        """Take the settings of denoising or restoration; those without a field here are kept beside the others.

        Raises
        ------
        GanDenoiseError
            If they are neither.
        """
        kind = RestoreConfig if "task" in settings else DenoiseConfig
        configure(kind, None, settings)
        self._more = {name: value for name, value in settings.items() if name not in SHOWN}
        self.job.setCurrentIndex(self.job.findData("restore" if kind is RestoreConfig else "denoise"))
        if "task" in settings:
            self.task.setCurrentIndex(self.task.findData(settings["task"]))
        if "preset" in settings:
            self.preset.set_value(settings["preset"])
        if "model" in settings:
            self.model.set_value(settings["model"])
        self.sampling.set_values({"pixel_size_nm": settings.get("pixel_size_nm")})
        self._on_changed()

    def _on_paste(self) -> None:
        clipboard = QGuiApplication.clipboard()
        try:
            pasted = yaml.safe_load(clipboard.text() if clipboard is not None else "")
        except yaml.YAMLError:
            pasted = None
        if not isinstance(pasted, dict):
            self.failed.emit(
                "There are no settings to paste: press Copy as YAML in the Denoise or Restore panel first."
            )
            return
        try:
            self.take(pasted)
        except GanDenoiseError as error:
            self.failed.emit(f"What was copied cannot be used: {error}")

    # The config

    def config(self) -> BatchConfig:
        """Return the settings as the config that every door takes.

        Raises
        ------
        GanDenoiseError
            If something is missing, or the fields do not go together.
        """
        if not self.files.inputs:
            raise GanDenoiseError("Add the files or folders to compute.")
        output = self.output.value()
        if output is None:
            raise GanDenoiseError("Choose the folder for the results.")
        inputs = [str(Path(given).absolute()) for given in self.files.inputs]
        return configure(BatchConfig, None, {**self._fields(), "inputs": inputs, "output": output.absolute()})

    def _fields(self) -> dict[str, Any]:
        """Return the fields of the config that are shown for the job."""
        restores = self.job.currentData() == "restore"
        settings = {**self._more, **self.sampling.values(), "model": self.model.value()}
        if restores:
            settings["task"] = self.task.currentData()
        else:
            settings["preset"] = self.preset.value()
        hidden = (*MAPS["denoise"], *OF_MOVIES) if restores else MAPS["restore"]
        options = {name: value for name, value in self.options.values().items() if name not in hidden}
        if restores and settings["task"] == "inpaint" and self.mask_file.text().strip():
            options["mask"] = self.mask_file.text().strip()
        return {"job": self.job.currentData(), "settings": settings, **options}

    def remembered(self) -> Remembered:
        """Return what the next session starts with."""
        fields = self._fields()
        return Remembered(
            job=fields["job"],
            settings={name: value for name, value in fields["settings"].items() if value is not None},
            options=self.options.values(),
            output=str(self.output.value() or ""),
            workers=self.workers.value(),
            scheduler=self.scheduler.text().strip(),
        )

    def restore(self, values: Remembered) -> None:
        """Set the fields as they were in an earlier session."""
        if values.settings:
            self.take(values.settings)
        self.options.set_values(values.options)
        self.output.set_value(values.output)
        self.workers.setValue(values.workers)
        self.scheduler.setText(values.scheduler)

    def _on_changed(self, _value: Any = None) -> None:
        self.show_fields()
        self.changed.emit()
