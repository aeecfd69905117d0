"""Latents of tiles that are known to lie upright, such as generated ones: what is measured on them is learnt here."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_gandenoise.inversion.bank import Bank, effort_of
from napari_gandenoise.inversion.invert import Inversion, UprightTiles
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.presets import Preset
from napari_gandenoise.inversion.refine import Bounds, projected
from napari_gandenoise.models import Model
from napari_gandenoise.progress import Steps

__all__ = ["recover_latents", "sharpened"]


def recover_latents(
    objective: Objective,
    preset: Preset,
    generator: torch.Generator,
    bank: Bank | None = None,
    bounds: Bounds = projected,
) -> Steps[Tensor]:
    """Recover the latents of tiles by the search of the main road.

    Parameters
    ----------
    objective : Objective
        ``N`` tiles.
    preset : Preset
        Effort; tiles that lie upright have one orientation.
    generator : torch.Generator
        Source of random candidates.
    bank : Bank, optional
        Of the preset: `napari_gandenoise.inversion.bank.bank_for`.
    bounds : Bounds
        What becomes of latents beyond the bounds of a uniform prior.

    Returns
    -------
    Tensor
        ``(N, d)``.
    """
    tiles = UprightTiles(objective)
    effort = effort_of(objective.model, preset)
    found, _ = yield from Inversion(tiles, effort, bank, generator, tiles.count, bounds).run()
    return found.values


def sharpened(model: Model, latents: Tensor, level: Tensor, *, bounded: bool = True) -> Tensor:
    """Latents with the model's sharpness attribute added.

    Parameters
    ----------
    model : Model
        Has a sharpness attribute.
    latents : Tensor
        ``(N, d)``, as they were recovered.
    level : Tensor
        ``(N,)``, noise of a model pixel over the range of the templates: `Objective.noise_level`.
    bounded : bool
        Whether the sum is projected onto the bounds of a uniform prior.

    Raises
    ------
    ValueError
        If the model has no sharpness attribute.
    """
    if model.sharpness is None:
        raise ValueError(f"the model {model.name} has no sharpness attribute.")
    moved = latents + model.sharpness(level)
    return model.within_prior(moved) if bounded else moved
