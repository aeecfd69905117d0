"""How a row is drawn: before and after, the name, how far it is, and the verdict's dot."""

from __future__ import annotations

from qtpy.QtCore import QModelIndex, QPointF, QRect, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter, QPalette, QTextLayout, QTextOption
from qtpy.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from napari_gandenoise.widgets.pairs.model import ROW, Row
from napari_gandenoise.widgets.pairs.thumbnails import Thumbnails
from napari_gandenoise.widgets.running.verdict_card import COLOURS

__all__ = ["HEIGHT", "PairDelegate"]

SIDE = 60  # of a thumbnail, pixels of the screen
GAP = 2  # between the two
MARGIN = 5
HEIGHT = SIDE + 2 * MARGIN
DOT = 8
BAR = 3
LINES = 2  # of what there is to say below the name
FAINT = 70  # of 255


class PairDelegate(QStyledItemDelegate):
    """Draws rows.

    Parameters
    ----------
    thumbnails : Thumbnails
        Where pictures come from: only those of rows that are drawn are asked for.
    """

    def __init__(self, thumbnails: Thumbnails, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._thumbnails = thumbnails

    def sizeHint(self, _option: QStyleOptionViewItem, _index: QModelIndex) -> QSize:  # noqa: N802 - Qt's name
        """Return the size of any row."""
        return QSize(2 * SIDE + 60, HEIGHT)

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw a row."""
        row: Row | None = index.data(ROW)
        if painter is None or row is None:
            return
        self._draw_ground(painter, option, index)
        painter.save()
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        inside = option.rect.adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
        text = option.palette.color(QPalette.ColorRole.Text)
        left = QRect(inside.topLeft(), QSize(SIDE, SIDE))
        right = left.translated(SIDE + GAP, 0)
        before, after = self._pictures(row)
        _draw_picture(painter, left, before, text)
        _draw_picture(painter, right, after, text)
        _draw_words(painter, inside.adjusted(2 * SIDE + GAP + 2 * MARGIN, 0, 0, 0), row, option.font, text)
        painter.restore()

    def _pictures(self, row: Row) -> tuple[QImage | None, QImage | None]:
        pair = row.pair
        before = self._thumbnails.of(pair.source, pair.image)
        if row.skipped or pair.result is None or not pair.standing.whole:
            return before, row.preview
        return before, self._thumbnails.of(pair.result) or row.preview

    def _draw_ground(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw what the style draws below any item: that it is selected, or under the mouse."""
        ground = QStyleOptionViewItem(option)
        self.initStyleOption(ground, index)
        ground.text = ""
        view = self.parent()
        if isinstance(view, QWidget) and (style := view.style()) is not None:
            style.drawControl(QStyle.ControlElement.CE_ItemViewItem, ground, painter, view)


def _draw_picture(painter: QPainter, place: QRect, image: QImage | None, text: QColor) -> None:
    """Draw a thumbnail as it is shaped, or an empty frame in its place."""
    if image is None or image.isNull():
        faint = QColor(text)
        faint.setAlpha(FAINT)
        painter.setPen(faint)
        painter.drawRect(QRectF(place).adjusted(0.5, 0.5, -0.5, -0.5))
        return
    size = image.size().scaled(place.size(), Qt.AspectRatioMode.KeepAspectRatio)
    shown = QRect(place.topLeft(), size.expandedTo(QSize(1, 1)))
    shown.moveCenter(place.center())
    painter.drawImage(shown, image)


def _draw_words(painter: QPainter, place: QRect, row: Row, font: QFont, text: QColor) -> None:
    """Draw the name, the status with its dot, and a bar of a file that is computed."""
    metrics = QFontMetrics(font)
    painter.setFont(font)
    painter.setPen(text)
    line = metrics.lineSpacing()
    name = metrics.elidedText(row.pair.source.name, Qt.TextElideMode.ElideMiddle, place.width())
    painter.drawText(QRect(place.left(), place.top(), place.width(), line), Qt.AlignmentFlag.AlignLeft, name)
    below = place.adjusted(0, line + 2, 0, 0)
    if row.colour:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(COLOURS[row.colour]))
        painter.drawEllipse(QRectF(below.left(), below.top() + (line - DOT) / 2, DOT, DOT))
        below.setLeft(below.left() + DOT + 4)
    colour = QColor(COLOURS["red"]) if row.failed else QColor(text)
    if not row.failed:
        colour.setAlpha(190)
    painter.setPen(colour)
    said = " · ".join(filter(None, [row.status, row.sentence]))
    _draw_lines(painter, QRect(below.left(), below.top(), below.width(), LINES * line), said, font)
    if row.running:
        bar = QRectF(place.left(), place.bottom() - BAR, place.width(), BAR)
        faint = QColor(text)
        faint.setAlpha(FAINT)
        painter.fillRect(bar, faint)
        painter.fillRect(QRectF(bar.left(), bar.top(), bar.width() * min(row.share, 1.0), BAR), text)


def _draw_lines(painter: QPainter, place: QRect, words: str, font: QFont) -> None:
    """Draw words that wrap, and cut off what the last line has no room for."""
    metrics = QFontMetrics(font)
    layout = QTextLayout(words, font)
    layout.setTextOption(QTextOption(Qt.AlignmentFlag.AlignLeft))
    layout.beginLayout()
    top, height = 0, metrics.lineSpacing()
    while (line := layout.createLine()).isValid():
        line.setLineWidth(place.width())
        last = top + 2 * height > place.height()
        start = line.textStart()
        if last:
            rest = metrics.elidedText(words[start:], Qt.TextElideMode.ElideRight, place.width())
            painter.drawText(QPointF(place.left(), place.top() + top + metrics.ascent()), rest)
            break
        shown = words[start : start + line.textLength()]
        painter.drawText(QPointF(place.left(), place.top() + top + metrics.ascent()), shown)
        top += height
    layout.endLayout()
