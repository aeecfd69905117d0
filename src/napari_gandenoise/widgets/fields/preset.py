"""How much effort a run takes: a row of buttons of which one is down."""

from __future__ import annotations

from qtpy.QtWidgets import QButtonGroup, QPushButton

from napari_gandenoise.settings.denoise import PRESETS
from napari_gandenoise.widgets.fields.base import Field
from napari_gandenoise.widgets.layout.rows import in_row

__all__ = ["PresetField"]


class PresetField(Field):
    """Choose a preset of `DenoiseConfig`."""

    def __init__(self) -> None:
        super().__init__()
        self._group = QButtonGroup(self)
        self.buttons: dict[str, QPushButton] = {}
        for preset, tip in PRESETS.items():
            button = QPushButton(preset.capitalize())
            button.setCheckable(True)
            button.setToolTip(tip)
            self._group.addButton(button)
            self.buttons[preset] = button
        row = in_row(*self.buttons.values())
        row.setSpacing(2)
        self.setLayout(row)
        self.buttons["balanced"].setChecked(True)
        self._group.buttonClicked.connect(self.changed)

    def value(self) -> str:
        """Return the chosen preset."""
        return next(preset for preset, button in self.buttons.items() if button.isChecked())

    def set_value(self, value: str) -> None:
        """Choose a preset."""
        self.buttons[value].setChecked(True)
        self.changed.emit()
