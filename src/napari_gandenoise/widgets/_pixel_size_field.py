"""The pixel size: pre-filled from the layer, typed where the layer does not know."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QWidget

from napari_gandenoise.widgets._parts import note

__all__ = ["PixelSizeField"]

PM_PER_NM = 1000.0


class PixelSizeField(QWidget):
    """Edit a pixel size in picometres, and say where the number comes from.

    Attributes
    ----------
    note : QLabel
        Why the size is not known, to be placed below; hidden otherwise.

    Signals
    -------
    changed
        The user has typed another size.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: float | None = None
        self._box = QDoubleSpinBox()
        self._box.setRange(0, 100_000)
        self._box.setDecimals(2)
        self._box.setSuffix(" pm")
        self._box.setSpecialValueText("unknown")
        self._box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self._box.setKeyboardTracking(False)
        self._box.setFixedWidth(125)
        self._box.setToolTip("Side of a pixel. The model works at its own pixel size, so this number matters.")
        self._origin = QLabel()
        self.note = note()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._box)
        row.addWidget(self._origin, stretch=1)
        self._box.valueChanged.connect(self._on_edited)

    def value(self) -> float | None:
        """Return the pixel size in nm, or None while it is unknown."""
        if self._found is not None:
            return self._found
        return round(self._box.value() / PM_PER_NM, 8) or None

    def set_value(self, pixel_size_nm: float | None, origin: str) -> None:
        """Show a pixel size in nm and where it was found, or why it was not."""
        # What was found is kept to its last digit; the box shows two.
        self._found = pixel_size_nm
        self._box.blockSignals(True)
        self._box.setValue((pixel_size_nm or 0.0) * PM_PER_NM)
        self._box.blockSignals(False)
        self._say(origin)

    def set_typed(self, pixel_size_nm: float) -> None:
        """Set the size as if the user had typed it."""
        self._box.setValue(pixel_size_nm * PM_PER_NM)

    def _on_edited(self) -> None:
        self._found = None
        self._say("typed" if self._box.value() else "Please type the pixel size.")
        self.changed.emit()

    def _say(self, origin: str) -> None:
        known = self.value() is not None
        self._origin.setText(origin if known else "")
        self.note.setText("" if known else origin)
        self.note.setVisible(not known)
