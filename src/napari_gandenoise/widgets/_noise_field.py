"""The noise model: estimated from the image, shown in a line, edited on demand."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_gandenoise.noise import AnyNoise, Calibration, Gaussian, Poisson, PoissonGaussian

__all__ = ["NoiseField", "describe"]

# What each kind of noise asks for: field of the model, label.
NUMBERS = {
    "poisson": ("gain", "offset"),
    "poisson-gaussian": ("gain", "offset", "read_noise"),
    "gaussian": ("sigma",),
}
TITLES = {"poisson": "Poisson", "poisson-gaussian": "Poisson–Gaussian", "gaussian": "Gaussian"}
LABELS = {"gain": "gain", "offset": "offset", "read_noise": "read noise", "sigma": "sigma"}
MODELS: dict[str, type[Poisson | PoissonGaussian | Gaussian]] = {
    "poisson": Poisson,
    "poisson-gaussian": PoissonGaussian,
    "gaussian": Gaussian,
}


def describe(noise: AnyNoise) -> str:
    """Put a noise model into a few words: ``Poisson, gain 1.00``."""
    numbers = {name: getattr(noise, name) for name in NUMBERS[noise.kind]}
    if numbers.get("offset") == 0:
        del numbers["offset"]
    return ", ".join([TITLES[noise.kind], *(f"{LABELS[name]} {_short(value)}" for name, value in numbers.items())])


def _short(value: float) -> str:
    return f"{value:.2f}" if 0.1 <= abs(value) < 1000 else f"{value:.3g}"


class NoiseField(QWidget):
    """Show an estimated noise model; *Edit* opens its numbers, *Estimate* goes back."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._calibration: Calibration | None = None
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._edit = QToolButton()
        self._edit.setText("Edit")
        self._edit.setCheckable(True)
        self._edit.setToolTip("Set the detector's numbers yourself; click again to use the estimate.")
        self._edit.toggled.connect(self._on_edit_toggled)
        self._editor = self._make_editor()
        self._editor.setVisible(False)
        line = QHBoxLayout()
        line.addWidget(self._text, stretch=1)
        line.addWidget(self._edit)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(line)
        column.addWidget(self._editor)
        self.set_waiting()

    def _make_editor(self) -> QWidget:
        editor = QWidget()
        self._form = QFormLayout(editor)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._kind = QComboBox()
        for kind, title in TITLES.items():
            self._kind.addItem(title, kind)
        self._form.addRow("kind", self._kind)
        self._boxes: dict[str, QDoubleSpinBox] = {}
        for name, label in LABELS.items():
            box = QDoubleSpinBox()
            # Offsets may have either sign; the others must stay above zero.
            box.setRange(-1e9 if name == "offset" else 1e-6, 1e9)
            box.setDecimals(6 if name != "offset" else 3)
            box.setValue(0.0 if name == "offset" else 1.0)
            box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
            box.setKeyboardTracking(False)
            box.setMinimumWidth(60)
            box.valueChanged.connect(self._on_edited)
            self._boxes[name] = box
            self._form.addRow(label, box)
        self._kind.currentIndexChanged.connect(self._on_edited)
        return editor

    @property
    def edited(self) -> bool:
        """Whether the user's own numbers are in use."""
        return bool(self._edit.isChecked())

    def value(self) -> AnyNoise | None:
        """Return the noise model in use; None as long as nothing is known, which leaves it to the run."""
        if self.edited:
            kind = self._kind.currentData()
            return MODELS[kind](**{name: self._boxes[name].value() for name in NUMBERS[kind]})
        return self._calibration.noise if self._calibration else None

    def set_waiting(self) -> None:
        """Forget the estimate: another image is being looked at."""
        self._calibration = None
        self._show()

    def set_calibration(self, calibration: Calibration) -> None:
        """Show an estimate; numbers that the user has typed stay in use."""
        self._calibration = calibration
        self._show()

    def set_unknown(self, reason: str) -> None:
        """Say why there is no estimate."""
        self._calibration = None
        self._text.setText("not estimated")
        self._text.setToolTip(reason)

    def _show(self) -> None:
        if self.edited:
            noise = self.value()
            self._text.setText(f"{describe(noise)}, typed" if noise else "")
            return
        if self._calibration is None:
            self._text.setText("looking at the image…")
            return
        sure = "estimated" if self._calibration.confident else "estimated, please check"
        self._text.setText(f"{describe(self._calibration.noise)}, {sure}")
        self._text.setToolTip(self._calibration.message)

    def _on_edit_toggled(self, editing: bool) -> None:
        if editing and self._calibration:
            self._fill(self._calibration.noise)
        self._editor.setVisible(editing)
        self._on_edited()

    def _fill(self, noise: AnyNoise) -> None:
        for widget in (self._kind, *self._boxes.values()):
            widget.blockSignals(True)
        self._kind.setCurrentIndex(self._kind.findData(noise.kind))
        for name in NUMBERS[noise.kind]:
            self._boxes[name].setValue(getattr(noise, name))
        for widget in (self._kind, *self._boxes.values()):
            widget.blockSignals(False)

    def _on_edited(self) -> None:
        for name, box in self._boxes.items():
            self._form.setRowVisible(box, name in NUMBERS[self._kind.currentData()])
        self._show()
        self.changed.emit()
