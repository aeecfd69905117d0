"""The layer that shows a run as it goes on, and becomes its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_gandenoise.widgets.viewer.source import LayerData, Source

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["LiveLayer"]


class LiveLayer:
    """Show previews of a run in one layer of the viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the layer is added.
    source : Source
        What is being denoised; the layer takes its place.
    name : str
        Name of the finished layer.
    metadata : dict
        Provenance for a layer that stays unfinished.
    finer : int
        Pixels of the result along the side of one of the source's.
    """

    def __init__(
        self, viewer: ViewerModel, source: Source, name: str, metadata: dict[str, Any], *, finer: int = 1
    ) -> None:
        self._viewer = viewer
        self.source = source
        self._finer = finer
        self._name = name
        self._metadata = metadata
        self._layer: Image | None = None
        self._removed = False
        self._limits = (0.0, 1.0)
        self._movie: NDArray[np.float32] | None = None

    @property
    def layer(self) -> Image | None:
        """The layer, once there was something to show and as long as the user keeps it."""
        if self._layer is not None and self._layer not in self._viewer.layers:
            self._layer, self._removed = None, True
        return self._layer

    def show(self, preview: NDArray[np.float32], frame: int = 0) -> None:
        """Show the image as far as it is done; a layer that the user has removed does not come back.

        Parameters
        ----------
        preview : ndarray
            ``(Y, X)``: the image, or one frame of a movie; ``(Y, X, C)`` from 0 to 1 for colours, which the
            source need not have.
        frame : int
            Which one.
        """
        layer, limits = self.layer, _limits(preview)
        if layer is None and not self._removed:
            options: dict[str, Any] = {"name": f"{self._name} …", "metadata": self._metadata}
            options |= {"rgb": True} if preview.ndim == 3 else {"contrast_limits": limits}
            self._layer = self._add((self._assembled(preview, frame), options, "image"))
        elif layer is not None:
            data, _, _ = self.source.place((self._assembled(preview, frame), {}, "image"), self._finer)
            layer.data = data
            # Other limits than the last ones the user has set; colours have none.
            if not layer.rgb and tuple(layer.contrast_limits) == self._limits:
                layer.contrast_limits = limits
        self._limits = limits

    def _assembled(self, preview: NDArray[np.float32], frame: int) -> NDArray[np.float32]:
        """Put a frame among those of its movie that are done; the others are NaN, which napari leaves empty."""
        if not self.source.micrograph.is_stack:
            return preview
        if self._movie is None:
            self._movie = np.full(self.source.micrograph.pixels.shape, np.nan, np.float32)
        self._movie[frame] = preview
        return self._movie

    def keep_partial(self) -> bool:
        """Keep what is done, and say so in the layer's name; False if there is nothing to keep."""
        layer = self.layer
        if layer is None:
            return False
        layer.name = f"{self._name} (partial)"
        return True

    def finish(self, layers: list[LayerData]) -> None:
        """Turn the preview into the first of the result's layers; add other images above it, hidden, and outlines."""
        first, *others = layers
        layer = self.layer
        self._movie = None
        if layer is None:
            self._layer = self._add(first)
        else:
            data, options, _ = self.source.place(first, self._finer)
            layer.data = data
            for name in ("name", "metadata", "colormap", "contrast_limits"):
                if name in options:
                    setattr(layer, name, options[name])
        for data, options, kind in others:
            self._add((data, {**options, "visible": kind != "image"}, kind))
        self._viewer.layers.selection.active = self._layer

    def add_beside(self, layer_data: LayerData, shown: Image, *, several: bool = False) -> Any:
        """Add a further image of the result, or several, right above the one that is shown; return the layer."""
        place = self.source.place_several if several else self.source.place
        layer, layers = Layer.create(*place(layer_data, self._finer)), self._viewer.layers
        active = layers.selection.active
        layers.insert(layers.index(shown) + 1, layer)
        layers.selection.active = active
        return layer

    def _add(self, layer_data: LayerData) -> Any:
        return self._viewer.add_layer(Layer.create(*self.source.place(layer_data, self._finer)))


def _limits(image: NDArray[np.float32]) -> tuple[float, float]:
    """Contrast limits that leave out the extreme thousandth on both sides."""
    # A strided look is enough for display, and quick on a movie.
    step = max(1, int(np.sqrt(image.size / 1e6)))
    seen = image[..., ::step, ::step]
    done = seen[np.isfinite(seen)]
    if done.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(done, (0.1, 99.9))
    return (float(low), float(high)) if high > low else (float(low), float(low) + 1.0)
