"""Latents of tiles that are known to lie upright: what the inversion of a frame does, without the frame.

For generated images, whose latents are known: what is measured on them is learnt here and by the benchmarks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_gandenoise.inversion.bank import Bank
from napari_gandenoise.inversion.clipping import clip
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.presets import Preset
from napari_gandenoise.inversion.refine import refine
from napari_gandenoise.inversion.search import propose
from napari_gandenoise.models.file import Model
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.recover import Clipping

__all__ = ["recover", "sharpened"]


def recover(
    objective: Objective,
    preset: Preset,
    bank: Bank | None = None,
    clipping: Clipping = "projected",
    generator: torch.Generator | None = None,
) -> Steps[Tensor]:
    """Recover the latents of tiles: propose, follow several candidates briefly, refine the best.

    Parameters
    ----------
    objective : Objective
        ``N`` tiles.
    preset : Preset
        Effort; tiles that lie upright have one orientation.
    bank : Bank, optional
        Of the preset: `napari_gandenoise.inversion.bank.bank_for`.
    clipping : {"projected", "stochastic", "none"}
        What becomes of latents beyond the bounds of a uniform prior.
    generator : torch.Generator, optional
        Source of random candidates, and of what stochastic clipping draws again.

    Yields
    ------
    Progress
        Stages "brief" and "refine".

    Returns
    -------
    Tensor
        ``(N, d)``.
    """
    model, tiles, device = objective.model, len(objective.mean), objective.mean.device
    random: Tensor | None = None
    if preset.random:
        drawn = generator or torch.Generator().manual_seed(0)
        random = model.draw_latents((tiles, preset.random), drawn).to(device)
    upright = torch.zeros(tiles, device=device)
    found = propose(objective, bank, upright, random, encode=preset.propose).keep(preset.keep)
    kept = found.values.shape[1]
    latents, spread = found.latents[:, 0], found.spread[:, 0]
    if kept > 1 and preset.brief:
        index = torch.arange(tiles, device=device).repeat_interleave(kept)
        several = (objective.select(index), found.latents.flatten(0, 1), found.spread.flatten(0, 1))
        for state in refine(*several, preset.brief, preset.rate, 0.0, clipping, generator):
            yield Progress("brief", state.steps, preset.brief)
        winner = state.values.view(tiles, kept).argmin(dim=1) + kept * torch.arange(tiles, device=device)
        latents, spread = state.latents[winner], several[2][winner]
    for state in refine(objective, latents, spread, preset.refine, preset.rate, preset.gain, clipping, generator):
        yield Progress("refine", state.steps, preset.refine)
    return state.latents


def sharpened(model: Model, latents: Tensor, level: Tensor, clipping: Clipping = "projected") -> Tensor:
    """Latents with the model's sharpness attribute added.

    Parameters
    ----------
    model : Model
        Has a sharpness attribute.
    latents : Tensor
        ``(N, d)``, as they were recovered.
    level : Tensor
        ``(N,)``, noise of a model pixel over the range of the templates: `Objective.noise_level`.
    clipping : {"projected", "stochastic", "none"}
        Of the recovery; unless it is "none" the sum is projected onto the bounds of a uniform prior.

    Raises
    ------
    ValueError
        If the model has no sharpness attribute.
    """
    if model.sharpness is None:
        raise ValueError(f"the model {model.name} has no sharpness attribute.")
    return clip(model, latents + model.sharpness(level), "none" if clipping == "none" else "projected")
