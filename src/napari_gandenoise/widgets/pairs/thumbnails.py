"""Small pictures of files, read in the background for the rows that are seen, the last asked for first."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QImage

from napari_gandenoise.io import read_micrograph
from napari_gandenoise.layers import block_means
from napari_gandenoise.widgets.plots.pictures import as_picture

__all__ = ["Thumbnails", "picture", "read_picture"]

SIDE = 120  # pixels of a picture, at most: twice what it takes on a screen of plain density
LOOKED_AT = 2**20  # pixels of a file that are looked at for it
SHOWN = (0.5, 99.5)  # percentiles that become black and white
KEPT = 1000  # pictures
WAITING = 40  # files: those that were asked for before are not seen any more

_Key = tuple[Path, str | None]


def picture(pixels: NDArray[Any]) -> QImage:
    """Make a small picture of an image, in the mean of its pixels.

    Parameters
    ----------
    pixels : ndarray
        ``(Y, X)`` or ``(Y, X, C)``; what is not finite is black.
    """
    step = max(1, math.isqrt(pixels.shape[0] * pixels.shape[1] // LOOKED_AT))
    values = np.asarray(pixels[::step, ::step], np.float32)
    height, width = values.shape[:2]
    side = -(-max(height, width) // SIDE)
    small = block_means(values, min(side, height), min(side, width))
    if small.ndim == 3:
        small = small[..., :3]  # without opacity
    known = small[np.isfinite(small)]
    low, high = np.percentile(known, SHOWN) if known.size else (0.0, 1.0)
    return as_picture((small - low) / max(high - low, 1e-9))


def read_picture(path: Path, image: str | None = None) -> QImage | None:
    """Read a small picture of a file, of a movie its middle frame; None where that cannot be done."""
    try:
        micrograph = read_micrograph(path, image=image, lazy=True)
        pixels = micrograph.pixels
        return picture(np.asarray(pixels[micrograph.frames // 2] if micrograph.is_stack else pixels))
    except Exception:  # a stranger's file can make a library fail in any way, and the job will say how
        return None


class Thumbnails(QObject):
    """Pictures of files, each read once.

    Signals
    -------
    read
        There is a picture that was asked for.
    """

    read = Signal()
    _done = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pictures: OrderedDict[_Key, QImage | None] = OrderedDict()
        self._waiting: OrderedDict[_Key, None] = OrderedDict()
        self._reading: _Key | None = None
        self._lock = threading.Lock()
        self._done.connect(self._on_done, Qt.ConnectionType.QueuedConnection)

    def of(self, path: Path, image: str | None = None) -> QImage | None:
        """Return the picture of a file; None as long as it is not read, or if it cannot be."""
        key = (path, image)
        if key in self._pictures:
            self._pictures.move_to_end(key)
            return self._pictures[key]
        with self._lock:
            self._waiting[key] = None
            self._waiting.move_to_end(key)
            while len(self._waiting) > WAITING:
                self._waiting.popitem(last=False)
            if self._reading is None:
                self._reading = key
                threading.Thread(target=self._read, name="thumbnails", daemon=True).start()
        return None

    def forget(self, paths: Iterable[Path]) -> None:
        """Read results again when they are next asked for: they may be others."""
        for path in paths:
            self._pictures.pop((path, None), None)

    def __len__(self) -> int:
        """Return how many pictures are kept."""
        return len(self._pictures)

    def __contains__(self, key: object) -> bool:
        """Whether a path with the name of its image was read."""
        return key in self._pictures

    def _read(self) -> None:
        """Read what is waiting, the last first; in a thread of its own, which ends with its work."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._reading = None
                    return
                key, _ = self._waiting.popitem()
                self._reading = key
            found = read_picture(*key)
            with suppress(RuntimeError):  # the panel was closed meanwhile
                self._done.emit(key, found)

    def _on_done(self, key: _Key, found: QImage | None) -> None:
        self._pictures[key] = found
        while len(self._pictures) > KEPT:
            self._pictures.popitem(last=False)
        self.read.emit()
