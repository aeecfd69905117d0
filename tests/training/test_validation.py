"""Validation: its figures on tiles for which the answer is known."""

from __future__ import annotations

import math

import pytest
import torch

from napari_gandenoise.models.networks import Generator
from napari_gandenoise.orientation import disk
from napari_gandenoise.settings.networks import Architecture
from napari_gandenoise.training.latent.validation import fringes, inversion_psnr, radial_spectrum, spectrum_distance


def waves(period, size=64, count=6):
    x = torch.arange(size).float()
    phase = torch.linspace(0, 5, count)[:, None]
    return torch.cos(2 * math.pi * x / period + phase)[:, None, None, :].expand(-1, 1, size, -1) * 0.5


@pytest.mark.parametrize("period", [6.0, 9.3, 14.0])
def test_fringes_are_seen_with_their_spacing(period):
    share, found = fringes(waves(period))
    assert share == 1
    assert found == pytest.approx(period, rel=0.05)


def test_a_lattice_in_the_disk_is_seen_and_noise_and_blots_are_not():
    lattice = (waves(9) + waves(9).transpose(2, 3) + waves(7)) * disk(64)
    noise = torch.randn(40, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, 64)] * 2, indexing="ij")
    blots = torch.exp(-4 * (x**2 + y**2)).expand(3, 1, 64, 64)
    assert fringes(lattice)[0] == 1
    assert fringes(noise)[0] == fringes(blots)[0] == 0
    assert math.isnan(fringes(noise)[1])
    assert fringes(torch.cat([lattice, noise[: len(lattice)]]))[0] == 0.5


def test_the_power_of_a_wave_lies_at_its_radius():
    assert radial_spectrum(waves(8)).argmax() + 1 == 64 / 8


def test_equal_spectra_are_0_apart_and_ten_times_the_power_10_db():
    tiles = torch.randn(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert spectrum_distance(tiles, tiles) == 0
    assert spectrum_distance(tiles * 10**0.5, tiles) == pytest.approx(10, rel=1e-4)
    assert spectrum_distance(tiles.flip(3), tiles) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("clamp", [False, True])
def test_what_the_generator_has_drawn_is_found_again(clamp):
    torch.manual_seed(0)
    generator = Generator(Architecture(size=16, width=4, latent=4, principal=True)).eval()
    torch.nn.init.normal_(generator.principal.weight, 0.0, 0.3)
    latents = torch.rand(5, 4) * 1.6 - 0.8
    templates = generator(latents).detach()
    inside = torch.ones(16, 16)
    near = inversion_psnr(generator, templates, latents + 0.05, inside, 2.0, clamp)
    far = inversion_psnr(generator, templates, torch.zeros(5, 4), inside, 2.0, clamp)
    untouched = 10 * torch.log10(4 / (generator(torch.zeros(5, 4)) - templates).square().mean()).item()
    assert near > 30
    assert far > untouched + 10
