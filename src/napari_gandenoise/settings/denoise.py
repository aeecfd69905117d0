"""How to denoise."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from napari_gandenoise.settings.base import Device, ModelName, Settings, setting
from napari_gandenoise.settings.noise import AnyNoise
from napari_gandenoise.settings.shared import DEVICE, IMAGE, MODEL, NOISE, PIXEL_SIZE, SEED, WHITE

__all__ = [
    "ADAPT",
    "ADAPT_STEPS",
    "PRESETS",
    "REPLICATES",
    "SAMPLES",
    "AdaptName",
    "DenoiseConfig",
    "PresetName",
    "SearchSettings",
]

AdaptName = Literal["off", "auto", "on"]
PresetName = Literal["fast", "balanced", "thorough", "paper"]

REPLICATES = 8  # where an uncertainty is wanted and nobody says how many; its own error is then about a quarter
SAMPLES = 32  # likewise, of models that draw them
ADAPT: dict[AdaptName, str] = {"off": "No", "auto": "Yes, if it can be", "on": "Yes"}
ADAPT_STEPS = 100  # chosen on simulation seed 3
PRESETS: dict[PresetName, str] = {
    "fast": "The encoder's proposal and a few steps, or one view of a direct denoiser: a first look.",
    "balanced": "Search and refine, or the mean of several views: the usual choice.",
    "thorough": "Denser tiles and more steps, or more views: several times slower.",
    "paper": "The published algorithm, up to 20,000 steps a tile: hours for a large image.",
}


class SearchSettings(Settings):
    """What every job has that explains the counts of an image."""

    image: str | None = IMAGE
    model: ModelName = MODEL
    pixel_size_nm: float | None = PIXEL_SIZE
    noise: AnyNoise | None = NOISE
    preset: PresetName = setting(
        "balanced",
        "How hard to look: fast, balanced, thorough, or paper.",
        title="Effort",
        field="preset",
        only={"model kind": ("latent", "direct micrographs")},
    )
    seed: int = SEED
    device: Device = DEVICE
    white: float | None = WHITE
    replicates: int = setting(
        0,
        "Repetitions that the uncertainty is estimated from: 8 is usual, 0 for none.",
        title="Repeats",
        group="Advanced",
        ge=0,
        le=64,
    )
    max_memory_gb: float | None = setting(
        None,
        "Memory for tiles, GB; by default half of what is free.",
        title="Memory",
        unit="GB",
        group="Advanced",
        gt=0,
    )


class DenoiseConfig(SearchSettings):
    """How to denoise: the widget's fields, the CLI's options, the YAML file and the provenance."""

    intensity: float = setting(
        1.0,
        "How much of what was found to be noise is taken away: 0 leaves the image as it is.",
        group="Advanced",
        ge=0,
        le=1,
    )
    views: int | None = setting(
        None,
        "For direct denoisers: how often an image is cleaned, turned, mirrored, shifted and on a coarser grid, before "
        "the mean is taken; by default the preset's of a micrograph, 1 of a photograph.",
        group="Advanced",
        only={"model kind": ("direct",)},
        ge=1,
        le=16,
    )
    summed: int | None = setting(
        None,
        "For direct denoisers of any micrograph: pixels along a side that are summed first; by default "
        "as many as the spectrum of an image with few electrons allows.",
        title="Sum",
        unit="px",
        group="Advanced",
        only={"model kind": ("direct",)},
        of_image=True,
        ge=1,
        le=16,
    )
    strength: float | None = setting(
        None,
        "For direct denoisers: standard deviation of the noise, white or the mean being 1, or for models of any "
        "micrograph the image's standard deviation; by default the noise model's, or what the model estimates.",
        title="Strength",
        group="Advanced",
        only={"model kind": ("direct",)},
        of_image=True,
        ge=0,
    )
    grain: float | None = setting(
        None,
        "For direct denoisers: grain size, pixels; by default estimated from the image.",
        unit="px",
        group="Advanced",
        only={"model kind": ("direct",)},
        of_image=True,
        ge=0,
        le=5,
    )
    neighbours: int = setting(
        2,
        "Movies, direct denoisers: frames before and after whose counts are used where they show the same, moved to "
        "where the specimen is; 0: each frame for itself.",
        title="Neighbours",
        unit="frames",
        group="Advanced",
        only={"model kind": ("direct",)},
        ge=0,
        le=5,
    )
    align: bool = setting(
        True,
        "Movies, direct denoisers: look for the drift of all of a frame; without it only what moves by a few pixels is "
        "followed.",
        title="Look for drift",
        group="Advanced",
        only={"model kind": ("direct",)},
    )
    drift: Path | None = setting(
        None,
        "Movies, direct denoisers: CSV table of the drift, in place of looking for it: columns frame (from 0), down "
        "and right, where the specimen lies in each frame, pixels.",
        title="Drift table",
        field="file",
        group="Advanced",
        only={"model kind": ("direct",), "align": (True,)},
        of_image=True,
    )
    adapt: AdaptName = setting(
        "off",
        "Tune a direct denoiser to the image before it is cleaned, by the image's own counts, if held-out counts are "
        "for it; auto does it where it can be done, on refuses where it cannot.",
        title="Adapt",
        choices=ADAPT,
        only={"model kind": ("direct",)},
    )
    adapt_steps: int = setting(
        ADAPT_STEPS,
        "Steps of an adaptation; more than a hundred begin to fit the noise of a single frame.",
        title="Steps of it",
        group="Advanced",
        only={"adapt": ("auto", "on")},
        ge=1,
        le=1000,
    )
    samples: int = setting(
        0,
        "Samples of what the image could be, given its counts; their spread is the uncertainty. 32 is usual; for "
        "models that draw them.",
        title="Samples",
        group="Advanced",
        only={"model kind": ("drawing",)},
        ge=0,
        le=256,
    )
    best_of: int = setting(
        1,
        "Draws of each tile of a sample, of which the one is taken that explains the counts best.",
        title="Best of",
        group="Advanced",
        only={"model kind": ("drawing",)},
        ge=1,
        le=64,
    )
    refine: int = setting(
        0,
        "Gradient steps on the noise of each draw, towards what explains the counts.",
        title="Refine",
        unit="steps",
        group="Advanced",
        only={"model kind": ("drawing",)},
        ge=0,
        le=1000,
    )
    doubt: bool = setting(
        False,
        "Denoise either half of the electrons, too, and name the regions where one half shows what the other does not.",
        title="Look for doubtful regions",
        group="Advanced",
    )
    outliers: bool = setting(
        True,
        "Leave out pixels that say nothing: spikes, dead pixels, bad lines, blank and saturated areas.",
        title="Leave out defects",
        group="Advanced",
    )
    residual_step: bool = setting(True, "Add back structure that the residual counts prove.", group="Advanced")

    @model_validator(mode="after")
    def _check_drift(self) -> DenoiseConfig:
        if self.drift is not None and not self.align:
            raise ValueError("drift is given, and align is off: leave one of them out")
        return self
