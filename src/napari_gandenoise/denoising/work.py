"""What a run consists of: its grid, tiles or views, steps, and what there is to warn of; and what cannot be run."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import psutil

from napari_gandenoise.denoising.direct import blocks_of
from napari_gandenoise.denoising.evidence import FirstFrame
from napari_gandenoise.denoising.preparation import check_fit
from napari_gandenoise.denoising.sampling import Sampling, doubt, find_sampling
from napari_gandenoise.denoising.summing import spectral_sum
from napari_gandenoise.denoising.views import View, count_views, views_of
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.inversion.bank import effort_of
from napari_gandenoise.inversion.presets import PRESETS, Preset
from napari_gandenoise.models import AnyModel, DirectModel, Model
from napari_gandenoise.settings.denoise import DenoiseConfig, SearchSettings
from napari_gandenoise.tiling import Grid, Tiles, lay_out

__all__ = ["BYTES_A_TILE", "LARGEST_BATCH", "Work", "work_of"]

BYTES_A_TILE = 6 * 2**20  # activations and gradients of one 64x64 tile at width 32, measured, rounded up
LARGEST_BATCH = 64  # a step on more tiles would keep Cancel waiting
COARSEST = 1.6  # input pixels this many times larger than the model's hold too little of its detail
FINEST = 1 / 16  # of the model's pixel size: more counts are not summed into one pixel unless someone says so
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
    assumed : Sampling or None
        The pixel size, if nobody has stated one and the model needs it.
    """

    grid: Grid
    frames: int
    pieces: int
    tiles: Tiles | None = None
    views: tuple[View, ...] = ()
    steps: int = 0
    batch: int = 1
    warnings: tuple[str, ...] = ()
    assumed: Sampling | None = None


def work_of(first: FirstFrame, model: AnyModel, config: SearchSettings) -> Work:
    """Find out what a run consists of.

    Raises
    ------
    GanDenoiseError
        If the image is not for the model.
    """
    check_fit(first.micrograph, model)
    _check_samples(model, config)
    size, assumed = first.micrograph.pixel_size_nm, None
    if model.pixel_size_nm is not None and size is None:
        assumed = _assumed(first, model.pixel_size_nm)
        size = assumed.pixel_size_nm
    grid = _grid(first, model, config, size)
    warnings = (*_doubts(first, model, size, assumed), *_warn(model, config), *_warn_of_samples(first, config))
    warnings += tuple(_warn_of_drift(first, model, config))
    if isinstance(model, Model):
        return _search(first, model, config, replace(Work(grid, first.frames, 0), warnings=warnings, assumed=assumed))
    views = tuple(views_of(model, grid, count_views(model, config)))
    pieces = blocks_of(model).count(grid.sides)
    return Work(grid, first.frames, pieces, views=views, warnings=warnings, assumed=assumed)


def _check_samples(model: AnyModel, config: SearchSettings) -> None:
    """Refuse samples of a model that draws none."""
    wanted = isinstance(config, DenoiseConfig) and config.samples
    if wanted and not (isinstance(model, DirectModel) and model.draws):
        raise GanDenoiseError(
            f"The model {model.name} draws no samples: choose one that does, or replicates for an uncertainty."
        )


def _grid(first: FirstFrame, model: AnyModel, config: SearchSettings, size: float | None) -> Grid:
    """Sum counts to about the model's pixel size, or refuse an image that is too small.

    A model of any micrograph has no pixel size: it sums as the settings say, or as the image's spectrum allows.
    """
    height, width = first.micrograph.pixels.shape[:2]
    ratio = 1.0
    if model.pixel_size_nm is not None and size is not None:
        ratio = max(model.pixel_size_nm / size, 1 / COARSEST)
    if model.header.intensity == "standard" and isinstance(config, DenoiseConfig):
        ratio = float(config.summed or _spectral_sum(first))
    grid = Grid((height, width), ratio)
    if min(grid.sides) < SMALLEST_SIDE:
        least = SMALLEST_SIDE * grid.summed
        scale = f"at {1e3 * size:.3g} pm a pixel " if size is not None and grid.summed > 1 else ""
        raise GanDenoiseError(
            f"The image of {height}×{width} pixels is too small: {scale}at least {least:.7g}×{least:.7g} are needed"
            + ("; check the pixel size." if scale else ".")
        )
    return grid


