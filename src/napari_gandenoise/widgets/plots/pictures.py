"""Arrays as pictures of Qt."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtGui import QImage

__all__ = ["as_picture"]


def as_picture(levels: NDArray[Any]) -> QImage:
    """Make a picture.

    Parameters
    ----------
    levels : ndarray
        ``(Y, X)`` or ``(Y, X, 3)``, from 0, black, to 1; what lies beyond is black or white, what is not finite black.
    """
    shown = np.ascontiguousarray(np.rint(255 * np.clip(np.nan_to_num(levels), 0, 1)), np.uint8)
    kind = QImage.Format.Format_Grayscale8 if shown.ndim == 2 else QImage.Format.Format_RGB888
    # Qt does not keep the memory of the array.
    return QImage(shown.tobytes(), shown.shape[1], shown.shape[0], shown.strides[0], kind).copy()
