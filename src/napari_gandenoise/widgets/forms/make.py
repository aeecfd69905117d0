"""The widget of a setting, made from its type, bounds, choices and description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from magicgui.widgets import CheckBox, create_widget
from magicgui.widgets.bases import BaseValueWidget
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QWidget

from napari_gandenoise.settings.fields import Leaf
from napari_gandenoise.widgets.fields.base import Field, FieldWidget
from napari_gandenoise.widgets.fields.choices import Choices
from napari_gandenoise.widgets.fields.model import ModelField
from napari_gandenoise.widgets.fields.noise import NoiseField
from napari_gandenoise.widgets.fields.numbers import LARGEST, NumberField, NumbersField, RangeField
from napari_gandenoise.widgets.fields.paths import PathField, PathsField
from napari_gandenoise.widgets.fields.preset import PresetField
from napari_gandenoise.widgets.layout.rows import slim

__all__ = ["SPECIAL", "Widget", "chooser", "plain", "widget_of"]

Widget = BaseValueWidget[Any]
SPECIAL: dict[str, Callable[[], Field]] = {
    "model": partial(ModelField, automatic=True),
    "latent model": ModelField,
    "noise": NoiseField,
    "preset": PresetField,
}
LARGEST_INT = 2**31 - 1
PM_PER_NM = 1000.0


def widget_of(leaf: Leaf, special: Mapping[str, Callable[[], Field]]) -> Widget:
    """Make the widget of a setting.

    Parameters
    ----------
    leaf : Leaf
        The setting.
    special : mapping
        Own fields by the name that settings give them.

    Raises
    ------
    TypeError
        If no widget is known for its type.
    """
    if leaf.field in special:
        return _own(special[leaf.field]())
    if field := _field_of(leaf):
        return _own(field)
    options: dict[str, Any] = {}
    if leaf.choices:
        return chooser({value: _begun(title) for value, title in leaf.choices.items()})
    if leaf.kind is Path:
        return PathField("d" if leaf.field == "folder" else "r")
    if leaf.kind == tuple[Path, ...]:
        return PathsField()
    if leaf.kind is bool:
        options["text"] = leaf.title
    elif leaf.kind is int:
        low, high = _bounds(leaf, LARGEST_INT)
        options |= {"min": int(low), "max": int(high), "step": _rule(leaf, "multiple_of")}
    elif leaf.kind is not str:
        raise TypeError(f"No widget is known for {leaf.dotted}: {leaf.kind}.")
    return plain(leaf.kind, **options)


def chooser(titles: Mapping[Any, str]) -> Widget:
    """Make a list to choose one of some values from, by their titles."""
    return plain(str, widget_type="ComboBox", choices=[(title, value) for value, title in titles.items()])


def plain(kind: Any, **options: Any) -> Widget:
    """Make magicgui's widget for a type, and fit it into a narrow panel."""
    widget = create_widget(annotation=kind, options=options)
    assert isinstance(widget, BaseValueWidget)
    native: QWidget = widget.native
    if isinstance(native, QComboBox):
        slim(native)
    elif isinstance(native, QAbstractSpinBox):
        native.setKeyboardTracking(False)
        native.setGroupSeparatorShown(True)
    if not isinstance(widget, CheckBox):
        native.setMinimumWidth(50)
    return widget


def _own(field: Field) -> Widget:
    kind: Any = FieldWidget
    widget = create_widget(widget_type=kind, options={"field": field})
    assert isinstance(widget, FieldWidget)
    return widget


def _field_of(leaf: Leaf) -> Field | None:
    """Make the own field that a type asks for, if magicgui's would not do."""
    arguments = get_args(leaf.kind)
    if get_origin(leaf.kind) is tuple and (titles := leaf.choices or _literals(arguments[0])):
        return Choices(titles, int(_rule(leaf, "min_length") or 0))
    if leaf.kind is float or (leaf.kind is int and (leaf.optional or leaf.unit)):
        # Panels speak of pixels in picometres.
        scale, unit = (PM_PER_NM, "pm") if leaf.path[-1] == "pixel_size_nm" else (1.0, leaf.unit)
        low, high = _bounds(leaf, LARGEST)
        return NumberField(low, high, unit, optional=leaf.optional, scale=scale, whole=leaf.kind is int)
    if arguments == (float, float):
        return RangeField(*_bounds(leaf, LARGEST), leaf.unit)
    if get_origin(leaf.kind) is tuple and arguments[0] is int:
        return NumbersField()
    return None


def _literals(kind: Any) -> dict[Any, str]:
    return {value: _begun(str(value)) for value in get_args(kind)} if get_origin(kind) is Literal else {}


def _begun(title: str) -> str:
    return title[:1].upper() + title[1:]


def _bounds(leaf: Leaf, largest: float) -> tuple[float, float]:
    """Return the bounds of a setting; an open one is moved in a little."""
    low, high = -largest, largest
    for rule in leaf.info.metadata:
        low = getattr(rule, "ge", low)
        high = getattr(rule, "le", high)
        if hasattr(rule, "gt"):
            low = rule.gt + 1e-9
        if hasattr(rule, "lt"):
            high = rule.lt - 1e-9
    return low, high


def _rule(leaf: Leaf, name: str) -> Any:
    return next((getattr(rule, name) for rule in leaf.info.metadata if hasattr(rule, name)), None)
