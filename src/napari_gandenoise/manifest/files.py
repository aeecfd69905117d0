"""Files that napari opens through the plugin: those of microscopes, and the samples."""

from __future__ import annotations

from typing import Any

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.layers import IMAGE_OF_FILE
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.simulate.samples import sample_micrograph, sample_movie, sample_truth

__all__ = ["get_reader", "open_micrograph", "open_movie"]

LayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | list[str] | None = None) -> Any:
    """Return napari's function to read a file, lazily and with its pixel size; None for several files at once.

    Raises
    ------
    GanDenoiseError
        If it is called bare, as from the command palette.
    """
    if path is None:
        raise GanDenoiseError("Files of microscopes open with File ▸ Open File(s)…, or when they are dropped here.")
    return _read_layers if isinstance(path, str) else None


def _read_layers(path: str) -> list[LayerData]:
    from napari_gandenoise.io import read_images

    found = read_images(path, lazy=True)
    layers = [image.to_layer_data() for image in found]
    if len(found) > 1:
        for image, (_, options, _) in zip(found, layers, strict=True):
            options["metadata"] = {IMAGE_OF_FILE: image.title or image.name}
    return layers


def open_micrograph() -> list[LayerData]:
    """Sample micrograph for napari's *Open Sample*: its truth, hidden, below the electron counts."""
    return [_layer(sample_truth(), visible=False), _layer(sample_micrograph())]


def open_movie() -> list[LayerData]:
    """Sample movie for napari's *Open Sample*: its truth, hidden, below the electron counts."""
    noisy, truth = sample_movie()
    return [_layer(truth, visible=False), _layer(noisy)]


def _layer(micrograph: Micrograph, *, visible: bool = True) -> LayerData:
    """Return layer data whose contrast shows single counts."""
    top = float(micrograph.pixels.max())
    data, options, kind = micrograph.to_layer_data()
    options |= {
        "axis_labels": ("t",) * micrograph.is_stack + ("y", "x"),
        "visible": visible,
        # Single counts are what there is to see in the noisy image, not the rare pixel with six.
        "contrast_limits": (0.0, top if top < 1 else 3.0),
    }
    return data, options, kind
