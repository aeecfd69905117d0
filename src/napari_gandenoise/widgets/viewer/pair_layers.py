"""A file of a batch job and its result as layers, whose names say which file and what was done."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

import numpy as np
from napari.layers import Layer

from napari_gandenoise.batching import Pair
from napari_gandenoise.io import read_micrograph
from napari_gandenoise.layers import LayerData, contrast_limits
from napari_gandenoise.micrograph import Micrograph

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["PairLayers", "layers_of"]

FILE = "napari-gandenoise: file"  # in a layer's metadata: which file it shows


def layers_of(pair: Pair, *, source: bool = True) -> list[LayerData]:
    """Make layers of a file and of its result, as far as that is whole; frames of movies stay on the disk.

    Parameters
    ----------
    pair : Pair
        The file.
    source : bool
        Whether to show the file itself, too.

    Raises
    ------
    GanDenoiseError
        If one of them cannot be read.
    """
    made = [_layer(pair.source, read_micrograph(pair.source, image=pair.image, lazy=True), pair.name)] if source else []
    if pair.standing.whole and pair.result is not None:
        result = read_micrograph(pair.result, lazy=True)
        model = (result.report or {}).get("model")
        made.append(_layer(pair.result, result, f"{pair.name} · {pair.product}" + (f" ({model})" if model else "")))
    return made


def _layer(path: Path, micrograph: Micrograph, name: str) -> LayerData:
    data, options, kind = micrograph.to_layer_data()
    if not micrograph.rgb:
        # napari would take the limits of a movie from wherever the viewer stands.
        frame = data[micrograph.frames // 2] if micrograph.is_stack else data
        options["contrast_limits"] = contrast_limits(np.asarray(frame))
    return data, {**options, "name": name, "metadata": {**options.get("metadata", {}), FILE: str(path)}}, kind


class PairLayers:
    """What of a batch job is open in a viewer: each file once, and only what was opened last is visible.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layers: WeakSet[Layer] = WeakSet()

    def open(self, pairs: Iterable[Pair], *, sources: bool = True) -> int:
        """Open pairs, the result above its file; several beside each other, in napari's grid.

        Parameters
        ----------
        pairs : iterable of Pair
            The files.
        sources : bool
            Whether to open the files themselves, too, or only what became of them.

        Returns
        -------
        int
            How many layers are shown.

        Raises
        ------
        GanDenoiseError
            If one of them cannot be read.
        """
        pairs = list(pairs)
        shown = [self._add(layer_data) for pair in pairs for layer_data in layers_of(pair, source=sources)]
        for layer in self._layers:
            layer.visible = layer in shown
        if shown:
            self._viewer.layers.selection = {shown[-1]}
            self._viewer.grid.enabled = len(pairs) > 1
            self._show_whole(shown)
        return len(shown)

    def _add(self, layer_data: LayerData) -> Layer:
        """Add a layer, unless there is one of the file as it is now."""
        path = layer_data[1]["metadata"][FILE]
        for layer in [layer for layer in self._layers if layer.metadata.get(FILE) == path]:
            if layer in self._viewer.layers:
                layer.data = layer_data[0]
                return layer
        layer = self._viewer.add_layer(Layer.create(*layer_data))
        self._layers.add(layer)
        return layer

    def _show_whole(self, layers: list[Layer]) -> None:
        """Fit what was opened to the canvas: another image may be of another size, or scaled otherwise."""
        if hasattr(self._viewer, "fit_to_view"):  # since napari 0.6.5
            self._viewer.fit_to_view(layers=None if self._viewer.grid.enabled else layers)
        else:
            self._viewer.reset_view()
