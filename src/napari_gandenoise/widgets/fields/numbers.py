"""Boxes for numbers: any magnitude in few digits, a range, and a number that may be left to the program."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QLineEdit, QSizePolicy

from napari_gandenoise.widgets.fields.base import Field
from napari_gandenoise.widgets.layout.rows import in_row

__all__ = ["AUTOMATIC", "LARGEST", "NumberBox", "NumberField", "NumbersField", "RangeField"]

LARGEST = 1e9
NOTHING = 1e-12  # the last decimal that a number box has
AUTOMATIC = "automatic"
BEGUN = re.compile(r"[-+]?\d*\.?\d*(e[-+]?\d*)?", re.IGNORECASE)


class NumberBox(QDoubleSpinBox):
    """A number in as few digits as it needs: 0.0005, 20, 1e-06."""

    def __init__(self, low: float = -LARGEST, high: float = LARGEST, unit: str = "") -> None:
        super().__init__()
        self.setDecimals(12)
        self.setRange(low, high)
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self.setKeyboardTracking(False)
        self.setMinimumWidth(50)
        # Qt asks for the width of the longest number there can be.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        if unit:
            self.setSuffix(f" {unit}")

    def textFromValue(self, value: float) -> str:  # noqa: N802 - Qt's name
        """Write a number."""
        return f"{value:.6g}"

    def valueFromText(self, text: str | None) -> float:  # noqa: N802 - Qt's name
        """Read a number."""
        bare = self._bare(text or "")
        if bare == self.specialValueText():
            return self.minimum()
        try:
            return float(bare)
        except ValueError:
            return self.value()

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        """Tell Qt whether a text is a number in range, or may become one."""
        text = text or ""
        bare = self._bare(text)
        state = QValidator.State.Invalid
        if bare == self.specialValueText() or BEGUN.fullmatch(bare):
            state = QValidator.State.Intermediate
        try:
            if self.minimum() <= float(bare) <= self.maximum():
                state = QValidator.State.Acceptable
        except ValueError:
            if bare == self.specialValueText() and bare:
                state = QValidator.State.Acceptable
        return state, text, position

    def _bare(self, text: str) -> str:
        return text.removeprefix(self.prefix()).removesuffix(self.suffix()).strip()


class NumberField(Field):
    """A number; an optional one may be left to the program.

    Parameters
    ----------
    low, high : float
        Bounds of the value.
    unit : str
        Its unit.
    optional : bool
        Whether there may be none.
    scale : float
        What is shown for a value of 1.
    whole : bool
        Whether it is an integer.
    """

    def __init__(
        self,
        low: float = -LARGEST,
        high: float = LARGEST,
        unit: str = "",
        *,
        optional: bool = False,
        scale: float = 1.0,
        whole: bool = False,
    ) -> None:
        super().__init__()
        self._optional, self._scale, self._whole = optional, scale, whole
        self.box = NumberBox(low * scale, high * scale, unit)
        if optional:
            # The least number stands for none: it is no value itself, being below what the setting takes.
            self.box.setSpecialValueText(AUTOMATIC)
            self.box.setMinimum(0.0 if low > 0 else -NOTHING)
            self.set_value(None)
        if whole:
            self.box.setStepType(NumberBox.StepType.DefaultStepType)
        self.setLayout(in_row(self.box))
        self.box.valueChanged.connect(self.changed)

    def value(self) -> float | None:
        """Return the number; None where it is left to the program."""
        if self._optional and self.box.value() == self.box.minimum():
            return None
        value = round(self.box.value() / self._scale, 12)
        return round(value) if self._whole else value

    def set_value(self, value: float | None) -> None:
        """Set the number."""
        self.box.setValue(self.box.minimum() if value is None else value * self._scale)


class NumbersField(Field):
    """As many whole numbers as are typed, with commas between them."""

    def __init__(self) -> None:
        super().__init__()
        self.line = QLineEdit()
        self.setLayout(in_row(self.line))
        self.line.textChanged.connect(self.changed)

    def value(self) -> tuple[Any, ...]:
        """Return the numbers; what is none stays as it was typed, for the settings to refuse."""
        parts = [part.strip() for part in self.line.text().split(",") if part.strip()]
        return tuple(int(part) if part.isdecimal() else part for part in parts)

    def set_value(self, value: Sequence[int]) -> None:
        """Set the numbers."""
        self.line.setText(", ".join(map(str, value)))


class RangeField(Field):
    """Two numbers, the smaller first."""

    def __init__(self, low: float = -LARGEST, high: float = LARGEST, unit: str = "") -> None:
        super().__init__()
        self.boxes = [NumberBox(low, high, unit) for _ in range(2)]
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.boxes[0], stretch=1)
        row.addWidget(QLabel("to"))
        row.addWidget(self.boxes[1], stretch=1)
        for box in self.boxes:
            box.setButtonSymbols(NumberBox.ButtonSymbols.NoButtons)
            box.setStyleSheet("min-width: 44px")  # less than napari asks for
            box.valueChanged.connect(self._on_edited)

    def value(self) -> tuple[float, float]:
        """Return both numbers."""
        low, high = (box.value() for box in self.boxes)
        return low, high

    def set_value(self, value: tuple[float, float]) -> None:
        """Set both numbers."""
        for box, number in zip(self.boxes, value, strict=True):
            box.blockSignals(True)
            box.setValue(number)
            box.blockSignals(False)
        self.changed.emit()

    def setToolTip(self, text: str | None) -> None:  # noqa: N802 - Qt's name
        """Explain both numbers."""
        for box in self.boxes:
            box.setToolTip(text)

    def _on_edited(self) -> None:
        low, high = self.value()
        if low > high:
            # The number that was not touched follows.
            sender = self.sender()
            other = self.boxes[0] if sender is self.boxes[1] else self.boxes[1]
            other.blockSignals(True)
            other.setValue(high if other is self.boxes[0] else low)
            other.blockSignals(False)
        self.changed.emit()
