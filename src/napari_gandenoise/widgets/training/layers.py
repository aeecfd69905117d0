"""Image layers as a source of training images: chosen in a list, written to a folder that training reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import files_of, read_layer, write_tiff
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.settings.data import FolderData
from napari_gandenoise.writing import refuse_inputs

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["LayersField", "layers_data", "write_layers"]

PARTS = 3  # a single image is cut into 3 x 3, so that there is something to keep for validation


class LayersField(QListWidget):
    """A list of the viewer's image layers with ticks.

    Signals
    -------
    changed
        Other layers are ticked.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layers: list[Image] = []
        self.setFixedHeight(78)
        self.setMinimumWidth(60)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed, viewer.layers.events.reordered):
            event.connect(self._refresh)
        self.itemChanged.connect(self._on_ticked)
        self._refresh()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Leave the width to the form."""
        return QSize(100, 78)

    def layers(self) -> list[Image]:
        """Return the ticked layers."""
        ticked = Qt.CheckState.Checked
        items = [self.item(index) for index in range(self.count())]
        pairs = zip(self._layers, items, strict=True)
        return [layer for layer, item in pairs if item is not None and item.checkState() == ticked]

    def tick(self, layers: Sequence[Image]) -> None:
        """Tick these layers and no other."""
        for index, layer in enumerate(self._layers):
            item = self.item(index)
            if item is not None:
                item.setCheckState(Qt.CheckState.Checked if layer in layers else Qt.CheckState.Unchecked)

    def _refresh(self, _event: Any = None) -> None:
        known, before = self._layers, self.layers() if self.count() == len(self._layers) else []
        self._layers = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        self.blockSignals(True)
        self.clear()
        for layer in self._layers:
            item = QListWidgetItem(layer.name)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            # A new image that can be seen is probably meant; a hidden truth, samples of a run and results are not.
            wanted = layer in before or (layer not in known and layer.visible and not _is_ours(layer))
            item.setCheckState(Qt.CheckState.Checked if wanted else Qt.CheckState.Unchecked)
            self.addItem(item)
        self.blockSignals(False)
        self.changed.emit()

    def _on_ticked(self, _item: QListWidgetItem) -> None:
        self.changed.emit()


def _is_ours(layer: Image) -> bool:
    """Whether a layer shows what a model has drawn."""
    report = layer.metadata.get("napari-gandenoise")
    return isinstance(report, dict) and "simulation" not in report


def layers_data(layers: Sequence[Image], folder: Path) -> tuple[FolderData, int]:
    """Describe the folder that `write_layers` writes.

    Returns
    -------
    FolderData, int
        Colour if all layers are; the pixel size that the layers share; the number of images.

    Raises
    ------
    GanDenoiseError
        If no layer is given, a layer is no image, or pixel sizes differ by more than 1 %.
    """
    if not layers:
        raise GanDenoiseError("Tick the image layers to train on, for instance after File ▸ Open Sample.")
    micrographs = [read_layer(layer) for layer in layers]
    sizes = [m.pixel_size_nm for m in micrographs]
    known = [size for size in sizes if size is not None]
    if known and (len(known) < len(sizes) or not math.isclose(min(known), max(known), rel_tol=0.01)):
        raise GanDenoiseError("The layers have different pixel sizes: tick layers of one pixel size only.")
    colour = all(layer.rgb for layer in layers)
    size = known[0] if known else None
    images = sum(m.frames for m in micrographs)
    return FolderData(path=folder, colour=colour, pixel_size_nm=size), images if images > 1 else PARTS**2


def write_layers(layers: Sequence[Image], folder: Path) -> None:
    """Write layers as TIFFs, movies as stacks; the files of an earlier choice are replaced.

    A single image is cut into nine that do not overlap, so that some can be kept for validation.

    Raises
    ------
    GanDenoiseError
        If a file cannot be written, or a layer was opened from one of those that would be replaced.
    """
    micrographs = [read_layer(layer) for layer in layers]
    before = list(folder.glob("layer-*.tif"))
    refuse_inputs(before, (file for layer in layers for file in files_of(layer)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in before:
            old.unlink()
    except OSError as error:
        raise GanDenoiseError(f"{folder} could not be written: {error.strerror or error}.") from error
    single = sum(m.frames for m in micrographs) == 1
    for index, micrograph in enumerate(micrographs):
        for part, pixels in enumerate(_parts(micrograph) if single else [micrograph.pixels]):
            axes = "YXS" if micrograph.rgb else "TYX" if micrograph.is_stack else "YX"
            name = f"layer-{index:02d}-{part}.tif"
            scaled = _scaled(pixels, micrograph)
            write_tiff(folder / name, scaled, pixel_size_nm=micrograph.pixel_size_nm, axes=axes, overwrite=True)


def _parts(micrograph: Micrograph) -> list[NDArray[Any]]:
    image = np.asarray(micrograph.pixels)
    image = image if micrograph.rgb or image.ndim == 2 else image[0]
    return [part for row in np.array_split(image, PARTS) for part in np.array_split(row, PARTS, axis=1)]


def _scaled(pixels: Any, micrograph: Micrograph) -> Any:
    """Bring integers without a pixel size, which are photographs, from their type's range to 0 to 1."""
    if micrograph.rgb:
        pixels = pixels[..., :3]
    dtype = np.dtype(pixels.dtype)
    if micrograph.pixel_size_nm is not None or dtype.kind == "f":
        return pixels
    return pixels / np.float32(np.iinfo(dtype).max)
