"""The networks: shapes, the study's initialisation, the start from principal components."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from napari_gandenoise.models.networks import (
    Discriminator,
    Encoder,
    Generator,
    standardise,
    start_from_principal_components,
)
from napari_gandenoise.orientation import disk
from napari_gandenoise.settings.networks import Architecture


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_generator_and_discriminator_mirror_each_other(size, channels):
    architecture = Architecture(size=size, channels=channels, width=4, latent=7)
    image = Generator(architecture)(torch.randn(3, 7))
    assert image.shape == (3, channels, size, size)
    assert image.abs().max() <= 1
    for norm in (False, True):
        assert Discriminator(architecture, norm)(image).shape == (3,)
    mean, log_variance = Encoder(architecture)(image)
    assert mean.shape == log_variance.shape == (3, 7)


def test_weights_start_from_the_normal_distribution_of_dcgan():
    generator = Generator(Architecture(width=16))
    kernels = torch.cat([m.weight.flatten() for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)])
    assert kernels.mean().item() == pytest.approx(0, abs=2e-4)
    assert kernels.std().item() == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize("size", [48, 8, 512])
def test_sizes_that_cannot_be_built_are_refused(size):
    with pytest.raises(ValidationError):
        Architecture(size=size)


def test_standardised_tiles_have_the_variance_of_their_noise():
    counts = torch.poisson(torch.full((50, 1, 64, 64), 7.0), generator=torch.Generator().manual_seed(0))
    tile = standardise(counts, disk(64))
    inside = disk(64) == 1
    assert tile[:, 0, inside].var().item() == pytest.approx(1, rel=0.02)
    assert tile[:, 0, inside].mean().item() == pytest.approx(0, abs=0.01)
    assert (tile[:, 0, disk(64) == 0] == 0).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_level_that_is_known_is_subtracted_and_not_the_mean(channels):
    counts = torch.poisson(torch.full((50, channels, 32, 32), 12.0), generator=torch.Generator().manual_seed(0))
    level = torch.full((50, 1, 1, 1), 9.0)
    tile = standardise(counts, torch.ones(32, 32), level)
    # 12 electrons where 9 are flat, in units of the flat tile's noise.
    assert tile.mean().item() == pytest.approx((12 - 9) / 3, abs=0.01)
    assert tile.var().item() == pytest.approx(12 / 9, rel=0.02)
    alone = standardise(counts, torch.ones(32, 32))
    assert alone.mean().item() == pytest.approx(0, abs=1e-5)


def test_an_encoder_that_is_told_the_amplitude_sees_how_bright_a_tile_is():
    """From the tile alone a bright template at low dose and a faint one at high dose look the same."""
    torch.manual_seed(0)
    architecture = Architecture(size=16, width=4, latent=3, principal=True)
    generator, encoder = Generator(architecture).eval(), Encoder(architecture).eval()
    templates = torch.randn(60, 3) @ torch.randn(3, 256) * 0.1
    templates = templates - templates.mean(dim=0)
    start_from_principal_components(generator, encoder, templates.view(-1, 1, 16, 16))
    tile, amplitude = templates[:5].view(-1, 1, 16, 16) * 200, torch.full((5, 1, 1, 1), 200.0)
    whole, half = encoder(tile, amplitude)[0], encoder(tile / 2, amplitude)[0]
    assert torch.allclose(half, whole / 2, atol=0.02)
    assert torch.allclose(encoder(tile)[0], encoder(tile / 2)[0], atol=0.02)


@pytest.mark.parametrize("count", [3, 40])
def test_fewer_components_than_latents_are_no_harm(count):
    architecture = Architecture(size=16, width=4, latent=12, principal=True)
    torch.manual_seed(0)
    generator, encoder = Generator(architecture).eval(), Encoder(architecture).eval()
    flat = torch.randn(1, 1, 16, 16) * 0.1
    templates = flat.expand(count, -1, -1, -1) + torch.linspace(-1, 1, count)[:, None, None, None] * 0.1
    start_from_principal_components(generator, encoder, templates)
    assert all(value.isfinite().all() for n in (generator, encoder) for value in n.state_dict().values())
    mean, log_variance = encoder(torch.randn(2, 1, 16, 16))
    assert mean.isfinite().all()
    assert log_variance.isfinite().all()


@pytest.mark.parametrize("channels", [1, 3])
def test_latents_have_the_deviation_of_their_prior(channels):
    architecture = Architecture(size=16, width=4, latent=6, channels=channels, principal=True)
    torch.manual_seed(0)
    templates = (torch.randn(400, 6) @ torch.randn(6, 256 * channels) * 0.05).view(-1, channels, 16, 16)
    generator, encoder = Generator(architecture).eval(), Encoder(architecture).eval()
    start_from_principal_components(generator, encoder, templates, deviation=3**-0.5)
    latents = encoder.project(templates.flatten(1))
    assert torch.allclose(latents.std(dim=0), torch.full((6,), 3**-0.5), rtol=0.05)
    assert (generator(latents) - templates).square().mean() < 0.02 * templates.square().mean()
    # Without any signal the proposal is the prior.
    _, log_variance = encoder(torch.randn(4, channels, 16, 16) * 1e-3)
    assert torch.allclose(log_variance, torch.full_like(log_variance, math.log(1 / 3)), atol=0.1)


def test_the_start_from_principal_components_renders_the_data_it_came_from():
    architecture = Architecture(size=16, width=4, latent=6, principal=True)
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(256, 6)).Q.T
    scores = torch.randn(400, 6) * torch.tensor([1.0, 0.8, 0.6, 0.5, 0.4, 0.3])
    templates = (0.2 * scores @ basis).view(-1, 1, 16, 16)
    generator, encoder = Generator(architecture).eval(), Encoder(architecture).eval()
    start_from_principal_components(generator, encoder, templates)
    # Six components hold all of this data, so projecting and rendering must give it back (tanh is nearly linear here).
    latents = encoder.project(templates.flatten(1))
    assert torch.allclose(latents.std(dim=0), torch.ones(6), rtol=0.05)
    assert (generator(latents) - templates).square().mean() < 0.01 * templates.square().mean()
