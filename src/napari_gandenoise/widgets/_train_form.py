"""The fields of the Train panel: a few in front, the rest folded away, all made from the config they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_gandenoise.datasets.config import TileConfig
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import Architecture
from napari_gandenoise.training import RECIPE_VALUES, TrainConfig
from napari_gandenoise.widgets._config_fields import ConfigFields
from napari_gandenoise.widgets._data_field import DataField
from napari_gandenoise.widgets._parts import DEVICES, combo, folded, form_rows, note

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["Remembered", "TrainForm", "device_line"]

RECIPES = {
    "stable": "Stable (relativistic)",
    "bce": "BCE (microscopy study)",
    "wgan-gp": "WGAN-GP",
}
FRONT = ("steps", "batch")
# What is not named here comes last, so that a new field of the config shows up by itself.
GROUPS = {
    "Tiles": ("pixel_size_nm", "pool", "fresh", "workers", "held_out"),
    "Losses and rates": (
        "generator_rate", "discriminator_rate", "adversarial_weight", "adversarial_every", "critic_steps", "penalty",
        "average",
    ),
    "Encoder": ("encoder", "encoder_steps", "dose"),
}  # fmt: skip
ELSEWHERE = ("name", "data", "output", "recipe", "device", "tiles", "architecture", "description", *FRONT)
SIZES = (16, 32, 64, 128)
TITLES = {
    "adversarial_every": "Adv. interval",
    "adversarial_weight": "Adv. weight",
    "checkpoint_every": "Checkpoint at",
    "discriminator_rate": "Discriminator",
    "generator_rate": "Generator rate",
    "half_precision": "Half precision",
    "keep_checkpoints": "Keep",
    "near_empty": "Near-empty",
    "principal": "Principal path",
    "validate_every": "Validate at",
}
RUNS = Path.home() / "napari-gandenoise"


class Remembered(BaseModel):
    """What the panel keeps for the next session."""

    config: TrainConfig | None = None


def device_line(device: str) -> str:
    """Say where a run will compute: ``CPU, 2 cores`` or ``CUDA: NVIDIA H200``."""
    import psutil
    import torch

    if device in ("auto", "cuda") and torch.cuda.is_available():
        count = torch.cuda.device_count()
        more = f" and {count - 1} more (torchrun uses all)" if count > 1 else ""
        return f"CUDA: {torch.cuda.get_device_name(0)}{more}"
    if device == "cuda":
        return "There is no CUDA GPU here."
    if device in ("auto", "mps") and torch.backends.mps.is_available():
        return "MPS: the GPU of this Mac"
    if device == "mps":
        return "There is no Apple GPU here."
    cores = psutil.cpu_count(logical=False) or 1
    return f"CPU, {cores} core{'s' if cores > 1 else ''}"


class TrainForm(QWidget):
    """All settings of a run.

    Signals
    -------
    changed
        A field has another value, whoever changed it.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.data = DataField(viewer)
        kinds = get_args(TrainConfig.model_fields["recipe"].annotation)
        self.recipe = combo({kind: RECIPES.get(kind, kind) for kind in kinds})
        self.recipe.setToolTip("The losses, and the values that go with them.")
        self.tile = combo({size: f"{size}×{size}" for size in SIZES})
        self.tile.setToolTip("Side of the tiles that the model draws, pixels.")
        self.device = combo({**DEVICES, "mps": "Apple GPU"})
        self.device_note = note()
        grouped = [name for names in GROUPS.values() for name in names]
        self._groups = {**GROUPS, "Run": tuple(n for n in TrainConfig.model_fields if n not in (*ELSEWHERE, *grouped))}
        names = (*FRONT, "description", *(name for names in self._groups.values() for name in names))
        self.run = ConfigFields(TrainConfig, names, titles=TITLES, parent=self)
        self.tiles = ConfigFields(TileConfig, TileConfig.model_fields, titles=TITLES, parent=self)
        self.networks = ConfigFields(Architecture, ("latent", "width", "principal"), titles=TITLES, parent=self)
        self._lay_out()
        self.networks.set_values(TrainConfig.model_fields["architecture"].default)
        self._suggest()
        self._connect()
        self._describe_device()

    def _lay_out(self) -> None:
        front = form_rows()
        front.addRow("Images", self.data.kind)
        front.addRow(self.data)
        front.addRow("Recipe", self.recipe)
        self.run.add_to(front, FRONT)
        front.addRow("Tile", self.tile)
        self.networks.add_to(front, ("latent",))
        front.addRow("Device", self.device)
        front.addRow("", self.device_note)
        front.setSpacing(6)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(front)
        forms = [front, *self.data.labels]
        for title, names in self._groups.items():
            content = QWidget()
            rows = form_rows(content)
            if title == "Tiles":
                self.tiles.add_to(rows)
            if title == "Run":
                self.run.add_to(rows, ("description",))
            self.run.add_to(rows, names)
            if title == "Losses and rates":
                self.networks.add_to(rows, ("width", "principal"))
            column.addWidget(folded(title, content))
            forms.append(rows)
        self.forms = forms

    def _connect(self) -> None:
        self.data.changed.connect(self._on_data)
        self.recipe.currentIndexChanged.connect(self._on_recipe)
        self.device.currentIndexChanged.connect(self._describe_device)
        for box in (self.tile, self.device):
            box.currentIndexChanged.connect(self._on_changed)
        for fields in (self.run, self.tiles, self.networks):
            fields.changed.connect(self._on_changed)

    def config(self, name: str, output: Path) -> TrainConfig:
        """Return the settings as the config that every door takes.

        Raises
        ------
        GanDenoiseError
            If something is missing, or the fields do not go together.
        """
        architecture = {**self.networks.values(), "size": self.tile.currentData(), "channels": self.data.channels()}
        fields = {
            **self.run.values(),
            "name": name,
            "output": output,
            "data": self.data.value(output),
            "recipe": self.recipe.currentData(),
            "device": self.device.currentData(),
            "tiles": self.tiles.values(),
            "architecture": architecture,
        }
        try:
            return TrainConfig.model_validate(fields)
        except ValidationError as error:
            raise GanDenoiseError.from_validation(error) from None

    def restore(self, config: TrainConfig) -> None:
        """Show the settings of an earlier session or run."""
        self.blockSignals(True)
        self.data.restore(config.data, config.output)
        self.recipe.setCurrentIndex(self.recipe.findData(config.recipe))
        self._choose_size(config.architecture.size)
        self.device.setCurrentIndex(self.device.findData(config.device))
        self.run.set_values(config)
        self.tiles.set_values(config.tiles)
        self.networks.set_values(config.architecture)
        self.blockSignals(False)
        self.changed.emit()

    def _choose_size(self, size: int) -> None:
        if self.tile.findData(size) < 0:
            self.tile.addItem(f"{size}×{size}", size)
        self.tile.setCurrentIndex(self.tile.findData(size))

    def _suggest(self) -> None:
        """Fill in what suits the kind of images; what the user has set for another kind gives way."""
        suggested = self.data.suggestions()
        self._suggested = suggested
        self.tiles.set_values(suggested["tiles"])
        self._choose_size(suggested["architecture"]["size"])
        self.run.set_values(suggested["run"])

    def _on_data(self) -> None:
        if self.data.suggestions() != self._suggested:
            self._suggest()
        self.changed.emit()

    def _on_recipe(self, _index: int) -> None:
        """Set what recipes set, to the values of this one."""
        own = RECIPE_VALUES.get(self.recipe.currentData(), {})
        touched = {name for values in RECIPE_VALUES.values() for name in values}
        self.run.set_values({name: own.get(name, TrainConfig.model_fields[name].default) for name in touched})
        self.changed.emit()

    def _describe_device(self, _index: int = 0) -> None:
        self.device_note.setText(device_line(self.device.currentData()))

    def _on_changed(self, _value: Any = None) -> None:
        self.changed.emit()
