"""The fields of the Restore panel: the task first, then those that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from pydantic import BaseModel, ValidationError
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import ModelCard
from napari_gandenoise.settings.restore import RestoreConfig, Task
from napari_gandenoise.widgets._config_fields import ConfigFields
from napari_gandenoise.widgets._layer_field import LayerField
from napari_gandenoise.widgets._mask_field import MaskField
from napari_gandenoise.widgets._model_field import ModelField
from napari_gandenoise.widgets._parts import DEVICES, align_labels, combo, folded, form_rows, note
from napari_gandenoise.widgets._pixel_size_field import PixelSizeField

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["TASKS", "Remembered", "RestoreForm"]

TASKS: dict[Task, str] = {
    "inpaint": "Inpaint",
    "colorize": "Colourise",
    "super-resolve": "Super-resolve",
    "denoise": "Denoise",
    "dequantize": "Dequantise",
}
EXPLAINED: dict[Task, str] = {
    "inpaint": "Draws what a mask marks as missing; the rest stays.",
    "colorize": "Gives colours to brightness.",
    "super-resolve": "Draws an image of more pixels that looks like this one when it is made smaller.",
    "denoise": "Takes away noise of any kind. For counted electrons the Denoise panel knows more.",
    "dequantize": "Draws the steps between few levels of brightness.",
}
# Fields that only one task has; all others have all.
ONLY: dict[str, Task] = {
    "mask": "inpaint",
    "poisson_blending": "inpaint",
    "factor": "super-resolve",
    "levels": "dequantize",
}
# Micrographs are restored by the likelihood of their counts, as they are denoised: the other fields mean nothing there.
OF_MICROGRAPHS = {"mask", "seed", "device"}
FRONT = ("factor", "levels")
ELSEWHERE = ("task", "model", "pixel_size_nm", *FRONT)
# What is not named here shows up by itself.
FOLDED = tuple(name for name in RestoreConfig.model_fields if name not in ELSEWHERE)
CHOICES: dict[str, Mapping[Any, str]] = {"factor": {2: "2 × 2", 4: "4 × 4"}, "device": DEVICES}


class Remembered(BaseModel):
    """What the panel keeps for the next session; the pixel size belongs to the image."""

    config: RestoreConfig = RestoreConfig(task="inpaint")
    drawn: bool = False


class RestoreForm(QWidget):
    """All settings of a run.

    Signals
    -------
    changed
        A field has another value, whoever changed it, or the mask marks something else.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, cards: list[ModelCard], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.task = combo(TASKS)
        self.explained = note()
        self.layer: LayerField[Image] = LayerField(viewer, Image)
        self.model = ModelField(cards)
        self.pixel_size = PixelSizeField()
        self.marked = MaskField(viewer)
        self.region = combo({"whole": "Whole image", "viewport": "What the canvas shows"})
        self.drawn = QCheckBox("What the model drew")
        self.drawn.setToolTip("A hidden layer: the image as the model draws it, before it is made to fit the input.")
        self.settings = ConfigFields(RestoreConfig, (*FRONT, *FOLDED), CHOICES, parent=self)
        self._lay_out()
        self.show_fields()
        self.task.currentIndexChanged.connect(self._on_changed)
        for field in (self.model, self.pixel_size, self.marked, self.settings):
            field.changed.connect(self._on_changed)
        self.region.currentIndexChanged.connect(self._on_changed)

    def _lay_out(self) -> None:
        self._rows = form_rows()
        self._rows.addRow("Task", self.task)
        self._rows.addRow("", self.explained)
        self._rows.addRow("Layer", self.layer)
        self._rows.addRow("Mask", self.marked)
        self.settings.add_to(self._rows, FRONT)
        self._rows.addRow("Model", self.model)
        self._rows.addRow("", self.model.card)
        self._rows.addRow("Pixel size", self.pixel_size)
        self._rows.addRow("", self.pixel_size.note)
        self._rows.addRow("Region", self.region)
        self._rows.addRow("Also add", self.drawn)
        advanced = QWidget()
        self._advanced = form_rows(advanced)
        self.settings.add_to(self._advanced, FOLDED)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._rows)
        column.addWidget(folded("Advanced", advanced))
        align_labels(self._rows, self._advanced)

    @property
    def of_micrographs(self) -> bool:
        """Whether the chosen model is for micrographs, which have a pixel size."""
        card = self.model.chosen()
        return card is not None and card.pixel_size_nm is not None

    def _has(self, name: str) -> bool:
        """Whether the chosen task and model have a field."""
        task = self.task.currentData()
        return ONLY.get(name, task) == task and (name in OF_MICROGRAPHS or not self.of_micrographs)

    def show_fields(self) -> None:
        """Show the fields that the task and the model have."""
        self.explained.setText(EXPLAINED[self.task.currentData()])
        self._rows.setRowVisible(self.marked, self._has("mask"))
        for name in FRONT:
            self._rows.setRowVisible(self.settings[name], self._has(name))
        for name in FOLDED:
            self._advanced.setRowVisible(self.settings[name], self._has(name))
        self._rows.setRowVisible(self.pixel_size, self.of_micrographs)
        self._rows.setRowVisible(self.pixel_size.note, self.of_micrographs and self.pixel_size.value() is None)

    def config(self) -> RestoreConfig:
        """Return the settings as the config that every door takes; fields that are not shown keep their defaults.

        Raises
        ------
        GanDenoiseError
            If the fields do not go together.
        """
        own = {name: value for name, value in self.settings.values().items() if self._has(name)}
        size = self.pixel_size.value() if self.of_micrographs else None
        front = {"task": self.task.currentData(), "model": self.model.value(), "pixel_size_nm": size}
        return _validated({**own, **front})

    def remembered(self) -> Remembered:
        """Return what the next session starts with."""
        fields = {**self.settings.values(), "task": self.task.currentData(), "model": self.model.value()}
        return Remembered(config=_validated(fields), drawn=self.drawn.isChecked())

    def restore(self, values: Remembered) -> None:
        """Set the fields as they were in an earlier session."""
        self.task.setCurrentIndex(self.task.findData(values.config.task))
        self.model.set_value(values.config.model)
        self.settings.set_values(values.config)
        self.drawn.setChecked(values.drawn)

    def _on_changed(self, _value: Any = None) -> None:
        self.show_fields()
        self.changed.emit()


def _validated(fields: dict[str, Any]) -> RestoreConfig:
    try:
        return RestoreConfig.model_validate(fields)
    except ValidationError as error:
        raise GanDenoiseError.from_validation(error) from None
