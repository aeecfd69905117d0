"""What a user has to train a model with: four answers, and what is made of the chosen one."""

from __future__ import annotations

from typing import NamedTuple

from qtpy.QtWidgets import QButtonGroup, QGridLayout, QLabel, QRadioButton, QVBoxLayout

from napari_gandenoise.widgets.fields.base import Field
from napari_gandenoise.widgets.layout.rows import note

__all__ = ["HAVE", "HaveField"]

COLUMNS = 2


class _Answer(NamedTuple):
    title: str
    tip: str
    then: str


HAVE = {
    "images": _Answer(
        "Clean images",
        "Micrographs or photographs with hardly any noise: layers, files or a public set.",
        "A denoiser learns from them: noise is added while it trains.",
    ),
    "cif": _Answer(
        "A CIF",
        "The crystal structure of your material, in a file.",
        "Crystals of the material are simulated, and the nearest bundled model learns to denoise them.",
    ),
    "noisy": _Answer(
        "Only noisy frames",
        "Micrographs or a movie, and no clean image of anything like them.",
        "Noise alone trains no model here. A bundled denoiser is adapted to your frames instead, by their own counts, "
        "and kept only if counts that it has not seen are for it.",
    ),
    "nothing": _Answer(
        "Nothing yet",
        "Not even a file of your own.",
        "Images are simulated while a denoiser learns from them.",
    ),
}


class HaveField(Field):
    """A question with its answers, and a line on what follows from the chosen one."""

    def __init__(self) -> None:
        super().__init__()
        self.buttons: dict[str, QRadioButton] = {}
        self.then = note()
        self._group = QButtonGroup(self)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        for place, (value, answer) in enumerate(HAVE.items()):
            button = QRadioButton(answer.title)
            button.setToolTip(answer.tip)
            self._group.addButton(button)
            self.buttons[value] = button
            grid.addWidget(button, *divmod(place, COLUMNS))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(QLabel("<b>What do you have?</b>"))
        column.addLayout(grid)
        column.addWidget(self.then)
        self.buttons["nothing"].setChecked(True)
        self._show_then()
        # Arrow keys move the choice, too, and tell it by this signal alone.
        self._group.buttonToggled.connect(self._on_toggled)

    def value(self) -> str:
        """Return the answer."""
        return next(value for value, button in self.buttons.items() if button.isChecked())

    def set_value(self, value: str) -> None:
        """Choose an answer."""
        self.buttons[value].setChecked(True)

    def _on_toggled(self, _button: object, down: bool) -> None:
        if down:
            self._show_then()
            self.changed.emit()

    def _show_then(self) -> None:
        self.then.setText(HAVE[self.value()].then)
