"""What only direct denoisers have, of the fields of the Train panel."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_gandenoise.settings.networks import DirectArchitecture
from napari_gandenoise.settings.noise import NoiseMixture
from napari_gandenoise.settings.train import DirectRecipe, DirectTrainConfig
from napari_gandenoise.widgets._config_fields import ConfigFields
from napari_gandenoise.widgets._parts import form_rows

__all__ = ["DIRECT_RECIPES", "DirectFields"]

TITLES = {
    "critic_rate": "Critic rate",
    "denoiser_steps": "Denoiser steps",
    "judge_pretraining": "Judge first",
    "judge_rate": "Judge rate",
    "judge_steps": "Judge steps",
    "judge_width": "Judge width",
    "rate": "Learning rate",
    "start": "Start from",
}
GIVEN_ELSEWHERE = ("kind", "size", "channels")


def _by_kind(union: Any) -> dict[str, type[BaseModel]]:
    """Return the models of a discriminated union under the kinds that they stand for."""
    models: tuple[type[BaseModel], ...] = get_args(get_args(union)[0])
    return {model.model_fields["kind"].default: model for model in models}


ARCHITECTURES, DIRECT_RECIPES = _by_kind(DirectArchitecture), _by_kind(DirectRecipe)


class DirectFields(QWidget):
    """Network, recipe and noise of a direct denoiser: of each kind its own fields, one kind shown at a time."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        self.forms: list[QFormLayout] = []
        self.run = self._add(column, DirectTrainConfig, ("rate", "start", "compiled"))[0]
        self._networks = {kind: self._add(column, model) for kind, model in ARCHITECTURES.items()}
        self._recipes = {kind: self._add(column, model) for kind, model in DIRECT_RECIPES.items()}
        self._noise = self._add(column, NoiseMixture)

    def _add(
        self, column: QVBoxLayout, model: type[BaseModel], names: tuple[str, ...] = ()
    ) -> tuple[ConfigFields, QWidget]:
        place = QWidget()
        rows = form_rows(place)
        given = names or tuple(name for name in model.model_fields if name not in GIVEN_ELSEWHERE)
        fields = ConfigFields(model, given, titles=TITLES, parent=self)
        fields.add_to(rows)
        fields.changed.connect(self.changed)
        column.addWidget(place)
        self.forms.append(rows)
        return fields, place

    def show_kinds(self, network: str, recipe: str, *, photographs: bool) -> None:
        """Show the fields of these kinds; the noise of photographs only for photographs."""
        for kind, (_, place) in self._networks.items():
            place.setVisible(kind == network)
        for kind, (_, place) in self._recipes.items():
            place.setVisible(kind == recipe)
        self._noise[1].setVisible(photographs)

    def values(self, network: str, recipe: str) -> dict[str, Any]:
        """Return the settings of these kinds, but for the size and the channels of the tiles."""
        return {
            **self.run.values(),
            "architecture": {"kind": network, **self._networks[network][0].values()},
            "recipe": {"kind": recipe, **self._recipes[recipe][0].values()},
            "noise": self._noise[0].values(),
        }

    def restore(self, config: DirectTrainConfig) -> None:
        """Show the settings of an earlier session or run."""
        self.run.set_values(config)
        self._networks[config.architecture.kind][0].set_values(config.architecture)
        self._recipes[config.recipe.kind][0].set_values(config.recipe)
        self._noise[0].set_values(config.noise)
