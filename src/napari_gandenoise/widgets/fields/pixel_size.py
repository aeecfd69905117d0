"""The pixel size: pre-filled from the layer, typed where the layer does not know."""

from __future__ import annotations

from qtpy.QtWidgets import QDoubleSpinBox
from superqt import QElidingLabel

from napari_gandenoise.widgets.fields.base import Field
from napari_gandenoise.widgets.layout.rows import in_row, note

__all__ = ["PixelSizeField"]

PM_PER_NM = 1000.0


class PixelSizeField(Field):
    """Edit a pixel size in picometres, and say where the number comes from, or below why it is not known."""

    def __init__(self) -> None:
        super().__init__()
        self._found: float | None = None
        self._box = QDoubleSpinBox()
        self._box.setRange(0, 100_000)
        self._box.setDecimals(2)
        self._box.setSuffix(" pm")
        self._box.setSpecialValueText("unknown")
        self._box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self._box.setKeyboardTracking(False)
        self._box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self._box.setFixedWidth(95)
        self._box.setToolTip("Side of a pixel. The model works at its own pixel size, so this number matters.")
        self._origin = QElidingLabel()
        self.note = note()
        self.below = (self.note,)
        row = in_row(self._box, self._origin)
        row.setStretch(1, 1)
        self.setLayout(row)
        self._box.valueChanged.connect(self._on_edited)

    def value(self) -> float | None:
        """Return the pixel size in nm, or None while it is unknown."""
        if self._found is not None:
            return self._found
        return round(self._box.value() / PM_PER_NM, 8) or None

    def set_value(self, value: float | None) -> None:
        """Set the size in nm as if the user had typed it."""
        self._box.setValue((value or 0.0) * PM_PER_NM)

    def show_found(self, pixel_size_nm: float | None, origin: str) -> None:
        """Show a pixel size in nm and where it was found, or why it was not."""
        # What was found is kept to its last digit; the box shows two.
        self._found = pixel_size_nm
        self.show_guess(None)
        self._box.blockSignals(True)
        self._box.setValue((pixel_size_nm or 0.0) * PM_PER_NM)
        self._box.blockSignals(False)
        self._say(origin)

    def show_guess(self, pixel_size_nm: float | None) -> None:
        """Show in place of an unknown size the guess, in nm, that a run would make; None if it makes none."""
        guess = "unknown" if pixel_size_nm is None else f"{pixel_size_nm * PM_PER_NM:.3g} pm ?"
        self._box.setSpecialValueText(guess)

    def _on_edited(self) -> None:
        self._found = None
        self.show_guess(None)
        self._say("typed" if self._box.value() else "Type the pixel size if you know it.")
        self.changed.emit()

    def _say(self, origin: str) -> None:
        known = self.value() is not None
        self._origin.setText(origin if known else "")
        self.note.setText("" if known else origin)
        self.show_below()
