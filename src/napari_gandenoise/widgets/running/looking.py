"""What a form asks of the layer that is chosen: filled in when it changes, taken back when it is gone."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_gandenoise.denoising import calibrated
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.widgets.fields.layers import LayerField
from napari_gandenoise.widgets.fields.noise import NoiseField
from napari_gandenoise.widgets.forms.form import SettingsForm
from napari_gandenoise.widgets.running.inspector import Answer, Inspector
from napari_gandenoise.widgets.viewer.source import found_pixel_size, whole

__all__ = ["Looking"]


class Looking(QObject):
    """Fill in the pixel size, the noise and whether there are several frames, whenever another layer is chosen.

    Parameters
    ----------
    form : SettingsForm
        Has the field "pixel_size_nm".
    layers : LayerField
        Where the layer is chosen.
    nothing : str
        What to say where there is no layer to choose.
    noise : bool
        Whether the form has the field "noise", which is estimated in the background.
    several : int
        Frames from which on the fact "frames" of the form is "several".

    Signals
    -------
    looked
        Something else is known of the layer, or it is another one, or gone.
    """

    looked = Signal()

    def __init__(
        self, form: SettingsForm, layers: LayerField, nothing: str, *, noise: bool = True, several: int = 2
    ) -> None:
        super().__init__(form)
        self._form, self._layers, self._nothing = form, layers, nothing
        self._noise: NoiseField | None = form.field("noise") if noise else None
        self._several = several
        self._calibrator = Inspector(self)
        self._calibrator.answered.connect(self._on_calibrated)
        layers.changed.connect(self.look)
        layers.altered.connect(self.look)

    @property
    def busy(self) -> bool:
        """Whether the noise is being estimated."""
        return self._calibrator.busy

    def chosen(self) -> Image:
        """Return the layer.

        Raises
        ------
        GanDenoiseError
            If there is none, or its pixels are true and false.
        """
        layer, other = self._layers.value, self._layers.other
        if layer is None and other is not None:
            kind = type(other).__name__
            raise GanDenoiseError(f"The layer {other.name!r} is of the kind {kind}, and an image is wanted: open one.")
        if layer is None:
            raise GanDenoiseError(self._nothing)
        if np.dtype(layer.dtype).kind == "b":
            raise GanDenoiseError(f"The layer {layer.name!r} holds only true and false: choose the image behind it.")
        return layer

    def look(self, _layer: Any = None) -> None:
        """Fill in what the layer knows; of one that holds no image nothing is left of the one before."""
        self._calibrator.forget()
        found: tuple[float | None, str]
        try:
            layer = self.chosen()
            micrograph = whole(layer).micrograph
        except GanDenoiseError:  # which the plan tells
            found, frames = (None, ""), 1
            if self._noise is not None:
                self._noise.set_unknown("")
        else:
            found, frames = found_pixel_size(layer), micrograph.frames
            if self._noise is not None:
                self._noise.set_waiting()
                self._calibrator.ask(partial(calibrated, micrograph))
        self._form.field("pixel_size_nm").show_found(*found)
        self._form.set_fact("frames", "several", holds=frames >= self._several)
        self.looked.emit()

    def _on_calibrated(self, answer: Answer) -> None:
        assert self._noise is not None
        if answer.refusal:
            self._noise.set_unknown(answer.refusal)
        else:
            self._noise.set_calibration(answer.value)
        self.looked.emit()
