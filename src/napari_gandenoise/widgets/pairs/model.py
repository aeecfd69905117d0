"""The rows: which file, how far it is, and what the counts say of its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, Qt
from qtpy.QtGui import QImage

from napari_gandenoise.batching import FileProgress, Pair
from napari_gandenoise.progress import Progress
from napari_gandenoise.widgets.pairs.thumbnails import picture

__all__ = ["ROW", "PairModel", "Row"]

ROW = Qt.ItemDataRole.UserRole
COLOURS = {"green": "in order", "amber": "look at it", "red": "wrong", "grey": "not judged"}


@dataclass(frozen=True, slots=True)
class Row:
    """A file of the job, as it is shown.

    Attributes
    ----------
    pair : Pair
        The file, its result and how far it is.
    skipped : str
        Why it is not computed; empty of what is.
    running : bool
        Whether it is being computed.
    part : Progress or None
        What goes on in it, if that is known.
    preview : QImage or None
        What there is of its result until that is whole.
    """

    pair: Pair
    skipped: str = ""
    running: bool = False
    part: Progress | None = None
    preview: QImage | None = None

    @property
    def status(self) -> str:
        """How far it is, in a word or two: ``waiting``, ``12/200``, ``done, 1 failed``, ``skipped``."""
        standing = self.pair.standing
        if self.skipped:
            return "skipped"
        if self.running:
            return "running"
        if standing.broken and not standing.whole:
            return "failed"
        if standing.settled:
            failed = f", {standing.failed} failed" if standing.failed else ""
            return f"done{failed}" if standing.done else "failed"
        if not (standing.done or standing.failed):
            return "waiting"
        failed = f", {standing.failed} failed" if standing.failed else ""
        return f"{standing.done}/{standing.frames}{failed}"

    @property
    def sentence(self) -> str:
        """What there is to say beside that."""
        standing = self.pair.standing
        if self.skipped:
            return self.skipped
        if self.running:
            many = [f"{standing.done}/{standing.frames}"] if standing.frames > 1 else []
            part = self.part
            known = [f"{part.stage} {part.done}/{part.total}"] if part is not None and part.total > 1 else []
            return " · ".join(many + known)
        if self.failed:
            return " ".join(_of_file(reason, self.pair) for reason in standing.reasons)
        return standing.verdict.sentence if standing.verdict is not None else ""

    @property
    def failed(self) -> bool:
        """Whether nothing came of it."""
        return self.status == "failed"

    @property
    def colour(self) -> str:
        """Colour of the verdict; empty as long as there is none."""
        verdict = self.pair.standing.verdict
        return verdict.colour if verdict is not None and not self.failed and not self.skipped else ""

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        standing = self.pair.standing
        inside = self.part.done / self.part.total if self.part is not None and self.part.total > 1 else 0.0
        return (standing.done + standing.failed + inside) / max(standing.frames, 1)

    def tooltip(self) -> str:
        """Everything in words, as rich text: what files are called and say is no markup."""
        standing = self.pair.standing
        lines = [f"<b>{escape(str(self.pair.source))}</b>", escape(self.status)]
        if self.colour and standing.verdict is not None:
            lines.append(f"{COLOURS[self.colour]}: {escape(standing.verdict.sentence)}")
        lines += [escape(said) for said in (self.skipped, *standing.reasons) if said]
        if not self.skipped and not self.failed:
            lines.append("<i>Double-click or Enter: open it in the viewer.</i>")
        return f"<qt>{'<br>'.join(lines)}</qt>"


def _of_file(sentence: str, pair: Pair) -> str:
    """Leave out of a sentence what file it is about, where that stands beside it."""
    return sentence.removeprefix(f"{pair.source} ").replace(str(pair.source), pair.source.name)


class PairModel(QAbstractListModel):
    """The files of a job."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._rows: list[Row] = []

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's
        """Return how many rows there are."""
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what Qt asks of a row."""
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row = self._rows[index.row()]
        if role == ROW:
            return row
        if role == Qt.ItemDataRole.DisplayRole:
            return row.pair.source.name
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.tooltip()
        if role == Qt.ItemDataRole.AccessibleTextRole:  # for those who do not see the picture
            return ", ".join(filter(None, [row.pair.source.name, row.status, row.sentence]))
        return None

    def rows(self) -> Sequence[Row]:
        """Return all rows."""
        return tuple(self._rows)

    def show(self, rows: Sequence[Row]) -> None:
        """Show files; where they are those that were shown, the view stays where it is."""
        same = [row.pair.source for row in rows] == [row.pair.source for row in self._rows]
        if not same:
            self.beginResetModel()
        self._rows = list(rows)
        if not same:
            self.endResetModel()
        elif rows:
            self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))

    def follow(self, event: FileProgress) -> None:
        """Take in an event of the job."""
        if event.file >= len(self._rows):
            return
        row = self._rows[event.file]
        if event.part is not None and not row.running:
            self.rest(event.file)
        running = not event.standing.settled and (event.part is not None or row.running)
        preview = row.preview if event.preview is None else picture(event.preview)
        pair = replace(row.pair, standing=event.standing)
        self._put(event.file, replace(row, pair=pair, running=running, part=event.part, preview=preview))

    def rest(self, but: int | None = None) -> None:
        """Show that nothing is computed any more, or only one file."""
        for number, row in enumerate(self._rows):
            if row.running and number != but:
                self._put(number, replace(row, running=False, part=None))

    def _put(self, number: int, row: Row) -> None:
        self._rows[number] = row
        self.dataChanged.emit(self.index(number), self.index(number))
