"""Boxes for numbers: any magnitude in few digits, a range, and a number that may be left to the program."""

from __future__ import annotations

import re

from qtpy.QtCore import Signal
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QSizePolicy, QWidget

__all__ = ["NumberBox", "RangeBox"]

LARGEST = 1e9
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


class RangeBox(QWidget):
    """Two numbers, the smaller first."""

    changed = Signal()

    def __init__(self, low: float = -LARGEST, high: float = LARGEST, unit: str = "") -> None:
        super().__init__()
        self._boxes = [NumberBox(low, high, unit) for _ in range(2)]
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self._boxes[0], stretch=1)
        row.addWidget(QLabel("to"))
        row.addWidget(self._boxes[1], stretch=1)
        for box in self._boxes:
            box.setButtonSymbols(NumberBox.ButtonSymbols.NoButtons)
            box.valueChanged.connect(self._on_edited)

    def value(self) -> tuple[float, float]:
        """Return both numbers."""
        low, high = (box.value() for box in self._boxes)
        return low, high

    def set_value(self, value: tuple[float, float]) -> None:
        """Set both numbers."""
        for box, number in zip(self._boxes, value, strict=True):
            box.blockSignals(True)
            box.setValue(number)
            box.blockSignals(False)
        self.changed.emit()

    def setToolTip(self, text: str | None) -> None:  # noqa: N802 - Qt's name
        """Explain both numbers."""
        for box in self._boxes:
            box.setToolTip(text)

    def _on_edited(self) -> None:
        low, high = self.value()
        if low > high:
            # The number that was not touched follows.
            sender = self.sender()
            other = self._boxes[0] if sender is self._boxes[1] else self._boxes[1]
            other.blockSignals(True)
            other.setValue(high if other is self._boxes[0] else low)
            other.blockSignals(False)
        self.changed.emit()
