"""Refinement lowers the objective, never loses a tile, and stops where nothing is gained."""

from __future__ import annotations

import pytest
import torch

from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.refine import PATIENCE, refine
from napari_gandenoise.tiling import TileCounts


@pytest.fixture
def objective(model, generator, expose):
    rate = 0.45 * (1 + 0.8 * model.render(torch.randn(4, model.latent, generator=generator)))
    return Objective.of(model, expose(rate, generator), 0.0)


def test_every_tile_improves(model, objective, generator):
    start = torch.randn(4, model.latent, generator=generator)
    *_, state = refine(objective, start, torch.ones_like(start), 30, 0.1)
    assert (objective(state.latents) < objective(start)).all()
    assert state.steps == 30
    assert state.tile_steps == 4 * 30


def test_the_start_is_left_as_it_was(model, objective, generator):
    start = torch.randn(4, model.latent, generator=generator)
    copy = start.clone()
    list(refine(objective, start, torch.ones_like(start), 3, 0.1))
    assert torch.equal(start, copy)


def test_a_step_is_measured_in_units_of_the_spread(model, objective, generator):
    start = torch.randn(4, model.latent, generator=generator)
    spread = torch.ones_like(start)
    spread[:, ::2] = 0.01
    state = next(refine(objective, start, spread, 10, 0.2))
    moved = (state.latents - start).abs()
    # Adam's first step is the learning rate itself, whatever the gradient.
    assert moved.max().item() == pytest.approx(0.2, rel=0.01)
    assert moved[:, ::2].max().item() == pytest.approx(0.002, rel=0.05)


def test_tiles_that_gain_nothing_retire_and_the_others_go_on(model, objective, generator):
    start = torch.randn(4, model.latent, generator=generator)
    *_, state = refine(objective, start, torch.ones_like(start), 400, 0.1, gain=2.0)
    assert state.tile_steps < 4 * 400
    assert state.steps % PATIENCE == 0
    assert (objective(state.latents) < objective(start)).all()


@pytest.mark.parametrize("counts", [0.0, 1e-3, 1.0, 1e6], ids=["none", "hardly any", "one", "a million"])
def test_no_tile_is_ever_lost_to_nan(model, generator, counts):
    exposure = torch.full((2, 1, 64, 64), 16.0)
    exposure[1, :, 20:] = 0  # a tile over the frame's edge
    tiles = TileCounts(counts * (exposure > 0), exposure)
    objective = Objective.of(model, tiles, 0.0)
    start = torch.randn(2, model.latent, generator=generator)
    *_, state = refine(objective, start, torch.ones_like(start), 15, 0.3)
    assert torch.isfinite(state.latents).all()
    assert torch.isfinite(objective.rate(state.latents)).all()
    assert torch.isfinite(state.values).all()


def test_a_latent_with_a_nan_gradient_stays_where_it_is(model, generator):
    class Broken(Objective):
        def __call__(self, latents):
            return (latents.sum(dim=1) - latents.sum(dim=1).detach()).sqrt()

    tiles = TileCounts(torch.ones(2, 1, 64, 64), torch.ones(2, 1, 64, 64))
    start = torch.randn(2, model.latent, generator=generator)
    *_, state = refine(Broken.of(model, tiles, 0.0), start, torch.ones_like(start), 3, 0.3)
    assert torch.isfinite(state.latents).all()
