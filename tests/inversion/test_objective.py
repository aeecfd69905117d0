"""The objective is the Poisson likelihood that scipy computes, and the prior's price."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from napari_gandenoise.inversion.objective import FLOOR, Objective, standardise_tiles
from napari_gandenoise.models import load_model_file
from napari_gandenoise.tiling import TileCounts


@pytest.fixture
def tiles(model, generator, expose):
    rate = 0.4 * (1 + 0.8 * model.render(torch.randn(3, model.latent, generator=generator)))
    return expose(rate, generator)


def expected_gain(tiles: TileCounts, rate: torch.Tensor, flat: torch.Tensor, shift: torch.Tensor) -> np.ndarray:
    """Log-likelihood of a rate over that of a flat tile, from scipy; bins without exposure say nothing."""
    seen = (tiles.exposure > 0).expand_as(rate)
    counts, means, flats = (
        x.double().numpy() for x in (tiles.counts + shift, tiles.exposure * rate + shift, tiles.exposure * flat + shift)
    )
    difference = stats.poisson.logpmf(counts, means) - stats.poisson.logpmf(counts, flats)
    return np.where(seen.numpy(), difference, 0).sum(axis=(1, 2, 3))


def test_gain_is_the_poisson_log_likelihood_over_a_flat_tile(model, tiles, generator):
    objective = Objective.of(model, tiles, 0.0)
    rate = objective.rate(torch.randn(3, model.latent, generator=generator))
    gain = expected_gain(tiles, rate, objective.mean, torch.zeros(()))
    np.testing.assert_allclose(objective.gain(rate).numpy(), gain, atol=0.05)


def test_read_noise_shifts_counts_and_means_by_its_variance(model, tiles, generator):
    read_variance = 0.25  # 16 pixels a bin: a whole number of electrons², which scipy needs
    objective = Objective.of(model, tiles, read_variance)
    rate = objective.rate(torch.randn(3, model.latent, generator=generator))
    gain = expected_gain(tiles, rate, objective.mean, tiles.exposure * read_variance)
    np.testing.assert_allclose(objective.gain(rate).numpy(), gain, atol=0.05)


def test_strong_read_noise_leaves_the_gaussian_likelihood(model, generator, expose):
    read_variance = 400.0
    rate = 5 * (1 + 0.5 * model.render(torch.randn(2, model.latent, generator=generator)))
    clean = expose(rate)
    noise = (clean.exposure * read_variance).sqrt() * torch.randn(rate.shape, generator=generator)
    tiles = TileCounts(clean.counts + noise, clean.exposure)
    objective = Objective.of(model, tiles, read_variance)
    variance = tiles.exposure * (rate + read_variance)

    def gaussian(mean: torch.Tensor) -> torch.Tensor:
        misfit = (tiles.counts - tiles.exposure * mean).square() / variance.clamp(min=1)
        return -0.5 * misfit.sum(dim=(1, 2, 3))

    expected = gaussian(rate) - gaussian(objective.mean)
    assert objective.gain(rate).numpy() == pytest.approx(expected.numpy(), rel=0.05, abs=2)


def test_a_tile_with_negative_counts_still_has_a_finite_likelihood(model, tiles):
    noisy = TileCounts(tiles.counts - 40, tiles.exposure)
    objective = Objective.of(model, noisy, 2.0)
    assert torch.isfinite(objective(torch.zeros(3, model.latent))).all()


def test_the_prior_costs_half_the_squared_latent(model, tiles, generator):
    objective = Objective.of(model, tiles, 0.0)
    latents = torch.randn(3, model.latent, generator=generator)
    price = objective(latents) + objective.gain(objective.rate(latents))
    assert price.numpy() == pytest.approx(0.5 * (latents.numpy() ** 2).sum(axis=1), abs=0.05)


def test_the_rate_keeps_the_electrons_of_the_tile_and_stays_above_its_floor(model, tiles, generator):
    objective = Objective.of(model, tiles, 0.0)
    rate = objective.rate(torch.randn(3, model.latent, generator=generator))
    expected = (tiles.exposure * rate).sum(dim=(1, 2, 3))
    assert expected.numpy() == pytest.approx(tiles.counts.sum(dim=(1, 2, 3)).numpy(), rel=1e-3)
    assert (rate >= FLOOR * objective.mean - 1e-9).all()


def test_selecting_tiles_changes_no_value(model, tiles, generator):
    objective = Objective.of(model, tiles, 0.0)
    latents = torch.randn(3, model.latent, generator=generator)
    chosen = torch.tensor([2, 0])
    some, whole = objective.select(chosen)(latents[chosen]), objective(latents)[chosen]
    assert some.detach().numpy() == pytest.approx(whole.detach().numpy(), rel=1e-2, abs=1)


@pytest.mark.parametrize("read_variance", [0.0, 1.5])
def test_standardised_noise_has_unit_variance(generator, expose, read_variance):
    clean = torch.full((40, 1, 64, 64), 0.45)
    tiles = expose(clean, generator)
    noise = (tiles.exposure * read_variance).sqrt() * torch.randn(clean.shape, generator=generator)
    tile = standardise_tiles(TileCounts(tiles.counts + noise, tiles.exposure), read_variance)
    seen = tiles.exposure > 0
    assert tile[seen].var().item() == pytest.approx(1, rel=0.03)
    assert (tile[~seen] == 0).all()


def test_the_noise_level_is_that_of_the_image_relative_to_white(tmp_path, write_photograph_model):
    photographs = load_model_file(write_photograph_model(tmp_path))
    exposure = torch.ones(2, 1, 32, 32)
    counts = torch.full((2, 3, 32, 32), 5e4)
    # Gaussian noise of a fifth of white, beside which the counting noise is nothing.
    objective = Objective.of(photographs, TileCounts(counts, exposure), (0.2 * 1e5) ** 2, 1e5)
    assert objective.noise_level().numpy() == pytest.approx([0.2, 0.2], rel=1e-3)
