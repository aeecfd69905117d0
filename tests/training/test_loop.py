"""Whole runs: every recipe and encoder mode, stop and resume, kill and resume, divergence."""

from __future__ import annotations

import csv
import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import load_model_file
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.networks import Architecture
from napari_gandenoise.settings.train import TrainConfig
from napari_gandenoise.training import train_steps
from napari_gandenoise.training.checkpoint import Checkpoints
from napari_gandenoise.training.latent.validation import Validation
from napari_gandenoise.training.supply import Supply


def trained(steps):
    return [event for event in steps if event.stage == "train"]


def checkpoint_steps(config) -> list[int]:
    return [int(path.stem.rpartition("-")[2]) for path in Checkpoints(config.output, 99).paths()]


def history(config) -> list[dict[str, str]]:
    with (config.output / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def run_until(config, step, resume=False):
    """Stop a run, as a user does, after so many steps of both stages."""
    stop = threading.Event()
    steps = train_steps(config, resume, stop)
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return end.value
        before = {"train": 0, "encoder": config.steps}.get(event.stage)
        if before is not None and before + event.done == step:
            stop.set()


ADVERSARIAL = {"discriminator", "generator", "accuracy"}
COLOUR = Architecture(size=16, width=4, latent=8, principal=True, channels=3)


@pytest.mark.parametrize(
    ("recipe", "encoder"),
    [("stable", "evidence"), ("bce", "samples"), ("wgan-gp", "none")],
)
def test_a_run_writes_a_model_that_loads(make_config, recipe, encoder):
    config = make_config(recipe=recipe, encoder=encoder, critic_steps=2, validate_every=3)
    events, path = [], None
    steps = train_steps(config)
    while path is None:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            path = stop.value
    model = load_model_file(path)
    assert path == config.output / "tiny.safetensors"
    assert model.header.training["recipe"] == recipe
    assert model.header.training["step"] == 6 + (4 if encoder == "samples" else 0)
    assert (model.encoder is not None) == (encoder != "none")
    assert model.discriminator is not None
    assert torch.isfinite(model.discriminator(model.render(torch.randn(2, 8)))).all()
    assert model.render(torch.randn(2, 8)).shape == (2, 1, 16, 16)
    assert events[0].stage == "tiles"
    assert [e.done for e in trained(events)] == [1, 2, 3, 4, 5, 6]
    assert [e.done for e in events if e.stage == "encoder"] == ([1, 2, 3, 4] if encoder == "samples" else [])
    expected = ADVERSARIAL | ({"evidence"} if encoder == "evidence" else set())
    assert all(expected | {"learning rate", "steps per second", "waiting"} <= e.values.keys() for e in trained(events))
    assert all(math.isfinite(v) for e in events for v in e.values.values())
    assert [e.done for e in trained(events) if e.preview is not None] == [3, 6]
    assert events[-1].preview.samples.shape == events[-1].preview.real.shape == (16, 1, 16, 16)
    assert {"validation spectrum", "validation PSNR"} <= model.header.metrics.keys()
    assert TrainConfig(**yaml.safe_load((config.output / "config.yaml").read_text())) == config


def test_the_evidence_alone_trains_too(make_config):
    config = make_config(adversarial_weight=0.0)
    events = trained(train_steps(config))
    # A discriminator that was never trained is not handed on.
    assert load_model_file(config.output / "tiny.safetensors").discriminator is None
    assert all("evidence" in e.values and not ADVERSARIAL & e.values.keys() for e in events)


@pytest.mark.parametrize(
    ("fields", "prior"),
    [
        ({"architecture": COLOUR, "tiles": {"pose": "upright", "intensity": "absolute", "scale": 0}}, "uniform"),
        (
            {"architecture": COLOUR, "tiles": {"pose": "upright", "scale": 0}, "recipe": "wgan-gp", "critic_steps": 2},
            "normal",
        ),
        ({"tiles": {"pose": "upright", "intensity": "absolute", "scale": 0}, "recipe": "bce"}, "normal"),
    ],
    ids=["colour, absolute", "colour, template", "grey, absolute"],
)
def test_photographs_are_learnt_upright(make_config, photographs, fields, prior):
    channels = 3 if "architecture" in fields else 1
    data = {"kind": "folder", "path": photographs, "colour": channels == 3}
    config = make_config(data=data, pixel_size_nm=None, prior=prior, encoder="samples", **fields)
    model = load_model_file(drain(train_steps(config)))
    assert model.header.pose == "upright"
    assert model.header.prior == prior
    assert model.header.intensity == config.tiles.intensity
    assert model.pixel_size_nm is None
    assert model.render(torch.zeros(2, 8)).shape == (2, channels, 16, 16)
    assert "validation fringes" not in model.header.metrics
    # What the linear path was started from is drawn from the first moment.
    assert model.header.metrics["validation PSNR"] > 14


def test_channels_must_be_those_of_the_images(make_config, photographs):
    data = {"kind": "folder", "path": photographs, "colour": True}
    config = make_config(data=data, pixel_size_nm=None, tiles={"pose": "upright", "scale": 0}, encoder="none")
    with pytest.raises(GanDenoiseError, match="3 channel"):
        drain(train_steps(config))


@pytest.mark.slow
def test_training_lowers_the_evidence_loss(make_config):
    plain = Architecture(size=16, width=4, latent=8)  # no start from principal components, which is good already
    config = make_config(
        architecture=plain, steps=120, generator_rate=5e-3, adversarial_weight=0.0, checkpoint_every=120,
        validate_every=120, fresh=2,
    )  # fmt: skip
    losses = [event.values["evidence"] for event in trained(train_steps(config))]
    assert np.mean(losses[-20:]) < 0.7 * np.mean(losses[:10])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prior", "steps", "rate"), [pytest.param("normal", 300, 2e-3, marks=pytest.mark.slow), ("uniform", 150, 4e-3)]
)
def test_an_encoder_learns_from_samples_what_the_latents_were(make_config, prior, steps, rate):
    config = make_config(
        encoder="samples", prior=prior, encoder_steps=steps, batch=16, generator_rate=rate, dose=(500.0, 2000.0),
        checkpoint_every=400, validate_every=400, fresh=2,
    )  # fmt: skip
    losses = [event.values["encoder"] for event in train_steps(config) if event.stage == "encoder"]
    # Without looking at the tile the loss is half of one plus the logarithm of the prior's variance.
    blind = 0.5 * (1 + math.log(1 if prior == "normal" else 1 / 3))
    assert np.mean(losses[-30:]) < blind - 0.2


