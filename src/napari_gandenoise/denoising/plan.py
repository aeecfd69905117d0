"""What a run will do, said before it is done: its work, and the time and memory that it is predicted to take."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import psutil

from napari_gandenoise.denoising.choice import candidates
from napari_gandenoise.denoising.direct import PIXELS_AT_ONCE, blocks_of
from napari_gandenoise.denoising.drift import given_way
from napari_gandenoise.denoising.evidence import FirstFrame
from napari_gandenoise.denoising.posterior import repeated_if_nothing_draws
from napari_gandenoise.denoising.preparation import as_micrograph
from napari_gandenoise.denoising.speed import seconds_per_pixel, seconds_per_tile_step
from napari_gandenoise.denoising.tuning import TILE, TILES
from napari_gandenoise.denoising.work import BYTES_A_TILE, Work, work_of
from napari_gandenoise.inversion.presets import PRESETS
from napari_gandenoise.models import AnyModel, DirectModel, load_model
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.shared import AUTO

__all__ = ["Plan", "plan"]

BASE = 400_000_000  # bytes of the program and of a model
BYTES_A_PIXEL = 1500  # activations of a block in a forward pass of the widest network here
TUNING = 3 * TILES * TILE**2  # pixels that a step of an adaptation passes, there and back
DRAWN, REFINED = 0.5, 1.5  # of a forward pass: the decoder alone, and there and back
BROUGHT = 3e-8  # seconds a pixel to bring a sample to the image's pixels
MATCHED = 4e-7  # seconds a pixel to bring a neighbouring frame to where the specimen is
FAST, SLOW = 3e-7, 3e-6  # seconds a pixel around a direct denoiser, without and with the residual step


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes
    ----------
    work : Work
        What it consists of.
    seconds : float
        Predicted time.
    memory_bytes : int
        Predicted memory.
    found : tuple of str
        What was found in the image, one sentence each.
    sampling_nm : float or None
        Side of the pixels that the model works at.
    """

    work: Work
    seconds: float
    memory_bytes: int
    found: tuple[str, ...] = ()
    sampling_nm: float | None = None

    @property
    def too_large(self) -> bool:
        """Whether it asks for more memory than is free."""
        return self.memory_bytes > _free()

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence each."""
        if not self.too_large:
            return (*self.found, *self.work.warnings)
        needed, free = (f"{amount / 1e9:.0f} GB" for amount in (self.memory_bytes, _free()))
        batch = f"It needs about {needed} of memory and {free} are free: a batch denoises the file frame by frame."
        return (*self.found, *self.work.warnings, batch)

    def sentence(self) -> str:
        """Put the plan into one line: how long it takes, how much memory, the sampling that the model works at."""
        sampling = "" if self.sampling_nm is None else f" · works at {1e3 * self.sampling_nm:.3g} pm"
        return f"{self.duration()} · {self.memory_bytes / 1e9:.1f} GB{sampling}"

    def duration(self) -> str:
        """Say how long it takes."""
        return "about " + (f"{self.seconds:.0f} s" if self.seconds < 120 else f"{self.seconds / 60:.0f} min")

    def details(self) -> str:
        """Say how the image is laid out: pixels that are summed, tiles, views, frames."""
        work = self.work
        movie = f", {work.frames} frames" if work.frames > 1 else ""
        summed = f"{work.grid.summed}×{work.grid.summed} summed" if work.grid.summed > 1 else "not summed"
        grid = f"{work.grid.sides[0]}×{work.grid.sides[1]}"
        tiles = f"{work.pieces} tile{'s' if work.pieces > 1 else ''}"
        views = f", {len(work.views)} views" if len(work.views) > 1 else ""
        return f"{summed}, {grid}, {tiles}{views}{movie}"


def _free() -> int:
    return int(psutil.virtual_memory().available)


def plan(image: Any, /, config: DenoiseConfig | None = None, **fields: Any) -> Plan:
    """Say what `denoise` would do, without doing it.

    Parameters and errors are those of `denoise`.
    """
    config = configure(DenoiseConfig, config, fields)
    micrograph = as_micrograph(image, config)
    given_way(config, micrograph.frames)  # a table that is of no use is refused
    first = FirstFrame.of(micrograph, config)
    if config.model == AUTO:
        # The one that takes longest: which it will be, only trying them tells.
        models = candidates(first, config).values()
        plans = [_planned(first, model, repeated_if_nothing_draws(config, model)) for model in models]
        return max(plans, key=lambda plan: plan.seconds)
    return _planned(first, load_model(config.model), config)


def _planned(first: FirstFrame, model: AnyModel, config: DenoiseConfig) -> Plan:
    work, size = work_of(first, model, config), first.micrograph.pixel_size_nm
    if size is None and work.assumed is not None:
        size = work.assumed.pixel_size_nm
    sampling = None if size is None else size * work.grid.summed
    return Plan(work, _seconds(work, model, config), _memory(work, model, config), tuple(first.warnings()), sampling)


def _seconds(work: Work, model: AnyModel, config: DenoiseConfig) -> float:
    repeated = 0 if config.samples else config.replicates
    runs, pixels = work.frames * (1 + repeated), prod(work.grid.shape) * model.channels
    if isinstance(model, DirectModel):
        together = config.neighbours if work.frames > 1 else 0
        looked_at = len(work.views) + (1 if together else 0)
        cleaned = looked_at * work.pieces * prod(blocks_of(model).shape(work.grid.sides))
        corrected = config.residual_step and model.header.intensity == "template"
        tuned = TUNING * config.adapt_steps * seconds_per_pixel(model) if config.adapt != "off" else 0.0
        around = (SLOW if corrected else FAST) + 2 * together * MATCHED
        drawn = config.samples * config.best_of * (DRAWN + REFINED * config.refine) * work.pieces
        drawn *= prod(blocks_of(model).shape(work.grid.sides)) * seconds_per_pixel(model)
        drawn += config.samples * BROUGHT * pixels
        return tuned + work.frames * drawn + runs * (cleaned * seconds_per_pixel(model) + around * pixels)
    # Binning and scoring a candidate costs about three steps, whatever the model.
    scored = work.pieces * runs * 3 * (PRESETS[config.preset].angles + 2)
    return (work.steps + scored) * seconds_per_tile_step(model) + runs * 1.5e-6 * pixels


def _memory(work: Work, model: AnyModel, config: DenoiseConfig) -> int:
    pixels = prod(work.grid.shape) * model.channels
    # Of a movie: rate, residual and fit map of all frames.
    held = 40 * pixels + (12 * pixels * work.frames if work.frames > 1 else 8 * pixels * config.samples)
    if isinstance(model, DirectModel):
        return BASE + BYTES_A_PIXEL * max(PIXELS_AT_ONCE, prod(blocks_of(model).shape(work.grid.sides))) + held
    return BASE + work.batch * BYTES_A_TILE + held
