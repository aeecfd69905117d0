"""A form made from the settings of a job: its fields, which of them mean something now, what they are together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from qtpy.QtCore import Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_gandenoise.settings.base import Settings, configure
from napari_gandenoise.settings.fields import Condition, Leaf, nested, value_at, walk
from napari_gandenoise.widgets.fields.base import Field, FieldWidget
from napari_gandenoise.widgets.forms.make import SPECIAL, Widget, widget_of
from napari_gandenoise.widgets.forms.memory import recall, remember
from napari_gandenoise.widgets.layout.rows import Folded, align_labels, form_rows

__all__ = ["ADVANCED", "SettingsForm"]

WIDE = ("preset", "methods", "files", "have")  # special fields that take a whole row
ADVANCED = "Advanced"
LAST = ("methods",)  # those that come below all groups


@dataclass
class _Row:
    """A field of the form; `leaf` is None for one that is not of the settings but the panel's own."""

    name: str
    widget: Widget
    rows: QFormLayout
    when: tuple[Condition, ...]
    standard: Any  # what it is unless someone changes it
    leaf: Leaf | None = None
    kept: bool = False  # from one session to the next, of the panel's own
    group: str = ""

    def read(self) -> Any:
        """Return the value; an optional text that is empty is none."""
        value = self.widget.value
        return None if value == "" and self.leaf is not None and self.leaf.optional else value

    def write(self, value: Any) -> None:
        """Set the value, unless it is none that the field understands."""
        blank = "" if value is None and self.leaf is not None and self.leaf.kind is str else _hashable(value)
        try:
            self.widget.value = blank
        except (ValueError, TypeError, KeyError, AttributeError):
            return  # of another version

    @property
    def changed(self) -> bool:
        """Whether it differs from what it is unless someone changes it."""
        return bool(self.read() != self.standard)

    @property
    def remembered(self) -> bool:
        """Whether it is worth remembering: it is no matter of the image at hand, and changed in some way."""
        if self.leaf is None or self.leaf.of_image:
            return False
        return self.changed or self.read() != self.leaf.default


