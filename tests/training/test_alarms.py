"""Alarms: they fire on runs built to go wrong, once, and stay silent on a healthy one."""

from __future__ import annotations

import pytest
import torch

from napari_gandenoise.settings.networks import Architecture
from napari_gandenoise.training import train_steps
from napari_gandenoise.training.latent.alarms import DIVERSITY_LOOKS, EARLIEST, Alarms
from napari_gandenoise.training.latent.recipes import diversity


def notes(config) -> list[str]:
    return [event.note for event in train_steps(config) if event.note]


@pytest.fixture
def make_plain(make_config):
    """A run long enough for alarms, without principal components that would give samples their variety at once."""

    def make(**fields):
        architecture = Architecture(size=16, width=4, latent=8)
        long = {"steps": 1050, "validate_every": 5000, "checkpoint_every": 5000, "pool": 512, "batch": 16}
        return make_config(architecture=architecture, encoder="none", recipe="bce", **{**long, **fields})

    return make


@pytest.mark.slow
def test_a_run_built_to_collapse_says_so(make_plain):
    (said,) = notes(make_plain(generator_rate=1e-12, steps=740, batch=4, pool=128))
    assert "generator has collapsed" in said


@pytest.mark.slow
def test_a_run_built_to_collapse_raises_both_alarms(make_plain):
    said = notes(make_plain(generator_rate=1e-12))
    assert len(said) == 2
    assert "generator has collapsed" in said[0]
    assert "right in 100.0 %" in said[1]


@pytest.mark.slow
def test_a_healthy_run_raises_none(make_plain):
    assert notes(make_plain(generator_rate=2e-3, discriminator_rate=2e-4)) == []


def look(alarms, values, steps, start=EARLIEST):
    return [note for step in range(start, start + steps) if (note := alarms.look(step, values))]


def test_an_alarm_is_raised_once_until_all_is_well_again():
    alarms = Alarms("stable")
    assert len(look(alarms, {"diversity": 0.05}, 50)) == 1
    assert look(alarms, {"diversity": 0.9}, DIVERSITY_LOOKS) == []
    assert len(look(alarms, {"diversity": 0.05}, 50)) == 1


def test_one_poor_look_is_no_collapse():
    alarms = Alarms("stable")
    for _ in range(5):
        assert look(alarms, {"diversity": 0.05}, DIVERSITY_LOOKS - 1) == []
        assert look(alarms, {"diversity": 0.9}, 1) == []


def test_nothing_is_said_of_an_untrained_generator():
    assert look(Alarms("stable"), {"diversity": 0.0, "accuracy": 1.0}, EARLIEST, start=0) == []


def test_a_discriminator_that_is_always_wrong_is_told_from_one_that_is_always_right():
    assert "wrong in 100.0 %" in look(Alarms("bce"), {"accuracy": 0.0}, 600)[0]
    assert "right in 100.0 %" in look(Alarms("bce"), {"accuracy": 1.0}, 600)[0]
    assert look(Alarms("bce"), {"accuracy": 0.9}, 600) == []
    assert look(Alarms("wgan-gp"), {"accuracy": 1.0}, 600) == []


def test_diversity_is_the_distance_of_pairs_against_the_data():
    real = torch.randn(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    samples = 0.3 * torch.randn(30, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    squared = [torch.pdist(images.flatten(1)).square().mean() for images in (samples, real)]
    assert diversity(samples, real).item() == pytest.approx((squared[0] / squared[1]).sqrt().item(), rel=1e-5)
    assert diversity(samples[:1].expand(9, -1, -1, -1), real).item() == 0
