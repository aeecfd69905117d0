"""Runs that train direct denoisers: every recipe and network, stop and resume, and that something is learnt."""

from __future__ import annotations

import csv
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_gandenoise.datasets.tiles import Tiles
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import DirectModel, load_model_file
from napari_gandenoise.models.verification import verify_model
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.train import DirectTrainConfig, TrainConfig, read_training
from napari_gandenoise.training import train_steps
from napari_gandenoise.training.checkpoint import Checkpoints
from napari_gandenoise.training.clock import Clock
from napari_gandenoise.training.direct.exposure import Exposure, Pairs
from napari_gandenoise.training.direct.objectives import likelihood_loss, pixel_loss
from napari_gandenoise.training.direct.programme import DirectProgramme
from napari_gandenoise.training.distributed import Ranks
from napari_gandenoise.training.draws import Draws
from napari_gandenoise.training.supply import Supply

NETWORKS = {
    "unet": {"kind": "unet", "size": 24, "channels": 3, "widths": (6, 8)},
    "encoder-decoder": {"kind": "encoder-decoder", "size": 24, "channels": 3, "width": 4},
    "autoencoder": {"kind": "autoencoder", "size": 24, "channels": 3, "filters": (6, 6, 4), "latent": 40},
}
RECIPES = {
    "supervised": {"kind": "supervised"},
    "restoration-gan": {"kind": "restoration-gan", "share": 0.5, "critic_width": 4},
    "wgan-gp": {"kind": "wgan-gp", "critic_width": 4, "critic_steps": 2},
    "autoencoder-gan": {"kind": "autoencoder-gan", "pretraining": 3, "judge_pretraining": 2, "judge_width": 4},
}
# Each network and each recipe; the other pairs take as long again and tell little more.
PAIRS = [
    pytest.param(network, recipe, marks=() if network == "unet" or recipe == "supervised" else pytest.mark.slow)
    for recipe in RECIPES
    for network in NETWORKS
]
HELD_OUT = 2
# Two held-out images are a step each of the test.
LENGTH = dict.fromkeys(RECIPES, 6 + HELD_OUT) | {"autoencoder-gan": 3 + 2 + 6 + HELD_OUT}


@pytest.fixture
def make_direct(photographs, tmp_path):
    """Config of a run of seconds: ``make_direct("unet", "supervised", steps=5)``."""

    def make(network: str = "unet", loss: str = "supervised", **fields) -> DirectTrainConfig:
        tiny = {
            "name": "direct", "output": tmp_path / "run",
            "data": {"kind": "folder", "path": photographs, "colour": True},
            "tiles": {"pose": "upright", "intensity": "absolute", "scale": 0.0}, "held_out": HELD_OUT, "device": "cpu",
            "half_precision": False, "architecture": NETWORKS[network], "recipe": RECIPES[loss], "steps": 6,
            "batch": 4, "pool": 64, "fresh": 8, "checkpoint_every": 3, "validate_every": 3,
        }  # fmt: skip
        return DirectTrainConfig.model_validate({**tiny, **fields})

    return make


@pytest.fixture
def make_micrographs(fringe_set, make_direct):
    """The same for micrographs, which are exposed to Poisson counts."""

    def make(**fields) -> DirectTrainConfig:
        grey = {
            "data": {"kind": "simulated", "path": fringe_set}, "pixel_size_nm": 0.0244, "dose": (5.0, 50.0),
            "tiles": {"pose": "upright", "intensity": "template", "scale": 0.1},
            "architecture": {"kind": "unet", "size": 16, "widths": (8, 12)},
        }  # fmt: skip
        return make_direct(**{**grey, **fields})

    return make


def history(config) -> list[dict[str, str]]:
    with (config.output / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("network", "recipe"), PAIRS)
def test_a_run_writes_a_model_that_loads(make_direct, network, recipe):
    config = make_direct(network, recipe)
    events = list(train_steps(config))
    model = load_model_file(config.output / "direct.safetensors")
    assert isinstance(model, DirectModel)
    verify_model(model)
    assert model.header.training["step"] == LENGTH[recipe]
    assert model.header.strength == config.noise.strength
    assert events[-1].stage == "test"
    assert {"validation PSNR", "validation PSNR, noisy", "test PSNR"} == model.header.metrics.keys()
    tested = [float(row["PSNR"]) for row in history(config) if row["PSNR"]]
    assert len(tested) == HELD_OUT
    assert model.header.metrics["test PSNR"] == pytest.approx(np.mean(tested), rel=1e-5)
    assert events[-1].preview.samples.shape == events[-1].preview.real.shape == (16, 3, 24, 24)
    assert len(history(config)) == LENGTH[recipe]


