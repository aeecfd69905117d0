"""The fields of the Denoise panel, and the config they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from napari.layers import Image
from pydantic import BaseModel
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QSpinBox, QVBoxLayout, QWidget

from napari_gandenoise.models import ModelCard
from napari_gandenoise.settings.denoise import REPLICATES, DenoiseConfig
from napari_gandenoise.settings.recover import Clipping, ObjectiveName
from napari_gandenoise.widgets._config_fields import ConfigFields
from napari_gandenoise.widgets._layer_field import LayerField
from napari_gandenoise.widgets._model_field import ModelField
from napari_gandenoise.widgets._noise_field import NoiseField
from napari_gandenoise.widgets._parts import DEVICES, align_labels, combo, folded, form_rows
from napari_gandenoise.widgets._pixel_size_field import PixelSizeField
from napari_gandenoise.widgets._preset_field import PresetField
from napari_gandenoise.widgets._source import RegionKind

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["DenoiseForm", "Remembered"]

REGIONS: dict[RegionKind, str] = {
    "whole": "Whole image",
    "viewport": "What the canvas shows",
    "rectangle": "Rectangle in a Shapes layer",
}
OBJECTIVES: dict[ObjectiveName, str] = {"likelihood": "Likelihood of the noise", "squared": "Squared error"}
DIRECT = {"views": "Views", "strength": "Noise strength", "grain": "Grain, px"}
CLIPPING: dict[Clipping, str] = {"projected": "Projected", "stochastic": "Drawn again", "none": "None"}


class Remembered(BaseModel):
    """What the panel keeps for the next session; pixel size and noise belong to the image instead."""

    model: str = "hrtem"
    preset: Literal["fast", "balanced", "thorough", "paper"] = "balanced"
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    objective: ObjectiveName = "likelihood"
    clipping: Clipping = "projected"
    sharpness: bool = False
    residual_step: bool = True
    uncertainty: bool = False
    fit_map: bool = False
    residual: bool = False


class DenoiseForm(QWidget):
    """All settings of a run.

    Signals
    -------
    changed
        A field has another value, whoever changed it.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, cards: Sequence[ModelCard], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = ModelField(cards)
        self.layer = LayerField(viewer, Image)
        self.pixel_size = PixelSizeField()
        self.noise = NoiseField()
        self.region = combo(REGIONS)
        self.frames = combo({"all": "All frames", "current": "Current frame"})
        self.preset = PresetField()
        self.uncertainty = QCheckBox("Uncertainty")
        self.uncertainty.setToolTip(f"A hidden layer: standard error of each pixel, from {REPLICATES} more runs.")
        self.fit_map = QCheckBox("Fit map")
        self.fit_map.setToolTip("A hidden layer: where the result and the counts disagree more than noise allows.")
        self.residual = QCheckBox("Residual")
        self.residual.setToolTip("A hidden layer: input minus result.")
        self.seed = QSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.device = combo(DEVICES)
        self.objective = combo(OBJECTIVES)
        self.objective.setToolTip("What the search minimises; the squared error asks for no noise level.")
        self.clipping = combo(CLIPPING)
        self.clipping.setToolTip("Latents beyond the bounds of a uniform prior; a normal prior has none.")
        self.sharpness = QCheckBox("Sharpness attribute")
        self.sharpness.setToolTip("Add to the latents what recovery from noise misses on average.")
        self.residual_step = QCheckBox("Residual step")
        self.residual_step.setToolTip("Add back structure that the counts prove and the model cannot show.")
        self.direct = ConfigFields(DenoiseConfig, tuple(DIRECT), titles=DIRECT, parent=self)
        self._lay_out()
        self.model.changed.connect(self._suit_model)
        self._suit_model()
        for field in (self.model, self.pixel_size, self.noise, self.preset, self.direct):
            field.changed.connect(self.changed)
        for choice in (self.region, self.frames, self.device, self.objective, self.clipping):
            choice.currentIndexChanged.connect(self._on_field_changed)
        self.seed.valueChanged.connect(self._on_field_changed)
        for box in (self.sharpness, self.residual_step, self.uncertainty, self.fit_map, self.residual):
            box.toggled.connect(self._on_field_changed)

    def _lay_out(self) -> None:
        self._rows = form_rows()
        self._rows.addRow("Model", self.model)
        self._rows.addRow("", self.model.card)
        self._rows.addRow("Layer", self.layer)
        self._rows.addRow("Pixel size", self.pixel_size)
        self._rows.addRow("", self.pixel_size.note)
        self._rows.addRow("Noise", self.noise)
        self._rows.addRow("", self.noise.note)
        self._rows.addRow(self.noise.editor)
        self._rows.addRow("Region", self.region)
        self._rows.addRow("Frames", self.frames)
        self.show_frames(1)
        extra = QHBoxLayout()
        extra.addWidget(self.uncertainty)
        extra.addWidget(self.fit_map)
        extra.addWidget(self.residual)
        extra.addStretch()
        self._rows.addRow("Also add", extra)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._rows)
        column.addWidget(self.preset)
        advanced = QWidget()
        rows = form_rows(advanced)
        rows.addRow("Seed", self.seed)
        rows.addRow("Device", self.device)
        rows.addRow("Objective", self.objective)
        rows.addRow("Clipping", self.clipping)
        rows.addRow("", self.sharpness)
        rows.addRow("", self.residual_step)
        self.direct.add_to(rows)
        column.addWidget(folded("Advanced", advanced))
        align_labels(self._rows, rows, self.noise.rows)

    def _suit_model(self) -> None:
        """Offer what the chosen kind of model has: a direct denoiser searches nothing, but may be told of the noise."""
        latent = not self._is_direct()
        for field in (self.objective, self.clipping, self.sharpness):
            field.setEnabled(latent)
        card = self.model.chosen()
        # A photograph is cleaned in one view, whatever the preset.
        self.preset.setEnabled(latent or (card is not None and card.pixel_size_nm is not None))
        self.direct.set_enabled(not latent)

    def _is_direct(self) -> bool:
        card = self.model.chosen()
        return card is not None and card.latent is None

    def show_frames(self, frames: int) -> None:
        """Offer the choice of frames if there is more than one."""
        self._rows.setRowVisible(self.frames, frames > 1)
        self.frames.setItemText(0, f"All {frames} frames")

    def config(self) -> DenoiseConfig:
        """Return the settings as the config that every door takes."""
        return DenoiseConfig.model_validate(
            {
                "model": self.model.value(),
                "pixel_size_nm": self.pixel_size.value(),
                "noise": self.noise.value(),
                "preset": self.preset.value(),
                "seed": self.seed.value(),
                "device": self.device.currentData(),
                "objective": self.objective.currentData(),
                "clipping": self.clipping.currentData(),
                "sharpness": self.sharpness.isChecked(),
                "residual_step": self.residual_step.isChecked(),
                **(self.direct.values() if self._is_direct() else {}),
                "replicates": REPLICATES if self.uncertainty.isChecked() else 0,
            }
        )

    def remembered(self) -> Remembered:
        """Return what the next session starts with."""
        config = self.config().model_dump(include=set(Remembered.model_fields))
        boxes = {name: getattr(self, name).isChecked() for name in ("uncertainty", "fit_map", "residual")}
        return Remembered(**config, **boxes)

    def restore(self, values: Remembered) -> None:
        """Set the fields as they were in an earlier session."""
        self.model.set_value(values.model)
        self.preset.set_value(values.preset)
        self.seed.setValue(values.seed)
        self.device.setCurrentIndex(self.device.findData(values.device))
        self.objective.setCurrentIndex(self.objective.findData(values.objective))
        self.clipping.setCurrentIndex(self.clipping.findData(values.clipping))
        self.sharpness.setChecked(values.sharpness)
        self.residual_step.setChecked(values.residual_step)
        self.uncertainty.setChecked(values.uncertainty)
        self.fit_map.setChecked(values.fit_map)
        self.residual.setChecked(values.residual)

    def _on_field_changed(self, _value: Any = None) -> None:
        self.changed.emit()
