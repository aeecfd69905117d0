"""What came in: the image, and what is missing of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.denoising import as_micrograph
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import pixels_of
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import Model
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.restore import DONE, RestoreConfig, Task

__all__ = ["as_image", "count_missing", "denoising_settings", "missing_pixels", "without_missing"]


def denoising_settings(config: RestoreConfig) -> DenoiseConfig:
    """Return the settings that both jobs have."""
    return DenoiseConfig(**config.model_dump(include={"image", "model", "pixel_size_nm", "seed", "device", "white"}))


def as_image(image: Any, config: RestoreConfig, model: Model) -> Micrograph:
    """Take whatever `as_micrograph` takes; for a model of colours a bare ``(Y, X, 3)`` is no movie."""
    micrograph = as_micrograph(image, denoising_settings(config))
    if model.channels == 3 and micrograph.is_stack and micrograph.pixels.shape[-1] in (3, 4):
        micrograph = as_micrograph(replace(micrograph, rgb=True), denoising_settings(config))
    if micrograph.is_stack and (config.task != "denoise" or model.pixel_size_nm is None):
        raise GanDenoiseError(f"This is a movie, but one image at a time can be {DONE[config.task]}: pick a frame.")
    return micrograph


def missing_pixels(mask: Any, micrograph: Micrograph, task: Task) -> NDArray[np.bool_] | None:
    """Return where pixels are missing ``(Y, X)``; None unless the task is inpaint."""
    if task != "inpaint":
        if mask is not None:
            raise GanDenoiseError(f"A mask says where to inpaint, but the task is {task}: leave one of them out.")
        return None
    if mask is None:
        raise GanDenoiseError("To inpaint, a mask must say what is missing: pass one of the image's shape.")
    marks = pixels_of(mask)
    if marks.ndim == 3 and marks.shape[2] in (3, 4):
        marks = marks[..., :3].max(axis=2)  # a picture of a mask
    missing: NDArray[np.bool_] = marks != 0
    shape = tuple(micrograph.pixels.shape[:2])
    if missing.shape != shape:
        theirs, ours = ("×".join(map(str, sides)) for sides in (missing.shape, shape))
        raise GanDenoiseError(f"The mask has {theirs} pixels and the image {ours}: they must be alike.")
    if not missing.any():
        raise GanDenoiseError("The mask is empty, so that nothing is missing: mark what is to be drawn.")
    if missing.all():
        raise GanDenoiseError("The mask covers everything, so that nothing is known: leave some of the image free.")
    return missing


def without_missing(micrograph: Micrograph, missing: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """Load an image; what is missing becomes zero."""
    image = np.asarray(micrograph.pixels).astype(np.float32)
    if missing is not None:
        image[missing] = 0  # may be NaN, as dead pixels often are
    bad = int((~np.isfinite(image)).sum())
    if bad:
        raise GanDenoiseError(f"{micrograph.name or 'The image'} has {bad} NaN or infinite pixels: replace them first.")
    return image


def count_missing(missing: NDArray[np.bool_]) -> str:
    """Say how much had to be drawn."""
    return f"{missing.sum():,} pixels drawn ({100 * missing.mean():.2g} %)"