@pytest.mark.parametrize(
    "recipe", [pytest.param(recipe, marks=pytest.mark.slow if "-gp" in recipe else ()) for recipe in RECIPES]
)
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(make_direct, tmp_path, recipe):
    whole = make_direct("encoder-decoder", recipe, output=tmp_path / "whole")
    drain(train_steps(whole))
    config = make_direct("encoder-decoder", recipe, output=tmp_path / "parts")
    while not (resumed := Checkpoints(config.output, 9).paths()) or int(resumed[-1].stem[-4:]) < LENGTH[recipe]:
        stop, taken = threading.Event(), 0
        for event in train_steps(config, resume=True, stop=stop):
            taken += "loss" in event.values or bool(event.values)
            if taken == 4:
                stop.set()
    for name in ("network", "mean_network"):
        first, second = (load_file(Checkpoints(c.output, 9).paths()[-1]) for c in (whole, config))
        keys = [key for key in first if key.startswith(f"{name}/")]
        assert keys
        assert all(torch.equal(first[key], second[key]) for key in keys)


def test_a_test_that_was_interrupted_counts_all_images(make_direct, tmp_path):
    whole, config = make_direct(output=tmp_path / "whole"), make_direct(output=tmp_path / "parts")
    stop = threading.Event()
    for event in train_steps(config, stop=stop):
        if event.stage == "test":
            stop.set()
    assert Checkpoints(config.output, 9).paths()[-1].stem.endswith("7")
    paths = drain(train_steps(whole)), drain(train_steps(config, resume=True))
    metrics = [load_model_file(path).header.metrics for path in paths]
    assert metrics[0] == metrics[1]


def test_a_run_starts_from_the_weights_of_another_model(make_direct, tmp_path):
    trained = drain(train_steps(make_direct()))
    # A rate so small that nothing changes.
    still = make_direct(start=trained, steps=1, rate=1e-30, output=tmp_path / "still")
    before, after = (load_model_file(path).network.state_dict() for path in (trained, drain(train_steps(still))))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_run_refuses_to_start_from_another_network(make_direct, tmp_path):
    trained = drain(train_steps(make_direct("encoder-decoder")))
    with pytest.raises(GanDenoiseError, match="another network"):
        drain(train_steps(make_direct(start=trained, output=tmp_path / "other")))


@pytest.mark.slow
@pytest.mark.parametrize("loss", [pytest.param("mse", marks=pytest.mark.slow), "poisson"])
def test_a_short_run_learns_to_denoise_micrographs(make_micrographs, loss):
    config = make_micrographs(
        recipe={"kind": "supervised", "loss": loss}, steps=150, batch=8, rate=5e-3, average=0.9, validate_every=150,
        checkpoint_every=150, fresh=2,
    )  # fmt: skip
    last = list(train_steps(config))[-1]
    assert last.values["validation PSNR"] > last.values["validation PSNR, noisy"] + 1
    model = load_model_file(config.output / "direct.safetensors")
    assert model.header.strength == pytest.approx((50**-0.5, 5**-0.5))
    assert model.pixel_size_nm == 0.0244


@pytest.mark.slow  # the compiler takes its time
def test_a_compiled_run_takes_the_same_steps(make_micrographs, tmp_path):
    runs = {
        compiled: make_micrographs(compiled=compiled, steps=3, output=tmp_path / str(compiled))
        for compiled in (False, True)
    }
    plain, compiled = (load_model_file(drain(train_steps(config))).network.state_dict() for config in runs.values())
    assert plain.keys() == compiled.keys()
    assert all(torch.allclose(plain[name], compiled[name], atol=1e-3) for name in plain)


def test_counts_are_seen_relative_to_a_level(make_micrographs):
    config = make_micrographs(dose=(9.0, 9.0))
    tiles = Tiles(torch.zeros(400, 1, 16, 16), torch.full((400, 1, 1, 1), 1.0), torch.full((400, 1, 1, 1), 0.2))
    pairs = Exposure(config, Draws(0, torch.device("cpu"))).expose(tiles)
    # A flat tile: the clean value is its dose over the level, the noise as strong as that of the level.
    assert pairs.clean.mean() == pytest.approx(1.0, abs=0.1)
    noise = (pairs.noisy - pairs.clean).square().mean(dim=(1, 2, 3))
    expected = pairs.strength.square().flatten() * pairs.clean.mean(dim=(1, 2, 3))
    assert noise.mean() == pytest.approx(float(expected.mean()), rel=0.03)
    assert pairs.strength.min() < 1 / 3 < pairs.strength.max()


