"""Runs on images that are made while they train, recorded as cameras and scans do."""

from __future__ import annotations

import threading

import pytest
import torch
from safetensors.torch import load_file

from napari_gandenoise.datasets.tiles import normalise
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import load_model_file
from napari_gandenoise.models.standard import image_levels
from napari_gandenoise.models.verification import verify_model
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.train import DirectTrainConfig
from napari_gandenoise.training import train_steps
from napari_gandenoise.training.checkpoint import Checkpoints
from napari_gandenoise.training.direct.exposure import Exposure
from napari_gandenoise.training.draws import Draws
from napari_gandenoise.training.supply import Supply

CPU = torch.device("cpu")
LENGTH = 6 + 2


@pytest.fixture
def make_run(tmp_path):
    """Config of a run of seconds on scenes: ``make_run(steps=5)``."""

    def make(**fields) -> DirectTrainConfig:
        tiny = {
            "name": "any", "output": tmp_path / "run", "data": {"kind": "modes", "side": 64, "together": 4},
            "tiles": {"pose": "upright", "intensity": "standard", "scale": 0.1, "quarter_turns": True},
            "architecture": {
                "kind": "unet", "size": 24, "widths": (6, 8), "conditions": ("estimated",), "estimator": 4,
            },
            "recipe": {"kind": "restoration-gan", "share": 0.5, "critic_width": 4}, "held_out": 2, "device": "cpu",
            "half_precision": False, "steps": 6, "batch": 4, "pool": 64, "fresh": 3, "checkpoint_every": 3,
            "validate_every": 3,
        }  # fmt: skip
        return DirectTrainConfig.model_validate({**tiny, **fields})

    return make


def test_a_run_writes_a_model_of_any_micrograph(make_run):
    path = drain(train_steps(make_run()))
    model = load_model_file(path)
    assert (model.header.intensity, model.pixel_size_nm) == ("standard", None)
    assert model.header.training["step"] == LENGTH
    assert {"validation PSNR", "validation PSNR, noisy", "test PSNR"} == model.header.metrics.keys()
    verify_model(model)


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(make_run, tmp_path):
    whole, config = make_run(output=tmp_path / "whole"), make_run(output=tmp_path / "parts")
    drain(train_steps(whole))
    while not (resumed := Checkpoints(config.output, 9).paths()) or int(resumed[-1].stem[-4:]) < LENGTH:
        stop, taken = threading.Event(), 0
        for event in train_steps(config, resume=True, stop=stop):
            taken += bool(event.values)
            if taken == 4:
                stop.set()
    first, second = (load_file(Checkpoints(c.output, 9).paths()[-1]) for c in (whole, config))
    assert first.keys() == second.keys()
    for name in ("network", "mean_network", "judge"):
        keys = [key for key in first if key.startswith(f"{name}/")]
        assert keys
        assert all(torch.equal(first[key], second[key]) for key in keys)


def test_tiles_are_seen_relative_to_levels_like_those_of_a_frame(make_run, monkeypatch):
    config = make_run(architecture={"kind": "unet", "size": 48, "widths": (6, 8)}, data={"kind": "modes", "side": 80})
    supply = Supply(config, 0, CPU)
    monkeypatch.setattr("napari_gandenoise.training.supply.HELD_OUT", 64)
    tiles = supply.held_out()
    assert tiles.template.shape[-1] == 48 + 2 * config.acquisition.cut
    pairs = Exposure(config, Draws(0, CPU)).expose(tiles)
    assert pairs.noisy.shape == pairs.clean.shape == (64, 1, 48, 48)
    assert pairs.strength.shape == (64, 1, 48, 48)
    centre, scale = (part.flatten() for part in image_levels(pairs.noisy))
    # Off by as much as a tile's levels are off a frame's: half a scale, and a factor between 0.7 and 2.
    assert (centre.abs() <= 0.5 * scale + 1e-3).all()
    assert 1 / 2 - 1e-3 <= scale.min() < 0.7 < 1.2 < scale.max() <= 1 / 0.7 + 1e-3


def test_the_strength_is_that_of_the_noise(make_run):
    # Nothing but counting and reading: what is told is what there is.
    acquisition = {"effects": 0.0, "eight_bits": 0.0, "read_noise": [0.05, 0.2]}
    config = make_run(acquisition=acquisition, architecture={"kind": "unet", "size": 64, "widths": (6, 8)})
    even = torch.full((200, 1, config.drawn_size, config.drawn_size), 0.5)
    pairs = Exposure(config, Draws(0, CPU)).expose(normalise(even, config.tiles))
    ratio = (pairs.noisy - pairs.clean).square().mean(dim=(1, 2, 3)) / pairs.strength.square().mean(dim=(1, 2, 3))
    assert ratio.mean() == pytest.approx(1.0, abs=0.02)


def test_colours_need_a_network_for_them(make_run):
    with pytest.raises(GanDenoiseError, match="3 channel"):
        drain(train_steps(make_run(data={"kind": "modes", "colour": True, "side": 64})))


def test_tiles_that_images_are_too_small_for_are_refused(make_run):
    with pytest.raises(GanDenoiseError, match=r"data\.side to 44"):
        drain(train_steps(make_run(data={"kind": "modes", "side": 40})))
