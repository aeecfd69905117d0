"""Training: both recipes run, a run that was killed goes on, one that diverges says so."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import Architecture, load_model_file
from napari_gandenoise.progress import drain
from napari_gandenoise.training import train_steps


def trained(steps):
    return [event for event in steps if event.stage == "train"]


def checkpoint_step(path) -> int:
    with safe_open(path, framework="pt") as file:
        return int(file.metadata()["step"])


@pytest.mark.parametrize(
    ("recipe", "encoder", "weight"),
    [("stable", True, 0.02), ("bce", True, 0.02), ("stable", False, 1.0), ("bce", False, 1.0), ("stable", True, 0.0)],
)
def test_a_run_writes_a_model_that_loads(make_config, recipe, encoder, weight):
    config = make_config(recipe=recipe, encoder=encoder, adversarial_weight=weight, adversarial_every=1)
    events, path = [], None
    steps = train_steps(config)
    while path is None:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            path = stop.value
    model = load_model_file(path)
    assert path == config.output / "tiny.safetensors"
    assert model.name == "tiny"
    assert model.header.training["recipe"] == recipe
    assert model.header.training["step"] == 6
    assert (model.encoder is not None) == encoder
    assert model.render(torch.randn(2, 8)).shape == (2, 1, 16, 16)
    assert events[0].stage == "tiles"
    assert [e.done for e in trained(events)] == [1, 2, 3, 4, 5, 6]
    expected = ({"evidence"} if encoder else set()) | ({"generator", "discriminator"} if weight else set())
    assert all(e.values.keys() == expected for e in trained(events))
    assert all(math.isfinite(v) for e in events for v in e.values.values())
    assert [e.done for e in events if e.preview is not None] == [3, 6]
    assert events[-1].preview.shape == (16, 1, 16, 16)


def test_training_lowers_the_evidence_loss(make_config):
    plain = Architecture(size=16, width=4, latent=8)  # no start from principal components, which is good already
    config = make_config(architecture=plain, steps=250, batch=16, generator_rate=5e-3, checkpoint_every=250)
    losses = [event.values["evidence"] for event in trained(train_steps(config))]
    assert np.mean(losses[-20:]) < 0.7 * np.mean(losses[:10])


def test_a_resumed_run_continues_from_its_checkpoint(make_config):
    config = make_config(steps=8, checkpoint_every=4)
    steps = train_steps(config)
    for event in steps:
        if event.stage == "train" and event.done == 6:
            break
    steps.close()
    assert checkpoint_step(config.output / "checkpoint.safetensors") == 4
    again = trained(train_steps(config, resume=True))
    assert [event.done for event in again] == [5, 6, 7, 8]


def test_a_checkpoint_restores_every_state(make_config):
    config = make_config(steps=3, checkpoint_every=3)
    drain(train_steps(config))
    before = load_file(config.output / "checkpoint.safetensors")
    # A run that is already at its end changes nothing, but a step more starts from exactly this state.
    longer = make_config(steps=4, checkpoint_every=1, generator_rate=1e-12, discriminator_rate=1e-12)
    drain(train_steps(longer, resume=True))
    after = load_file(config.output / "checkpoint.safetensors")
    weights = [k for k in before if k.startswith(("generator/", "discriminator/")) and k.endswith("weight")]
    assert weights
    for key in weights:
        torch.testing.assert_close(after[key], before[key], atol=1e-6, rtol=0)
    adam = next(k for k in before if k.startswith("generator_adam/") and k.endswith("/step"))
    assert after[adam] == before[adam] + 1


def test_a_finished_run_is_not_trained_over(make_config):
    config = make_config(steps=3)
    drain(train_steps(config))
    before = (config.output / "checkpoint.safetensors").read_bytes()
    with pytest.raises(GanDenoiseError, match="already holds a run"):
        drain(train_steps(config))
    assert (config.output / "checkpoint.safetensors").read_bytes() == before


def test_same_seed_same_model(make_config, tmp_path):
    one, two, other = (
        load_file(drain(train_steps(make_config(steps=3, output=tmp_path / name, seed=seed))))
        for name, seed in (("one", 1), ("two", 1), ("other", 2))
    )
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_a_killed_run_leaves_a_sound_checkpoint_and_goes_on(make_config):
    config = make_config(steps=100_000, checkpoint_every=1)
    code = (
        "import sys; from napari_gandenoise.training import TrainConfig, train_steps\n"
        "for _ in train_steps(TrainConfig.model_validate_json(sys.argv[1])): pass"
    )
    run = subprocess.Popen([sys.executable, "-c", code, config.model_dump_json()])
    checkpoint = config.output / "checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        assert run.poll() is None
        time.sleep(0.05)
    time.sleep(0.3)  # somewhere among its many writes
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    reached = checkpoint_step(checkpoint)
    assert reached >= 1
    resumed = trained(train_steps(config.model_copy(update={"steps": reached + 3}), resume=True))
    assert [event.done for event in resumed] == [reached + 1, reached + 2, reached + 3]
    assert load_model_file(config.output / "tiny.safetensors").header.training["step"] == reached + 3


@pytest.mark.parametrize("recipe", ["stable", "bce"])
def test_a_run_that_diverges_says_so_and_keeps_its_last_checkpoint(make_config, recipe):
    drain(train_steps(make_config(steps=3, checkpoint_every=3, recipe=recipe)))
    wild = make_config(
        steps=200,
        checkpoint_every=1000,
        recipe=recipe,
        generator_rate=1e30,
        discriminator_rate=1e30,
        adversarial_every=1,
    )
    with pytest.raises(FloatingPointError, match=r"diverged at step \d+; resume from .* with lower learning rates"):
        drain(train_steps(wild, resume=True))
    assert checkpoint_step(wild.output / "checkpoint.safetensors") == 3


def test_a_corrupt_checkpoint_is_named(make_config):
    config = make_config(steps=3)
    drain(train_steps(config))
    checkpoint = config.output / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:200])
    with pytest.raises(GanDenoiseError, match=r"checkpoint\.safetensors cannot be resumed"):
        drain(train_steps(config, resume=True))


def test_a_checkpoint_of_other_networks_is_named(make_config):
    drain(train_steps(make_config(steps=3)))
    wider = make_config(architecture=Architecture(size=16, width=8, latent=8, principal=True))
    with pytest.raises(GanDenoiseError, match=r"checkpoint\.safetensors cannot be resumed"):
        drain(train_steps(wider, resume=True))


def test_a_set_with_nothing_left_to_train_on_is_refused(make_config):
    with pytest.raises(GanDenoiseError, match="24 images, of which 24 are held out"):
        drain(train_steps(make_config(held_out=24)))


def test_the_config_travels_as_json(make_config):
    config = make_config()
    assert type(config).model_validate(json.loads(config.model_dump_json())) == config
