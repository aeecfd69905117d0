"""Fields of a form made from a pydantic model: its types, bounds and descriptions are those of every other door."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QFormLayout, QGridLayout, QLineEdit, QPushButton, QSpinBox, QWidget

from napari_gandenoise.widgets._number_box import LARGEST, NumberBox, RangeBox
from napari_gandenoise.widgets._parts import combo

__all__ = ["Choices", "ConfigFields"]

UNITS = {"nm": "nm", "um": "µm", "mrad": "mrad", "kev": "keV", "deg": "°"}
PM_PER_NM = 1000.0
NARROW, A_ROW = 32, 3  # letters that fit beside each other; buttons in a row where they do not
LARGEST_INT = 2**31 - 1
AUTOMATIC = "automatic"
NOTHING = 1e-12  # the last decimal that a number box has


class Choices(QWidget):
    """A row of buttons, any of which may be down.

    Parameters
    ----------
    titles : mapping
        What can be chosen, with titles.
    least : int
        How many have to be down, 0 or 1.
    """

    changed = Signal()

    def __init__(self, titles: Mapping[Any, str], least: int = 1) -> None:
        super().__init__()
        self._least = least
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(2)
        self._group = QButtonGroup(self)
        self._group.setExclusive(False)
        self._buttons: dict[Any, QPushButton] = {}
        self._given: tuple[Any, ...] = ()
        columns = len(titles) if sum(map(len, titles.values())) <= NARROW else A_ROW
        for place, (value, title) in enumerate(titles.items()):
            button = QPushButton(title)
            button.setCheckable(True)
            button.setStyleSheet("padding: 4px 2px")
            self._group.addButton(button)
            self._buttons[value] = button
            grid.addWidget(button, *divmod(place, columns))
        self._group.buttonClicked.connect(self._on_clicked)

    def value(self) -> tuple[Any, ...]:
        """Return what is chosen; repeats, which weigh more, stay as they were given."""
        down = [value for value, button in self._buttons.items() if button.isChecked()]
        return self._given if set(self._given) == set(down) else tuple(down)

    def set_value(self, value: Sequence[Any]) -> None:
        """Choose."""
        self._given = tuple(value)
        for choice, button in self._buttons.items():
            button.setChecked(choice in self._given)
        self.changed.emit()

    def _on_clicked(self, button: QPushButton) -> None:
        if self._least and not any(b.isChecked() for b in self._buttons.values()):
            button.setChecked(True)
        self.changed.emit()


@dataclass(frozen=True)
class _Field:
    """A widget with the two ways to its value."""

    widget: QWidget
    read: Callable[[], Any]
    write: Callable[[Any], None]
    changed: Any


class ConfigFields(QObject):
    """Widgets for the fields of a pydantic model.

    Parameters
    ----------
    model : type of pydantic.BaseModel
        The config.
    names : iterable of str
        Fields to make.
    choices : mapping
        For a field that takes one or several of some values: these values with titles.
    titles : mapping
        Labels, where the field's own name does not do.

    Signals
    -------
    changed
        A field has another value, whoever changed it.
    """

    changed = Signal()

    def __init__(
        self,
        model: type[BaseModel],
        names: Iterable[str],
        choices: Mapping[str, Mapping[Any, str]] | None = None,
        titles: Mapping[str, str] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._fields: dict[str, _Field] = {}
        self._titles = dict(titles or {})
        for name in names:
            info = model.model_fields[name]
            made = _make(name, info, (choices or {}).get(name))
            made.widget.setToolTip(info.description or "")
            if not info.is_required():
                made.write(info.get_default(call_default_factory=True))
            made.changed.connect(self._on_changed)
            self._fields[name] = made

    def __getitem__(self, name: str) -> QWidget:
        """Return the widget of a field."""
        return self._fields[name].widget

    def names(self) -> list[str]:
        """Return the names of the fields."""
        return list(self._fields)

    def add_to(self, rows: QFormLayout, names: Iterable[str] | None = None) -> None:
        """Add rows to a form."""
        for name in names if names is not None else self._fields:
            widget = self._fields[name].widget
            title = self._titles.get(name, _title(name))
            if isinstance(widget, QCheckBox):
                widget.setText(title)
                rows.addRow("", widget)
            else:
                rows.addRow(title, widget)

    def values(self) -> dict[str, Any]:
        """Return the values by name."""
        return {name: field.read() for name, field in self._fields.items()}

    def set_values(self, values: BaseModel | Mapping[str, Any]) -> None:
        """Set those of the fields that have a value here."""
        given = dict(values)
        for name, field in self._fields.items():
            if name in given:
                field.write(given[name])

    def set_enabled(self, enabled: bool) -> None:
        """Let the fields be changed, or not."""
        for field in self._fields.values():
            field.widget.setEnabled(enabled)

    def _on_changed(self, *_: Any) -> None:
        self.changed.emit()


def _make(name: str, info: FieldInfo, choices: Mapping[Any, str] | None) -> _Field:
    """Make the widget that the type of a field asks for."""
    kind, optional = _without_none(info.annotation)
    if get_origin(kind) is Literal:
        return _choice(choices or {value: str(value) for value in get_args(kind)})
    if choices is not None:
        return _several(choices)
    if kind is bool:
        box = QCheckBox()
        return _Field(box, box.isChecked, box.setChecked, box.toggled)
    if kind is int:
        return _count(info, optional)
    if kind is float:
        return _number(name, info, optional)
    if kind is str:
        return _text(optional)
    if get_origin(kind) is tuple and get_args(kind)[0] is int:
        several_numbers = QLineEdit()
        return _Field(
            several_numbers,
            lambda: [part.strip() for part in several_numbers.text().split(",") if part.strip()],
            lambda value: several_numbers.setText(", ".join(map(str, value))),
            several_numbers.textChanged,
        )
    if get_origin(kind) is tuple and get_origin(get_args(kind)[0]) is Literal:
        least = max((getattr(rule, "min_length", 0) for rule in info.metadata), default=0)
        return _several({value: str(value) for value in get_args(get_args(kind)[0])}, least)
    if get_origin(kind) is tuple and get_args(kind) == (float, float):
        pair = RangeBox(*_bounds(info, LARGEST), _unit(name))
        return _Field(pair, pair.value, pair.set_value, pair.changed)
    raise TypeError(f"No field is known for {name}: {kind}.")


def _text(optional: bool) -> _Field:
    line = QLineEdit()

    def read() -> str | None:
        return line.text().strip() or None if optional else line.text()

    return _Field(line, read, lambda value: line.setText(value or ""), line.textChanged)


def _several(titles: Mapping[Any, str], least: int = 1) -> _Field:
    buttons = Choices(titles, least)
    return _Field(buttons, buttons.value, buttons.set_value, buttons.changed)


def _choice(titles: Mapping[Any, str]) -> _Field:
    box = combo(titles)
    return _Field(box, box.currentData, lambda value: box.setCurrentIndex(box.findData(value)), box.currentIndexChanged)


def _count(info: FieldInfo, optional: bool) -> _Field:
    low, high = map(int, _bounds(info, LARGEST_INT))
    box = QSpinBox()
    box.setRange(low - 1 if optional else low, high)
    box.setKeyboardTracking(False)
    box.setGroupSeparatorShown(True)
    box.setStepType(QSpinBox.StepType.AdaptiveDecimalStepType)
    if optional:
        box.setSpecialValueText(AUTOMATIC)

    def read() -> int | None:
        return None if optional and box.value() == box.minimum() else box.value()

    def write(value: int | None) -> None:
        box.setValue(box.minimum() if value is None else value)

    return _Field(box, read, write, box.valueChanged)


def _number(name: str, info: FieldInfo, optional: bool) -> _Field:
    low, high = _bounds(info, LARGEST)
    # Panels speak of pixels in picometres.
    scale, unit = (PM_PER_NM, "pm") if name == "pixel_size_nm" else (1.0, _unit(name))
    box = NumberBox(low * scale, high * scale, unit)
    if optional:
        # The least number stands for none: it is no value itself, being below what the field takes.
        box.setSpecialValueText(AUTOMATIC)
        box.setMinimum(0.0 if low > 0 else -NOTHING)

    def read() -> float | None:
        value = round(box.value() / scale, 12)
        return None if optional and box.value() == box.minimum() else value

    def write(value: float | None) -> None:
        box.setValue(box.minimum() if value is None else value * scale)

    return _Field(box, read, write, box.valueChanged)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """Return the type without ``None``, and whether ``None`` was among its values."""
    if get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation):
        annotation = next(part for part in get_args(annotation) if part is not NoneType)
        return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation, True
    return annotation, False


def _bounds(info: FieldInfo, largest: float) -> tuple[float, float]:
    """Return the bounds that a field's metadata set; an open one is moved in a little."""
    low, high = -largest, largest
    for rule in info.metadata:
        low = getattr(rule, "ge", low)
        high = getattr(rule, "le", high)
        if hasattr(rule, "gt"):
            low = rule.gt + 1e-9
        if hasattr(rule, "lt"):
            high = rule.lt - 1e-9
    return low, high


def _unit(name: str) -> str:
    return UNITS.get(name.rpartition("_")[2], "")


def _title(name: str) -> str:
    words = name.removesuffix(f"_{name.rpartition('_')[2]}") if _unit(name) else name
    return words.replace("_", " ").capitalize()
