"""How to recover latents as the literature does: settings that only reproduce papers."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import field_validator

from napari_gandenoise.settings.base import LARGEST_SEED, ModelName, Settings, setting
from napari_gandenoise.settings.denoise import PresetName, SearchSettings
from napari_gandenoise.settings.restore import TASKS, RestoreConfig, Task
from napari_gandenoise.settings.shared import LATENT_MODEL

__all__ = ["Clipping", "ObjectiveName", "REALISM", "RecoverConfig", "SharpnessConfig", "check_levels"]

ObjectiveName = Literal["likelihood", "squared"]
Clipping = Literal["projected", "stochastic", "none"]

OBJECTIVES: dict[ObjectiveName, str] = {"likelihood": "Likelihood of the noise", "squared": "Squared error"}
CLIPPING: dict[Clipping, str] = {"projected": "Projected", "stochastic": "Drawn again", "none": "None"}
REALISM = 0.003  # Yeh et al. 2017, section 4


def check_levels(levels: tuple[float, ...]) -> tuple[float, ...]:
    """Refuse noise levels that are not positive and rising."""
    if levels[0] <= 0 or any(high <= low for low, high in pairwise(levels)):
        raise ValueError("levels must be positive, the smallest first.")
    return levels


class RecoverConfig(SearchSettings, RestoreConfig):
    """How to recover latents as it was published: the widget's fields, the CLI's options, the YAML and the provenance.

    Denoising without a discriminator's word is latent vector recovery: Tripathi, Lipton, Nguyen, "Correction by
    projection" (2018); Lipton, Tripathi, "Precise recovery of latent vectors from generative adversarial networks"
    (2017).  All else is constrained generation: Yeh et al., "Semantic image inpainting with deep generative models"
    (2017).
    """

    model: ModelName = LATENT_MODEL
    task: Task = setting("denoise", "What is missing: as for restore; denoise recovers latents.", choices=TASKS)
    objective: ObjectiveName = setting(
        "squared",
        "What latents minimise: the noise model's likelihood, or the squared error.",
        choices=OBJECTIVES,
        only={"task": ("denoise",)},
    )
    clipping: Clipping = setting(
        "stochastic",
        "Latents beyond a uniform prior's bounds: projected onto them, stochastic (drawn again), or none.",
        choices=CLIPPING,
        only={"task": ("denoise",)},
    )
    sharpness: bool = setting(
        False,
        "Add the model's sharpness attribute, if it has one, to the latents that were found.",
        only={"task": ("denoise",)},
    )
    residual_step: bool = setting(
        False, "Add back structure that the residual counts prove.", only={"task": ("denoise",)}
    )
    realism: float | None = setting(
        None,
        "Weight of the discriminator's word (lambda), for constrained generation; by default the paper's 0.003, and "
        "none to denoise.",
        ge=0,
    )

    @property
    def constrained(self) -> bool:
        """Whether this is constrained generation, and not latent vector recovery."""
        return self.task != "denoise" or bool(self.realism)


class SharpnessConfig(Settings):
    """How a sharpness attribute is measured: recover as `recover` is to recover later."""

    images: int = setting(400, "Generated images.", ge=2)
    levels: tuple[float, ...] = setting(
        (0.1, 0.25, 0.5, 0.72, 1.0, 1.5),
        "Noise of a model pixel over the range of the templates, from black to white; rising.",
        min_length=1,
        max_length=64,
    )
    preset: PresetName = setting("balanced", "How hard to look.")
    objective: ObjectiveName = setting("squared", "What latents minimise.", choices=OBJECTIVES)
    clipping: Clipping = setting("stochastic", "Latents beyond the bounds of a uniform prior.", choices=CLIPPING)
    saturated: bool = setting(
        False, "Cut noisy values off at black and white, as files of 8 bits do; for absolute intensities."
    )
    seed: int = setting(0, "Seed of the images and their noise.", ge=0, le=LARGEST_SEED)

    _levels = field_validator("levels")(check_levels)
