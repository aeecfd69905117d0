"""Layers of napari whose scale says nothing: the file behind them is asked."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io.files import read_images
from napari_gandenoise.io.intensities import as_intensities
from napari_gandenoise.micrograph import Micrograph

__all__ = ["read_layer"]


def read_layer(layer: Any) -> Micrograph:
    """Turn a layer into a micrograph; where it has no units, the file that it was opened from is asked.

    napari's own reader drops the pixel size.  Where the file holds several images, or none of the layer's shape,
    nothing is guessed.

    Parameters
    ----------
    layer : napari.layers.Image
        An image or a movie.

    Returns
    -------
    Micrograph
        In grey, if red, green and blue are the same.

    Raises
    ------
    GanDenoiseError
        If the layer holds no image.
    """
    micrograph = Micrograph.of(layer)
    path = getattr(getattr(layer, "source", None), "path", None)
    if micrograph.pixel_size_nm is None and path is not None and (file := _stated(Path(path))) is not None:
        sides, told = file
        rgb = micrograph.rgb or (told.rgb and micrograph.pixels.shape[2:] in ((3,), (4,)))
        if sides == _sides(replace(micrograph, rgb=rgb)):
            micrograph = replace(
                micrograph,
                rgb=rgb,
                pixel_size_nm=told.pixel_size_nm,
                aspect=told.aspect,
                frame_interval_s=told.frame_interval_s,
            )
    if micrograph.rgb:
        pixels, rgb, notes = as_intensities(np.asarray(micrograph.pixels), colours=True)
        micrograph = replace(micrograph, pixels=pixels, rgb=rgb, notes=(*micrograph.notes, *notes))
    return micrograph


def _sides(micrograph: Micrograph) -> tuple[int, ...]:
    """Return the shape without channels."""
    shape: tuple[int, ...] = tuple(micrograph.pixels.shape)
    return shape[:2] if micrograph.rgb else shape


def _stated(path: Path) -> tuple[tuple[int, ...], Micrograph] | None:
    """Return shape and measures of the only image of a file; None if there is no such file, or it holds several."""
    try:
        found = path.stat()
    except OSError:
        return None
    return _read(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=64)
def _read(path: Path, changed: int, size: int) -> tuple[tuple[int, ...], Micrograph] | None:  # noqa: ARG001 - the file
    try:
        images = read_images(path, lazy=True)
    except GanDenoiseError:
        return None
    if len(images) != 1:
        return None
    [image] = images
    nothing = np.zeros((1, 1, 3) if image.rgb else (1, 1), np.uint8)
    return _sides(image), replace(image, pixels=nothing, notes=())
