"""Small pieces that several panels are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QGuiApplication, QIcon
from qtpy.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QLabel, QPushButton, QWidget
from superqt import QCollapsible

from napari_gandenoise.errors import GanDenoiseError

__all__ = [
    "DEVICES",
    "align_labels",
    "combo",
    "copy_row",
    "folded",
    "form_rows",
    "in_row",
    "note",
    "refusals_shown",
    "to_clipboard",
]

DEVICES = {"auto": "Automatic", "cpu": "CPU", "cuda": "CUDA GPU"}


def combo(items: Mapping[Any, str] | None = None) -> QComboBox:
    """Make a list of titles with values, that long titles do not widen."""
    box = QComboBox()
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    for value, title in (items or {}).items():
        box.addItem(title, value)
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
    return rows


def align_labels(*forms: QFormLayout) -> None:
    """Give the labels of several forms one width, so that their fields line up."""
    rows = [(form, row) for form in forms for row in range(form.rowCount())]
    items = [form.itemAt(row, QFormLayout.ItemRole.LabelRole) for form, row in rows]
    labels = [label for label in (item.widget() for item in items if item is not None) if label is not None]
    width = max((label.sizeHint().width() for label in labels), default=0)
    for label in labels:
        # The theme's font comes later and is a little wider.
        label.setMinimumWidth(width + 14)


def folded(title: str, content: QWidget) -> QCollapsible:
    """Fold a widget away under a title."""
    section = QCollapsible(expandedIcon=QIcon(), collapsedIcon=QIcon())
    section.setDuration(0)
    for layout in (section.layout(), section.content().layout()):
        if layout is not None:
            layout.setContentsMargins(0, 0, 0, 0)
    section.toggleButton().setStyleSheet("text-align: left; border: none; background: transparent;")
    section.addWidget(content)

    # The arrow is text, since an icon would keep the colour of the theme it was drawn in.
    def name(unfolded: bool) -> None:
        section.setText(f"{'▾' if unfolded else '▸'} {title}")

    section.toggled.connect(name)
    name(False)
    return section


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


def to_clipboard(text: str, kind: str, remark: str = "") -> None:
    """Copy a panel's settings as a kind of text, and say so."""
    clipboard = QGuiApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)
    show_info(f"Copied as {kind}.{remark}")
