"""What own fields have in common, and how they join those that magicgui makes."""

from __future__ import annotations

from typing import Any

from magicgui.widgets.bases import ValuedContainerWidget
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget

__all__ = ["Field", "FieldWidget"]


class Field(QWidget):
    """A value to edit for which magicgui has no widget.

    Signals
    -------
    changed
        It has another value, whoever changed it.

    Attributes
    ----------
    below : tuple of QWidget
        Rows for a form to place below; a note is shown as long as it says something.
    labelled : tuple of QFormLayout
        Rows of its own, whose labels line up with those of the form.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.below: tuple[QWidget, ...] = ()
        self.labelled: tuple[QFormLayout, ...] = ()
        self._shown = True

    def value(self) -> Any:
        """Return the value."""
        raise NotImplementedError

    def set_value(self, value: Any) -> None:
        """Set the value."""
        raise NotImplementedError

    def facts(self) -> dict[str, set[str]]:
        """Return what conditions of other settings may ask of the value."""
        return {}

    def show_below(self, shown: bool | None = None) -> None:
        """Show the rows below as far as they are wanted, or hide them with the field."""
        self._shown = self._shown if shown is None else shown
        for widget in self.below:
            widget.setVisible(self._shown and self.wants(widget))

    def wants(self, below: QWidget) -> bool:
        """Whether a row below has something to show."""
        return not isinstance(below, QLabel) or bool(below.text())


class FieldWidget(ValuedContainerWidget[Any]):
    """An own field as a widget of magicgui."""

    def __init__(self, field: Field, **options: Any) -> None:
        self.field = field
        super().__init__(layout="horizontal", labels=False, **options)
        self.margins = (0, 0, 0, 0)
        self.native.layout().addWidget(field)
        field.changed.connect(self._on_changed)

    def get_value(self) -> Any:
        """Return the field's value."""
        return self.field.value()

    def set_value(self, value: Any) -> None:
        """Set the field's value."""
        self.field.set_value(value)

    def _on_changed(self) -> None:
        self.changed.emit(self.get_value())
