"""A file of a batch job and its result as layers, whose names say which file and what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

import numpy as np
from napari.layers import Layer

from napari_gandenoise.batching import Pair
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_micrograph
from napari_gandenoise.layers import LayerData, contrast_limits
from napari_gandenoise.micrograph import Micrograph

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["PairLayers", "layers_of"]

FILE = "napari-gandenoise: file"  # in a layer's metadata: which file it shows


def layers_of(pair: Pair, *, source: bool = True) -> Iterator[Callable[[], LayerData]]:
    """Yield what makes layers of a file and of its result, as far as that is whole; frames of movies stay on the disk.

    Parameters
    ----------
    pair : Pair
        The file.
    source : bool
        Whether to show the file itself, too.
    """
    if source:
        yield lambda: _layer(pair.source, read_micrograph(pair.source, image=pair.image, lazy=True), pair.name)
    if pair.standing.whole and pair.result is not None:
        yield partial(_result, pair, pair.result)


def _result(pair: Pair, path: Path) -> LayerData:
    result = read_micrograph(path, lazy=True)
    model = (result.report or {}).get("model")
    return _layer(path, result, f"{pair.name} · {pair.product}" + (f" ({model})" if model else ""))


def _layer(path: Path, micrograph: Micrograph, name: str) -> LayerData:
    data, options, kind = micrograph.to_layer_data()
    if not micrograph.rgb:
        # napari would take the limits of a movie from wherever the viewer stands.
        frame = data[micrograph.frames // 2] if micrograph.is_stack else data
        options["contrast_limits"] = contrast_limits(np.asarray(frame))
    return data, {**options, "name": name, "metadata": {**options.get("metadata", {}), FILE: str(path)}}, kind


class PairLayers:
    """What of a batch job is open in a viewer: each file once; only what was opened last is visible.

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
            If one of them cannot be read; the others are open then.
        """
        pairs, shown, refused = list(pairs), [], []
        for make in (make for pair in pairs for make in layers_of(pair, source=sources)):
            try:
                shown.append(self._add(make()))
            except GanDenoiseError as error:
                refused.append(error)
        self._show(shown, beside=len(pairs) > 1)
        if refused:
            raise refused[0]
        return len(shown)

    def _show(self, shown: list[Layer], *, beside: bool) -> None:
        """Show these of what was opened, and no others."""
        if not shown:
            return
        one_unit = len({layer.units[-1] for layer in shown}) == 1
        seen = shown if one_unit or not beside else shown[-1:]  # beside others, what has no scale is a giant
        for layer in self._layers:
            layer.visible = layer in seen
        self._viewer.layers.selection = {shown[-1]}
        self._viewer.canvas.grid.enabled = beside and one_unit
        self._show_whole(seen)

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
        plain = not self._viewer.canvas.grid.enabled and all(layer.ndim == self._viewer.dims.ndim for layer in layers)
        if plain:  # it takes layers of all axes alone
            self._viewer.fit_to_view(layers=layers)
        else:
            self._viewer.reset_view()