def test_a_model_is_validated_as_it_will_be_used(make_config):
    """In full precision, also when it was trained in half."""
    config = make_config(half_precision=True)
    model = load_model_file(drain(train_steps(config)))
    with closing(Supply(config, config.seed, torch.device("cpu"))) as supply:
        validation = Validation(config, supply.held_out(), supply.pixel_size_nm)
    found = validation.measure(model.generator, model.encoder)
    assert found["validation PSNR"] == pytest.approx(model.header.metrics["validation PSNR"], abs=1e-3)


def test_same_seed_same_model(make_config, tmp_path):
    one, two, other = (
        load_file(drain(train_steps(make_config(steps=3, output=tmp_path / name, seed=seed))))
        for name, seed in (("one", 1), ("two", 1), ("other", 2))
    )
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_training_leaves_the_random_numbers_of_others_alone(make_config):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    drain(train_steps(make_config()))
    assert torch.equal(torch.rand(1), expected)


def test_without_an_average_the_networks_themselves_are_exported(make_config):
    config = make_config(recipe="bce", encoder="none", generator_rate=1e-2)
    assert config.average == 0
    model = load_file(drain(train_steps(config)))
    live = load_file(Checkpoints(config.output, 1).path(6))["generator/layers.0.weight"]
    assert torch.equal(model["generator/layers.0.weight"], live.half())


