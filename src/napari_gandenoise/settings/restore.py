"""How to restore."""

from __future__ import annotations

from typing import Literal

from napari_gandenoise.settings.base import LARGEST_SEED, Device, ModelName, Settings, setting
from napari_gandenoise.settings.shared import DEVICE, IMAGE, LATENT_MODEL, WHITE

__all__ = ["DONE", "TASKS", "RestoreConfig", "Task"]

Task = Literal["inpaint", "colorize", "super-resolve", "denoise", "dequantize"]

TASKS: dict[Task, str] = {
    "inpaint": "Inpaint",
    "colorize": "Colourise",
    "super-resolve": "Super-resolve",
    "denoise": "Denoise",
    "dequantize": "Dequantise",
}
DONE: dict[Task, str] = {
    "inpaint": "inpainted",
    "colorize": "colorized",
    "super-resolve": "super-resolved",
    "denoise": "denoised",
    "dequantize": "dequantized",
}
# Micrographs are restored by the likelihood of their counts, as they are denoised: other fields mean nothing there.
DRAWN = {"model kind": ("latent photographs",)}


class RestoreConfig(Settings):
    """How to restore: the widget's fields, the CLI's options, the YAML file and the provenance."""

    task: Task = setting(
        ...,
        "What is missing: inpaint, colorize, super-resolve, denoise or dequantize.",
        choices=TASKS,
    )
    factor: Literal[2, 4] = setting(
        2,
        "super-resolve: how many times as many pixels along a side.",
        choices={2: "2 × 2", 4: "4 × 4"},
        only={"task": ("super-resolve",), **DRAWN},
    )
    levels: int = setting(
        5,
        "dequantize: levels a channel of the input, black and white too.",
        only={"task": ("dequantize",), **DRAWN},
        ge=2,
        le=256,
    )
    image: str | None = IMAGE
    model: ModelName = LATENT_MODEL
    pixel_size_nm: float | None = setting(
        None,
        "Pixel size of the input, nm, for models of micrographs; by default the image's own.",
        title="Pixel size",
        unit="nm",
        field="pixel size",
        only={"model kind": ("micrographs",)},
        of_image=True,
        gt=0,
    )
    norm: float = setting(1.0, "The power p of the data term.", group="Advanced", only=DRAWN, ge=1, le=2)
    prior: float = setting(0.2, "Weight of the latents' negative log prior.", group="Advanced", only=DRAWN, ge=0)
    restarts: int = setting(
        4, "Starts of each tile, the best of which goes on.", group="Advanced", only=DRAWN, ge=1, le=64
    )
    steps: int = setting(150, "Gradient steps of each tile.", group="Advanced", only=DRAWN, ge=1)
    seed: int = setting(0, "Seed of the random starts.", group="Advanced", ge=0, le=LARGEST_SEED)
    device: Device = DEVICE
    white: float | None = WHITE
    poisson_blending: bool = setting(
        True,
        "inpaint: keep what is drawn in the hole continuous with what is around it.",
        group="Advanced",
        only={"task": ("inpaint",), **DRAWN},
    )

    @property
    def finer(self) -> int:
        """Pixels of the result for one of the input, along a side."""
        return self.factor if self.task == "super-resolve" else 1
