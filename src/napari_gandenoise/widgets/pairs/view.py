"""The list of pairs: scrolled, walked through by keys, opened by a double-click or Enter."""

from __future__ import annotations

from qtpy.QtCore import QItemSelection, QModelIndex, QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QPalette, QPen
from qtpy.QtWidgets import QAbstractItemView, QListView, QSizePolicy, QWidget

from napari_gandenoise.widgets.pairs.delegate import HEIGHT, PairDelegate
from napari_gandenoise.widgets.pairs.model import ROW, PairModel, Row
from napari_gandenoise.widgets.pairs.thumbnails import Thumbnails

__all__ = ["PairView"]

LEAST_ROWS, ROWS = 2, 4  # to see without scrolling: in a low window, and as a rule
EMPTY = "Drop files or folders here"
ACCENT = "#009bff"  # told apart from a light and from a dark ground


class PairView(QListView):
    """Files of a job with thumbnails before and after.

    Signals
    -------
    opened : object
        The `Row` that the user wants to see in the viewer.
    selected : bool
        Whether there is a row that is selected.
    """

    opened = Signal(object)
    selected = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pairs = PairModel(self)
        self.thumbnails = Thumbnails(self)
        self._dropping = False
        self.setModel(self.pairs)
        self.setItemDelegate(PairDelegate(self.thumbnails, self))
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(LEAST_ROWS * HEIGHT + 4)
        self.setAccessibleName("Files before and after")
        self.doubleClicked.connect(self._on_opened)
        self.pairs.modelReset.connect(lambda: self.selected.emit(False))
        viewport = self.viewport()
        if viewport is not None:
            self.thumbnails.read.connect(viewport.update)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Ask for room for a few rows."""
        return QSize(2 * HEIGHT, ROWS * HEIGHT + 4)

    def current(self) -> Row | None:
        """Return the row that is selected."""
        indexes = self.selectedIndexes()
        row: Row | None = indexes[0].data(ROW) if indexes else None
        return row

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:  # noqa: N802 - Qt's name
        """Tell whether a row is selected."""
        super().selectionChanged(selected, deselected)
        self.selected.emit(self.current() is not None)

    def set_dropping(self, dropping: bool) -> None:
        """Show that files which are dragged here may be dropped."""
        self._dropping = dropping
        viewport = self.viewport()
        if viewport is not None:
            viewport.update()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Open the selected row on Enter; on some systems Qt would edit it then."""
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.current() is not None:
            self._on_opened(self.currentIndex())
            return
        super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Say in an empty list what can be done with it."""
        super().paintEvent(event)
        viewport = self.viewport()
        if viewport is None or not (self._dropping or self.pairs.rowCount() == 0):
            return
        painter = QPainter(viewport)
        text = QColor(self.palette().color(QPalette.ColorRole.Text))
        text.setAlpha(150)
        frame: QRect = viewport.rect().adjusted(5, 5, -6, -6)
        painter.setPen(
            QPen(QColor(ACCENT) if self._dropping else text, 2 if self._dropping else 1, Qt.PenStyle.DashLine)
        )
        painter.drawRoundedRect(frame, 6, 6)
        if self.pairs.rowCount() == 0:
            painter.setPen(text)
            painter.drawText(frame, Qt.AlignmentFlag.AlignCenter, EMPTY)
        painter.end()

    def _on_opened(self, index: QModelIndex) -> None:
        row = index.data(ROW)
        if row is not None:
            self.opened.emit(row)
