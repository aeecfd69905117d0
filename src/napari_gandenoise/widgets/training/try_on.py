"""The model of a run, tried on a frame of the user's own: noisy, denoised and, where there is one, clean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_gandenoise.denoising import denoise
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.layers import block_means
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import load_model
from napari_gandenoise.widgets.fields.layers import LayerField
from napari_gandenoise.widgets.layout.rows import form_rows, note
from napari_gandenoise.widgets.plots.sample_grid import PictureRow
from napari_gandenoise.widgets.running.inspector import Answer, Inspector
from napari_gandenoise.widgets.viewer.source import cut

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["TryOn", "tried"]

SIDE = 192  # pixels of the model: a look that costs the run seconds at most
TRUTH = ("truth", "clean")  # in the name of a layer that is likely one


@dataclass(frozen=True)
class _Tried:
    """A frame before and after; `clean` is None where there is none."""

    noisy: NDArray[Any]
    denoised: NDArray[Any]
    clean: NDArray[Any] | None


class TryOn(QWidget):
    """Try the model of a run on a layer, in the background, as often as there is a new one.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers are offered.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._model: Path | None = None
        self._looking = Inspector(self)
        self.wanted = QCheckBox("Try it on")
        self.wanted.setToolTip("At every checkpoint, denoise the middle of this layer's shown frame with the model.")
        self.wanted.setChecked(True)
        self.layer, self.clean = LayerField(viewer, Image), LayerField(viewer, Image)
        self.layer.tooltip = "One of your own frames."
        self.compared = QCheckBox("beside")
        self.compared.setToolTip("Show a clean image of the same frame, too, if you have one.")
        self.clean.tooltip = "The same frame without noise: it is only shown, nothing is learnt from it."
        self.pictures, self.said = PictureRow(), note()
        self.pictures.setToolTip("The middle of the frame, with contrast as its own values have it.")
        rows = form_rows()
        rows.addRow(self.wanted, self.layer.native)
        rows.addRow(self.compared, self.clean.native)
        self._rows = rows
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(rows)
        column.addWidget(self.pictures)
        column.addWidget(self.said)
        self.layer.changed.connect(self._on_layer)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._on_layer)
        self.clean.changed.connect(self._look)
        self.compared.toggled.connect(self._on_compared)
        self.wanted.toggled.connect(self._look)
        self._looking.answered.connect(self._on_tried)
        self._on_layer()

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Leave the width to the panel."""
        return QSize(100, super().minimumSizeHint().height())

    @property
    def busy(self) -> bool:
        """Whether a model is being tried."""
        return self._looking.busy

    def show_model(self, model: Path | None) -> None:
        """Try this model from now on; none: show nothing."""
        self._model = model
        self._look()

    def _on_layer(self, _event: Any = None) -> None:
        layer = self.layer.value
        others = [] if layer is None else [other for other in self._images() if _alike(other, layer)]
        self.setVisible(layer is not None)
        self._rows.setRowVisible(self.clean.native, bool(others))
        likely = [other for other in others if any(word in other.name.lower() for word in TRUTH)]
        self.compared.setChecked(bool(likely))
        if likely:
            self.clean.choose(likely[0])
        self._look()

    def _images(self) -> list[Image]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Image)]

    def _on_compared(self, compared: bool) -> None:
        self.clean.enabled = compared
        self._look()

    def _look(self, _value: Any = None) -> None:
        layer = self.layer.value
        self.clean.enabled = self.compared.isChecked()
        if self._model is None or layer is None or not self.wanted.isChecked():
            self._looking.forget()
            self.pictures.clear()
            self._say("")
            return
        other = self.clean.value if self.compared.isChecked() else None
        try:
            frame = cut(self._viewer, layer, "whole", current_frame=True).micrograph
            clean = None
            if other is not None and other is not layer and _alike(other, layer):
                clean = cut(self._viewer, other, "whole", current_frame=True).micrograph
        except GanDenoiseError as error:
            self._say(str(error))
            return
        self._looking.ask(partial(tried, self._model, frame, clean))

    def _on_tried(self, answer: Answer) -> None:
        if answer.refusal:
            self.pictures.clear()
            self._say(answer.refusal)
            return
        self._say("")
        self.pictures.show_pictures(_pictures(answer.value))

    def _say(self, words: str) -> None:
        self.said.setText(words)
        self.said.setVisible(bool(words))


def _alike(other: Image, layer: Image) -> bool:
    return other is not layer and other.data.shape == layer.data.shape and other.rgb == layer.rgb


def tried(path: Path, frame: Micrograph, clean: Micrograph | None) -> _Tried:
    """Denoise the middle of a frame with a model.

    Parameters
    ----------
    path : Path
        The model file.
    frame, clean : Micrograph
        One frame, and the same without noise.

    Raises
    ------
    GanDenoiseError
        If the model is not for such images.
    """
    model = load_model(path)
    summed = 1
    if model.pixel_size_nm is not None and frame.pixel_size_nm is not None:
        summed = max(1, round(model.pixel_size_nm / frame.pixel_size_nm))
    part = _middle(frame.pixels, SIDE * summed)
    made = denoise(replace(frame, pixels=part), model=str(path), preset="fast")
    truth = None if clean is None else np.asarray(_middle(clean.pixels, SIDE * summed))
    return _Tried(block_means(part, summed), np.asarray(made.rate), truth)


def _middle(pixels: Any, side: int) -> Any:
    top, left = (max(0, (length - side) // 2) for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def _pictures(found: _Tried) -> list[tuple[str, NDArray[np.float32]]]:
    """Bring the images to 0 to 1: noise by its own spread, what has none by one another's."""
    shown = [("noisy", _scaled(found.noisy, found.noisy, 1.0))]
    by = found.denoised if found.clean is None else found.clean
    shown.append(("denoised", _scaled(found.denoised, by, 0.2)))
    if found.clean is not None:
        shown.append(("clean", _scaled(found.clean, by, 0.2)))
    return shown


def _scaled(image: NDArray[Any], by: NDArray[Any], off: float) -> NDArray[np.float32]:
    low, high = np.nanpercentile(np.asarray(by, float), (off, 100 - off))
    scaled = (np.asarray(image, float) - low) / max(float(high - low), 1e-12)
    return np.asarray(np.clip(np.nan_to_num(scaled), 0, 1), np.float32)
