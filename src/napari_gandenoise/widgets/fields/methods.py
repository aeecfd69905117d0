"""Methods to tick, and beside each what became of it: one table that sorts by any figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_gandenoise.baselines import BASELINES
from napari_gandenoise.comparison import LEFT_OUT, CompareResult
from napari_gandenoise.comparison.scores import BETTER, COLUMNS
from napari_gandenoise.settings.compare import ALL, ANOTHER, GAN, USUAL, CompareConfig, title_of
from napari_gandenoise.widgets.fields.base import Field
from napari_gandenoise.widgets.layout.rows import combo, in_row

__all__ = ["MethodTable", "MethodsField"]

FIXED = ("Method", "State")
EXTRAS = {"bm3d": "Needs bm3d, which is free for non-commercial use only.", "compare": "Needs the extra compare."}
HEIGHT = 260
NAMED = 150  # pixels that the names of methods take at least, and no more than half of the table
NAME = Qt.ItemDataRole.UserRole
BEST = QColor(47, 182, 138, 90)


TICKED = {
    "usual": "Tick the model and the methods that anybody can run on an image.",
    "all": "Tick everything, oracles and recovery as published too.",
    "none": "Tick nothing.",
}


class MethodsField(Field):
    """A table of methods, buttons that tick several, and the score that they are sorted by.

    Attributes
    ----------
    table : MethodTable
        The table.
    ranking : QComboBox
        The score; there is nothing to choose from as long as there are no figures.
    """

    def __init__(self) -> None:
        super().__init__()
        default = CompareConfig()
        # The model, which is what a user asks about, comes first.
        titles = {name: title_of(name, default) for name in (GAN, *(name for name in ALL if name != GAN))}
        self.table = MethodTable(titles, {name: _tip(name) for name in ALL})
        self.usual, self.every, self.none = (QPushButton(title) for title in ("Usual", "All", "None"))
        for button, tip in ((self.usual, TICKED["usual"]), (self.every, TICKED["all"]), (self.none, TICKED["none"])):
            button.setToolTip(tip)
        self.ranking = combo()
        self.ranking.setToolTip("Sorts the table, as a heading does, and says whose curves are shown.")
        self._ranked = QWidget()
        row = in_row(QLabel("Sorted by"), self.ranking)
        row.setStretch(1, 1)
        self._ranked.setLayout(row)
        self._ranked.setVisible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(in_row(self.usual, self.every, self.none))
        column.addWidget(self._ranked)
        column.addWidget(self.table)
        self.usual.clicked.connect(lambda: self.table.tick(USUAL))
        self.every.clicked.connect(lambda: self.table.tick(ALL))
        self.none.clicked.connect(lambda: self.table.tick(()))
        self.table.ticked.connect(self.changed)
        self.table.ranked.connect(self._on_ranked)
        self.ranking.currentTextChanged.connect(self._on_chosen)

    def show_result(self, result: CompareResult | None) -> None:
        """Show the figures of a comparison as far as it is, None for none, and offer its scores to sort by."""
        if result is None:
            self.table.clear_figures()
        else:
            self.table.show_result(result)
        scores = self.table.scores()
        self.ranking.blockSignals(True)
        chosen = self.ranking.currentText()
        self.ranking.clear()
        self.ranking.addItems(scores)
        self.ranking.setCurrentText(chosen)
        self.ranking.blockSignals(False)
        self._ranked.setVisible(bool(scores))

    def rank(self) -> None:
        """Sort by the score that is chosen: at the end of a run."""
        self._on_chosen(self.ranking.currentText())

    def _on_chosen(self, score: str) -> None:
        if score:
            self.table.rank_by(score)

    def _on_ranked(self, score: str) -> None:
        self.ranking.blockSignals(True)
        self.ranking.setCurrentText(score)
        self.ranking.blockSignals(False)

    def value(self) -> tuple[str, ...]:
        """Return the methods that are ticked, in the order of the list, however the table is sorted."""
        ticked = self.table.methods()
        known = tuple(name for name in ALL if name in ticked)
        return known + tuple(name for name in ticked if name not in known)

    def set_value(self, value: Iterable[str]) -> None:
        """Tick these methods and no others; models that are not listed are added."""
        for name in value:
            if name.startswith(ANOTHER):
                self.table.offer(name, title_of(name, CompareConfig()), _tip(name))
        self.table.tick(value)

    def name_model(self, model: str) -> None:
        """Call the methods that the chosen model computes by its name."""
        config = CompareConfig(model=model)
        for name in ALL:
            if name not in BASELINES:
                self.table.rename(name, title_of(name, config))


def _tip(method: str) -> str:
    if method not in BASELINES:
        return method.removeprefix(ANOTHER) if method.startswith(ANOTHER) else "The model that is chosen."
    baseline = BASELINES[method]
    told = [f"Strength: {baseline.strength}."] if baseline.strength else []
    told += [EXTRAS[baseline.extra]] if baseline.extra else []
    told += ["An upper limit: it looks at the truth."] if baseline.oracle else []
    return " ".join(told)


class _Cell(QTableWidgetItem):
    """A figure that sorts as a number; what has none comes last, either way."""

    def __init__(self, value: float | None, tip: str = "") -> None:
        super().__init__("" if value is None else f"{value:.4g}" if abs(value) < 1e4 else f"{value:.3g}")
        self.setToolTip(tip)
        self.value = value
        self.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)

    def __lt__(self, other: QTableWidgetItem) -> bool:
        if not isinstance(other, _Cell):
            return bool(super().__lt__(other))
        if self.value is None or other.value is None:
            descending = self.column() >= 0 and _descending(self)
            return (self.value is None) == descending and self.value is not other.value
        return bool(self.value < other.value)  # Qt takes no other truth


class _Method(QTableWidgetItem):
    """A method to tick; the order is that of the list."""

    def __init__(self, number: int, name: str, title: str, tip: str) -> None:
        super().__init__(title)
        self.number, self._tip = number, tip
        self.setData(NAME, name)
        self.entitle(title)
        self.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable)
        self.setCheckState(Qt.CheckState.Unchecked)

    def entitle(self, title: str) -> None:
        """Call it something; names that are too long for the column stand in full where the mouse rests."""
        self.setText(title)
        self.setToolTip(f"{title}. {self._tip}".strip())

    def __lt__(self, other: QTableWidgetItem) -> bool:
        return self.number < other.number if isinstance(other, _Method) else bool(super().__lt__(other))


def _descending(item: QTableWidgetItem) -> bool:
    table = item.tableWidget()
    header = None if table is None else table.horizontalHeader()
    return header is not None and header.sortIndicatorOrder() == Qt.SortOrder.DescendingOrder


class MethodTable(QTableWidget):
    """A table of methods.

    Parameters
    ----------
    titles, tips : mapping
        Names of methods with what the table calls them, and what it says of them where the mouse rests.

    Signals
    -------
    ticked
        Another set of methods is ticked.
    picked : str
        The row of this method was clicked, or reached with the keys.
    ranked : str
        The table is sorted by this score.
    """

    ticked = Signal()
    picked = Signal(str)
    ranked = Signal(str)

    def __init__(self, titles: Mapping[str, str], tips: Mapping[str, str], parent: QWidget | None = None) -> None:
        super().__init__(0, len(FIXED), parent)
        self.setHorizontalHeaderLabels(FIXED)
        self.setMinimumHeight(HEIGHT)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.setVisible(False)
        rows.setDefaultSectionSize(22)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setTabKeyNavigation(False)  # the key goes on to the next field, arrows move in the table
        for name, title in titles.items():
            self._add(name, title, tips.get(name, ""))
        self.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        self.itemChanged.connect(self._on_changed)
        self.itemClicked.connect(self._on_clicked)
        self.currentItemChanged.connect(self._on_reached)
        columns.sortIndicatorChanged.connect(self._on_sorted)

    def offer(self, name: str, title: str, tip: str) -> None:
        """List a method unless it is."""
        if name not in [self._method_item(row).data(NAME) for row in range(self.rowCount())]:
            self._quietly(lambda: self._add(name, title, tip))

    def _add(self, name: str, title: str, tip: str) -> None:
        row = self.rowCount()
        self.insertRow(row)
        self.setItem(row, 0, _Method(row, name, title, tip))
        self.setItem(row, 1, _words(""))

    def methods(self) -> tuple[str, ...]:
        """Return the methods that are ticked, as the table has them now."""
        items = [self._method_item(row) for row in range(self.rowCount())]
        return tuple(item.data(NAME) for item in items if item.checkState() == Qt.CheckState.Checked)

    def tick(self, methods: Iterable[str]) -> None:
        """Tick these methods and no others."""
        wanted = set(methods)
        self.blockSignals(True)
        for row in range(self.rowCount()):
            item = self._method_item(row)
            ticked = item.data(NAME) in wanted
            item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
        self.blockSignals(False)
        self.ticked.emit()

    def rename(self, name: str, title: str) -> None:
        """Call a method something else."""
        self._quietly(lambda: self._method_item(self._row(name)).entitle(title))

    def clear_figures(self) -> None:
        """Forget the last comparison."""
        self.sortByColumn(0, Qt.SortOrder.AscendingOrder)

        def clear() -> None:
            self._place_after_names(1)
            self.setColumnCount(len(FIXED))
            for row in range(self.rowCount()):
                self.setItem(row, 1, _words(""))

        self._quietly(clear)

    def scores(self) -> list[str]:
        """Return what there are figures of."""
        headers = [self.horizontalHeaderItem(number) for number in range(len(FIXED), self.columnCount())]
        return [header.text() for header in headers if header is not None]

    def rank_by(self, score: str) -> None:
        """Sort by a score, the best first, and bring it beside the names; what a method did goes to the end."""
        if score not in self.scores():
            return
        column = len(FIXED) + self.scores().index(score)
        self._place_after_names(column)
        best_last = BETTER.get(score, True)
        self.sortByColumn(column, Qt.SortOrder.DescendingOrder if best_last else Qt.SortOrder.AscendingOrder)
        self.scrollToTop()

    def _place_after_names(self, column: int) -> None:
        """Show a column second; the words on how a method ran are shown last unless they are wanted there."""
        header = self.horizontalHeader()
        assert header is not None
        header.moveSection(header.visualIndex(1), 1 if column == 1 else self.columnCount() - 1)
        header.moveSection(header.visualIndex(column), 1)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Leave half of a narrow table to the figures."""
        super().resizeEvent(event)
        viewport = self.viewport()
        width = 0 if viewport is None else viewport.width()
        self.setColumnWidth(0, min(self.sizeHintForColumn(0), max(NAMED, width // 2)))

    def show_state(self, name: str, state: str, tip: str = "") -> None:
        """Say where a method stands."""
        self._quietly(lambda: self.setItem(self._row(name), 1, _words(state, tip)))

    def show_result(self, result: CompareResult) -> None:
        """Show the figures of a comparison, as far as it is."""

        def show() -> None:
            columns = [name for name in result.table()[0] if name in COLUMNS]
            self.setColumnCount(len(FIXED) + len(columns))
            self.setHorizontalHeaderLabels([*FIXED, *columns])
            for number, column in enumerate(columns, start=len(FIXED)):
                header = self.horizontalHeaderItem(number)
                if header is not None:
                    header.setToolTip(COLUMNS[column])
                self._fill(number, column, {row["name"]: row for row in result.rows})
            for row in result.rows:
                note = row.get("note", "")
                words = "left out" if note == LEFT_OUT else "failed" if note else row["setting"] or "done"
                self.setItem(self._row(row["name"]), 1, _words(words, note or row["strength"]))

        self._quietly(show)

    def _fill(self, number: int, column: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
        known = [row[column] for name, row in rows.items() if row.get(column) is not None and name != "noisy"]
        best = None if column not in BETTER or not known else max(known) if BETTER[column] else min(known)
        for place in range(self.rowCount()):
            row = rows.get(self._method_item(place).data(NAME), {})
            value = row.get(column)
            cell = _Cell(value, row.get("blank", {}).get(column, "") if value is None else COLUMNS[column])
            if best is not None and cell.value == best and column != "seconds":
                cell.setBackground(BEST)
            self.setItem(place, number, cell)

    def _quietly(self, change: Any) -> None:
        """Change cells without the table sorting itself or telling anyone meanwhile."""
        self.blockSignals(True)
        self.setSortingEnabled(False)
        change()
        self.setSortingEnabled(True)
        self.blockSignals(False)

    def _row(self, name: str) -> int:
        return next(row for row in range(self.rowCount()) if self._method_item(row).data(NAME) == name)

    def _method_item(self, row: int) -> _Method:
        item = self.item(row, 0)
        assert isinstance(item, _Method)
        return item

    def _on_changed(self, item: QTableWidgetItem) -> None:
        if item.column() == 0:
            self.ticked.emit()

    def _on_sorted(self, column: int) -> None:
        header = self.horizontalHeaderItem(column)
        if column >= len(FIXED) and header is not None:
            self.ranked.emit(header.text())

    def _on_reached(self, item: QTableWidgetItem | None) -> None:
        if item is not None and self.hasFocus():
            self._on_clicked(item)

    def _on_clicked(self, item: QTableWidgetItem) -> None:
        self.picked.emit(self._method_item(item.row()).data(NAME))


def _words(text: str, tip: str = "") -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setToolTip(tip)
    item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
    return item
