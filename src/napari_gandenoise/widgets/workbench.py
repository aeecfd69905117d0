"""The one dock: all panels behind a row of tabs, each made when it is first looked at."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import metadata
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QEvent, Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QButtonGroup,
    QDockWidget,
    QLabel,
    QPushButton,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QFlowLayout

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["PANELS", "TITLE", "Workbench", "help_page", "open_panel"]

TITLE = "GAN denoise"
# Module and class of each panel, what it is for, and its page of the documentation.
PANELS = {
    "Denoise": ("denoise", "DenoiseWidget", "Take the noise from an image or a movie.", "tutorial"),
    "Columns": ("columns", "ColumnsWidget", "Find the atom columns, with errors and probabilities.", "how-to/columns"),
    "Restore": ("restore", "RestoreWidget", "Fill holes, give colours, more pixels or grey levels.", "how-to/restore"),
    "Batch": ("batch", "BatchWidget", "Denoise or restore folders and stacks.", "how-to/batch"),
    "Train": ("train", "TrainWidget", "Train a model on images of your own.", "how-to/train-in-the-viewer"),
    "Simulate": ("simulate", "SimulateWidget", "Make micrographs whose truth is known.", "how-to/simulate"),
    "Compare": ("compare", "CompareWidget", "Set denoisers beside each other on an image.", "how-to/compare"),
}
PREPARING = "Preparing…"


class Workbench(QWidget):
    """All panels of the plugin in one dock.

    What a panel needs, above all torch, is loaded in the background, so that the window opens at once.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that the panels work on.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.panels: dict[str, QWidget] = {}
        self._waiting: dict[str, list[Callable[[Any], None]]] = {}
        self.tabs: dict[str, QPushButton] = {}
        self._pages = QStackedWidget()
        self._places: dict[str, QLabel] = {}
        self._group = QButtonGroup(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.addWidget(self._make_tabs())
        column.addWidget(self._pages, stretch=1)
        self._current = ""
        self.open("Denoise")

    def _make_tabs(self) -> QWidget:
        row = QWidget()
        flow = QFlowLayout(row)
        flow.setContentsMargins(6, 0, 6, 0)
        flow.setSpacing(3)
        for name, (_, _, tip, _) in PANELS.items():
            tab = QPushButton(name)
            tab.setCheckable(True)
            tab.setToolTip(tip)
            tab.setStyleSheet("padding: 3px 7px")
            tab.clicked.connect(partial(self._on_tab, name))
            self._group.addButton(tab)
            flow.addWidget(tab)
            self.tabs[name] = tab
            place = QLabel(PREPARING)
            place.setAlignment(Qt.AlignmentFlag.AlignCenter)
            self._places[name] = place
            self._pages.addWidget(place)
        help_button = QToolButton()
        help_button.setText("?")
        help_button.setToolTip("Read about this panel in the documentation.")
        help_button.clicked.connect(self._on_help)
        flow.addWidget(help_button)
        return row

    @property
    def busy(self) -> bool:
        """Whether a panel is still being prepared."""
        return bool(self._waiting)

    @property
    def current(self) -> str:
        """Name of the panel that is shown."""
        return self._current

    def _on_tab(self, name: str, _checked: bool) -> None:
        self.open(name)

    def open(self, name: str, then: Callable[[Any], None] | None = None) -> None:
        """Show a panel.

        Parameters
        ----------
        name : str
            What its tab says.
        then : callable, optional
            Called with the panel once it is there.
        """
        self._current = name
        self.tabs[name].setChecked(True)
        dock = self.parent()
        if isinstance(dock, QDockWidget):
            dock.show()
            dock.raise_()
        if name in self.panels:
            self._pages.setCurrentWidget(self.panels[name])
            if then is not None:
                then(self.panels[name])
            return
        self._pages.setCurrentWidget(self._places[name])
        wanted = self._waiting.setdefault(name, [])
        if then is not None:
            wanted.append(then)
        if len(self._waiting) == 1 and not hasattr(self, "_worker"):
            self._load(name)

    def _load(self, name: str) -> None:
        """Import what a panel needs, away from the window's thread."""
        self._worker = create_worker(_import, PANELS[name][0])
        self._worker.returned.connect(partial(self._on_loaded, name))
        self._worker.errored.connect(partial(self._on_failed, name))
        self._worker.start()

    def _on_loaded(self, name: str, module: Any) -> None:
        panel = getattr(module, PANELS[name][1])(self._viewer)
        self.panels[name] = panel
        self._pages.addWidget(panel)
        if self._current == name:
            self._pages.setCurrentWidget(panel)
        if name == "Denoise":
            panel.batch_wanted.connect(self._to_batch)
        for then in self._waiting.pop(name, []):
            then(panel)
        self._next()

    def _to_batch(self, path: str) -> None:
        """Go on in the batch panel with a file."""
        self.open("Batch", lambda batch: batch.files.add(path))

    def _on_failed(self, name: str, error: Exception) -> None:
        self._places[name].setText(f"The panel cannot be opened: {error}")
        self._waiting.pop(name, None)
        self._next()

    def _next(self) -> None:
        del self._worker
        if self._waiting:
            self._load(next(iter(self._waiting)))

    def _on_help(self) -> None:
        QDesktopServices.openUrl(QUrl(help_page(self._current)))

    def event(self, event: QEvent | None) -> bool:
        """Take the panels off with the dock: each stops what it does when it loses its place."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            for panel in self.panels.values():
                panel.setParent(None)
        return super().event(event)


def open_panel(viewer: Viewer, name: str, then: Callable[[Any], None] | None = None) -> None:
    """Show a panel in the dock of a viewer, which is made if there is none.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where.
    name : str
        What the panel's tab says.
    then : callable, optional
        Called with the panel once it is there.
    """
    _, bench = viewer.window.add_plugin_dock_widget("napari-gandenoise", TITLE)
    bench.open(name, then)


def help_page(name: str) -> str:
    """Return the address of a panel's page of the documentation."""
    urls = (entry.split(", ", 1) for entry in metadata("napari-gandenoise").get_all("Project-URL") or ())
    documentation = dict(urls)["Documentation"].rstrip("/")
    return f"{documentation}/{PANELS[name][3]}.html"


def _import(module: str) -> Any:
    from napari_gandenoise.models import list_models

    found = import_module(f"napari_gandenoise.widgets.{module}")
    list_models()  # reads all model files, for their cards
    return found
