"""Arrays of NumPy in files, mapped into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_gandenoise.io.intensities import as_intensities
from napari_gandenoise.micrograph import Micrograph, has_colours, kept_axes
from napari_gandenoise.strangers import blaming

__all__ = ["read_array"]


def read_array(path: Path, *, lazy: bool = False) -> Micrograph:
    """Read an array; see `napari_gandenoise.io.read_images`.

    The last of three axes is colours where it is three or four long, and the others are as long as sides of an image.
    """
    with blaming(path, "NumPy array"):
        # Held against the size of the file, and nothing in it is unpickled.
        mapped = np.lib.format.open_memmap(path, mode="r")
        rgb = has_colours(mapped.shape)
        kept = kept_axes(mapped.shape, rgb=rgb)
        pixels = mapped[tuple(slice(None) if axis in kept else 0 for axis in range(mapped.ndim))]
        if not lazy or pixels.ndim != 3 or rgb or pixels.dtype == bool:
            pixels, rgb, notes = as_intensities(np.array(pixels), colours=rgb)
            return Micrograph(pixels, rgb=rgb, name=path.stem, notes=notes)
        return Micrograph(pixels, name=path.stem)
