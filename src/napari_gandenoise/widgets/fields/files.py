"""The inputs of a batch job and how far each of their files is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QLineEdit, QPushButton, QVBoxLayout

from napari_gandenoise.batching import FileProgress, find_sources
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io.files import SUFFIXES
from napari_gandenoise.widgets.fields.base import Field
from napari_gandenoise.widgets.layout.rows import in_row
from napari_gandenoise.widgets.pairs.model import Row
from napari_gandenoise.widgets.pairs.view import PairView

__all__ = ["FileList"]


class FileList(Field):
    """Files, folders and patterns to read, and the files that they stand for, before and after."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[str] = []
        self.add_files = QPushButton("Add files…")
        self.add_files.setToolTip("Add images and movies; they can be dropped onto the panel, too.")
        self.add_folder = QPushButton("Add folder…")
        self.add_folder.setToolTip("Add all images directly in a folder.")
        self.clear = QPushButton("Clear")
        self.clear.setToolTip("Take all inputs out of the list; no file is deleted.")
        self.typed = QLineEdit()
        self.typed.setPlaceholderText("or type a pattern: data/*.tif")
        self.typed.setToolTip("A path or a pattern, where * stands for anything and ** for any folders; Enter adds it.")
        self.view = PairView()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(in_row(self.add_files, self.add_folder, self.clear))
        column.addWidget(self.typed)
        column.addWidget(self.view, 1)
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

    def add_images(self, paths: Iterable[Path]) -> list[str]:
        """Add those of some files and folders that hold images; return why each of the others is left out."""
        good, refused = [], []
        for path in paths:
            try:
                if path.is_file() and path.suffix.lower() not in SUFFIXES:
                    raise GanDenoiseError(f"{path.name} is of no kind that can be opened.")
                find_sources([str(path)])
            except GanDenoiseError as error:
                refused.append(str(error))
            else:
                good.append(str(path))
        if good:
            self.add(*good)
        return refused

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show files, and how far they are if a job has begun."""
        self.view.pairs.show(rows)

    def show_progress(self, event: FileProgress) -> None:
        """Show how far one file is; the list follows unless the user is looking at something in it."""
        self.view.pairs.follow(event)
        if event.part is not None and not self.view.underMouse() and not self.view.hasFocus():
            self.view.scrollTo(self.view.pairs.index(event.file))

    def statuses(self) -> dict[str, str]:
        """Return the status of each file by its name."""
        return {row.pair.source.name: row.status for row in self.view.pairs.rows()}

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
