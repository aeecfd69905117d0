"""A folder: typed, or chosen in a dialog."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QToolButton, QWidget

__all__ = ["FolderField"]


class FolderField(QWidget):
    """Edit the path of a folder.

    Signals
    -------
    changed
        The path is another one, whoever changed it.
    edited
        The user has typed or chosen a path.
    """

    changed = Signal()
    edited = Signal()

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._line = QLineEdit()
        self._line.setMinimumWidth(60)
        button = QToolButton()
        button.setText("Choose…")
        button.clicked.connect(self._on_choose)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._line, stretch=1)
        row.addWidget(button)
        self._line.editingFinished.connect(self._on_edited)

    def value(self) -> Path | None:
        """Return the path, or None if there is none."""
        text = self._line.text().strip()
        return Path(text).expanduser() if text else None

    def set_value(self, path: Path | str | None) -> None:
        """Set the path."""
        self._line.setText(str(path or ""))
        self._line.setToolTip(str(path or self._title))
        self.changed.emit()

    def set_typed(self, path: Path) -> None:
        """Set the path as if the user had typed it."""
        self._line.setText(str(path))
        self._on_edited()

    def _on_choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self._title, self._line.text())
        if folder:
            self.set_typed(Path(folder))

    def _on_edited(self) -> None:
        self._line.setToolTip(self._line.text() or self._title)
        self.edited.emit()
        self.changed.emit()
