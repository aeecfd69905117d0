"""Latents beyond the bounds of the uniform prior: projected, drawn again, or left; a normal prior has no bounds."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra import numpy as np_st

from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.refine import refine
from napari_gandenoise.models import load_model_file
from napari_gandenoise.recovery.clipping import bounds_of
from napari_gandenoise.tiling import TileCounts


@pytest.fixture(scope="module")
def uniform(tmp_path_factory, write_photograph_model):
    return load_model_file(write_photograph_model(tmp_path_factory.mktemp("models"), prior="uniform"))


@pytest.fixture(scope="module")
def normal(tmp_path_factory, write_photograph_model):
    return load_model_file(write_photograph_model(tmp_path_factory.mktemp("models")))


def clip(model, latents, clipping, seed=0):
    """Clipped latents, and which were drawn again."""
    return bounds_of(clipping, torch.Generator().manual_seed(seed))(model, latents)


latents_strategy = np_st.arrays("float32", (5, 6), elements=st.floats(-4, 4, width=32)).map(torch.from_numpy)


@settings(deadline=None, max_examples=40)
@given(latents=latents_strategy, seed=st.integers(0, 100))
def test_what_lies_within_the_bounds_is_left_alone_and_nothing_stays_beyond(uniform, latents, seed):
    beyond = latents.abs() > 1
    assert torch.equal(clip(uniform, latents, "stochastic", seed)[1], beyond)
    for clipping in ("projected", "stochastic"):
        clipped, _ = clip(uniform, latents, clipping, seed)
        assert torch.equal(clipped[~beyond], latents[~beyond])
        assert (clipped.abs() <= 1).all()
    assert torch.equal(clip(uniform, latents, "none")[0], latents)
    assert torch.equal(clip(uniform, latents, "projected")[0][beyond], latents[beyond].sign())


def test_what_is_drawn_again_is_uniform_and_a_seed_repeats_it(uniform):
    outside = torch.full((3000, 6), 1.5)
    drawn, again, other = (clip(uniform, outside, "stochastic", seed)[0] for seed in (1, 1, 2))
    assert torch.equal(drawn, again)
    assert not torch.equal(drawn, other)
    # Uniform on [-1, 1]: mean 0 and variance 1/3, each to a few of its standard errors from 18,000 draws.
    assert drawn.mean().item() == pytest.approx(0, abs=0.02)
    assert drawn.var().item() == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize("clipping", ["projected", "stochastic", "none"])
def test_a_normal_prior_has_no_bounds(normal, clipping):
    far = torch.tensor([[-7.0, 0, 0.5, 3, 1, 9]])
    assert torch.equal(clip(normal, far, clipping)[0], far)


@pytest.fixture
def noisy(uniform):
    """Images in noise so strong that the best latents of some lie beyond the bounds."""
    generator = torch.Generator().manual_seed(3)
    latents = uniform.draw_latents((8,), generator)
    white, sigma = 1e4, 2e4
    image = white * (1 + uniform.render(latents)) / 2
    counts = image + sigma * torch.randn(image.shape, generator=generator)
    return Objective.of(uniform, TileCounts(counts, torch.ones_like(image[:, :1])), sigma**2, white)


def refined(objective, clipping, seed=0):
    """Latents after each step."""
    start, bounds = torch.zeros(8, 6), bounds_of(clipping, torch.Generator().manual_seed(seed))
    steps = refine(objective, start, torch.ones_like(start), 80, 0.1, 0.0, bounds)
    return [state.latents.clone() for state in steps]


def test_refinement_goes_beyond_the_bounds_only_where_nothing_clips(noisy):
    assert (refined(noisy, "none")[-1].abs() > 1).any()
    assert refined(noisy, "projected")[-1].abs().max() == 1
    assert refined(noisy, "stochastic")[-1].abs().max() < 1


@pytest.mark.slow
def test_stochastic_clipping_keeps_the_best_it_has_found_and_a_seed_repeats_it(noisy):
    course = refined(noisy, "stochastic")
    values = torch.stack([noisy(latents) for latents in course])
    assert (values.diff(dim=0) <= 1e-2).all()
    assert (values[-1] < values[0]).all()
    assert torch.equal(course[-1], refined(noisy, "stochastic")[-1])
    assert not torch.equal(course[-1], refined(noisy, "stochastic", seed=1)[-1])
