"""Random numbers of a run, and the settings that depend on its recipe."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from napari_gandenoise.training.draws import Draws, prior_deviation

CPU = torch.device("cpu")


def test_a_state_that_is_restored_repeats_every_kind_of_number():
    draws = Draws(3, CPU)
    state = draws.generator.get_state()
    rate = torch.full((5, 5), 4.0)

    def numbers():
        return [draws.normal(4), draws.uniform(2, 3, 4), draws.dose(4, (1, 9)), draws.counts(rate)]

    first = numbers()
    assert not torch.equal(first[0], draws.normal(4))
    draws.generator.set_state(state)
    assert all(torch.equal(one, two) for one, two in zip(first, numbers(), strict=True))


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_latents_are_those_of_the_prior(prior):
    latents = Draws(0, CPU).latents(5000, 4, prior)
    assert latents.mean().item() == pytest.approx(0, abs=0.02)
    assert latents.std().item() == pytest.approx(prior_deviation(prior), rel=0.02)
    assert (latents.abs().max() <= 1) == (prior == "uniform")


def test_doses_are_log_uniform():
    dose = Draws(0, CPU).dose(20_000, (1.0, 100.0))
    assert dose.shape == (20_000, 1, 1, 1)
    assert 1 <= dose.min() <= dose.max() <= 100
    assert dose.median().item() == pytest.approx(10, rel=0.05)


def test_negative_rates_give_no_counts():
    assert Draws(0, CPU).counts(torch.full((9,), -1.0)).sum() == 0


def test_a_recipe_brings_values_of_its_own_unless_others_are_given(make_config):
    assert (make_config(recipe="wgan-gp").critic_steps, make_config(recipe="wgan-gp").penalty) == (5, 10)
    assert make_config(recipe="wgan-gp", critic_steps=2).critic_steps == 2
    assert make_config(recipe="bce").average == 0
    assert make_config(recipe="stable").critic_steps == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"encoder": "none", "adversarial_weight": 0}, "trains nothing"),
        ({"encoder": "samples", "adversarial_every": 2}, "leaves steps empty"),
        ({"encoder": "evidence", "prior": "uniform"}, "needs prior normal"),
        ({"dose": (5, 2)}, "the smaller first"),
        ({"architecture": {"size": 32, "channels": 3}}, "cannot be oriented"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(make_config, fields, sentence):
    with pytest.raises(ValidationError, match=sentence):
        make_config(**fields)
