"""The form of the Train panel: what goes with what the user has, with the images and with the network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import Signal

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models.device import device_line
from napari_gandenoise.settings.base import Settings, configure, setting
from napari_gandenoise.settings.cif import CifTrainConfig
from napari_gandenoise.settings.data import PUBLIC
from napari_gandenoise.settings.networks import DIRECT_KINDS
from napari_gandenoise.settings.train import RECIPE_VALUES, AnyTrainConfig, DirectTrainConfig, TrainConfig
from napari_gandenoise.simulate import missing_extra
from napari_gandenoise.widgets.fields.data import DataField
from napari_gandenoise.widgets.fields.have import HAVE, HaveField
from napari_gandenoise.widgets.forms.form import SettingsForm
from napari_gandenoise.widgets.layout.rows import note

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["Training", "TrainingForm"]

KINDS = {"direct": "Direct denoiser", "latent": "Latent GAN"}
# The first is suggested; sets that were simulated before are clean images, too.
SOURCES = {
    "images": ("layers", "folder", "simulated", *PUBLIC),
    "nothing": ("simulate", "modes", "simulated"),
}
# Of other networks: supervised.
USUAL_RECIPE = {"unet": "restoration-gan", "encoder-decoder": "wgan-gp", "autoencoder": "autoencoder-gan"}
HIDDEN = ("settings.name", "settings.output", "material.name", "material.output")  # the panel's own
DIRECT_BATCH = 16
# How a U-Net sees micrographs of every mode and unit, and how those of one.
ANY_UNITS = {"tiles.intensity": "standard", "tiles.scale": 0.0, "architecture.conditions": ("estimated",)}
ONE_UNIT = {"tiles.scale": 0.1, "architecture.conditions": ("strength",)}
TRAINED = ("images", "nothing")


class Training(Settings):
    """What the panel sets: a run of either kind, or one that is laid out for a material."""

    have: Literal["images", "cif", "noisy", "nothing"] = setting(
        "nothing",
        "What the model learns from.",
        title="What do you have?",
        field="have",
        choices={value: answer.title for value, answer in HAVE.items()},
    )
    kind: Literal["direct", "latent"] = setting(
        "direct",
        "A network that cleans an image in one pass, or a generator to search in.",
        title="Model",
        choices=KINDS,
        only={"have": TRAINED},
    )
    settings: DirectTrainConfig | TrainConfig = setting(
        ..., "Of that kind.", field="flat", by="kind", only={"have": TRAINED}
    )
    material: CifTrainConfig = setting(..., "Of a material.", field="flat", only={"have": ("cif",)})


class TrainingForm(SettingsForm):
    """The settings of a run, of whichever kind; what the user has and chooses brings with it what suits.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers may be trained on.

    Signals
    -------
    have_changed : str
        Another answer to "What do you have?".
    """

    have_changed = Signal(str)

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__(Training, {"data": partial(DataField, viewer), "have": HaveField}, hidden=HIDDEN)
        self._viewer = viewer
        self._suggested: dict[str, Any] = {}
        self._quiet = False
        self.data: DataField = self.field("settings.data")
        self.device_note = note()
        self.add_below("settings.device", self.device_note)
        self.data.changed.connect(self._on_data)
        for name in ("kind", "settings.architecture.kind"):
            self[name].changed.connect(self._on_network)
        self["settings.recipe"].changed.connect(self._on_recipe)
        self["settings.device"].changed.connect(self._describe_device)
        self["have"].changed.connect(self._on_have)
        self["have"].value = "images" if self.data.kind.currentData() in SOURCES["images"] else "nothing"
        self._describe_device()
        self._suggest()

    # What goes together

    @property
    def have(self) -> str:
        """What the user has to train with."""
        return str(self["have"].value)

    def is_direct(self) -> bool:
        """Whether a direct denoiser is to be trained."""
        return bool(self["kind"].value == "direct")

    def from_layers(self) -> bool:
        """Whether it is trained on layers of the viewer."""
        return self.have in TRAINED and self.data.kind.currentData() == "layers"

    def _on_have(self, have: str) -> None:
        self.device_note.setVisible(have in TRAINED)
        if have in SOURCES:
            self.data.offer(SOURCES[have])
            if self.data.kind.currentData() not in SOURCES[have]:
                self.data.choose(self._first_of(have))
        self.have_changed.emit(have)

    def _first_of(self, have: str) -> str:
        """Return the kind of images that most who have this mean."""
        if have == "images":
            return "layers" if self.data.layers.count() else "folder"
        return "modes" if missing_extra() else "simulate"

    def _suggest(self) -> None:
        """Fill in what suits the images and the network; what the user has set for others gives way."""
        self._suggested = self.data.suggestions()
        values = {**self._suggested, "batch": TrainConfig.model_fields["batch"].default}
        if self.is_direct():
            # Direct denoisers see images as they lie, in tiles that a pass takes.
            network = self["settings.architecture.kind"].value
            size = DIRECT_KINDS[network].model_fields["size"].default
            values |= {"tiles.pose": "upright", "architecture.size": size, "batch": DIRECT_BATCH}
            values["recipe.kind"] = USUAL_RECIPE.get(network, "supervised")
            if network == "unet":
                values |= ANY_UNITS if self.data.kind.currentData() == "modes" else ONE_UNIT
        self.suggest({f"settings.{name}": value for name, value in values.items()})

    def _on_data(self) -> None:
        kind = self.data.kind.currentData()
        if self.have in SOURCES and kind not in SOURCES[self.have]:
            self["have"].value = next(have for have, kinds in SOURCES.items() if kind in kinds)
        if not self._quiet and self.data.suggestions() != self._suggested:
            self._suggest()

    def _on_network(self, _network: str) -> None:
        if not self._quiet:
            self._suggest()

    def _on_recipe(self, recipe: str) -> None:
        """Set what recipes set, to the values of this one."""
        own = RECIPE_VALUES.get(recipe, {})
        touched = {name for values in RECIPE_VALUES.values() for name in values}
        values = {name: own.get(name, TrainConfig.model_fields[name].default) for name in touched}
        if not self._quiet:
            self.suggest({f"settings.{name}": value for name, value in values.items()})

    def _describe_device(self, _device: str = "") -> None:
        self.device_note.setText(device_line(self["settings.device"].value))

    # The settings

    def restore(self, config: AnyTrainConfig) -> None:
        """Show the settings of a run, but for its name and folder."""
        kind = "direct" if isinstance(config, DirectTrainConfig) else "latent"
        have = next(have for have, kinds in SOURCES.items() if config.data.kind in kinds)
        self.fill({"have": have, "kind": kind, "settings": config})

    def fill(self, values: Mapping[str, Any]) -> None:
        """Show settings: once for what they bring with them, and once more as they are."""
        self.set_values(values)
        self._quiet = True
        self.set_values(values)
        self._quiet = False

    def config_of(self, name: str, output: Path) -> AnyTrainConfig | CifTrainConfig:
        """Return the settings as the config that every door takes.

        Raises
        ------
        GanDenoiseError
            If something is missing, or the settings do not go together.
        """
        if self.have == "cif":
            return self._material(name, output)
        self.data.output = output
        if missing := self.data.refusal():
            raise GanDenoiseError(missing)
        values = self.values()["settings"]
        values["architecture"]["channels"] = self.data.channels()
        values |= {"name": name, "output": output}
        return configure(DirectTrainConfig, None, values) if self.is_direct() else configure(TrainConfig, None, values)

    def _material(self, name: str, output: Path) -> CifTrainConfig:
        values = self.values()["material"]
        if not values["cif"]:
            raise GanDenoiseError("Choose the CIF file of a material.")
        return configure(CifTrainConfig, None, {**values, "name": name, "output": output})