# --- stop and resume ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("recipe", "encoder"),
    [
        ("stable", "samples"),
        pytest.param("stable", "evidence", marks=pytest.mark.slow),
        pytest.param("wgan-gp", "samples", marks=pytest.mark.slow),
        ("bce", "none"),
    ],
)
def test_an_interrupted_run_ends_bit_by_bit_where_an_uninterrupted_one_does(
    make_config, tmp_path, recipe, encoder, workers
):
    # 40 tiles to begin with: the pool is full after eight steps and forgets from then on.
    fields = {"recipe": recipe, "encoder": encoder, "steps": 19, "pool": 64, "fresh": 3, "workers": workers,
              "checkpoint_every": 7, "validate_every": 9, "batch": 4, "generator_rate": 1e-2, "critic_steps": 2,
              "half_precision": recipe == "stable",
              "architecture": Architecture(size=16, width=8, latent=1, principal=True)}  # fmt: skip
    whole = make_config(output=tmp_path / "whole", **fields)
    broken = make_config(output=tmp_path / "broken", **fields)
    expected = drain(train_steps(whole))
    assert run_until(broken, 3) == Checkpoints(broken.output, 2).path(3)
    steps = train_steps(broken, resume=True)
    for event in steps:  # closed between checkpoints: what came after step 14 is lost
        if event.stage == "train" and event.done == 17:
            break
    steps.close()
    assert checkpoint_steps(broken)[-1] == 14
    if encoder == "samples":
        assert run_until(broken, 20, resume=True) == Checkpoints(broken.output, 2).path(20)
    path = drain(train_steps(broken, resume=True))
    last = checkpoint_steps(whole)[-1]
    one, two = (load_file(Checkpoints(c.output, 2).path(last)) for c in (whole, broken))
    assert one.keys() == two.keys()
    assert [key for key in one if not torch.equal(one[key], two[key])] == []
    assert (whole.output / "history.csv").read_bytes() == (broken.output / "history.csv").read_bytes()
    one, two = load_file(expected), load_file(path)
    assert all(torch.equal(two[key], value) for key, value in one.items())


def test_a_finished_run_is_not_trained_over(make_config):
    config = make_config(steps=3)
    drain(train_steps(config))
    before = Checkpoints(config.output, 1).path(3).read_bytes()
    with pytest.raises(GanDenoiseError, match="already holds a run"):
        drain(train_steps(config))
    assert Checkpoints(config.output, 1).path(3).read_bytes() == before


@pytest.mark.parametrize("left", [None, b"the model of the checkpoint before"])
def test_a_run_killed_between_its_last_checkpoint_and_its_model_ends_when_resumed(make_config, left):
    config = make_config(steps=3, checkpoint_every=1)
    path = drain(train_steps(config))
    model, checkpoint = path.read_bytes(), Checkpoints(config.output, 1).path(3)
    before = checkpoint.read_bytes()
    path.unlink() if left is None else path.write_bytes(left)
    assert drain(train_steps(config, resume=True)) == path
    assert path.read_bytes() == model
    assert checkpoint.read_bytes() == before


def test_a_finished_run_can_be_made_longer(make_config):
    drain(train_steps(make_config(steps=3)))
    longer = make_config(steps=5)
    assert [event.done for event in trained(train_steps(longer, resume=True))] == [4, 5]
    assert [int(row["step"]) for row in history(longer)] == [1, 2, 3, 4, 5]


def test_a_run_stopped_before_its_first_step_leaves_nothing_to_resume(make_config):
    config = make_config()
    stop = threading.Event()
    stop.set()
    assert drain(train_steps(config, stop=stop)) == config.output
    assert [event.done for event in trained(train_steps(config))] == [1, 2, 3, 4, 5, 6]


def test_a_closed_run_writes_nothing_more(make_config):
    config = make_config(checkpoint_every=2, steps=50)
    steps = train_steps(config)
    for event in steps:
        if event.stage == "train" and event.done == 5:
            break
    steps.close()
    assert checkpoint_steps(config) == [2, 4]
    assert len(history(config)) == 4


def test_a_damaged_checkpoint_is_skipped_with_a_word(make_config):
    config = make_config(steps=9, checkpoint_every=3)
    drain(train_steps(config))
    newest = Checkpoints(config.output, 1).path(9)
    newest.write_bytes(newest.read_bytes()[:-100])
    events = list(train_steps(config, resume=True))
    assert "checkpoint-00000009.safetensors is damaged and was skipped; step 6 is resumed." in events[0].note
    assert [event.done for event in trained(events)] == [7, 8, 9]
    assert [int(row["step"]) for row in history(config)] == list(range(1, 10))


