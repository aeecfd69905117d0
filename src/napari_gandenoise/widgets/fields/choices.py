"""Several of some values: a row of buttons, any of which may be down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtWidgets import QButtonGroup, QGridLayout, QPushButton

from napari_gandenoise.widgets.fields.base import Field

__all__ = ["Choices"]

NARROW, A_ROW = 24, 2  # letters that fit beside each other; the fewest buttons in a row where they do not


class Choices(Field):
    """A row of buttons.

    Parameters
    ----------
    titles : mapping
        What can be chosen, with titles.
    least : int
        How many have to be down, 0 or 1.
    tips : mapping, optional
        What is said of a choice where the mouse rests.
    """

    def __init__(self, titles: Mapping[Any, str], least: int = 1, tips: Mapping[Any, str] | None = None) -> None:
        super().__init__()
        self._least = least
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(2)
        self._group = QButtonGroup(self)
        self._group.setExclusive(False)
        self.buttons: dict[Any, QPushButton] = {}
        self._given: tuple[Any, ...] = ()
        letters = [len(title) for title in titles.values()]
        columns = len(titles) if sum(letters) <= NARROW else max(A_ROW, NARROW // max(letters))
        for place, (value, title) in enumerate(titles.items()):
            button = QPushButton(title)
            button.setCheckable(True)
            button.setStyleSheet("padding: 4px 2px")
            button.setToolTip((tips or {}).get(value, ""))
            self._group.addButton(button)
            self.buttons[value] = button
            grid.addWidget(button, *divmod(place, columns))
        self._group.buttonClicked.connect(self._on_clicked)

    def value(self) -> tuple[Any, ...]:
        """Return what is chosen; repeats, which weigh more, stay as they were given."""
        down = [value for value, button in self.buttons.items() if button.isChecked()]
        return self._given if set(self._given) == set(down) else tuple(down)

    def set_value(self, value: Sequence[Any]) -> None:
        """Choose."""
        self._given = tuple(value)
        for choice, button in self.buttons.items():
            button.setChecked(choice in self._given)
        self.changed.emit()

    def _on_clicked(self, button: QPushButton) -> None:
        if self._least and not any(b.isChecked() for b in self.buttons.values()):
            button.setChecked(True)
        self.changed.emit()
