"""What becomes of images in a viewer: the layers that results are shown as, and how a layer is recognised.

No viewer is needed: a layer is data, keyword arguments and a type, as napari takes them of readers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "IMAGE_OF_FILE",
    "LayerData",
    "block_means",
    "contrast_limits",
    "image_layer",
    "is_layer",
    "pixel_sides",
    "placement",
]

LayerData = tuple[Any, dict[str, Any], str]
IMAGE_OF_FILE = "napari-gandenoise: image"  # in a layer's metadata: which of several images of its file it shows
LOOKED_AT = 2**20  # pixels that contrast limits are taken from: quick on a movie, and enough for a display


def is_layer(image: Any) -> bool:
    """Whether something is a layer of napari: it is recognised by its attributes."""
    return hasattr(image, "scale") and hasattr(image, "data")  # an array of dates has data that cannot be asked for


def contrast_limits(*images: NDArray[Any], colours: bool = False) -> tuple[float, float]:
    """Say what is to be shown black and what white: all finite pixels but the extreme thousandth on both sides.

    Parameters
    ----------
    *images : ndarray
        ``(..., Y, X)``, or with ``colours`` ``(Y, X, C)``; several are looked at together.
    """
    seen = []
    for image in images:
        step = max(1, math.isqrt(image.size // LOOKED_AT))
        looked_at = image[::step, ::step] if colours else image[..., ::step, ::step]
        seen.append(looked_at[np.isfinite(looked_at)])
    pixels = np.concatenate(seen)
    if pixels.size == 0:
        return 0.0, 1.0
    low, high = (float(limit) for limit in np.percentile(pixels, (0.1, 99.9)))
    return low, max(high, low + 1e-6)


def block_means(image: NDArray[Any], height: int, width: int | None = None) -> NDArray[np.float32]:
    """Return the means of blocks of pixels, for a display; what is left over at the far edges is left out.

    Parameters
    ----------
    image : ndarray
        ``(Y, X)`` or ``(Y, X, C)``.
    height, width : int
        Of a block; by default it is square.
    """
    width = width or height
    rows, columns = image.shape[0] // height, image.shape[1] // width
    whole = np.asarray(image[: rows * height, : columns * width], np.float32)
    if height == width == 1:
        return whole
    blocks = whole.reshape(rows, height, columns, width, *image.shape[2:])
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def pixel_sides(pixel_size_nm: float, aspect: float) -> tuple[float, float]:
    """Return height and width of a pixel, given the geometric mean of both and their ratio."""
    return pixel_size_nm * math.sqrt(aspect), pixel_size_nm / math.sqrt(aspect)


def placement(
    pixel_size_nm: float | None,
    aspect: float = 1.0,
    *,
    movie: bool = False,
    frame_interval_s: float | None = None,
    finer: int = 1,
) -> dict[str, Any]:
    """Say where a layer lies: scale, units and offset, as far as they are known.

    Parameters
    ----------
    pixel_size_nm : float or None
        Side of the layer's own pixels; None if nobody knows it.
    aspect : float
        Height of a pixel over its width.
    movie : bool
        Whether its first axis is time.
    frame_interval_s : float or None
        Time from frame to frame.
    finer : int
        Pixels of the layer for one of the image that it shall lie on, along a side.
    """
    if pixel_size_nm is None and finer == 1:
        return {}
    sides = (1 / finer,) * 2 if pixel_size_nm is None else pixel_sides(pixel_size_nm, aspect)
    frame = (1.0, "pixel") if frame_interval_s is None else (frame_interval_s, "second")
    time = [frame] if movie else []
    options: dict[str, Any] = {"scale": (*(step for step, _ in time), *sides)}
    if pixel_size_nm is not None:
        options["units"] = (*(unit for _, unit in time), "nm", "nm")
    if finer > 1:
        # Pixels lie around their centres: the first small one begins where the first large one did.
        options["translate"] = (*(0.0 for _ in time), *((1 - finer) / 2 * side for side in sides))
    return options


def image_layer(
    pixels: NDArray[Any],
    name: str,
    report: dict[str, Any],
    *,
    pixel_size_nm: float | None,
    aspect: float = 1.0,
    limits: tuple[float, float] | None = None,
    colormap: str = "gray",
    colours: bool = False,
    finer: int = 1,
) -> LayerData:
    """Make a layer of an image.

    Parameters
    ----------
    pixels : ndarray
        ``(Y, X)``, ``(T, Y, X)``, or with ``colours`` ``(Y, X, C)`` or ``(T, Y, X, C)``.
    name : str
        Its name.
    report : dict
        How it was made: goes into its metadata.
    pixel_size_nm, aspect, finer
        As for `placement`.
    limits : tuple of float, optional
        What is shown black and white; by default `contrast_limits`.
    colormap : str
        Of what is not colours.
    colours : bool
        Whether the last axis is colours.  napari shows them from 0 to 1, whatever the limits: that is where black and
        white are brought to.
    """
    low, high = limits or contrast_limits(pixels, colours=colours)
    options: dict[str, Any] = {"name": name, "metadata": {"napari-gandenoise": report}}
    if colours:
        options["rgb"] = True
        pixels = np.clip((pixels - low) / (high - low), 0, 1).astype(np.float32)
    else:
        options |= {"colormap": colormap, "contrast_limits": (low, high)}
    movie = pixels.ndim == (4 if colours else 3)
    return pixels, options | placement(pixel_size_nm, aspect, movie=movie, finer=finer), "image"
