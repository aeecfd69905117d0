"""The fields of the Compare panel, and the config they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from pydantic import BaseModel, ValidationError
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QPushButton, QSpinBox, QVBoxLayout, QWidget

from napari_gandenoise.baselines import BASELINES
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import ModelCard
from napari_gandenoise.settings.compare import ALL, USUAL, CompareConfig, title_of
from napari_gandenoise.widgets._config_fields import ConfigFields
from napari_gandenoise.widgets._layer_field import LayerField
from napari_gandenoise.widgets._method_table import MethodTable
from napari_gandenoise.widgets._model_field import ModelField
from napari_gandenoise.widgets._noise_field import NoiseField
from napari_gandenoise.widgets._parts import DEVICES, align_labels, combo, folded, form_rows, in_row
from napari_gandenoise.widgets._pixel_size_field import PixelSizeField
from napari_gandenoise.widgets._preset_field import PresetField

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["CompareForm", "Remembered"]

FOLDED = ("data_range", "share", "replicates", "seed", "device")
SPLITTING = {None: "Where there is no truth", True: "Always", False: "Never"}
EXTRAS = {"bm3d": "Needs bm3d, which is free for non-commercial use only.", "compare": "Needs the extra compare."}


class Remembered(BaseModel):
    """What the panel keeps for the next session; pixel size and noise belong to the image instead."""

    config: CompareConfig = CompareConfig()
    grid: bool = True


def _tip(method: str) -> str:
    if method not in BASELINES:
        return "The model chosen below."
    baseline = BASELINES[method]
    told = [f"Strength: {baseline.strength}."] if baseline.strength else []
    told += [EXTRAS[baseline.extra]] if baseline.extra else []
    told += ["An upper limit: it looks at the truth."] if baseline.oracle else []
    return " ".join(told)


class CompareForm(QWidget):
    """All settings of a comparison.

    Signals
    -------
    changed
        A field has another value, whoever changed it.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, cards: list[ModelCard], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layer: LayerField[Image] = LayerField(viewer, Image)
        self.with_truth = QCheckBox("Truth")
        self.with_truth.setToolTip("Score against a clean layer of the same size and units.")
        self.truth: LayerField[Image] = LayerField(viewer, Image)
        self.copies = QCheckBox("Other frames show the same view")
        self.copies.setToolTip("Compare on the current frame; the others give uPSNR, which needs no truth.")
        self.pixel_size = PixelSizeField()
        self.noise = NoiseField()
        default = CompareConfig()
        self.table = MethodTable({name: title_of(name, default) for name in ALL}, {name: _tip(name) for name in ALL})
        self.usual, self.every, self.none = (QPushButton(title) for title in ("Usual", "All", "None"))
        self.model = ModelField(cards)
        self.preset = PresetField()
        self.bin_factor = QSpinBox()
        self.bin_factor.setRange(0, 64)
        self.bin_factor.setSpecialValueText("Automatic")
        self.bin_factor.setToolTip(CompareConfig.model_fields["bin_factor"].description or "")
        self.splitting = combo(SPLITTING)
        self.splitting.setToolTip(CompareConfig.model_fields["splitting"].description or "")
        self.settings = ConfigFields(CompareConfig, FOLDED, {"device": DEVICES}, parent=self)
        self.grid = QCheckBox("Show results in a grid")
        self.grid.setChecked(True)
        self.table.tick(USUAL)
        self._lay_out()
        self._connect()
        self.show_fields(1)

    def _lay_out(self) -> None:
        self._rows = form_rows()
        self._rows.addRow("Layer", self.layer)
        self._rows.addRow("", self.copies)
        self._rows.addRow(self.with_truth, self.truth)
        self._rows.addRow("Pixel size", self.pixel_size)
        self._rows.addRow("", self.pixel_size.note)
        self._rows.addRow("Noise", self.noise)
        self._rows.addRow("", self.noise.note)
        self._rows.addRow(self.noise.editor)
        self._rows.addRow("Model", self.model)
        self._rows.addRow("", self.model.card)
        advanced = QWidget()
        rows = form_rows(advanced)
        rows.addRow("Baselines sum", self.bin_factor)
        rows.addRow("Split electrons", self.splitting)
        self.settings.add_to(rows)
        rows.addRow("", self.grid)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._rows)
        column.addWidget(self.preset)
        column.addWidget(folded("Advanced", advanced))
        column.addLayout(in_row(self.usual, self.every, self.none))
        column.addWidget(self.table)
        align_labels(self._rows, rows, self.noise.rows)

    def _connect(self) -> None:
        self.usual.clicked.connect(lambda: self.table.tick(USUAL))
        self.every.clicked.connect(lambda: self.table.tick(ALL))
        self.none.clicked.connect(lambda: self.table.tick(()))
        self.model.changed.connect(self._on_model)
        for field in (self.pixel_size, self.noise, self.preset, self.settings):
            field.changed.connect(self._on_changed)
        for signal in (
            self.table.ticked,
            self.with_truth.toggled,
            self.truth.chosen,
            self.truth.altered,
            self.copies.toggled,
            self.bin_factor.valueChanged,
            self.splitting.currentIndexChanged,
        ):
            signal.connect(self._on_changed)
        self.with_truth.toggled.connect(self.truth.setEnabled)
        self.truth.setEnabled(False)

    def show_fields(self, frames: int) -> None:
        """Offer the other frames of a movie as copies of the view."""
        self._rows.setRowVisible(self.copies, frames > 2)

    def config(self) -> CompareConfig:
        """Return the settings as the config that every door takes.

        Raises
        ------
        GanDenoiseError
            If no method is ticked.
        """
        methods = self.table.methods()
        if not methods:
            raise GanDenoiseError("Tick the methods to compare.")
        # In the order of the list, however the table is sorted.
        fields = {**self.settings.values(), "methods": tuple(name for name in ALL if name in methods)}
        fields |= {"model": self.model.value(), "preset": self.preset.value()}
        fields |= {"pixel_size_nm": self.pixel_size.value(), "noise": self.noise.value()}
        fields |= {"bin_factor": self.bin_factor.value() or None, "splitting": self.splitting.currentData()}
        try:
            return CompareConfig.model_validate(fields)
        except ValidationError as error:
            raise GanDenoiseError.from_validation(error) from None

    def remembered(self) -> Remembered:
        """Return what the next session starts with."""
        config = self.config().model_copy(update={"pixel_size_nm": None, "noise": None, "data_range": None})
        return Remembered(config=config, grid=self.grid.isChecked())

    def restore(self, values: Remembered) -> None:
        """Set the fields as they were in an earlier session."""
        config = values.config
        self.table.tick(config.methods)
        self.model.set_value(config.model)
        self.preset.set_value(config.preset)
        self.bin_factor.setValue(config.bin_factor or 0)
        self.splitting.setCurrentIndex(self.splitting.findData(config.splitting))
        self.settings.set_values(config)
        self.grid.setChecked(values.grid)
        self._on_model()

    def _on_model(self) -> None:
        card = self.model.chosen()
        if card is not None:
            self.table.rename("gan", title_of("gan", CompareConfig(model=self.model.value())))
        self.changed.emit()

    def _on_changed(self, _value: Any = None) -> None:
        self.changed.emit()
