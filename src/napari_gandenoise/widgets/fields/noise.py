"""The noise model: estimated from the image, shown in a line, edited on demand."""

from __future__ import annotations

from qtpy.QtWidgets import QToolButton, QWidget
from superqt import QElidingLabel

from napari_gandenoise.noise import Calibration
from napari_gandenoise.settings.noise import AnyNoise, Gaussian, Poisson, PoissonGaussian
from napari_gandenoise.widgets.fields.base import Field
from napari_gandenoise.widgets.fields.numbers import LARGEST, NumberBox
from napari_gandenoise.widgets.layout.rows import combo, form_rows, in_row, note

__all__ = ["NoiseField", "describe"]

# What each kind of noise asks for.
NUMBERS = {
    "poisson": ("gain", "offset"),
    "poisson-gaussian": ("gain", "offset", "read_noise"),
    "gaussian": ("sigma",),
}
LONGEST_LINE = 30  # characters beside the button; what is longer goes below
TITLES = {"poisson": "Poisson", "poisson-gaussian": "Poisson–Gaussian", "gaussian": "Gaussian"}
TOOLTIPS = {
    "gain": "Image units per electron.",
    "offset": "Image value without any electron.",
    "read_noise": "Read noise: standard deviation, in image units.",
    "sigma": "Standard deviation of the noise, in image units.",
}
LABELS = {"gain": "gain", "offset": "offset", "read_noise": "read σ", "sigma": "σ"}
MODELS: dict[str, type[Poisson | PoissonGaussian | Gaussian]] = {
    "poisson": Poisson,
    "poisson-gaussian": PoissonGaussian,
    "gaussian": Gaussian,
}


def describe(noise: AnyNoise) -> str:
    """Put the numbers of a noise model into a few words: ``gain 2.10, offset 100.00``; an offset of 0 goes unsaid."""
    numbers = {name: getattr(noise, name) for name in NUMBERS[noise.kind]}
    if numbers.get("offset") == 0:
        del numbers["offset"]
    return ", ".join(f"{LABELS[name]} {_short(value)}" for name, value in numbers.items())


def _short(value: float) -> str:
    return f"{value:.2f}" if 0.1 <= abs(value) < 1000 else f"{value:.3g}"


class NoiseField(Field):
    """Show an estimated noise model; the pencil opens its numbers, pressed again it goes back to the estimate.

    Below it are numbers that need more room, doubts about the estimate, and the editor as long as it is open.
    """

    def __init__(self) -> None:
        super().__init__()
        self._calibration: Calibration | None = None
        self._state, self._reason = "not estimated", ""
        self._text = QElidingLabel()
        self.pencil = QToolButton()
        self.pencil.setText("✎")
        self.pencil.setCheckable(True)
        self.pencil.setToolTip("Set the detector's numbers yourself; press again to go back to the estimate.")
        self.pencil.toggled.connect(self._on_edit_toggled)
        self.note = note()
        self.editor = QWidget()
        self._make_editor()
        self.below, self.labelled = (self.note, self.editor), (self.rows,)
        line = in_row(self._text, self.pencil)
        line.setStretch(0, 1)
        self.setLayout(line)
        self.set_waiting()

    def wants(self, below: QWidget) -> bool:
        """Whether a row below has something to show."""
        return self.edited if below is self.editor else super().wants(below)

    def _make_editor(self) -> None:
        self.rows = form_rows(self.editor)
        self._kind = combo(TITLES)
        self.rows.addRow("kind", self._kind)
        # Only an offset may be negative or nothing.
        self.boxes = {name: NumberBox(-LARGEST if name == "offset" else 1e-6) for name in LABELS}
        for name, box in self.boxes.items():
            self.rows.addRow(LABELS[name], box)
            box.setToolTip(TOOLTIPS[name])
            box.setValue(0.0 if name == "offset" else 1.0)
            box.valueChanged.connect(self._on_edited)
        self._kind.currentIndexChanged.connect(self._on_edited)

    @property
    def edited(self) -> bool:
        """Whether the user's own numbers are in use."""
        return bool(self.pencil.isChecked())

    def value(self) -> AnyNoise | None:
        """Return the noise model in use; None as long as nothing is known, which leaves it to the run."""
        if not self.edited:
            return self._calibration.noise if self._calibration else None
        kind = self._kind.currentData()
        return MODELS[kind](**{name: self.boxes[name].value() for name in NUMBERS[kind]})

    def set_waiting(self, state: str = "looking at the image…") -> None:
        """Forget the estimate: it is still to come."""
        self._forget(state)

    def set_unknown(self, reason: str) -> None:
        """Say why there is no estimate."""
        self._forget("not estimated", reason)

    def set_calibration(self, calibration: Calibration) -> None:
        """Show an estimate; numbers that the user has typed stay in use."""
        self._calibration = calibration
        self._show()

    def set_value(self, value: AnyNoise | None) -> None:
        """Set the noise model as if the user had typed it; None leaves it to the estimate."""
        self.pencil.setChecked(value is not None)
        if value is not None:
            self._fill(value)
        self._on_edited()

    def _forget(self, state: str, reason: str = "") -> None:
        self._calibration = None
        self._state, self._reason = state, reason
        self._show()

    def _show(self) -> None:
        noise, doubt = self.value(), ""
        if noise is None:
            parts, doubt = [self._state], self._reason
        elif self.edited:
            parts = [TITLES[noise.kind], "typed"]  # the numbers are in the editor
        else:
            parts = [TITLES[noise.kind], describe(noise), "estimated"]
        if self._calibration and not self.edited:
            doubt = "" if self._calibration.confident else self._calibration.message
            self.setToolTip(self._calibration.message)
        below = [parts.pop(1)] if len(", ".join(parts)) > LONGEST_LINE else []
        self._text.setText(", ".join(parts))
        self.note.setText("\n".join([*below, *filter(None, [doubt])]))
        self.show_below()

    def _on_edit_toggled(self, editing: bool) -> None:
        if editing and self._calibration:
            self._fill(self._calibration.noise)
        self._on_edited()

    def _fill(self, noise: AnyNoise) -> None:
        for widget in (self._kind, *self.boxes.values()):
            widget.blockSignals(True)
        self._kind.setCurrentIndex(self._kind.findData(noise.kind))
        for name in NUMBERS[noise.kind]:
            self.boxes[name].setValue(getattr(noise, name))
        for widget in (self._kind, *self.boxes.values()):
            widget.blockSignals(False)

    def _on_edited(self) -> None:
        for name, box in self.boxes.items():
            self.rows.setRowVisible(box, name in NUMBERS[self._kind.currentData()])
        self._show()
        self.changed.emit()
