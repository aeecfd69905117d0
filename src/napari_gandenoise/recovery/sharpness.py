"""Measure a model's sharpness attribute: recover generated images from noise, and average what is missed.

Tripathi, Lipton, Nguyen 2018, "Correction by projection: denoising images with generative adversarial networks".
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.inversion.bank import bank_for
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.presets import PRESETS
from napari_gandenoise.models import Model
from napari_gandenoise.models.sharpness import Sharpness, SharpnessHeader
from napari_gandenoise.orientation import tile_mask
from napari_gandenoise.progress import Progress, Steps, relay
from napari_gandenoise.recovery.clipping import bounds_of
from napari_gandenoise.recovery.latents import recover_latents
from napari_gandenoise.recovery.objective import KINDS
from napari_gandenoise.settings.recover import SharpnessConfig
from napari_gandenoise.tiling import TileCounts

__all__ = ["expose", "sharpness_steps"]

BATCH = 50  # images recovered at once
GAUSSIAN_SHARE = 0.01  # counting noise over Gaussian noise, as for images of Gaussian noise in `denoise`
SUMMED = 16  # input pixels a bin
CONTRAST = 0.3  # of templates, whose noise level depends on contrast and dose together


def expose(
    model: Model,
    templates: Tensor,
    level: float,
    generator: torch.Generator,
    kind: type[Objective] = Objective,
    *,
    saturated: bool = False,
) -> Objective:
    """Objective of images with noise, on the model's grid and in its pose.

    Parameters
    ----------
    templates : Tensor
        ``(N, C, H, W)`` in [-1, 1].
    level : float
        Noise of a model pixel over the range of the templates.  Images of absolute intensities get Gaussian noise of
        that standard deviation relative to white, templates a dose and a contrast that make it so.
    generator : torch.Generator
        Source of the noise, on the CPU.
    kind : type of Objective
        What latents minimise.
    saturated : bool
        Cut the values of absolute intensities off at black and white.
    """
    inside = (tile_mask(model.header.pose, model.size, templates.device) > 0.5).float()
    exposure = inside.expand(len(templates), 1, -1, -1)
    if model.header.intensity == "absolute":
        white = 0.5 / (GAUSSIAN_SHARE * level**2)
        noise = level * white * torch.randn(templates.shape, generator=generator).to(templates)
        counts = (white * (1 + templates) / 2 + noise) * exposure
        counts = counts.clamp(0, white) if saturated else counts
        return kind.of(model, TileCounts(counts, exposure), (level * white) ** 2, white)
    # Noise over range: sqrt(electrons) / (2 contrast electrons).
    electrons = (2 * CONTRAST * level) ** -2
    expected = (electrons * (1 + CONTRAST * templates) * exposure).clamp(min=0)
    counts = torch.poisson(expected.cpu(), generator=generator).to(templates)
    noisy = kind.of(model, TileCounts(counts, SUMMED * exposure), 0.0)
    # With an estimated contrast the true latent would not be the best one.
    return replace(noisy, swing=torch.full_like(noisy.swing, CONTRAST * electrons / SUMMED))


def sharpness_steps(model: Model, config: SharpnessConfig | None = None) -> Steps[Model]:
    """Measure the sharpness attribute of a model, as a generator of events; closing it cancels.

    Parameters
    ----------
    model : Model
        As `load_model` returns it.
    config : SharpnessConfig, optional
        Settings.

    Yields
    ------
    Progress
        Stages "level 1/6", ..., counted in images.

    Returns
    -------
    Model
        The model with its sharpness attribute; `save_model` writes it.

    Raises
    ------
    GanDenoiseError
        If saturated noise is asked for and the model knows no black and white.
    """
    config = config or SharpnessConfig()
    if config.saturated and model.header.intensity == "template":
        raise GanDenoiseError(f"The templates of {model.name} know no black and white: set saturated to false.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    working = model.to(device)
    bank = bank_for(working, PRESETS[config.preset])
    attribute = Sharpness(config.levels, model.latent)
    for number, level in enumerate(config.levels):
        # Every level sees the same images.
        generator = torch.Generator().manual_seed(config.seed)
        latents = model.draw_latents((config.images,), generator).to(device)
        missed = torch.zeros(model.latent, device=device)
        done = 0
        for part in latents.split(BATCH):
            with torch.no_grad():
                drawn = working.render(part)
            kind, bounds = KINDS[config.objective], bounds_of(config.clipping, generator)
            objective = expose(working, drawn, level, generator, kind, saturated=config.saturated)
            steps = recover_latents(objective, PRESETS[config.preset], generator, bank, bounds)

            def counted(event: Progress, done: int = done, number: int = number) -> Progress:
                return replace(event, stage=f"level {number + 1}/{len(config.levels)}", done=done, total=config.images)

            found = yield from relay(steps, counted)
            missed += (part - found).sum(dim=0)
            done += len(part)
        attribute.shifts[number] = missed.cpu() / config.images
    settings = config.model_dump(mode="json", include={"preset", "objective", "clipping", "saturated", "seed"})
    described = SharpnessHeader(levels=config.levels, images=config.images, settings=settings)
    header = model.header.model_copy(update={"sharpness": described})
    return replace(model, header=header, sharpness=attribute, sha256="", path=None)
