"""How much effort a run takes: a row of buttons of which one is down."""

from __future__ import annotations

from typing import get_args

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QWidget

from napari_gandenoise.settings.denoise import DenoiseConfig

__all__ = ["PRESETS", "PresetField"]

PRESETS: tuple[str, ...] = get_args(DenoiseConfig.model_fields["preset"].annotation)
TOOLTIPS = {
    "fast": "The encoder's proposal and a few steps, or one view of a direct denoiser: a first look.",
    "balanced": "Search and refine, or the mean of several views: the usual choice.",
    "thorough": "More starts, denser tiles and more steps, or more views: several times slower.",
    "paper": "The published algorithm, up to 20,000 steps a tile: hours for a large image.",
}


class PresetField(QWidget):
    """Choose a preset of `DenoiseConfig`."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QPushButton] = {}
        for preset in PRESETS:
            button = QPushButton(preset.capitalize())
            button.setCheckable(True)
            button.setToolTip(TOOLTIPS.get(preset, ""))
            self._group.addButton(button)
            self._buttons[preset] = button
            row.addWidget(button)
        self.set_value("balanced")
        self._group.buttonClicked.connect(self._on_clicked)

    def value(self) -> str:
        """Return the chosen preset."""
        return next(preset for preset, button in self._buttons.items() if button.isChecked())

    def set_value(self, preset: str) -> None:
        """Choose a preset."""
        self._buttons[preset].setChecked(True)

    def _on_clicked(self) -> None:
        self.changed.emit()
