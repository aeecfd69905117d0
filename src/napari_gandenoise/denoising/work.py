"""What a run consists of: its grid, tiles or views, steps, and what there is to warn of; and what cannot be run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import psutil

from napari_gandenoise.denoising.direct import blocks_of
from napari_gandenoise.denoising.preparation import calibrated, check_fit
from napari_gandenoise.denoising.summing import spectral_sum
from napari_gandenoise.denoising.views import View, count_views, views_of
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.inversion.bank import effort_of
from napari_gandenoise.inversion.presets import PRESETS, Preset
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import AnyModel, DirectModel, Model
from napari_gandenoise.settings.denoise import DenoiseConfig, SearchSettings
from napari_gandenoise.settings.noise import AnyNoise
from napari_gandenoise.tiling import Grid, Tiles, lay_out

__all__ = ["BYTES_A_TILE", "LARGEST_BATCH", "Work", "work_of"]

BYTES_A_TILE = 6 * 2**20  # activations and gradients of one 64x64 tile at width 32, measured, rounded up
LARGEST_BATCH = 64  # a step on more tiles would keep Cancel waiting
COARSEST = 1.6  # input pixels this many times larger than the model's hold too little of its detail
SMALLEST_SIDE = 8  # grid pixels


@dataclass(frozen=True)
class Work:
    """What a run consists of.

    Attributes
    ----------
    grid : Grid
        How frames are summed.
    frames : int
        Number of frames.
    pieces : int
        Tiles of a search, or blocks of a direct denoiser, in a frame.
    tiles : Tiles or None
        Where the tiles of a search sit.
    views : tuple of View
        In which a direct denoiser sees each frame; none of a search.
    steps : int
        Gradient steps of all tiles of all frames, at most.
    batch : int
        Tiles computed at once.
    warnings : tuple of str
        One sentence each.
    """

    grid: Grid
    frames: int
    pieces: int
    tiles: Tiles | None = None
    views: tuple[View, ...] = ()
    steps: int = 0
    batch: int = 1
    warnings: tuple[str, ...] = ()


def work_of(micrograph: Micrograph, model: AnyModel, config: SearchSettings) -> Work:
    """Find out what a run consists of.

    Raises
    ------
    GanDenoiseError
        If the image is not for the model.
    """
    check_fit(micrograph, model)
    grid = _grid(micrograph, model, config)
    if isinstance(model, Model):
        return _search(micrograph, model, config, grid)
    views = views_of(model, grid, count_views(model, config))
    warnings = (*micrograph.warnings, *_coarse(micrograph, model), *_warn_direct(model, config))
    return Work(grid, micrograph.frames, blocks_of(model).count(grid.sides), views=tuple(views), warnings=warnings)


def _grid(micrograph: Micrograph, model: AnyModel, config: SearchSettings) -> Grid:
    """Sum counts to about the model's pixel size, or refuse an image that is too coarse or too small.

    A model of any micrograph has no pixel size: it sums as the settings say, or as the image's spectrum allows.
    """
    height, width = micrograph.pixels.shape[:2] if micrograph.rgb else micrograph.pixels.shape[-2:]
    own, ratio = micrograph.pixel_size_nm, 1.0
    if model.pixel_size_nm is not None and own is not None:
        ratio = model.pixel_size_nm / own
        if ratio < 1 / COARSEST:
            raise GanDenoiseError(
                f"The pixel size of {1e3 * own:.3g} pm is too coarse for the model {model.name} "
                f"({1e3 * model.pixel_size_nm:.3g} pm): check the pixel size, or use another model."
            )
    if model.header.intensity == "standard" and isinstance(config, DenoiseConfig):
        ratio = float(config.summed or _spectral_sum(micrograph))
    grid = Grid((height, width), ratio)
    if min(grid.sides) < SMALLEST_SIDE:
        least = SMALLEST_SIDE * grid.summed
        scale = f"at {1e3 * own:.3g} pm a pixel " if own is not None and grid.summed > 1 else ""
        raise GanDenoiseError(
            f"The image of {height}×{width} pixels is too small: {scale}at least {least}×{least} are needed"
            + ("; check the pixel size." if scale else ".")
        )
    return grid


def _spectral_sum(micrograph: Micrograph) -> int:
    """Choose by its first frame how far a micrograph is summed; not at all if no detector explains its noise."""
    if micrograph.rgb:
        return 1
    frame = np.asarray(micrograph.frame(0).pixels)
    try:
        # There are no noise models but those of the settings.
        noise = cast("AnyNoise", micrograph.noise or calibrated(micrograph).noise)
    except GanDenoiseError:
        return 1
    return int(max(1, min(spectral_sum(frame, noise), min(frame.shape) // SMALLEST_SIDE)))


def _search(micrograph: Micrograph, model: Model, config: SearchSettings, grid: Grid) -> Work:
    preset, frames = effort_of(model, PRESETS[config.preset]), micrograph.frames
    tiles = lay_out(grid, model.size, preset.stride(model.size), model.header.pose)
    count = len(tiles.centres)
    budget = config.max_memory_gb * 1e9 if config.max_memory_gb else psutil.virtual_memory().available / 2
    batch = int(min(LARGEST_BATCH, count, max(1, budget // BYTES_A_TILE)))
    first = _descents(preset)
    later = _descents(preset.following()) if model.encoder is not None and preset.propose else first
    steps = count * (first + (frames - 1) * later + frames * config.replicates * first)
    warnings = (*micrograph.warnings, *_coarse(micrograph, model), *_warn_search(model, config))
    return Work(grid, frames, count, tiles, (), steps, batch, warnings)


def _descents(preset: Preset) -> int:
    """Count the gradient steps that a preset takes for a tile, at most."""
    return preset.refine + (preset.keep * preset.brief if preset.keep > 1 else 0)


def _coarse(micrograph: Micrograph, model: AnyModel) -> list[str]:
    if model.pixel_size_nm is None or micrograph.pixel_size_nm is None:
        return []
    own, models = 1e3 * micrograph.pixel_size_nm, 1e3 * model.pixel_size_nm
    if own <= 1.05 * models:
        return []
    return [f"Pixels of {own:.3g} pm are coarser than the model's {models:.3g} pm: fine detail is out of reach."]


def _warn_search(model: Model, config: SearchSettings) -> list[str]:
    return [
        f"The setting {name} is for direct denoisers: with the model {model.name} it changes nothing."
        for name in ("views", "strength", "grain", "summed")
        if getattr(config, name, None) is not None
    ]


def _warn_direct(model: DirectModel, config: SearchSettings) -> list[str]:
    if not isinstance(config, DenoiseConfig):
        return []
    warnings = []
    low, high = model.header.strength
    if config.strength is not None and not low <= config.strength <= high:
        warnings.append(
            f"The model {model.name} knows noise of strength {low:.2g} to {high:.2g}: it may do worse here."
        )
    if config.summed is not None and model.header.intensity != "standard":
        warnings.append(f"The model {model.name} sums pixels as its own pixel size asks: summed changes nothing.")
    told = {"strength": (config.strength, {"strength", "estimated"}), "grain": (config.grain, {"grain"})}
    for name, (value, takes) in told.items():
        if value is not None and not takes & set(model.header.architecture.conditions):
            warnings.append(f"The model {model.name} does not take the noise's {name}: it changes nothing.")
    return warnings
