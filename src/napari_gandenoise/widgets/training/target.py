"""Whether the images that a model is to learn from are noisy themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

from napari_gandenoise.datasets.folder import image_paths, read_levels
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_layer
from napari_gandenoise.noise import Calibration, calibrate, calibrate_colours

__all__ = ["look_at", "noise_share", "of_folder", "of_layers", "sentence"]

LOOKED_AT = 3  # images: noise is alike in all that one source holds
SIDE = 512  # pixels of their middle
# Of the standard deviation of an image.  Clean photographs and simulated micrographs have below 0.04, and what looks
# like more in grass, gravel or stars is not taken for noise since neighbours share it.
NOISY = 0.1

Named = tuple[str, Callable[[], NDArray[Any]]]


def look_at(layers: Sequence[Image], folder: Path | None) -> Callable[[], str]:
    """Return what looks at some images of layers, or else of a folder, away from the window's thread."""
    if layers:
        return partial(sentence, of_layers(layers))
    assert folder is not None
    return lambda: sentence(of_folder(folder))


def of_layers(layers: Sequence[Image]) -> list[Named]:
    """Name some images of layers, with what cuts out their middle."""
    found: list[Named] = []
    for layer in layers[:LOOKED_AT]:
        try:
            micrograph = read_layer(layer)
        except GanDenoiseError:
            continue
        frame = micrograph.pixels[0] if micrograph.is_stack else micrograph.pixels
        found.append((layer.name, partial(_middle, frame)))
    return found


def of_folder(folder: Path) -> list[Named]:
    """Name some images of a folder, with what reads their middle; to be called away from the window's thread."""
    paths = image_paths(folder)
    chosen = np.unique(np.linspace(0, len(paths) - 1, LOOKED_AT).round().astype(int))
    return [(paths[index].name, partial(_read, paths[index])) for index in chosen]


def sentence(images: Iterable[Named]) -> str:
    """Say which of some images is noisy, if one is."""
    for name, read in images:
        share = noise_share(read())
        if share > NOISY:
            return (
                f"{name} is noisy itself ({100 * share:.0f} % of its contrast is noise): a model learns to draw that "
                "noise. Choose cleaner images, or above what you have: only noisy frames."
            )
    return ""


def noise_share(pixels: NDArray[Any]) -> float:
    """Return the standard deviation of the noise over that of the image; 0 where none is told from texture.

    Parameters
    ----------
    pixels : ndarray
        ``(Y, X)`` or ``(Y, X, 3)``, in any units.
    """
    image = np.asarray(pixels, dtype=np.float64)
    spread = float(np.std(image[np.isfinite(image)])) if np.isfinite(image).any() else 0.0
    try:
        found = calibrate(image) if image.ndim == 2 else calibrate_colours(image)
    except GanDenoiseError:
        return 0.0  # what is wrong with them, the run says
    if not found.confident or found.correlated or spread == 0:
        return 0.0
    return _sigma(found, float(np.nanmean(image))) / spread


def _sigma(found: Calibration, mean: float) -> float:
    """Return the standard deviation of the noise where the image has its mean, in its units."""
    noise = found.noise
    counted = 0.0 if noise.kind == "gaussian" else max(float(noise.to_electrons(mean)), 0.0)
    return noise.gain * float(np.sqrt(counted + noise.read_variance))


def _middle(pixels: Any) -> NDArray[Any]:
    top, left = (max(0, (side - SIDE) // 2) for side in pixels.shape[:2])
    return np.asarray(pixels[top : top + SIDE, left : left + SIDE])


def _read(path: Path) -> NDArray[Any]:
    pixels = _middle(read_levels(path).pixels)
    if pixels.ndim == 3:
        return pixels[..., :3] if pixels.shape[2] > 2 else pixels[..., 0]
    return pixels