@pytest.mark.parametrize("loss", [pixel_loss, likelihood_loss])
def test_losses_are_least_at_the_truth(loss):
    generator = torch.Generator().manual_seed(0)
    clean = 0.5 + torch.rand(4, 1, 8, 8, generator=generator)
    strength = torch.full((4, 1, 1, 1), 0.3)
    pairs = Pairs(clean, clean, strength, torch.zeros_like(strength), torch.ones(4, 2))
    best = loss(clean, pairs)
    assert best == pytest.approx(0.0, abs=1e-6)
    for off in (-0.4, -0.1, 0.1, 0.4, -3.0):
        assert loss(clean + off, pairs) > best + 1e-3


def test_the_poisson_loss_draws_rates_back_from_below_zero():
    clean = torch.ones(1, 1, 4, 4)
    found = torch.full_like(clean, -0.5).requires_grad_(True)
    strength = torch.full((1, 1, 1, 1), 0.3)
    (gradient,) = torch.autograd.grad(
        likelihood_loss(found, Pairs(clean, clean, strength, strength, torch.ones(1, 2))), found
    )
    assert (gradient < 0).all()


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"tiles": {"pose": "oriented"}, "architecture": {"kind": "unet", "size": 16}}, "as they lie"),
        ({"recipe": {"kind": "supervised", "loss": "poisson"}}, "for micrographs"),
        ({"architecture": {"kind": "unet", "size": 24, "widths": [4, 4, 4, 4]}}, "multiple of 16"),
        ({"noise": {"kinds": []}}, "kinds"),
        ({"noise": {"kinds": ["hum"]}}, "gaussian"),
        ({"architecture": {"kind": "unet", "layers": 3}}, "layers"),
        ({"recipe": {"kind": "magic"}}, "supervised"),
        ({"recipe": {"kind": "restoration-gan"}, "architecture": {"kind": "unet", "size": 16}}, "24 pixels"),
        (
            {"recipe": {"kind": "wgan-gp"}, "architecture": {"kind": "unet", "conditions": ["estimated"]}},
            "supervised and",
        ),
        ({"architecture": {"kind": "unet", "conditions": ["estimated", "strength"]}}, "one of the two"),
        ({"architecture": {"kind": "encoder-decoder", "conditions": ["estimated"]}}, "conditions"),
        ({"dose": [3, 1]}, "smaller first"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(make_direct, fields, match):
    given = {**make_direct().model_dump(mode="json"), **fields}
    with pytest.raises(GanDenoiseError, match=match) as caught:
        read_training(given)
    assert "\n" not in str(caught.value)


def test_the_architecture_tells_what_is_trained(make_direct, make_config):
    assert isinstance(read_training(make_direct().model_dump(mode="json")), DirectTrainConfig)
    assert isinstance(read_training(make_config().model_dump(mode="json")), TrainConfig)


def test_images_with_other_channels_are_refused(make_direct):
    config = make_direct(architecture={**NETWORKS["unet"], "channels": 1})
    with pytest.raises(GanDenoiseError, match="3 channel"):
        drain(train_steps(config))


def test_the_truncated_score_is_what_the_critic_learns_from(make_direct):
    config = make_direct("unet", "wgan-gp", recipe={**RECIPES["wgan-gp"], "truncation": 1e-3, "penalty": 0.0})
    losses = [float(row["critic"]) for row in (drain(train_steps(config)), history(config))[1] if row["critic"]]
    assert np.abs(losses).max() <= 2e-3 + 1e-9


def stage_of(config, number: int):
    """A stage of a run that has not begun, with the parts that it trains."""
    draws = Draws(config.seed, torch.device("cpu"))
    supply = Supply(config, config.seed, draws.device)
    drain(supply.fill_steps())
    programme = DirectProgramme(config, supply, draws, Clock(), Ranks())
    return list(programme.stages())[number], programme


def test_a_critic_without_a_say_changes_nothing(make_direct):
    architecture = {"kind": "unet", "size": 24, "channels": 3, "widths": (6, 8), "conditions": ("estimated",)}
    recipe = {**RECIPES["restoration-gan"], "rate": 0.1, "adversarial": 0.0}
    plain, _ = stage_of(make_direct(architecture=architecture, rate=0.1), 0)
    judged, _ = stage_of(make_direct(architecture=architecture, recipe=recipe, rate=0.1), 1)
    values = [stage.update(0) for stage in (plain, judged)]
    assert values[0]["loss"] == values[1]["loss"]
    for first, second in zip(plain.own.network.parameters(), judged.own.network.parameters(), strict=True):
        assert torch.allclose(first, second, atol=1e-6)


def test_the_critic_has_the_say_that_the_recipe_gives_it(make_direct):
    judged, _ = stage_of(make_direct(recipe=RECIPES["restoration-gan"]), 1)
    seen = []
    judged.own.step = lambda loss, *_: seen.append(loss)
    image = torch.rand(2, 3, 24, 24, requires_grad=True)
    strength = torch.full((2, 1, 1, 1), 0.1)
    pairs = Pairs(torch.rand(2, 3, 24, 24), torch.rand(2, 3, 24, 24), strength, 0 * strength, torch.ones(2, 2))
    judged.own.pairs = lambda: pairs
    judged.own.clean_and_estimate = lambda _: (image, None)
    judged.update(0)
    (taken,) = torch.autograd.grad(seen[0], image)
    (pixel,) = torch.autograd.grad(pixel_loss(image, pairs), image)
    lengths = [part.square().sum(dim=(1, 2, 3)).sqrt() for part in (taken - pixel, pixel)]
    assert torch.allclose(lengths[0], judged.recipe.adversarial * lengths[1], rtol=1e-4)


def test_a_run_of_so_many_seconds_ends_with_its_schedule(make_direct, hurried_clock):
    # Every look at the clock is a minute after the last: three of them to a step.
    config = make_direct(loss="restoration-gan", seconds=4000.0, steps=2, checkpoint_every=1000, validate_every=1000)
    events = [event for event in train_steps(config) if event.values]
    stages = {name: [e for e in events if e.stage == name] for name in ("train", "adversarial", "test")}
    assert len(stages["train"]) > 5
    assert len(stages["adversarial"]) > 5
    assert len(stages["test"]) == HELD_OUT
    # The critic's share of the seconds is a half.
    assert len(stages["train"]) == pytest.approx(len(stages["adversarial"]), abs=3)
    for name in ("train", "adversarial"):
        last = stages[name][-1]
        assert last.done == last.total == len(stages[name])
    rates = [event.values["learning rate"] for event in stages["train"]]
    # Rising as always, times a cosine of the share of the time: half of it is left in the middle.
    middle = len(rates) // 2
    assert rates[middle] == pytest.approx(config.rate * (middle + 1) / 200 / 2, rel=0.2)
    assert rates[-1] < 0.2 * rates[middle]


def test_a_run_of_so_many_seconds_goes_on_with_those_that_are_left(make_direct, hurried_clock):
    config = make_direct(seconds=4000.0, checkpoint_every=1000, validate_every=1000)
    stop, taken = threading.Event(), 0
    for event in train_steps(config, stop=stop):
        taken += bool(event.values)
        if taken == 8:
            stop.set()
    rest = [event for event in train_steps(config, resume=True) if event.stage == "train"]
    whole = [
        event
        for event in train_steps(config.model_copy(update={"output": config.output / "whole"}))
        if event.stage == "train"
    ]
    assert 0 < len(rest) < len(whole) - 6
    assert rest[-1].done == rest[-1].total


@pytest.mark.slow
def test_an_estimate_of_the_noise_is_learnt(make_direct):
    architecture = {"kind": "unet", "size": 24, "channels": 3, "widths": (6, 8), "conditions": ("estimated",)}
    noise = {"kinds": ["gaussian"], "strength": [0.02, 0.5]}
    config = make_direct(
        architecture=architecture, noise=noise, batch=8, fresh=2, steps=120, rate=1e-2, validate_every=120,
        checkpoint_every=120,
    )  # fmt: skip
    events = [event.values["estimate"] for event in train_steps(config) if event.stage == "train"]
    # Strengths of a factor of 25: a guess without a look is off by a factor of e^0.75 in the mean.
    assert np.mean(events[-20:]) < 0.35 < np.mean(events[:5])
