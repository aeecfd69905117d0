"""Choose a model: a bundled one, or a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error
from qtpy.QtCore import QFileSystemWatcher, Qt
from qtpy.QtWidgets import QFileDialog, QToolButton, QVBoxLayout, QWidget

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.settings.shared import AUTO
from napari_gandenoise.widgets.fields.base import Field
from napari_gandenoise.widgets.layout.rows import combo, in_row, note

if TYPE_CHECKING:
    from napari_gandenoise.models import ModelCard

__all__ = ["ModelField", "figures_line"]


FIGURE, PEER = "held-out PSNR, dB", "held-out PSNR of BM3D at its best bin, dB"  # as the cards call them
AUTOMATIC = "Tries the models that are for the image, and takes whichever explains its counts best."


def figures_line(card: ModelCard) -> str:
    """Say in a line how good a model is, as far as its card knows."""
    if FIGURE not in card.metrics:
        return ""
    peer = f" (BM3D: {card.metrics[PEER]:.1f} dB)" if PEER in card.metrics else ""
    return f"{card.metrics[FIGURE]:.1f} dB on images it never saw{peer}"


def _card_details(card: ModelCard) -> str:
    metrics = "\n".join(f"{name}: {value}" for name, value in card.metrics.items())
    return "\n\n".join(part for part in (card.description, metrics, f"SHA-256 {card.sha256[:16]}…") if part)


class ModelField(Field):
    """A list of models, and below it the card of the chosen one in a line; more in its tooltip.

    Parameters
    ----------
    automatic : bool
        Whether the choice may be left to the run.
    """

    def __init__(self, *, automatic: bool = False) -> None:
        super().__init__()
        self._cards: dict[str, ModelCard] = {}
        self._offers: Callable[[ModelCard], bool] = _any
        self._combo = combo()
        self._open = QToolButton()
        self._open.setText("Open…")
        self._open.setToolTip("Use a model file (.safetensors)")
        self.card, self._time = note(), ""
        self.card.setStyleSheet("border: 1px solid rgba(128, 128, 128, 90); border-radius: 4px; padding: 4px")
        self._whole_row = QWidget()
        column = QVBoxLayout(self._whole_row)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.card)
        self.trouble = note()
        self.trouble.hide()
        for label in (self.card, self.trouble):  # strangers' files say what is in them
            label.setTextFormat(Qt.TextFormat.PlainText)
        column.addWidget(self.trouble)
        self.below = (self._whole_row,)
        line = in_row(self._combo, self._open)
        line.setStretch(0, 1)
        self.setLayout(line)
        if automatic:
            self._combo.addItem("Automatic", AUTO)
        for card in self._own_and_bundled():
            self._add(card.name, card)
        self._show_card()
        self._combo.currentIndexChanged.connect(self._on_chosen)
        self._open.clicked.connect(self._on_open)
        self._watcher = QFileSystemWatcher(self)
        self._watch()

    def names(self) -> list[str]:
        """Return the names of the models."""
        return list(self._cards)

    def restrict(self, offers: Callable[[ModelCard], bool]) -> None:
        """List only models for which a function of their card holds, and files that somebody has opened."""
        self._offers = offers
        self._on_folder_changed()

    def value(self) -> str:
        """Return the name of a bundled model or the path of a file."""
        return str(self._combo.currentData() or "")

    def chosen(self) -> ModelCard | None:
        """Return the card of the chosen model."""
        return self._cards.get(self.value())

    def set_value(self, value: str) -> None:
        """Choose a bundled model, or a file if it can be read; otherwise keep the present choice, and say why."""
        try:
            if value != AUTO:
                self._add(value)
        except GanDenoiseError as error:
            self._tell(str(error))
            return
        self._tell()
        self._combo.setCurrentIndex(max(0, self._combo.findData(value)))

    def facts(self) -> dict[str, set[str]]:
        """Say what kind of model it is: latent or direct, of micrographs, which have a pixel size, or photographs.

        An automatic choice is among direct denoisers, of which kind the image will tell.
        """
        if self.value() == AUTO:
            return {"model kind": {"direct", "micrographs", "photographs", "direct micrographs", "drawing"}}
        card = self.chosen()
        if card is None:
            return {"model kind": set()}
        kind = "direct" if card.latent is None else "latent"
        images = "photographs" if card.pixel_size_nm is None else "micrographs"
        return {"model kind": {kind, images, f"{kind} {images}", *(["drawing"] if card.draws else [])}}

    def _watch(self) -> None:
        """Follow the folder of the user's own models: another panel or program may save one there."""
        from napari_gandenoise.models import user_folder

        folder = user_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return  # a read-only home has no models of its own
        self._watcher.addPath(str(folder))
        self._watcher.directoryChanged.connect(self._on_folder_changed)

    def _on_folder_changed(self, _folder: str = "") -> None:
        """List models that have come, and no longer those that have gone; the choice stays if it can."""
        from napari_gandenoise.models.bundled import SUFFIX

        cards = {card.name: card for card in self._own_and_bundled() if self._offers(card)}
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

    def _own_and_bundled(self) -> list[ModelCard]:
        """Return the models that can be used, and say which files of the user's folder cannot."""
        from napari_gandenoise.models import list_models  # loads torch

        bad: dict[str, str] = {}
        cards = list_models(bad)
        names = in_short(", ".join(bad))
        self._tell(f"In your folder of models, and of no use: {names}." if bad else "", "\n\n".join(bad.values()))
        return cards

    def _tell(self, words: str = "", more: str = "") -> None:
        """Say below the card what is wrong, and more when the mouse rests there."""
        self.trouble.setText(words)
        self.trouble.setToolTip(more)
        self.trouble.setVisible(bool(words))

    def _add(self, value: str, card: ModelCard | None = None) -> None:
        """List a model that is not yet; read its card if it is not given."""
        from napari_gandenoise.models import load_model, model_card

        if value not in self._cards:
            self._cards[value] = card or model_card(load_model(value))
            self._combo.addItem(self._cards[value].name, value)

    def _on_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a model", "", "Models (*.safetensors)")
        if path:
            self.open(path)

    def open(self, path: str) -> None:
        """Read a model file and choose it, or tell why it cannot be read."""
        try:
            self._add(path)
        except GanDenoiseError as error:
            show_error(str(error))
            return
        self._combo.setCurrentIndex(self._combo.findData(path))

    def _on_chosen(self) -> None:
        self._show_card()
        self.changed.emit()

    def show_time(self, words: str) -> None:
        """Say on the card how long the model takes on this machine."""
        self._time = words
        self._show_card()

    def _show_card(self) -> None:
        card = self._cards.get(self.value())
        lines = [AUTOMATIC if self.value() == AUTO else "No model found."]
        if card is not None:
            lines = [f"{card.description or card.domain}", f"{card.sampling} · {card.size_bytes / 1e6:.1f} MB"]
            lines.insert(1, figures_line(card))
        self.card.setText("\n".join(line for line in (*lines, self._time) if line))
        self.card.setToolTip(_card_details(card) if card else "")


def _any(_card: ModelCard) -> bool:
    return True
