"""From what the user gives to electrons: the image, its noise, and the device."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.io import read_layer, read_micrograph
from napari_gandenoise.io.intensities import SAME
from napari_gandenoise.layers import is_layer
from napari_gandenoise.micrograph import Micrograph, as_array
from napari_gandenoise.models import AnyModel, load_model
from napari_gandenoise.settings.denoise import SearchSettings
from napari_gandenoise.settings.shared import AUTO

__all__ = ["as_micrograph", "check_fit", "white_level", "with_missing"]


def as_micrograph(image: Any, config: SearchSettings) -> Micrograph:
    """Take an array, dask array, napari layer, path or `Micrograph`; the config's pixel size and noise win."""
    if isinstance(image, str | PathLike):
        image = read_micrograph(Path(image), image=config.image, lazy=True)
    elif config.image is not None and not isinstance(image, Micrograph):
        raise GanDenoiseError(f"{config.image!r} is to be found in a file, but this is an array or a layer.")
    elif is_layer(image):
        image = read_layer(image)
    micrograph = Micrograph.of(image, pixel_size_nm=config.pixel_size_nm, noise=config.noise)
    if micrograph.rgb and micrograph.pixels.shape[-1] == 4:
        micrograph = replace(micrograph, pixels=micrograph.pixels[..., :3])  # opacity is not light
    if SAME in micrograph.notes and config.model != AUTO and load_model(config.model).channels == 3:
        # Three channels that are the same were taken for grey, but the model draws colours.
        pixels = np.repeat(np.asarray(micrograph.pixels)[..., np.newaxis], 3, axis=-1)
        notes = tuple(note for note in micrograph.notes if note != SAME)
        micrograph = replace(micrograph, pixels=pixels, rgb=True, notes=notes)
    return micrograph


def check_fit(micrograph: Micrograph, model: AnyModel) -> None:
    """Refuse an image that the model is not for."""
    if micrograph.rgb != (model.channels == 3):
        has, wants = ("colour channels", "grey") if micrograph.rgb else ("no colour channels", "colour")
        raise GanDenoiseError(
            f"The image has {has} but the model {model.name} is for {wants} images: convert it first."
        )


def with_missing(micrograph: Micrograph, missing: Any) -> Micrograph:
    """Add pixels that say nothing to those of a micrograph.

    Parameters
    ----------
    micrograph : Micrograph
        The image or movie.
    missing : array_like or None
        ``(Y, X)``, or for a movie ``(T, Y, X)``: what is not zero is missing.

    Raises
    ------
    GanDenoiseError
        If it is no such array.
    """
    if missing is None:
        return micrograph
    shape = tuple(micrograph.pixels.shape)
    frame = shape[:2] if micrograph.rgb else shape[-2:]
    mask = np.asarray(as_array(missing))
    if mask.dtype.kind not in "biuf":
        raise GanDenoiseError(f"The missing pixels must be an array of numbers or booleans, not {in_short(missing)}.")
    mask = mask != 0
    if mask.shape != frame and (mask.shape != shape or micrograph.rgb):
        theirs, ours = ("×".join(map(str, sides)) or "one number" for sides in (mask.shape, frame))
        raise GanDenoiseError(f"The missing pixels are {theirs} and the image is {ours}: they must be alike.")
    return replace(micrograph, missing=mask if micrograph.missing is None else mask | micrograph.missing)


def white_level(micrograph: Micrograph, config: SearchSettings) -> float:
    """Value of white in the image's units."""
    if config.white is not None:
        return config.white
    kind = np.dtype(micrograph.pixels.dtype)
    return float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0
