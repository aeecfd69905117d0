"""Small pieces that several panels are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QGuiApplication, QIcon
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_gandenoise.errors import GanDenoiseError

__all__ = [
    "Folded",
    "align_labels",
    "combo",
    "copy_row",
    "form_rows",
    "in_row",
    "note",
    "refusals_shown",
    "save_as",
    "slim",
    "to_clipboard",
]


def combo(items: Mapping[Any, str] | None = None) -> QComboBox:
    """Make a list of titles with values."""
    box = slim(QComboBox())
    for value, title in (items or {}).items():
        box.addItem(title, value)
    return box


def slim(box: QComboBox) -> QComboBox:
    """Let long titles not widen a list."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    box.setMinimumWidth(60)
    return box


def note(text: str = "") -> QLabel:
    """Make a text that wraps.  It takes a whole row of a form: within a nested layout Qt would cut it off."""
    label = QLabel(text)
    label.setWordWrap(True)
    # Qt's own minimum is the height at some narrower width, which would leave a gap below.
    label.setMinimumHeight(1)
    return label


def form_rows(parent: QWidget | None = None) -> QFormLayout:
    """Make a form of labels and fields without margins."""
    rows = QFormLayout(parent) if parent is not None else QFormLayout()
    rows.setContentsMargins(0, 0, 0, 0)
    rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    rows.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
    rows.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)  # in a narrow dock
    return rows


def align_labels(*forms: QFormLayout) -> None:
    """Give the labels of several forms one width, so that their fields line up."""
    rows = [(form, row) for form in forms for row in range(form.rowCount())]
    items = [form.itemAt(row, QFormLayout.ItemRole.LabelRole) for form, row in rows]
    labels = [label for label in (item.widget() for item in items if item is not None) if label is not None]
    for label in labels:
        label.ensurePolished()
    width = max((label.sizeHint().width() for label in labels), default=0)
    for label in labels:
        label.setMinimumWidth(width + 4)


class Folded(QCollapsible):
    """A part of a form under a title that folds it away, and tells how many of its settings were changed.

    Parameters
    ----------
    title : str
        The title.
    content : QWidget
        What is folded away.

    Attributes
    ----------
    reset : QToolButton
        Beside the title as long as something is changed: asks for the defaults.
    """

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__(expandedIcon=QIcon(), collapsedIcon=QIcon())
        self.setDuration(0)
        for layout in (self.layout(), self.content().layout()):
            if layout is not None:
                layout.setContentsMargins(0, 0, 0, 0)
        self.toggleButton().setStyleSheet("text-align: left; border: none; background: transparent;")
        self.toggleButton().setToolTip(f"Show or hide {title}.")
        self.reset = QToolButton()
        self.reset.setText("Reset")
        self.reset.setToolTip(f"Go back to the defaults of {title}.")
        column = self.layout()
        if isinstance(column, QVBoxLayout):
            head = in_row(self.toggleButton(), self.reset)
            head.setStretch(0, 1)
            column.insertLayout(0, head)
        self.addWidget(content)
        self._title, self._changed = title, 0
        self.toggled.connect(self._name)
        self.show_changed(0)

    def show_changed(self, changed: int) -> None:
        """Say how many of the settings differ from their defaults."""
        self._changed = changed
        self.reset.setVisible(changed > 0)
        self._name()

    def _name(self, _unfolded: bool = False) -> None:
        # The arrow is text, since an icon would keep the colour of the theme it was drawn in.
        changed = f" ({self._changed} changed)" if self._changed else ""
        self.setText(f"{'▾' if self.isExpanded() else '▸'} {self._title}{changed}")


def in_row(*widgets: QWidget) -> QHBoxLayout:
    """Return a layout of widgets side by side, without margins."""
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        row.addWidget(widget)
    return row


def copy_row(wanted: Signal) -> QHBoxLayout:
    """Make buttons to copy the settings, which ask for them as "python", "command" or "yaml"."""
    row = in_row(QLabel("Copy as"))
    for kind, title in (("python", "Python"), ("command", "Command"), ("yaml", "YAML")):
        button = QPushButton(title)
        button.setToolTip(f"Copy the settings as {title} to the clipboard")
        button.setObjectName(f"copy_{kind}")
        button.clicked.connect(lambda _checked=False, kind=kind: wanted.emit(kind))
        row.addWidget(button)
    return row


@contextmanager
def refusals_shown() -> Iterator[None]:
    """Tell the user what stands in the way, and leave what was begun."""
    try:
        yield
    except GanDenoiseError as error:
        show_error(str(error))


def save_as(parent: QWidget, title: str, name: str, kinds: str, write: Callable[[str], None]) -> None:
    """Ask where to write, write there, and say so; a name without an end gets that of the suggested one."""
    path, _ = QFileDialog.getSaveFileName(parent, title, name, kinds)
    if not path:
        return
    path = path if Path(path).suffix else path + Path(name).suffix
    try:
        write(path)
    except (GanDenoiseError, OSError) as error:
        show_error(str(error))
        return
    show_info(f"Written: {path}.")


def to_clipboard(text: str, kind: str, remark: str = "") -> None:
    """Copy a panel's settings as a kind of text, and say so."""
    clipboard = QGuiApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)
    show_info(f"Copied as {kind}.{remark}")
