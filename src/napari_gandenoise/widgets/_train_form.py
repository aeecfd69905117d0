"""The fields of the Train panel: a few in front, the rest folded away, all made from the config they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_gandenoise.settings.data import TileConfig
from napari_gandenoise.settings.networks import DIRECT_KINDS, Architecture
from napari_gandenoise.settings.train import (
    RECIPE_VALUES,
    AnyTrainConfig,
    DirectTrainConfig,
    TrainConfig,
    read_training,
)
from napari_gandenoise.widgets._config_fields import ConfigFields
from napari_gandenoise.widgets._data_field import DataField
from napari_gandenoise.widgets._direct_fields import DIRECT_RECIPES, DirectFields
from napari_gandenoise.widgets._parts import DEVICES, combo, folded, form_rows, note

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["Remembered", "TrainForm", "device_line"]

NETWORKS = {
    "dcgan": "Latent GAN",
    "unet": "U-Net",
    "encoder-decoder": "Encoder-decoder",
    "autoencoder": "Autoencoder",
}
RECIPES = {
    "supervised": "Supervised",
    "autoencoder-gan": "Autoencoder GAN",
    "stable": "Stable (relativistic)",
    "bce": "BCE (microscopy study)",
    "wgan-gp": "WGAN-GP",
}
FRONT = ("steps", "batch")
# What is not named here comes last, so that a new field of the config shows up by itself.
GROUPS = {
    "Tiles": ("pixel_size_nm", "dose", "pool", "fresh", "workers", "held_out"),
    "Losses and rates": (
        "generator_rate", "discriminator_rate", "adversarial_weight", "adversarial_every", "critic_steps", "penalty",
        "average",
    ),
    "Encoder": ("encoder", "encoder_steps"),
}  # fmt: skip
ELSEWHERE = ("name", "data", "output", "recipe", "device", "tiles", "architecture", "description", *FRONT)
LATENT_ONLY = ("Losses and rates", "Encoder")
USUAL_RECIPE = {
    "dcgan": "stable", "unet": "supervised", "encoder-decoder": "wgan-gp", "autoencoder": "autoencoder-gan",
}  # fmt: skip
USUAL_SIZE = {"unet": 128, "encoder-decoder": 64, "autoencoder": 32}
DIRECT_BATCH = 16
SIZES = (16, 32, 64, 128, 192)
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

    config: TrainConfig | DirectTrainConfig | None = None


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
        self._recipes = {"latent": kinds, "direct": tuple(DIRECT_RECIPES)}
        self.network = combo(NETWORKS)
        self.network.setToolTip("A generator to search in, or a network that cleans an image in one pass.")
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
        self.direct = DirectFields(self)
        self.networks = ConfigFields(Architecture, ("latent", "width", "principal"), titles=TITLES, parent=self)
        self._lay_out()
        self.networks.set_values(TrainConfig.model_fields["architecture"].default)
        self._suggest()
        self._connect()
        self._describe_device()
        self._show_network()

    def _lay_out(self) -> None:
        front = form_rows()
        front.addRow("Images", self.data.kind)
        front.addRow(self.data)
        front.addRow("Network", self.network)
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
        self._front, self._latent_only = front, []
        self._direct_section = folded("Network and losses", self.direct)
        column.addWidget(self._direct_section)
        forms = [front, *self.data.labels, *self.direct.forms]
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
            section = folded(title, content)
            if title in LATENT_ONLY:
                self._latent_only.append(section)
            column.addWidget(section)
            forms.append(rows)
        self.forms = forms

    def _connect(self) -> None:
        self.data.changed.connect(self._on_data)
        self.network.currentIndexChanged.connect(self._on_network)
        self.direct.changed.connect(self._on_changed)
        self.recipe.currentIndexChanged.connect(self._on_recipe)
        self.device.currentIndexChanged.connect(self._describe_device)
        for box in (self.tile, self.device):
            box.currentIndexChanged.connect(self._on_changed)
        for fields in (self.run, self.tiles, self.networks):
            fields.changed.connect(self._on_changed)

    def is_direct(self) -> bool:
        """Whether a direct denoiser is to be trained."""
        return self.network.currentData() in DIRECT_KINDS

    def config(self, name: str, output: Path) -> AnyTrainConfig:
        """Return the settings as the config that every door takes.

        Raises
        ------
        GanDenoiseError
            If something is missing, or the fields do not go together.
        """
        cut = {"size": self.tile.currentData(), "channels": self.data.channels()}
        fields = {
            **self.run.values(),
            "name": name,
            "output": output,
            "data": self.data.value(output),
            "recipe": self.recipe.currentData(),
            "device": self.device.currentData(),
            "tiles": self.tiles.values(),
            "architecture": {**self.networks.values(), **cut},
        }
        if self.is_direct():
            own = self.direct.values(self.network.currentData(), self.recipe.currentData())
            own["architecture"] |= cut
            fields = {name: value for name, value in fields.items() if name in DirectTrainConfig.model_fields} | own
        return read_training(fields)

    def restore(self, config: AnyTrainConfig) -> None:
        """Show the settings of an earlier session or run."""
        self.blockSignals(True)
        self.data.restore(config.data, config.output)
        self.network.setCurrentIndex(self.network.findData(config.architecture.kind))
        recipe = config.recipe if isinstance(config, TrainConfig) else config.recipe.kind
        self.recipe.setCurrentIndex(self.recipe.findData(recipe))
        self._choose_size(config.size)
        self.device.setCurrentIndex(self.device.findData(config.device))
        self.run.set_values(config)
        self.tiles.set_values(config.tiles)
        if isinstance(config, TrainConfig):
            self.networks.set_values(config.architecture)
        else:
            self.direct.restore(config)
        self._show_network()
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
        if self.is_direct():
            self._suit_direct()

    def _on_data(self) -> None:
        if self.data.suggestions() != self._suggested:
            self._suggest()
        self.changed.emit()

    def _on_network(self, _index: int) -> None:
        """Offer the recipes of this kind of network, and the tiles that it takes."""
        kinds = self._recipes["direct" if self.is_direct() else "latent"]
        self.recipe.blockSignals(True)
        self.recipe.clear()
        for kind in kinds:
            self.recipe.addItem(RECIPES.get(kind, kind), kind)
        self.recipe.blockSignals(False)
        self.recipe.setCurrentIndex(self.recipe.findData(USUAL_RECIPE[self.network.currentData()]))
        self._suggest()
        self._show_network()
        self.changed.emit()

    def _suit_direct(self) -> None:
        """See images as they lie, in tiles that a pass takes."""
        self.tiles.set_values({"pose": "upright"})
        self._choose_size(USUAL_SIZE[self.network.currentData()])
        self.run.set_values({"batch": DIRECT_BATCH})

    def _show_network(self) -> None:
        direct = self.is_direct()
        self._front.setRowVisible(self.networks["latent"], not direct)
        for section in self._latent_only:
            section.setVisible(not direct)
        self._direct_section.setVisible(direct)
        if direct:
            photographs = self.tiles.values()["intensity"] == "absolute"
            self.direct.show_kinds(self.network.currentData(), self.recipe.currentData(), photographs=photographs)

    def _on_recipe(self, _index: int) -> None:
        """Set what recipes set, to the values of this one."""
        self._show_network()
        if self.is_direct():
            self.changed.emit()
            return
        own = RECIPE_VALUES.get(self.recipe.currentData(), {})
        touched = {name for values in RECIPE_VALUES.values() for name in values}
        self.run.set_values({name: own.get(name, TrainConfig.model_fields[name].default) for name in touched})
        self.changed.emit()

    def _describe_device(self, _index: int = 0) -> None:
        self.device_note.setText(device_line(self.device.currentData()))

    def _on_changed(self, _value: Any = None) -> None:
        self._show_network()
        self.changed.emit()
