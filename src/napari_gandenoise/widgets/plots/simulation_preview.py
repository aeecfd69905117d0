"""A small picture of what settings of the simulation make, computed while they are set."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap, QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_gandenoise.settings.simulate import ScenesConfig, SimulationConfig
from napari_gandenoise.simulate import SimulatedMicrograph, missing_extra, simulate_micrograph
from napari_gandenoise.widgets.layout.rows import note
from napari_gandenoise.widgets.plots.pictures import as_picture
from napari_gandenoise.widgets.running.inspector import Answer, Inspector

__all__ = ["SimulationPreview", "display_limits", "smaller"]

FIELD_NM, LARGEST = 3.2, 256  # widest view of atoms, most pixels along a side: a second or a few to compute
SIDE = 128  # of a picture, on the screen
PATIENCE_MS = 400  # somebody who turns a number is not interrupted
SLOW = ("abf", "bf")


def smaller(config: SimulationConfig) -> SimulationConfig | None:
    """Return the settings of a middle piece that is quick to compute; None where there is none."""
    if isinstance(config.structure, ScenesConfig):
        return config.model_copy(update={"shape": min(config.shape, LARGEST)})
    if config.mode in SLOW:
        return None
    pixels = int(FIELD_NM / config.pixel_size_nm)
    return config.model_copy(update={"shape": min(config.shape, LARGEST, max(32, pixels)), "device": "cpu"})


def display_limits(made: SimulatedMicrograph) -> tuple[float, float]:
    """Contrast limits for what was recorded: the range of the truth, and the noise about it on both sides."""
    truth, seen = np.asarray(made.truth.pixels, np.float64), np.asarray(made.counts.pixels, np.float64)
    low, high = np.percentile(truth, (0.5, 99.5))
    noise = float(np.std(seen - truth))
    least = max(float(seen.min()), low - noise)
    return float(least), float(max(high + noise, least + 1e-6))


class SimulationPreview(QWidget):
    """What would be recorded, and beside it the truth.

    Nothing is computed while it cannot be seen.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.recorded, self.truth = QLabel(), QLabel()
        self.recorded.setToolTip("As the detector would record it.")
        self.truth.setToolTip("Without noise.")
        self.said = note()
        row = QHBoxLayout()
        for picture in (self.recorded, self.truth):
            picture.setFixedSize(SIDE, SIDE)
            row.addWidget(picture)
        row.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.said)
        self._wanted: tuple[SimulationConfig, float] | None = None
        self._inspector = Inspector(self, patience_ms=PATIENCE_MS)
        self._inspector.answered.connect(self._on_answered)

    @property
    def busy(self) -> bool:
        """Whether a picture is being made."""
        return self._inspector.busy

    def follow(self, config: SimulationConfig, dose: float) -> None:
        """Show what these settings make, soon.

        Parameters
        ----------
        config : SimulationConfig
            The settings; a middle piece of their micrograph is shown.
        dose : float
            Electrons per pixel, as for `simulate_micrograph`.
        """
        self._wanted = config, dose
        if self.isVisible():
            self._ask()

    def forget(self) -> None:
        """Show nothing, and compute nothing."""
        self._wanted = None
        self._inspector.forget()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Begin once somebody looks."""
        super().showEvent(event)
        self._ask()

    def _ask(self) -> None:
        if self._wanted is None:
            return
        config, dose = self._wanted
        small = smaller(config)
        if small is None or missing_extra(small):
            self._inspector.forget()
            self._show(None, "" if small is not None else "No preview: a bright field takes minutes.")
            return
        self.said.setText("preview…")
        self._inspector.ask(partial(simulate_micrograph, small, dose))

    def _on_answered(self, answer: Answer) -> None:
        if answer.refusal:
            self._show(None, answer.refusal)
            return
        made: SimulatedMicrograph = answer.value
        pixels, size = made.truth.pixels.shape[0], made.truth.pixel_size_nm or 0.0
        self._show(made, f"{made.counts.name}: the middle {pixels * size:.3g} nm, with and without noise")

    def _show(self, made: SimulatedMicrograph | None, words: str) -> None:
        self.said.setText(words)
        for picture in (self.recorded, self.truth):
            picture.setVisible(made is not None)
        if made is not None:
            limits = display_limits(made)
            self.recorded.setPixmap(_pixmap(made.counts.pixels, limits))
            truth = np.asarray(made.truth.pixels, np.float64)
            self.truth.setPixmap(_pixmap(truth, tuple(np.percentile(truth, (0.5, 99.5)))))


def _pixmap(pixels: Any, limits: tuple[float, float]) -> QPixmap:
    low, high = limits
    image = as_picture((np.asarray(pixels, np.float64) - low) / max(high - low, 1e-12))
    smooth = Qt.TransformationMode.SmoothTransformation
    return QPixmap.fromImage(image).scaled(SIDE, SIDE, Qt.AspectRatioMode.KeepAspectRatio, smooth)
