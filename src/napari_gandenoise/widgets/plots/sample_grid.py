"""Real tiles beside generated ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRect, Qt
from qtpy.QtGui import QImage, QPainter
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_gandenoise.training import TrainPreview

__all__ = ["SampleGrid", "mosaic"]

GAP = 8  # between the two halves, and above them
SEPARATOR = 1  # pixels of a tile


def mosaic(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put tiles ``(N, C, H, W)`` of values in [-1, 1] into a square: ``(Y, X)`` or ``(Y, X, 3)`` within [0, 1]."""
    images = np.clip((tiles + 1) / 2, 0, 1).transpose(0, 2, 3, 1)
    if images.shape[-1] not in (1, 3):
        images = images[..., :1]
    side = max(1, int(np.ceil(np.sqrt(len(images)))))
    height, width, channels = images.shape[1:]
    step_y, step_x = height + SEPARATOR, width + SEPARATOR
    square = np.zeros((side * step_y - SEPARATOR, side * step_x - SEPARATOR, channels), np.float32)
    for index, image in enumerate(images):
        y, x = index // side * step_y, index % side * step_x
        square[y : y + height, x : x + width] = image
    return square[..., 0] if channels == 1 else square


class SampleGrid(QWidget):
    """Two squares of tiles, as wide as the panel."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._halves: list[tuple[str, QImage]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setVisible(False)

    def show_preview(self, preview: TrainPreview) -> None:
        """Show a preview."""
        pairs = (("Real", preview.real), ("Generated", preview.samples))
        self._halves = [(title, _image(mosaic(tiles))) for title, tiles in pairs]
        self._fit()
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self._halves = []
        self._fit()
        self.update()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return not self._halves

    def _fit(self) -> None:
        self.setVisible(not self.empty)
        self.setFixedHeight(self._side() + self._caption())

    def _side(self) -> int:
        return max(16, (self.width() - GAP) // 2)

    def _caption(self) -> int:
        return self.fontMetrics().height() + 4

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Keep the squares square."""
        super().resizeEvent(event)
        self._fit()

    def paintEvent(self, _event: Any) -> None:  # noqa: N802 - Qt's name
        """Draw both squares under their captions."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        side, caption = self._side(), self._caption()
        for index, (title, image) in enumerate(self._halves):
            left = index * (side + GAP)
            painter.drawText(QRect(left, 0, side, caption), Qt.AlignmentFlag.AlignLeft, title)
            painter.drawImage(QRect(left, caption, side, side), image)
        painter.end()


def _image(pixels: NDArray[np.float32]) -> QImage:
    grey = np.ascontiguousarray(np.rint(pixels * 255).astype(np.uint8))
    height, width = grey.shape[:2]
    kind = QImage.Format.Format_Grayscale8 if grey.ndim == 2 else QImage.Format.Format_RGB888
    return QImage(grey.tobytes(), width, height, grey.strides[0], kind).copy()
