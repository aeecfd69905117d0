"""Runs that train a sampler beside a U-Net, and the rule that steers how far its draws are apart."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import DirectModel, load_model_file
from napari_gandenoise.models.verification import verify_model
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.train import DirectTrainConfig
from napari_gandenoise.training import train_steps
from napari_gandenoise.training.checkpoint import Checkpoints
from napari_gandenoise.training.direct.exposure import Pairs
from napari_gandenoise.training.direct.posterior import BETA, WANTED, Steering, gained

STEPS = 4


@pytest.fixture
def make_sampler(fringe_set, write_random_model, tmp_path):
    """Config of a run of seconds beside a U-Net of random weights: ``make_sampler(steps=5)``."""

    def make(**fields) -> DirectTrainConfig:
        tiny = {
            "name": "drawing", "output": tmp_path / "run", "data": {"kind": "simulated", "path": fringe_set},
            "tiles": {"pose": "upright", "intensity": "template", "scale": 0.1}, "held_out": 2, "device": "cpu",
            "half_precision": False, "architecture": {"kind": "unet", "size": 32}, "steps": STEPS,
            "recipe": {"kind": "posterior-gan", "critic_width": 4}, "start": str(write_random_model(tmp_path)),
            "batch": 4, "pool": 64, "fresh": 8, "checkpoint_every": 2, "validate_every": 2, "dose": (5.0, 50.0),
            "pixel_size_nm": 0.0244,
        }  # fmt: skip
        return DirectTrainConfig.model_validate({**tiny, **fields})

    return make


def test_a_run_leaves_the_denoiser_as_it_is_and_adds_what_draws(make_sampler):
    config = make_sampler()
    events = list(train_steps(config))
    before, after = load_model_file(Path(config.start)), load_model_file(config.output / "drawing.safetensors")
    assert isinstance(after, DirectModel)
    verify_model(after)
    assert before.sampler is None
    for old, new in zip(before.network.parameters(), after.network.parameters(), strict=True):
        assert torch.equal(old, new)
    assert after.sampler is not None
    assert any((part.scale.bias - 0.01).abs().max() > 0 for part in after.sampler.strewn)
    assert {"validation mean of 8, dB", "validation coverage, %"} <= after.header.metrics.keys()
    assert {"mean of 8, dB", "critic's margin", "beta"} <= events[-STEPS].values.keys()
    assert events[-1].preview.samples.shape == events[-1].preview.real.shape == (16, 1, 32, 32)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(make_sampler, tmp_path):
    whole, config = make_sampler(output=tmp_path / "whole"), make_sampler(output=tmp_path / "parts")
    drain(train_steps(whole))
    stop = threading.Event()
    for event in train_steps(config, stop=stop):
        if event.stage == "train" and event.done == 3:
            stop.set()
    assert Checkpoints(config.output, 9).paths()[-1].stem.endswith("3")
    drain(train_steps(config, resume=True))
    first, second = (load_file(Checkpoints(c.output, 9).paths()[-1]) for c in (whole, config))
    for name in ("sampler/", "mean_sampler/", "steering/", "judge/"):
        keys = [key for key in first if key.startswith(name)]
        assert keys
        assert all(torch.equal(first[key], second[key]) for key in keys)


def test_a_second_run_goes_on_with_the_branch_that_there_is(make_sampler, tmp_path):
    path = drain(train_steps(make_sampler()))
    again = drain(train_steps(make_sampler(start=str(path), output=tmp_path / "again", rate=1e-12)))
    for old, new in zip(
        load_model_file(path).sampler.parameters(), load_model_file(again).sampler.parameters(), strict=True
    ):
        assert torch.allclose(old, new, atol=1e-5)


def test_draws_that_are_all_the_same_are_named(make_sampler):
    notes = [event.note for event in train_steps(make_sampler(rate=1e-9))]
    assert any("draws hardly differ" in note for note in notes)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"start": None}, "name that as start"),
        ({"architecture": {"kind": "encoder-decoder", "size": 32}}, "beside a U-Net"),
        ({"architecture": {"kind": "unet", "size": 16, "widths": (4, 6)}}, "tiles of 24 pixels"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_sentence(make_sampler, fields, said):
    with pytest.raises(ValueError, match=said):
        make_sampler(**fields)


def test_the_network_is_that_of_the_start(make_sampler):
    path = drain(train_steps(make_sampler(architecture={"kind": "unet", "size": 32, "widths": (6, 8, 10)})))
    assert load_model_file(path).header.architecture.widths == (4, 6)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"start": "hrtem"}, "is no U-Net"),
        ({"start": "hrtem-unet", "architecture": {"kind": "unet", "size": 40, "widths": (4, 6)}}, "a multiple of 16"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(make_sampler, fields, said):
    with pytest.raises(GanDenoiseError, match=said):
        drain(train_steps(make_sampler(**fields)))


def pairs_of(clean: torch.Tensor) -> Pairs:
    count = len(clean)
    return Pairs(clean, clean, torch.ones(count, 1, 1, 1), torch.zeros(count, 1, 1, 1), torch.ones(count, 2))


@pytest.mark.parametrize(("spread", "turns"), [(1.0, 0.0), (0.25, 1.0), (4.0, -1.0)])
def test_the_steering_asks_for_as_much_spread_as_there_is_error(spread, turns):
    """Errors of deviation one: draws that differ less from their mean are driven apart, others together."""
    generator = torch.Generator().manual_seed(1)
    clean = torch.randn(64, 1, 32, 32, generator=generator)
    drawn = spread**0.5 * torch.randn(2, *clean.shape, generator=generator)
    steering = Steering()
    gain = steering.look(drawn, pairs_of(clean))
    wanted = gained(torch.tensor(1.0), torch.tensor(spread))
    assert float(gain) == pytest.approx(float(wanted), abs=0.1)
    if turns:
        assert (turns * (steering.beta(pairs_of(clean)) - BETA) > 0).all()
    else:
        assert float(gain) == pytest.approx(WANTED, abs=0.1)


def test_each_strength_of_noise_is_steered_by_itself():
    """Draws that differ enough where noise is weak, and hardly where it is strong: only these are driven apart."""
    generator = torch.Generator().manual_seed(1)
    strength = torch.tensor([0.1, 0.9]).view(-1, 1, 1, 1)
    clean = strength * torch.randn(2, 1, 64, 64, generator=generator)
    drawn = torch.randn(2, *clean.shape, generator=generator) * strength * torch.tensor([1.0, 0.2]).view(-1, 1, 1, 1)
    steering, pairs = Steering(), pairs_of(clean)._replace(strength=strength)
    for _ in range(20):
        steering.look(drawn, pairs)
    weak, strong = steering.beta(pairs).flatten().tolist()
    assert weak == pytest.approx(BETA, rel=0.01)
    assert strong > 1.05 * BETA


def test_exact_samples_gain_two_and_a_half_decibels():
    """Error of the mean of P exact samples is (1 + 1/P) times that of their mean (Bendel et al., 3.3)."""
    assert pytest.approx(2.5, abs=0.01) == WANTED
    assert float(gained(torch.tensor(3.0), torch.tensor(3.0))) == pytest.approx(WANTED)
