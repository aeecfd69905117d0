"""How much of the noise is taken away: a slider that blends the last result with its input at once."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget
from superqt import QLabeledSlider

from napari_gandenoise.denoising import DenoiseResult
from napari_gandenoise.widgets.before_after.summed import Summed
from napari_gandenoise.widgets.viewer.live_layer import LiveLayer

__all__ = ["IntensityField"]

FULL = 100  # percent


class IntensityField(QWidget):
    """A slider for the layer of the last result; it can be moved once there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.slider = QLabeledSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, FULL)
        self.slider.setToolTip(
            "How much of the noise is taken away from the last result: 0 % shows the input, summed as the model saw it."
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("Intensity, %"))
        row.addWidget(self.slider, stretch=1)
        self._result: DenoiseResult | None = None
        self._live: LiveLayer | None = None
        self.slider.valueChanged.connect(self._on_moved)
        self.forget()

    def follow(self, result: DenoiseResult, live: LiveLayer | None) -> None:
        """Blend this result in its layer from now on."""
        self._result, self._live = None, None
        self.slider.setValue(FULL)
        if result.report["intensity"] != 1:  # it was blended by the run already
            live = None
        self._result, self._live = result, live
        self.setEnabled(live is not None)

    def forget(self) -> None:
        """Let go of the last result."""
        self._result, self._live = None, None
        self.slider.setValue(FULL)
        self.setEnabled(False)

    def _on_moved(self, percent: int) -> None:
        if self._result is None or self._live is None:
            return
        layer = self._live.layer
        if layer is None:  # the user has removed it
            self.forget()
            return
        blended = self._result if percent == FULL else _blend(self._result, percent / FULL)
        layer.data, options, _ = self._live.source.place(blended.to_layer_data())
        layer.metadata = options["metadata"]


def _blend(result: DenoiseResult, intensity: float) -> DenoiseResult:
    """Blend a result with its input as the model saw it, summed: single electrons beside a mean are salt and pepper."""
    side, colours = result.report["summed"], result.axes == "YXS"
    summed = Summed(result.residual, side, colours=colours)[...] if side > 1 else result.residual
    noise = result.residual.copy()
    rows, columns = summed.shape[-2] * side, summed.shape[-1] * side  # the rest of the edge stays as it is
    if side > 1:
        noise[..., :rows, :columns] = summed.repeat(side, axis=-2).repeat(side, axis=-1)
    return replace(result, residual=noise).at_intensity(intensity)