class SettingsForm(QWidget):
    """The settings of a job: those in front in rows, the others folded away in groups.

    Parameters
    ----------
    model : type of Settings
        Whose settings.
    special : mapping, optional
        Own fields by the name that settings give them, beside those of `napari_gandenoise.widgets.forms.make`.
    hidden : collection of str
        Settings that have no field here, by their dotted names.
    front : sequence of str, optional
        Settings that stand in front, in this order; what else would is folded away under "Advanced".

    Signals
    -------
    changed
        A field has another value, whoever changed it.

    Attributes
    ----------
    beside : tuple of QFormLayout
        Other rows of the panel, whose labels line up with those of the form.
    """

    changed = Signal()

    def __init__(
        self,
        model: type[Settings],
        special: Mapping[str, Callable[[], Field]] | None = None,
        hidden: Collection[str] = (),
        front: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self._model, self._in_front = model, front
        self._rows: list[_Row] = []
        self._filling = False
        self.beside: tuple[QFormLayout, ...] = ()
        self._told: dict[str, set[Any]] = {}
        self.front = form_rows()
        self.front.setSpacing(6)
        self.groups: dict[str, Folded] = {}
        self._last = form_rows()
        self._group_rows: dict[str, QFormLayout] = {"": self.front}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(self.front)
        known = {**SPECIAL, **(special or {})}
        leaves = walk(model, whole=("noise", "data"))
        if front is not None:
            leaves = sorted(leaves, key=lambda leaf: _place(leaf.dotted, front))
        for leaf in leaves:
            if leaf.field != "hidden" and leaf.dotted not in hidden:
                self._add_leaf(leaf, known)
        column.addLayout(self._last)
        self._show_rows()

    # Its rows

    def _add_leaf(self, leaf: Leaf, special: Mapping[str, Callable[[], Field]]) -> None:
        widget = widget_of(leaf, special)
        widget.tooltip = leaf.info.description
        folded = self._in_front is not None and leaf.dotted not in self._in_front
        group = leaf.group or (ADVANCED if folded else "")
        rows = self._last if leaf.field in LAST else self._rows_of(group)
        row = _Row(leaf.dotted, widget, rows, leaf.when, leaf.default, leaf, group=group)
        if leaf.default is PydanticUndefined:
            row.standard = widget.value
        else:
            row.write(leaf.default)
            row.standard = _hashable(leaf.default)
        titled = leaf.kind is not bool or bool(leaf.choices)
        # A box to tick has its words beside it: behind a column of labels it would widen a narrow panel.
        self._place(row, leaf.title if titled else "", wide=leaf.field in WIDE or not titled)

    def add(
        self,
        name: str,
        widget: Widget,
        title: str = "",
        *,
        after: str = "",
        first: bool = False,
        group: str = "",
        when: Condition | None = None,
        kept: bool = True,
    ) -> Widget:
        """Add a field that is no setting of the job but the panel's own.

        Parameters
        ----------
        name : str
            What it is called in this form.
        widget : magicgui widget
            The field.
        title : str
            Its label.
        after : str
            The field in front that it comes after; by default it comes last.
        first : bool
            Whether it comes before all others.
        group : str
            The group that it stands in.
        when : mapping, optional
            Fields or facts with the values for which it means anything.
        kept : bool
            Whether it is remembered.
        """
        rows = self._rows_of(group)
        row = _Row(name, widget, rows, (when,) if when else (), widget.value, kept=kept, group=group)
        self._place(row, title, after=after, first=first)
        self._show_rows()
        return widget

    def add_below(self, name: str, widget: QWidget) -> None:
        """Add a text or a button below a field."""
        row = self._row(name)
        row.rows.insertRow(row.rows.getWidgetPosition(row.widget.native)[0] + 1, "", widget)

    def _rows_of(self, group: str) -> QFormLayout:
        if group not in self._group_rows:
            content = QWidget()
            self._group_rows[group] = form_rows(content)
            self.groups[group] = section = Folded(group, content)
            section.reset.clicked.connect(lambda: self.reset(group))
            self.layout().addWidget(section)  # type: ignore[union-attr]
        return self._group_rows[group]

    def _place(self, row: _Row, title: str, *, after: str = "", first: bool = False, wide: bool = False) -> None:
        native, field = row.widget.native, _field(row.widget)
        below = field.below if field is not None else ()
        place = 0 if first else row.rows.rowCount()
        if after:
            other = self._row(after)
            under = _field(other.widget)
            place = row.rows.getWidgetPosition(other.widget.native)[0] + 1 + (len(under.below) if under else 0)
        if wide:
            row.rows.insertRow(place, native)
        else:
            row.rows.insertRow(place, title, native)
        for number, widget in enumerate(below, start=place + 1):
            if widget.layout() is not None:
                row.rows.insertRow(number, widget)
            else:
                row.rows.insertRow(number, "", widget)
        self._rows.append(row)
        row.widget.changed.connect(self._on_changed)

    def _row(self, name: str) -> _Row:
        """Return the field of a name; of those of several variants the one that means something."""
        rows = [row for row in self._rows if row.name == name]
        if not rows:
            raise KeyError(name)
        if len(rows) == 1:
            return rows[0]
        return next(self._meaning(rows), rows[0])

    def __getitem__(self, name: str) -> Widget:
        """Return the widget of a field by its dotted name."""
        return self._row(name).widget

    def field(self, name: str) -> Any:
        """Return the own field behind a widget."""
        widget = self[name]
        assert isinstance(widget, FieldWidget)
        return widget.field

    def all_names(self) -> list[str]:
        """Return the names of all fields, whether or not they mean something now."""
        return sorted({row.name for row in self._rows})

    @property
    def settings(self) -> str:
        """Name of the settings that the form is made from."""
        return self._model.__name__

    def names(self) -> list[str]:
        """Return the names of the fields that mean something now, as they are shown."""
        return [row.name for row in self._meaning(self._rows)]

    # What means something

    def _meaning(self, rows: Iterable[_Row]) -> Iterator[_Row]:
        """Yield those of the rows that mean something now."""
        facts = self._facts()
        return (row for row in rows if _holds(row, facts))

    def set_fact(self, name: str, value: str, *, holds: bool) -> None:
        """Say whether something holds that conditions ask for and no field tells."""
        self._told[name] = {value} if holds else set()
        self._show_rows()

    def _facts(self) -> dict[str, set[Any]]:
        """Return the values of fields that conditions may ask for, and what else is known of them."""
        asked = {name for row in self._rows for condition in row.when for name in condition}
        facts = {**self._told, **{row.name: {row.read()} for row in self._rows if row.name in asked}}
        for row in self._rows:
            field = _field(row.widget)
            # One of another variant, which means nothing now, has nothing to tell.
            facts |= field.facts() if field is not None and _holds(row, facts) else {}
        return facts

    def _show_rows(self) -> None:
        changed = dict.fromkeys(self.groups, 0)
        facts, filled = self._facts(), set()
        for row in self._rows:
            shown = _holds(row, facts)
            row.rows.setRowVisible(row.widget.native, shown)
            field = _field(row.widget)
            if field is not None:
                field.show_below(shown)
            if shown:
                filled.add(row.rows)
            if row.group and shown and row.changed:
                changed[row.group] += 1
        for group, section in self.groups.items():
            section.setVisible(self._group_rows[group] in filled)
            section.show_changed(changed[group])

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Line up the labels, now that they have the font of the window."""
        fields = [field for row in self._rows if (field := _field(row.widget)) is not None]
        align_labels(*self._group_rows.values(), *self.beside, *(rows for field in fields for rows in field.labelled))
        super().showEvent(event)

    # Its values

    def values(self) -> dict[str, Any]:
        """Return the settings that mean something now, as nested dictionaries."""
        shown = self._meaning(self._rows)
        return nested({row.leaf.path: row.read() for row in shown if row.leaf is not None})

    def config(self, **others: Any) -> Any:
        """Return the settings as the config that every door takes.

        Parameters
        ----------
        **others
            Settings that have no field here.

        Raises
        ------
        GanDenoiseError
            If they do not go together.
        """
        return configure(self._model, None, {**self.values(), **others})

    def set_values(self, values: BaseModel | Mapping[str, Any]) -> None:
        """Set these settings, and all others to their defaults.

        Parameters
        ----------
        values : Settings or mapping
            A config, or nested dictionaries.
        """
        with self._all_at_once():
            for row, leaf in self._leaves():
                known, value = _lookup(values, leaf.path)
                if known and self._is_variant(row, values):
                    row.write(value)
                elif not leaf.of_image and leaf.default is not PydanticUndefined:
                    row.write(leaf.default)

    def suggest(self, values: Mapping[str, Any]) -> None:
        """Set settings by their dotted names, to what then counts as not changed."""
        with self._all_at_once():
            for row in self._rows:
                if row.name in values:
                    row.write(values[row.name])
                    row.standard = row.read()

    def reset(self, group: str) -> None:
        """Set what a group shows to what it is unless someone changes it."""
        with self._all_at_once():
            for row in list(self._meaning(self._rows)):
                if row.group == group:
                    row.write(row.standard)

    def _leaves(self) -> Iterator[tuple[_Row, Leaf]]:
        for row in self._rows:
            if row.leaf is not None:
                yield row, row.leaf

    def _is_variant(self, row: _Row, values: BaseModel | Mapping[str, Any]) -> bool:
        """Whether, of the fields of one name, it is the one that values mean."""
        if sum(other.name == row.name for other in self._rows) == 1:
            return True
        return any(
            all(value_at(values, tuple(name.split("."))) in allowed for name, allowed in condition.items())
            for condition in row.when
        )

    # From one session to the next

    def remember(self, panel: str, **others: Any) -> None:
        """Store what was changed, and the panel's own choices, for the next session."""
        shown = self._meaning(self._rows)
        settings = nested({row.leaf.path: row.read() for row in shown if row.leaf is not None and row.remembered})
        own = {row.name: row.read() for row in self._rows if row.kept}
        remember(panel, settings, {**own, **others})

    def recall(self, panel: str) -> dict[str, Any]:
        """Set the fields as they were in an earlier session; return what else was stored."""
        memory = recall(panel)
        others = dict(memory.own)
        with self._all_at_once():
            self.set_values(memory.settings)
            for row in self._rows:
                if row.leaf is None and row.name in others:
                    row.write(others.pop(row.name))
        return others

    # Changes

    def _on_changed(self, _value: Any = None) -> None:
        if not self._filling:
            self._show_rows()
            self.changed.emit()

    def _all_at_once(self) -> _Filling:
        return _Filling(self)

    def update_rows(self) -> None:
        """Show what means something, and tell that there are changes."""
        self._on_changed()


class _Filling:
    """Tells of many changes once, when all are made."""

    def __init__(self, form: SettingsForm) -> None:
        self._form = form

    def __enter__(self) -> None:
        self._before, self._form._filling = self._form._filling, True

    def __exit__(self, *_: object) -> None:
        self._form._filling = self._before
        self._form.update_rows()


def _place(name: str, front: Sequence[str]) -> int:
    """Say where a setting stands: as those in front are named, all others behind them as they come."""
    return front.index(name) if name in front else len(front)


def _holds(row: _Row, facts: Mapping[str, set[Any]]) -> bool:
    """Whether one of the conditions of a row holds."""
    return not row.when or any(
        all(bool(facts.get(name, set()) & set(allowed)) for name, allowed in condition.items())
        for condition in row.when
    )


def _field(widget: Widget) -> Field | None:
    return widget.field if isinstance(widget, FieldWidget) else None


def _hashable(value: Any) -> Any:
    """Turn lists, as JSON has them, into tuples."""
    return tuple(_hashable(part) for part in value) if isinstance(value, list | tuple) else value


def _lookup(values: Any, path: tuple[str, ...]) -> tuple[bool, Any]:
    """Return whether settings, or nested dictionaries, have a value under a path, and that value."""
    for name in path:
        if isinstance(values, Mapping) and name in values:
            values = values[name]
        elif isinstance(values, BaseModel) and name in type(values).model_fields:
            values = getattr(values, name)
        else:
            return False, None
    return True, values
