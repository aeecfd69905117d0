"""Files that napari opens and writes through the plugin: those of microscopes, our own, and the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.layers import IMAGE_OF_FILE
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.simulate.samples import sample_micrograph, sample_movie, sample_truth

__all__ = ["get_reader", "open_micrograph", "open_movie", "write_layers"]

LayerData = tuple[Any, dict[str, Any], str]
ENDING = ".micrograph.ome.tif"  # which no other program gives its files, so that napari opens them with this plugin


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
    from napari_gandenoise.io.omezarr import is_zarr

    if Path(path).is_dir() and not is_zarr(Path(path)):
        return [image.to_layer_data() for image in _read_folder(Path(path))]
    found = read_images(path, lazy=True)
    layers = [image.to_layer_data() for image in found]
    if len(found) > 1:
        for image, (_, options, _) in zip(found, layers, strict=True):
            options["metadata"] = {IMAGE_OF_FILE: image.title or image.name}
    return layers


def _read_folder(folder: Path) -> list[Micrograph]:
    """Read the images of a folder: as a movie on the disk if they are grey and all alike, else one by one."""
    import dask.array as da
    from dask.delayed import delayed

    from napari_gandenoise.io import images_in, read_images

    def kind(image: Micrograph) -> tuple[Any, ...]:
        return image.pixels.shape, image.pixels.dtype, image.pixel_size_nm, image.aspect, image.rgb

    def pixels(path: Path) -> Any:
        return read_images(path)[0].pixels

    paths = images_in(folder)
    if not paths:
        raise GanDenoiseError(f"{folder} holds no image that can be opened.")
    first = read_images(paths[0], lazy=True)
    alike = len(paths) > 1 and len(first[0].pixels.shape) == 2
    if alike and all([kind(image) for image in read_images(path, lazy=True)] == [kind(first[0])] for path in paths):
        shape, dtype = first[0].pixels.shape, first[0].pixels.dtype
        frames = [da.from_delayed(delayed(pixels)(path), shape, dtype) for path in paths]
        return [replace(first[0], pixels=da.stack(frames), name=folder.name, notes=())]
    return [image for path in paths for image in read_images(path, lazy=True)]


def write_layers(path: str | None = None, layers: Sequence[LayerData] = ()) -> list[str]:
    """Write images and movies for napari's *Save* as one OME-TIFF with scale, units and report.

    Parameters
    ----------
    path : str
        A name that ends in .tif or .tiff is taken as it is, and the file replaced, as napari asks before; any other
        gets the ending ``.micrograph.ome.tif``.
    layers : sequence of tuple
        Data, keyword arguments and type of each layer.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    GanDenoiseError
        If it is called bare, as from the command palette, or something is no image or movie, or cannot be written.
    """
    if path is None or not layers:
        raise GanDenoiseError("Layers are saved with File ▸ Save Selected Layers….")
    from napari_gandenoise.io import write_images
    from napari_gandenoise.io.outputs import TIFF

    images = []
    for data, options, _ in layers:
        micrograph = Micrograph.of(SimpleNamespace(data=data, **options))
        images.append(replace(micrograph, report=options.get("metadata", {}).get("napari-gandenoise")))
    named = path.lower().endswith(TIFF)
    target = Path(path if named else f"{path}{ENDING}")
    write_images(target, images, overwrite=named)
    return [str(target)]


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
