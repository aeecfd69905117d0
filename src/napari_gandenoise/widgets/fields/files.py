"""The inputs of a batch job and how far each of their files is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from qtpy.QtWidgets import (
    QFileDialog,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
)

from napari_gandenoise.batching import FileState
from napari_gandenoise.io.files import SUFFIXES
from napari_gandenoise.widgets.fields.base import Field
from napari_gandenoise.widgets.layout.rows import in_row

__all__ = ["FileList", "describe"]

WAITING, WHOLE = "waiting", "done"
ROWS = 6  # to see without scrolling


def describe(state: FileState) -> str:
    """Say how far a file is: ``12/200``, ``done, 1 failed``, ``failed``."""
    failed = len(state.failed)
    if state.whole:
        return f"{WHOLE}, {failed} failed" if failed else WHOLE
    if failed and (-1 in state.failed or failed == state.frames):
        return "failed"
    return _fraction(len(state.done), state.frames, failed) if state.done or failed else WAITING


def _fraction(done: int, frames: int, failed: int) -> str:
    return f"{done}/{frames}" + (f", {failed} failed" if failed else "")


class FileList(Field):
    """Files, folders and patterns to read, and the files that they stand for."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[str] = []
        self.add_files = QPushButton("Add files…")
        self.add_folder = QPushButton("Add folder…")
        self.clear = QPushButton("Clear")
        self.typed = QLineEdit()
        self.typed.setPlaceholderText("or type a pattern: data/*.tif")
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels(["File", "Status"])
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setFixedHeight((ROWS + 2) * self.tree.fontMetrics().height())
        header = self.tree.header()
        if header is not None:
            header.setStretchLastSection(False)
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
            header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(in_row(self.add_files, self.add_folder, self.clear))
        column.addWidget(self.typed)
        column.addWidget(self.tree)
        self.add_files.clicked.connect(self._on_add_files)
        self.add_folder.clicked.connect(self._on_add_folder)
        self.clear.clicked.connect(lambda: self.set_value(()))
        self.typed.returnPressed.connect(self._on_typed)

    def value(self) -> tuple[str, ...]:
        """Return the inputs, wherever they are read from."""
        return tuple(str(Path(given).absolute()) for given in self.inputs)

    def set_value(self, value: Iterable[str]) -> None:
        """Replace the inputs."""
        self.inputs = list(dict.fromkeys(value))
        self.changed.emit()

    def add(self, *inputs: str) -> None:
        """Add files, folders or patterns."""
        self.set_value([*self.inputs, *inputs])

    def show_files(self, paths: Iterable[Path | str], states: Sequence[FileState] | None = None) -> None:
        """Show files, and how far they are if a job has begun."""
        files = [str(path) for path in paths]
        known = states if states is not None else [FileState()] * len(files)
        self.tree.clear()
        items = []
        for path, state in zip(files, known, strict=True):
            item = QTreeWidgetItem([Path(path).name, describe(state)])
            item.setToolTip(0, path)
            item.setToolTip(1, "\n".join(dict.fromkeys(state.failed.values())))
            items.append(item)
        self.tree.addTopLevelItems(items)

    def show_progress(self, number: int, done: int, frames: int, failed: int, note: str = "") -> None:
        """Show how far one file is, and what there is to say about it."""
        item = self.tree.topLevelItem(number)
        if item is None:
            return
        if failed >= max(1, frames):
            words = "failed"
        elif done + failed >= frames > 0:
            words = f"{WHOLE}, {failed} failed" if failed else WHOLE
        else:
            words = _fraction(done, frames, failed) if done or failed else WAITING
        item.setText(1, words)
        if note:
            item.setToolTip(1, note)
        self.tree.scrollToItem(item)

    def statuses(self) -> dict[str, str]:
        """Return the status of each file by its name."""
        items = [self.tree.topLevelItem(row) for row in range(self.tree.topLevelItemCount())]
        return {item.text(0): item.text(1) for item in items if item is not None}

    def _on_add_files(self) -> None:
        kinds = " ".join(f"*{suffix}" for suffix in sorted(SUFFIXES))
        files, _ = QFileDialog.getOpenFileNames(self, "Images and movies", "", f"Images ({kinds});;All files (*)")
        if files:
            self.add(*files)

    def _on_add_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of images, or a Zarr")
        if folder:
            self.add(folder)

    def _on_typed(self) -> None:
        text = self.typed.text().strip()
        if text:
            self.typed.clear()
            self.add(str(Path(text).expanduser()))
