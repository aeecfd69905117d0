"""The verdict card: a coloured line, what stands behind it, places to go to, and the adapted model to keep."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_gandenoise.denoising import Check, Region, Verdict
from napari_gandenoise.widgets.layout.rows import Folded, note

__all__ = ["VerdictCard"]

# Colours that are told apart on a light and on a dark ground, and by people who confuse red and green.
COLOURS = {"green": "#2a9d6f", "amber": "#d98e04", "red": "#d1495b", "grey": "#888888"}
TITLES = {"counts": "Counts", "structure": "Structure", "doubt": "Doubt", "size": "Pixel size"}
MOST = 12  # places that are listed


class VerdictCard(QWidget):
    """Show the verdict on a result; hidden as long as there is none.

    Signals
    -------
    region_clicked : object
        A `Region` that the user wants to see.
    keep_clicked
        The adapted model is wanted for other images.
    """

    region_clicked = Signal(object)
    keep_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.line, self.checks, self.places = note(), note(), note()
        self.keep = QPushButton("Keep the adapted model…")
        self.keep.setToolTip(
            "Save its gains to a small file, which can be chosen as a model for more images of the kind."
        )
        details = QWidget()
        inside = QVBoxLayout(details)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addWidget(self.checks)
        self.details = Folded("What was asked", details)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.line, self.places, self.details, self.keep):
            column.addWidget(widget)
        for label in (self.line, self.checks, self.places):
            label.setTextFormat(Qt.TextFormat.RichText)
        self.places.setTextInteractionFlags(Qt.TextInteractionFlag.LinksAccessibleByMouse)
        self.places.linkActivated.connect(self._on_link)
        self.keep.clicked.connect(self.keep_clicked)
        self._regions: Sequence[Region] = ()
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        self.setVisible(False)

    def show_verdict(self, verdict: Verdict, adapted: bool, summary: str = "") -> None:
        """Show a verdict, the result's line of figures behind it, and whether there is an adapted model to keep."""
        self.line.setText(f"{_dot(verdict.colour)} <b>{_begun(verdict.sentence())}</b>")
        self.checks.setText("<br>".join([*map(_line, verdict.checks), *([summary] if summary else [])]))
        self._regions = sorted(verdict.regions, key=lambda region: -region.deviations)[:MOST]
        links = [
            f'<a href="{number}" style="color: {COLOURS["amber"]}">{region.kind}, {region.deviations:.1f} σ</a>'
            for number, region in enumerate(self._regions)
        ]
        self.places.setText("Go to: " + " · ".join(links))
        self.places.setVisible(bool(links))
        self.keep.setVisible(adapted)
        self.setVisible(bool(verdict.checks))

    def _on_link(self, number: str) -> None:
        self.region_clicked.emit(self._regions[int(number)])


def _line(check: Check) -> str:
    return f"{_dot(check.colour)} {TITLES[check.name]}: {check.sentence} ({check.value:.2f})"


def _dot(colour: str) -> str:
    return f'<span style="color: {COLOURS[colour]}">●</span>'


def _begun(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
