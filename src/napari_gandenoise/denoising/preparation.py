"""From what the user gives to electrons: the image, its noise, and the device."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_layer, read_micrograph
from napari_gandenoise.io.intensities import SAME
from napari_gandenoise.layers import is_layer
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import AnyModel, load_model
from napari_gandenoise.noise import Calibration, calibrate, calibrate_colours
from napari_gandenoise.settings.denoise import SearchSettings
from napari_gandenoise.settings.noise import AnyNoise
from napari_gandenoise.settings.shared import AUTO

__all__ = ["as_micrograph", "calibrated", "check_fit", "noise_for", "white_level"]


def as_micrograph(image: Any, config: SearchSettings) -> Micrograph:
    """Take an array, dask array, napari layer, path or `Micrograph`; the config's pixel size and noise win."""
    if isinstance(image, str | PathLike):
        image = read_micrograph(Path(image), lazy=True)
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
    if model.pixel_size_nm is not None and micrograph.pixel_size_nm is None:
        raise GanDenoiseError("The pixel size is not known: set pixel_size_nm (nanometres per pixel).")


def calibrated(micrograph: Micrograph) -> Calibration:
    """Estimate the noise from a micrograph's first frame."""
    first = np.asarray(micrograph.frame(0).pixels)
    if not np.isfinite(first).all():
        raise GanDenoiseError(f"{micrograph.name or 'The image'} has NaN or infinite pixels: replace them first.")
    return calibrate_colours(first) if micrograph.rgb else calibrate(first)


def noise_for(model: AnyModel, micrograph: Micrograph) -> AnyNoise:
    """Estimate the noise of a micrograph for a model.

    A model of any micrograph takes its pixels for what they are: the noise says no more than what to expect of its
    residual.  So where no detector explains them, the noise is taken as Gaussian, of the strength that second
    differences have (`calibrate_colours`).
    """
    try:
        noise = calibrated(micrograph).noise
    except GanDenoiseError:
        first = np.asarray(micrograph.frame(0).pixels)
        if model.header.intensity != "standard" or min(first.shape[:2]) < 3 or not np.isfinite(first).all():
            raise
        noise = calibrate_colours(np.atleast_3d(first)).noise
    return noise


def white_level(micrograph: Micrograph, config: SearchSettings) -> float:
    """Value of white in the image's units."""
    if config.white is not None:
        return config.white
    kind = np.dtype(micrograph.pixels.dtype)
    return float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0
