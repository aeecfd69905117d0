"""A panel that scrolls where the window is too low for it."""

from __future__ import annotations

from itertools import pairwise

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QFormLayout, QFrame, QLayout, QScrollArea, QVBoxLayout, QWidget

__all__ = ["scrolled"]

NARROW = 290  # pixels that every panel can do with


class _WheelKeeper(QObject):
    """Lets the wheel scroll the panel, and not change the number that happens to lie under it."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Hand a wheel's turn on to the panel unless the field was clicked into."""
        wheel = event is not None and event.type() == QEvent.Type.Wheel
        if event is None or not wheel or not isinstance(watched, QWidget) or watched.hasFocus():
            return False
        event.ignore()
        return True


class _Column(QScrollArea):
    """An area that is never narrower than what it scrolls: only its height may be too small."""

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Leave room for the content's width and the bar."""
        content, bar = self.widget(), self.verticalScrollBar()
        if content is None or bar is None:
            return super().minimumSizeHint()
        # Before it is first laid out, a form does not know that its rows can wrap.
        width = min(content.minimumSizeHint().width(), NARROW)
        return QSize(width + bar.sizeHint().width(), 100)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Ask for more room when the content has grown wider: Qt looks at its height alone."""
        if event is not None and watched is self.widget() and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)


def scrolled(panel: QWidget, *parts: QWidget, pinned: QWidget | None = None) -> None:
    """Put the parts of a panel below each other, into an area that scrolls vertically.

    Parameters
    ----------
    panel : QWidget
        The panel as napari docks it.
    *parts : QWidget
        What scrolls.
    pinned : QWidget, optional
        What stays in sight below the area, however low the window: the buttons that run.
    """
    content = QWidget()
    column = QVBoxLayout(content)
    for part in parts:
        column.addWidget(part)
    column.addStretch()
    area = _Column(panel)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidgetResizable(True)
    area.setWidget(content)
    keeper = _WheelKeeper(panel)
    for field in (*content.findChildren(QAbstractSpinBox), *content.findChildren(QComboBox)):
        field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        field.installEventFilter(keeper)
    outer = QVBoxLayout(panel)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.addWidget(area, 1)
    if pinned is not None:
        margins = column.contentsMargins()
        foot = QVBoxLayout()
        foot.setContentsMargins(margins.left(), 0, margins.right(), margins.bottom())
        foot.addWidget(pinned)
        outer.addLayout(foot)
    stops = _as_they_lie(panel)
    for before, after in pairwise(stops):
        QWidget.setTabOrder(before, after)


def _as_they_lie(widget: QWidget) -> list[QWidget]:
    """List what the tabulator stops at, in the order of the layouts: Qt's own is that in which widgets were made."""
    if isinstance(widget, QScrollArea) and (inside := widget.widget()) is not None:
        return _as_they_lie(inside)
    layout = widget.layout()
    if layout is None or isinstance(widget, QAbstractSpinBox | QComboBox):
        return [widget] if widget.focusPolicy() & Qt.FocusPolicy.TabFocus else []
    own = [widget] if widget.focusPolicy() & Qt.FocusPolicy.TabFocus else []
    return own + _in_layout(layout)


def _in_layout(layout: QLayout) -> list[QWidget]:
    if isinstance(layout, QFormLayout):  # counts its parts as they were put in, wherever that was
        roles = QFormLayout.ItemRole.FieldRole, QFormLayout.ItemRole.SpanningRole
        items = [layout.itemAt(row, role) for row in range(layout.rowCount()) for role in roles]
    else:
        items = [layout.itemAt(index) for index in range(layout.count())]
    stops: list[QWidget] = []
    for item in items:
        if item is None:
            continue
        widget, inner = item.widget(), item.layout()
        if widget is not None:
            stops += _as_they_lie(widget)
        elif inner is not None:
            stops += _in_layout(inner)
    return stops