def _limits(first: FirstFrame, models_nm: float) -> tuple[float, float]:
    """Return the smallest and the largest pixel size that an image may have for a model, nm."""
    smallest = max(FINEST, SMALLEST_SIDE / min(first.micrograph.pixels.shape[:2]))
    return min(smallest, 1.0) * models_nm, COARSEST * models_nm


def _assumed(first: FirstFrame, models_nm: float) -> Sampling:
    """Guess a pixel size: by the lattice, else by how far the image's spectrum allows counts to be summed."""
    found = None if first.silent else find_sampling(first.micrograph.pixels, _limits(first, models_nm))
    if found is not None:
        return found
    summed = _spectral_sum(first)
    reason = "as the model's own images have" if summed == 1 else "by the finest detail in the image's spectrum"
    return Sampling(models_nm / summed, reason)


def _doubts(first: FirstFrame, model: AnyModel, size: float | None, assumed: Sampling | None) -> list[str]:
    """Say what is to be doubted of a pixel size, one sentence each."""
    if model.pixel_size_nm is None or size is None:
        return []
    if assumed is not None:
        return [assumed.sentence()]
    said = [] if first.silent else [doubt(first.micrograph.pixels, size, _limits(first, model.pixel_size_nm))]
    if size > 1.05 * model.pixel_size_nm:
        own, models = (f"{1e3 * side:.3g} pm" for side in (size, model.pixel_size_nm))
        said.append(f"Pixels of {own} are coarser than the model's {models}: fine detail is out of reach.")
    return [sentence for sentence in said if sentence]


def _warn(model: AnyModel, config: SearchSettings) -> list[str]:
    return _warn_search(model, config) if isinstance(model, Model) else _warn_direct(model, config)


def _spectral_sum(first: FirstFrame) -> int:
    """Choose by its first frame how far a micrograph is summed; not at all if there is no noise."""
    frame = np.asarray(first.micrograph.pixels)
    if first.micrograph.rgb or first.silent:
        return 1
    return int(max(1, min(spectral_sum(frame, first.noise), min(frame.shape) // SMALLEST_SIDE)))


def _search(first: FirstFrame, model: Model, config: SearchSettings, work: Work) -> Work:
    preset, frames = effort_of(model, PRESETS[config.preset]), first.frames
    tiles = lay_out(work.grid, model.size, preset.stride(model.size), model.header.pose)
    count = len(tiles.centres)
    budget = config.max_memory_gb * 1e9 if config.max_memory_gb else psutil.virtual_memory().available / 2
    batch = int(min(LARGEST_BATCH, count, max(1, budget // BYTES_A_TILE)))
    once = _descents(preset)
    later = _descents(preset.following()) if model.encoder is not None and preset.propose else once
    steps = count * (once + (frames - 1) * later + frames * config.replicates * once)
    return replace(work, pieces=count, tiles=tiles, steps=steps, batch=batch)


def _descents(preset: Preset) -> int:
    """Count the gradient steps that a preset takes for a tile, at most."""
    return preset.refine + (preset.keep * preset.brief if preset.keep > 1 else 0)


def _warn_search(model: Model, config: SearchSettings) -> list[str]:
    return [
        f"The setting {name} is for direct denoisers: with the model {model.name} it changes nothing."
        for name in ("views", "strength", "grain", "summed")
        if getattr(config, name, None) is not None
    ]


def _warn_of_samples(first: FirstFrame, config: SearchSettings) -> list[str]:
    if not isinstance(config, DenoiseConfig) or not config.samples:
        return []
    said = []
    if first.frames > 1:
        said.append("Of a movie the spread of the samples is kept, not the samples themselves.")
    if config.replicates:
        said.append("The uncertainty is that of the samples: repetitions are left out.")
    return said


def _warn_of_drift(first: FirstFrame, model: AnyModel, config: SearchSettings) -> list[str]:
    if not isinstance(config, DenoiseConfig) or config.drift is None:
        return []
    if first.frames > 1 and isinstance(model, DirectModel) and config.neighbours:
        return []
    return ["The drift table changes nothing: it is for movies whose frames a direct denoiser cleans with neighbours."]


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
