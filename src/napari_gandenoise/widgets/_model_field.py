"""Choose a model: a bundled one, or a file."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QFileSystemWatcher, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QToolButton, QWidget

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import ModelCard, list_models, load_model, model_card, user_folder
from napari_gandenoise.models.bundled import SUFFIX
from napari_gandenoise.widgets._parts import combo, note

__all__ = ["ModelField", "card_line"]


def card_line(card: ModelCard) -> str:
    """Put a model's card into a line: what it was trained for, at which pixel size, how large it is."""
    return f"{card.domain} · {card.sampling} · {card.size_bytes / 1e6:.1f} MB"


def _card_details(card: ModelCard) -> str:
    metrics = "\n".join(f"{name}: {value}" for name, value in card.metrics.items())
    return "\n\n".join(part for part in (card.description, metrics, f"SHA-256 {card.sha256[:16]}…") if part)


class ModelField(QWidget):
    """A list of models.

    Attributes
    ----------
    card : QLabel
        The card of the chosen model in a line, to be placed below; more in its tooltip.

    Signals
    -------
    changed
        Another model was chosen.
    failed : str
        A file cannot be used as a model; the sentence is for the user.
    """

    changed = Signal()
    failed = Signal(str)

    def __init__(self, cards: Sequence[ModelCard], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cards: dict[str, ModelCard] = {}
        self._combo = combo()
        self._open = QToolButton()
        self._open.setText("Open…")
        self._open.setToolTip("Use a model file (.safetensors)")
        self.card = note()
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self._combo, stretch=1)
        line.addWidget(self._open)
        for card in cards:
            self._add(card.name, card)
        self._show_card()
        self._combo.currentIndexChanged.connect(self._on_chosen)
        self._open.clicked.connect(self._on_open)
        self._watcher = QFileSystemWatcher(self)
        self._watch()

    def value(self) -> str:
        """Return the name of a bundled model or the path of a file."""
        return str(self._combo.currentData() or "")

    def chosen(self) -> ModelCard | None:
        """Return the card of the chosen model."""
        return self._cards.get(self.value())

    def set_value(self, model: str) -> None:
        """Choose a bundled model, or a file if it can be read; otherwise keep the present choice."""
        if model not in self._cards:
            try:
                self._add(model, model_card(load_model(model)))
            except (GanDenoiseError, OSError):
                return
        self._combo.setCurrentIndex(self._combo.findData(model))

    def _watch(self) -> None:
        """Follow the folder of the user's own models: another panel or program may save one there."""
        folder = user_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return  # a read-only home has no models of its own
        self._watcher.addPath(str(folder))
        self._watcher.directoryChanged.connect(self._on_folder_changed)

    def _on_folder_changed(self, _folder: str) -> None:
        """List models that have come, and no longer those that have gone; the choice stays if it can."""
        cards = {card.name: card for card in list_models()}
        chosen, before = self.value(), self._cards.get(self.value())
        gone = [name for name in self._cards if name not in cards and not name.endswith(SUFFIX)]
        self._combo.blockSignals(True)
        for name in gone:
            del self._cards[name]
            self._combo.removeItem(self._combo.findData(name))
        for name, card in cards.items():
            if name in self._cards:
                self._cards[name] = card
            else:
                self._add(name, card)
        self._combo.blockSignals(False)
        self._show_card()
        if chosen != self.value() or before != self._cards.get(chosen):
            self.changed.emit()

    def _add(self, value: str, card: ModelCard) -> None:
        self._cards[value] = card
        self._combo.addItem(card.name, value)

    def _on_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a model", "", "Models (*.safetensors)")
        if path:
            self.open(path)

    def open(self, path: str) -> None:
        """Read a model file and choose it; `failed` tells why it cannot be read."""
        try:
            card = model_card(load_model(path))
        except (GanDenoiseError, OSError) as error:
            self.failed.emit(str(error))
            return
        if path not in self._cards:
            self._add(path, card)
        self._combo.setCurrentIndex(self._combo.findData(path))

    def _on_chosen(self) -> None:
        self._show_card()
        self.changed.emit()

    def _show_card(self) -> None:
        card = self._cards.get(self.value())
        self.card.setText(card_line(card) if card else "no model found")
        self.card.setToolTip(_card_details(card) if card else "")
