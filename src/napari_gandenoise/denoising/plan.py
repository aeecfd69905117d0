"""What a run will do, said before it is done."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import psutil

from napari_gandenoise.denoising.direct import PIXELS_AT_ONCE, blocks_of, seconds_per_pixel
from napari_gandenoise.denoising.preparation import (
    as_micrograph,
    check_fit,
)
from napari_gandenoise.denoising.views import count_views, views_of
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.inversion.presets import PRESETS, Preset
from napari_gandenoise.inversion.speed import seconds_per_tile_step
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import AnyModel, DirectModel, load_model
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.tiling import Layout, lay_out

__all__ = ["Plan", "lay_out_frame", "plan", "plan_run"]

BYTES_A_TILE = 6 * 2**20  # activations and gradients of one 64x64 tile at width 32, measured, rounded up
BYTES_A_PIXEL = 1500  # activations of a block in a forward pass of the widest network here
LARGEST_BATCH = 64  # a step on more tiles would keep Cancel waiting
COARSEST = 1.6  # input pixels this many times larger than the model's hold too little of its detail
SMALLEST_SIDE = 8  # grid pixels


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes
    ----------
    summed : int
        Input pixels along a side that are summed.
    grid : tuple of int
        Shape of the summed frame.
    tiles, frames, batch : int
        Tiles a frame, frames, and tiles computed at once.
    steps : int
        Gradient steps of all tiles of all frames, at most.
    seconds : float
        Predicted time.
    memory_bytes : int
        Predicted memory.
    warnings : tuple of str
        One sentence each.
    views : int
        How often a direct denoiser cleans each frame.
    """

    summed: int
    grid: tuple[int, int]
    tiles: int
    frames: int
    batch: int
    steps: int
    seconds: float
    memory_bytes: int
    warnings: tuple[str, ...] = ()
    views: int = 1

    def sentence(self) -> str:
        """Put the plan into one line."""
        movie = f", {self.frames} frames" if self.frames > 1 else ""
        minutes = f"{self.seconds:.0f} s" if self.seconds < 120 else f"{self.seconds / 60:.0f} min"
        summed = f"{self.summed}×{self.summed} summed" if self.summed > 1 else "not summed"
        grid = f"{self.grid[0]}×{self.grid[1]}"
        tiles = f"{self.tiles} tile{'s' if self.tiles > 1 else ''}"
        views = f", {self.views} views" if self.views > 1 else ""
        return f"{summed}, {grid}, {tiles}{views}{movie}, about {minutes}, {self.memory_bytes / 1e9:.1f} GB"


def plan(image: Any, config: DenoiseConfig | None = None, **fields: Any) -> Plan:
    """Say what `denoise` would do, without doing it.

    Parameters and errors are those of `denoise`.
    """
    config = configure(DenoiseConfig, config, fields)
    micrograph = as_micrograph(image, config)
    model = load_model(config.model)
    return plan_run(micrograph, model, config, lay_out_frame(micrograph, model, config))


def lay_out_frame(micrograph: Micrograph, model: AnyModel, config: DenoiseConfig) -> Layout:
    """Lay tiles over a frame, or refuse it."""
    check_fit(micrograph, model)
    height, width = micrograph.pixels.shape[:2] if micrograph.rgb else micrograph.pixels.shape[-2:]
    ratio = 1.0
    if model.pixel_size_nm is not None and micrograph.pixel_size_nm is not None:
        ratio = model.pixel_size_nm / micrograph.pixel_size_nm
        if ratio < 1 / COARSEST:
            raise GanDenoiseError(
                f"The pixel size of {1e3 * micrograph.pixel_size_nm:.3g} pm is too coarse for the model {model.name} "
                f"({1e3 * model.pixel_size_nm:.3g} pm): check the pixel size, or use another model."
            )
    if isinstance(model, DirectModel):
        layout = lay_out((height, width), ratio, model.size, model.size, "upright")
    else:
        stride = PRESETS[config.preset].stride(model.size)
        layout = lay_out((height, width), ratio, model.size, stride, model.header.pose)
    if min(layout.grid) < SMALLEST_SIDE:
        least = SMALLEST_SIDE * layout.summed
        size = micrograph.pixel_size_nm
        scale = f"at {1e3 * size:.3g} pm a pixel " if size is not None and layout.summed > 1 else ""
        raise GanDenoiseError(
            f"The image of {height}×{width} pixels is too small: {scale}at least {least}×{least} are needed"
            + ("; check the pixel size." if scale else ".")
        )
    return layout


