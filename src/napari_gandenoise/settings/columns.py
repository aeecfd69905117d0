"""How to find atom columns."""

from __future__ import annotations

from typing import Literal

from napari_gandenoise.settings.base import Device, ModelName, Settings, setting
from napari_gandenoise.settings.denoise import DenoiseConfig, PresetName
from napari_gandenoise.settings.noise import AnyNoise
from napari_gandenoise.settings.shared import DEVICE, IMAGE, MODEL, NOISE, PIXEL_SIZE, SEED

__all__ = ["CONTRASTS", "ColumnsConfig", "Contrast"]

Contrast = Literal["auto", "bright", "dark"]

CONTRASTS: dict[Contrast, str] = {"auto": "Automatic", "bright": "Bright", "dark": "Dark"}


class ColumnsConfig(Settings):
    """How to find atom columns: the widget's fields, the CLI's options, the YAML file and the provenance."""

    contrast: Contrast = setting(
        "auto",
        "Whether columns are brighter or darker than what is between them; by default whichever is sharper.",
        title="Columns are",
        choices=CONTRASTS,
    )
    threshold: float = setting(
        0.95,
        "Probability above which a column is taken for sure; the others are shown hollow.",
        title="Sure above",
        gt=0,
        lt=1,
    )
    image: str | None = IMAGE
    model: ModelName = MODEL
    pixel_size_nm: float | None = PIXEL_SIZE
    noise: AnyNoise | None = NOISE
    preset: PresetName = setting(
        "balanced",
        "How hard to look where the image is denoised first: fast, balanced, thorough, or paper.",
        title="Effort",
        field="preset",
        only={"model kind": ("latent", "direct micrographs")},
    )
    samples: int = setting(
        0,
        "Samples of what the image could be, where it is denoised first: the table tells in what share of them each "
        "column is.",
        title="Samples",
        only={"model kind": ("drawing",)},
        ge=0,
        le=256,
    )
    seed: int = SEED
    device: Device = DEVICE

    def denoising(self) -> DenoiseConfig:
        """Return the settings with which an image is denoised that nobody has denoised yet."""
        shared = {"image", "model", "pixel_size_nm", "noise", "preset", "samples", "seed", "device"}
        return DenoiseConfig.model_validate(self.model_dump(include=shared))
