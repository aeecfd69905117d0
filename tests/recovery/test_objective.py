"""The squared error of the literature."""

from __future__ import annotations

import pytest
import torch

from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.recovery.objective import SquaredError
from napari_gandenoise.tiling import TileCounts


@pytest.fixture
def tiles(model, generator, expose):
    rate = 0.4 * (1 + 0.8 * model.render(torch.randn(3, model.latent, generator=generator)))
    return expose(rate, generator)


def test_the_squared_error_is_that_of_the_input_pixels(model, generator):
    """Bins of several input pixels: their sum stands for each of them, up to what no rate can change."""
    rate = 3 * (1 + 0.5 * model.render(torch.randn(2, model.latent, generator=generator)))
    pixels = torch.poisson(rate.repeat_interleave(4, 1), generator=generator)  # four input pixels a bin
    tiles = TileCounts(pixels.sum(1, keepdim=True), torch.full_like(rate, 4))
    objective = SquaredError.of(model, tiles, 0.0)
    one, other = (torch.randn(2, model.latent, generator=generator) for _ in range(2))

    def squared(latents):
        return (pixels - objective.rate(latents)).square().sum(dim=(1, 2, 3))

    # In units of each tile's own, which the difference of two flat tiles gives.
    flat = (tiles.counts / 4 - objective.mean).square().sum(dim=(1, 2, 3)) * 4
    expected = 0.5 * rate[0].numel() * (squared(one) - squared(other)) / flat
    assert (objective(one) - objective(other)).numpy() == pytest.approx(expected.numpy(), rel=2e-2, abs=1)


@pytest.mark.parametrize("scale", [0.1, 30.0])
def test_the_squared_error_asks_for_no_noise_level_and_no_prior(model, tiles, generator, scale):
    latents = 5 * torch.randn(3, model.latent, generator=generator)
    rate = Objective.of(model, tiles, 0.0).rate(latents)
    quiet, loud = (SquaredError.of(model, tiles, v) for v in (0.0, scale))
    assert torch.equal(quiet.squared_error(rate), loud.squared_error(rate))
    assert quiet(latents).numpy() == pytest.approx(quiet.squared_error(rate).detach().numpy(), rel=1e-2)
    flat = quiet.squared_error(quiet.mean.expand_as(rate))
    assert flat.numpy() == pytest.approx((tiles.exposure > 0).sum(dim=(1, 2, 3)).numpy() / 2, rel=1e-4)
