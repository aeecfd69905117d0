"""The path of a folder, of a file or of several: typed, or chosen in a dialog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit

__all__ = ["PathField", "PathsField"]


class PathField(FileEdit):
    """magicgui's field for a path, which may be none; it fits into a narrow panel, and tells of whole paths only.

    Parameters
    ----------
    mode : {"d", "r", "rm"}
        Whether it is a folder, or a file that is there, or several.
    """

    def __init__(self, mode: str, **options: Any) -> None:
        super().__init__(FileDialogMode(mode), nullable=True, **options)
        self.choose_btn.text = "Choose…"
        self.choose_btn.tooltip = "Choose it in a dialog."
        self.line_edit.native.setMinimumWidth(60)
        self.line_edit.changed.disconnect()
        self.line_edit.native.editingFinished.connect(self._on_edited)

    def get_value(self) -> Path | None:
        """Return the path."""
        path = super().get_value()
        return path.expanduser() if isinstance(path, Path) else None

    def set_value(self, value: Any) -> None:
        """Set the path."""
        before = self.get_value()
        super().set_value(value)
        if self.get_value() != before:
            self._on_edited()

    def _on_edited(self) -> None:
        self.line_edit.tooltip = str(self.get_value() or "")
        self.changed.emit(self.get_value())


class PathsField(PathField):
    """The paths of files that are there, with commas between them; there may be none."""

    def __init__(self, **options: Any) -> None:
        super().__init__("rm", **options)

    def get_value(self) -> Any:
        """Return the paths."""
        paths = FileEdit.get_value(self)
        return tuple(path.expanduser() for path in paths) if isinstance(paths, tuple) else ()
