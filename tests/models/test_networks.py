"""The networks: shapes, the study's initialisation, the start from principal components."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from napari_gandenoise.models import Architecture
from napari_gandenoise.models.networks import (
    Discriminator,
    Encoder,
    Generator,
    standardise,
    start_from_principal_components,
)
from napari_gandenoise.orientation import disk


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
    tile = standardise(counts)
    inside = disk(64) == 1
    assert tile[:, 0, inside].var().item() == pytest.approx(1, rel=0.02)
    assert tile[:, 0, inside].mean().item() == pytest.approx(0, abs=0.01)
    assert (tile[:, 0, disk(64) == 0] == 0).all()


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