def plan_run(micrograph: Micrograph, model: AnyModel, config: DenoiseConfig, layout: Layout) -> Plan:
    """Count the work of a run and predict its time and memory."""
    if isinstance(model, DirectModel):
        return _plan_direct(micrograph, model, config, layout)
    preset = PRESETS[config.preset]
    tiles = len(layout.centres)
    budget = config.max_memory_gb * 1e9 if config.max_memory_gb else psutil.virtual_memory().available / 2
    batch = int(min(LARGEST_BATCH, tiles, max(1, budget // BYTES_A_TILE)))
    frames, first = micrograph.frames, _descents(preset)
    later = _descents(preset.following()) if model.encoder is not None and preset.propose else first
    descents = first + (frames - 1) * later + frames * config.replicates * first
    pixels = layout.shape[0] * layout.shape[1]
    once = seconds_per_tile_step(model)
    # Binning and scoring a candidate costs about three steps, whatever the model.
    runs = frames * (1 + config.replicates)
    seconds = tiles * (descents + runs * 3 * (preset.angles + 2)) * once + runs * 1.5e-6 * pixels
    memory = 400_000_000 + batch * BYTES_A_TILE + 40 * pixels + 8 * pixels * (frames if frames > 1 else 0)
    steps, warnings = tiles * descents, _warn(micrograph, model, config)
    return Plan(layout.summed, layout.grid, tiles, frames, batch, steps, seconds, memory, warnings)


def _plan_direct(micrograph: Micrograph, model: DirectModel, config: DenoiseConfig, layout: Layout) -> Plan:
    blocks = blocks_of(model)
    tiles, shape = blocks.count(layout.grid), blocks.shape(layout.grid)
    pixels = layout.shape[0] * layout.shape[1] * model.channels
    runs = micrograph.frames * (1 + config.replicates)
    corrected = config.residual_step and model.header.intensity == "template"
    views = len(views_of(model, layout, count_views(model, config.preset, config.views)))
    cleaned = views * tiles * prod(shape) * seconds_per_pixel(model)
    seconds = runs * (cleaned + (3e-6 if corrected else 3e-7) * pixels)
    memory = 400_000_000 + BYTES_A_PIXEL * max(PIXELS_AT_ONCE, prod(shape))
    memory += 40 * pixels + 8 * pixels * (micrograph.frames if micrograph.frames > 1 else 0)
    warnings = _warn(micrograph, model, config)
    return Plan(layout.summed, layout.grid, tiles, micrograph.frames, 1, 0, seconds, memory, warnings, views)


def _descents(preset: Preset) -> int:
    """Count the gradient steps that a preset takes for a tile, at most."""
    return preset.refine + (preset.keep * preset.brief if preset.keep > 1 else 0)


def _warn(micrograph: Micrograph, model: AnyModel, config: DenoiseConfig) -> tuple[str, ...]:
    warnings = []
    if model.pixel_size_nm is not None and micrograph.pixel_size_nm is not None:
        own, models = 1e3 * micrograph.pixel_size_nm, 1e3 * model.pixel_size_nm
        if own > 1.05 * models:
            warnings.append(
                f"Pixels of {own:.3g} pm are coarser than the model's {models:.3g} pm: fine detail is out of reach."
            )
    if isinstance(model, DirectModel):
        return (*warnings, *_warn_direct(model, config))
    warnings += [
        f"The setting {name} is for direct denoisers: with the model {model.name} it changes nothing."
        for name in ("views", "strength", "grain")
        if getattr(config, name) is not None
    ]
    return tuple(warnings)


def _warn_direct(model: DirectModel, config: DenoiseConfig) -> list[str]:
    warnings = []
    low, high = model.header.strength
    if config.strength is not None and not low <= config.strength <= high:
        warnings.append(
            f"The model {model.name} knows noise of strength {low:.2g} to {high:.2g}: it may do worse here."
        )
    told = {"strength": config.strength, "grain": config.grain}
    for name, value in told.items():
        if value is not None and name not in model.header.architecture.conditions:
            warnings.append(f"The model {model.name} does not take the noise's {name}: it changes nothing.")
    return warnings