def test_checkpoints_that_are_all_damaged_are_named(make_config):
    config = make_config(steps=3)
    drain(train_steps(config))
    checkpoint = Checkpoints(config.output, 1).path(3)
    checkpoint.write_bytes(checkpoint.read_bytes()[:200])
    with pytest.raises(GanDenoiseError, match=r"checkpoint-00000003\.safetensors cannot be resumed: it is damaged"):
        drain(train_steps(config, resume=True))


def test_a_checkpoint_of_other_networks_is_named(make_config):
    drain(train_steps(make_config(steps=3)))
    wider = make_config(architecture=Architecture(size=16, width=8, latent=8, principal=True))
    with pytest.raises(GanDenoiseError, match="belongs to other networks"):
        drain(train_steps(wider, resume=True))


@pytest.mark.parametrize("recipe", ["stable", "bce"])
def test_a_run_that_diverges_says_so_and_keeps_its_last_checkpoint(make_config, recipe):
    drain(train_steps(make_config(steps=3, checkpoint_every=3, recipe=recipe)))
    wild = make_config(
        steps=200, checkpoint_every=1000, recipe=recipe, generator_rate=1e30, discriminator_rate=1e30, validate_every=10
    )
    good = r"diverged at step \d+; resume from .*checkpoint-00000003\.safetensors with lower learning rates"
    with pytest.raises(FloatingPointError, match=good):
        drain(train_steps(wild, resume=True))
    assert checkpoint_steps(wild) == [3]


def test_weights_that_are_no_numbers_never_reach_a_checkpoint(make_config):
    wild = make_config(steps=50, checkpoint_every=1, generator_rate=1e38, encoder="none", validate_every=1000)
    with pytest.raises(FloatingPointError, match="diverged at step"):
        drain(train_steps(wild))
    for path in Checkpoints(wild.output, 2).paths():
        assert all(value.isfinite().all() for value in load_file(path).values() if value.is_floating_point())


def test_a_set_with_nothing_left_to_train_on_is_refused(make_config):
    with pytest.raises(GanDenoiseError, match="24 images, of which 24 are held out"):
        drain(train_steps(make_config(held_out=24)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_named(make_config):
    with pytest.raises(GanDenoiseError, match="no CUDA device"):
        drain(train_steps(make_config(device="cuda")))


def test_the_config_travels_as_json(make_config):
    config = make_config()
    assert type(config).model_validate(json.loads(config.model_dump_json())) == config


# --- kill -9 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_9_at_random_moments_loses_nothing_but_steps(make_config, kills):
    config = make_config(steps=100_000, checkpoint_every=2, validate_every=50)
    code = (
        "import sys, torch; from napari_gandenoise import TrainConfig, train_steps\n"
        "torch.set_num_threads(1)\n"
        "for e in train_steps(TrainConfig.model_validate_json(sys.argv[1]), resume=True):\n"
        "    assert not e.note, e.note\n"
        "    if e.stage == 'train': print(e.done, flush=True)"
    )
    moments = random.Random(kills)
    reached = 0
    for _ in range(kills):
        command = [sys.executable, "-c", code, config.model_dump_json()]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        first = step = int(run.stdout.readline())
        assert first >= max(reached, 1), "more was lost than the steps since the last checkpoint"
        while step < first + 4:
            step = int(run.stdout.readline())
        time.sleep(moments.uniform(0.05, 0.6))  # somewhere among its many writes
        os.kill(run.pid, signal.SIGKILL)
        reached = int([step, *run.stdout.read().split()][-1]) // 2 * 2  # steps that are on the disk
        run.wait()
    assert reached > 2
    assert 1 <= len(checkpoint_steps(config)) <= 3  # a third one if the kill came before the oldest was removed
    end = checkpoint_steps(config)[-1] + 3
    events = list(train_steps(config.model_copy(update={"steps": end}), resume=True))
    assert not any(event.note for event in events), "a checkpoint was damaged"
    assert [int(row["step"]) for row in history(config)] == list(range(1, end + 1))
    assert load_model_file(config.output / "tiny.safetensors").header.training["step"] == end
