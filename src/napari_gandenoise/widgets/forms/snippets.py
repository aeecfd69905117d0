"""A panel's settings as Python and as a command: what is of the viewer beside what is of the settings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_gandenoise.layers import IMAGE_OF_FILE
from napari_gandenoise.settings.base import Settings
from napari_gandenoise.settings.text import as_arguments, as_yaml, command_line
from napari_gandenoise.widgets.viewer.source import Source

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = [
    "ADD",
    "ADD_ALL",
    "as_yaml",
    "call",
    "command_line",
    "console",
    "file_of",
    "files",
    "image_of",
    "marked",
    "pixels",
    "truth",
]

ADD = ("viewer.add_layer(napari.layers.Layer.create(*result.to_layer_data()))",)
ADD_ALL = ("for layer in result.to_layers():", "    viewer.add_layer(napari.layers.Layer.create(*layer))")


def console(*lines: str) -> str:
    """Python for napari's console."""
    return "\n".join(["import napari", "import napari_gandenoise as gd", *lines, ""])


def call(function: str, arguments: Iterable[str], config: Settings) -> str:
    """Python that calls a function with some arguments and with settings, a line each."""
    return f"{function}(\n" + "".join(f"    {argument},\n" for argument in (*arguments, *as_arguments(config))) + ")"


def pixels(source: Source) -> str:
    """Python of what a run gets: the layer, or a part of its data."""
    layer = f"viewer.layers[{source.layer.name!r}]"
    if source.is_whole:
        return layer
    part = f"{layer}.data{'[0]' if source.layer.multiscale else ''}[{_index(source)}]"
    return f"gd.Micrograph({part}, rgb=True)" if source.micrograph.rgb else part


def marked(source: Source, mask: Layer) -> str:
    """Python of what a layer marks in a source."""
    layers = f"viewer.layers[{mask.name!r}], viewer.layers[{source.layer.name!r}]"
    frame = f", frame={source.box[0].start}" if source.single_frame else ""
    part = "" if source.is_whole else f"[{_index(source, axes=2)}]"
    return f"mask=mask_of({layers}{frame}){part}"


def truth(source: Source, layer: Layer | None) -> list[str]:
    """Python of the layer that a source is compared with, if there is one."""
    if layer is None:
        return []
    frame = f"[{source.box[0].start}]" if source.single_frame and layer.ndim > 2 else ""
    return [f"truth=viewer.layers[{layer.name!r}].data{frame}"]


def files(source: Source, ending: str) -> tuple[str, str]:
    """Return the layer's file, and the path of one beside it for a result."""
    given = Path(file_of(source.layer, "INPUT.tif"))
    return str(given), str(given.with_name(f"{given.stem}-{ending}"))


def image_of(source: Source) -> list[str]:
    """Return the option that chooses the layer's image in its file, if that holds several."""
    title = source.layer.metadata.get(IMAGE_OF_FILE)
    return ["--image", str(title)] if title else []


def file_of(layer: Layer, otherwise: str) -> str:
    """Return the file that a layer was opened from, or what stands for it."""
    return str(layer.source.path or otherwise)


def _index(source: Source, axes: int = 3) -> str:
    """Python of the part of the layer, or of its last axes only."""
    parts = [f"{part.start}:{part.stop}" for part in source.box]
    if source.single_frame:
        parts[0] = str(source.box[0].start)
    return ", ".join(parts[-axes:])
