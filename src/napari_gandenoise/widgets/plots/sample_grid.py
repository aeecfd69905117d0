"""Pictures side by side: real tiles and generated ones, a frame before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QImage, QPainter
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_gandenoise.training import TrainPreview
from napari_gandenoise.widgets.plots.pictures import as_picture

__all__ = ["PictureRow", "SampleGrid", "mosaic"]

GAP = 8  # between pictures
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


class PictureRow(QWidget):
    """Square pictures side by side under their captions, together as wide as the panel."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pictures: list[tuple[str, QImage]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setVisible(False)

    def show_pictures(self, pictures: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
        """Show pictures ``(Y, X)`` or ``(Y, X, 3)`` within [0, 1] under their captions."""
        self._pictures = [(title, as_picture(pixels)) for title, pixels in pictures]
        self._fit()
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self.show_pictures(())

    @property
    def captions(self) -> list[str]:
        """What is shown."""
        return [title for title, _ in self._pictures]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return not self._pictures

    def _fit(self) -> None:
        self.setVisible(not self.empty)
        self.setFixedHeight(self._side() + self._caption())

    def _side(self) -> int:
        several = max(2, len(self._pictures))
        return max(16, (self.width() - (several - 1) * GAP) // several)

    def _caption(self) -> int:
        return self.fontMetrics().height() + 4

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Keep the squares square."""
        super().resizeEvent(event)
        self._fit()

    def paintEvent(self, _event: Any) -> None:  # noqa: N802 - Qt's name
        """Draw the pictures, each as large as its square allows."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        side, caption = self._side(), self._caption()
        for index, (title, image) in enumerate(self._pictures):
            left = index * (side + GAP)
            painter.drawText(QRect(left, 0, side, caption), Qt.AlignmentFlag.AlignLeft, title)
            size = image.size().scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio)
            painter.drawImage(QRect(QPoint(left, caption), size), image)
        painter.end()


class SampleGrid(PictureRow):
    """Real tiles and those that a model has made, each a square of squares."""

    def show_preview(self, preview: TrainPreview, *, direct: bool = False) -> None:
        """Show a preview, of a direct denoiser or of a generator."""
        titles = ("Clean", "Denoised") if direct else ("Real", "Generated")
        self.show_pictures([(title, mosaic(tiles)) for title, tiles in zip(titles, preview[::-1], strict=True)])
