"""The study's tests: what the generator has drawn is found again, what it cannot draw is met as closely as it can."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage import data, transform

from napari_gandenoise.inversion.bank import Bank
from napari_gandenoise.inversion.objective import Objective, standardise_tiles
from napari_gandenoise.inversion.refine import refine
from napari_gandenoise.inversion.search import propose


@pytest.fixture(scope="module")
def bank(model):
    latents = torch.randn(512, model.latent, generator=torch.Generator().manual_seed(0))
    templates = model.render(latents).flatten(1)
    return Bank(latents, templates - templates.mean(dim=1, keepdim=True))


def last(steps):
    *_, state = steps
    return state


@pytest.mark.slow
def test_1_drawn_images_are_recovered_without_noise(model, bank, generator, expose):
    tiles, level, contrast = 2, 1000.0, 0.4
    truth = level * (1 + contrast * model.render(torch.randn(tiles, model.latent, generator=generator)))
    counts = expose(truth)
    # The study's images have one known contrast; for micrographs it is estimated.
    swing = torch.full((tiles, 1, 1, 1), level * contrast)
    objective = replace(Objective.of(model, counts, 0.0), swing=swing)

    def loss(latents):
        return ((objective.rate(latents) - truth) * (counts.exposure > 0)).square().sum(dim=(1, 2, 3))

    start = propose(objective, bank, torch.zeros(tiles)).keep(1).latents[:, 0]
    found = last(refine(objective, start, torch.ones_like(start), 300, 0.1)).latents
    at_random = loss(torch.randn(tiles, model.latent, generator=generator))
    assert (loss(found) < 0.01 * at_random).all()


@pytest.mark.slow
def test_1_drawn_images_are_met_when_their_contrast_is_estimated(model, bank, generator, expose):
    truth = 1000 * (1 + 0.4 * model.render(torch.randn(3, model.latent, generator=generator)))
    counts = expose(truth)
    objective = Objective.of(model, counts, 0.0)
    start = propose(objective, bank, torch.zeros(3)).keep(1).latents[:, 0]
    found = last(refine(objective, start, torch.ones_like(start), 150, 0.1)).latents
    seen = counts.exposure > 0
    left = ((objective.rate(found) - truth) * seen).square().sum(dim=(1, 2, 3))
    flat = ((objective.mean - truth) * seen).square().sum(dim=(1, 2, 3))
    assert (left < 0.1 * flat).all()


@pytest.mark.slow
@pytest.mark.parametrize("dose", [pytest.param(0.5, marks=pytest.mark.slow), 5.0])
def test_2_a_photograph_lands_on_a_near_neighbour(model, bank, generator, expose, dose):
    photograph = data.camera().astype(float)
    crops = [photograph[100:400, 100:400], photograph[40:300, 160:420]]
    images = torch.tensor(np.stack([transform.resize(crop, (64, 64), anti_aliasing=True) for crop in crops]))
    images = images[:, None].float() / images.mean()
    rate = dose * (0.6 + 0.4 * images)
    counts = expose(rate, generator)
    objective = Objective.of(model, counts, 0.0)
    drawn = bank.latents[bank.best(standardise_tiles(counts, 0.0))]
    candidates = propose(objective, bank, torch.zeros(2)).keep(1)
    found = last(refine(objective, candidates.latents[:, 0], candidates.spread[:, 0], 120, 0.15)).latents
    # Log-likelihoods over a flat tile: the flat tile has none, the photograph itself about as much as can be had.
    best, reached = objective.gain(objective.rate(drawn)), objective.gain(objective.rate(found))
    assert (best > 0).all()
    assert (reached > 1.5 * best).all()
    assert (reached > 0.6 * objective.gain(rate)).all()
