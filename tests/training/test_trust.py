"""What a run does with folders of others: another run, checkpoints that were changed, a disk that is full."""

from __future__ import annotations

import json
import os
import shutil
import sys

import pytest
import torch
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from napari_gandenoise import manifest as commands
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import load_model_file
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.cif import CifTrainConfig
from napari_gandenoise.settings.data import TileConfig
from napari_gandenoise.settings.networks import UNetArchitecture
from napari_gandenoise.settings.train import DirectTrainConfig
from napari_gandenoise.training import train_steps
from napari_gandenoise.training.checkpoint import Checkpoints, _digest
from napari_gandenoise.widgets.training.folder import read_run

PIXEL_NM = 0.0244


def change(path, *, without: str = "", sealed: bool = True, **about):
    """Write a checkpoint anew with other metadata, or without tensors of some kind, and with a right hash or not."""
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata()) | about
    tensors = {key: value for key, value in load_file(path).items() if not (without and key.startswith(without))}
    if sealed:
        metadata.pop("sha256", None)
        metadata["sha256"] = _digest(tensors, metadata)
    save_file(tensors, path, metadata=metadata)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of the run below, once it was trained."""
    return tmp_path_factory.mktemp("finished") / "run"


@pytest.fixture
def run(make_config, finished):
    """A run of three steps that is over: a copy of it."""
    config = make_config(steps=3, encoder="none")
    if not finished.exists():
        drain(train_steps(config))
        shutil.copytree(config.output, finished)
    else:
        shutil.copytree(finished, config.output)
    return config


@pytest.fixture
def checkpoint(run):
    return Checkpoints(run.output, 1).path(3)


@pytest.mark.skipif(sys.platform == "win32", reason="no locks")
def test_two_runs_cannot_work_in_one_folder(make_config):
    config = make_config(steps=3, encoder="none")
    steps = train_steps(config)
    next(steps)
    for resume in (False, True):
        with pytest.raises(GanDenoiseError, match="Another process works"):
            drain(train_steps(config, resume=resume))
    drain(steps)
    assert not [path.name for path in config.output.iterdir() if path.name.startswith(".")]
    assert len(list(train_steps(make_config(steps=4, encoder="none"), resume=True))) > 0


def test_another_seed_is_another_run(run, make_config):
    with pytest.raises(GanDenoiseError, match="began with the seed 0, not 7"):
        drain(train_steps(make_config(steps=5, encoder="none", seed=7), resume=True))


@pytest.mark.parametrize("without", ["random/", "random/added", "random/draws", "random/tiles", "generator/"])
def test_a_checkpoint_that_lacks_a_state_is_one_sentence(run, checkpoint, make_config, without):
    before = len(load_file(checkpoint))
    change(checkpoint, without=without)
    assert len(load_file(checkpoint)) < before
    with pytest.raises(GanDenoiseError, match="cannot be resumed"):
        drain(train_steps(make_config(steps=5, encoder="none"), resume=True))


@pytest.mark.parametrize(
    "about",
    [
        {"step": "4"}, {"step": "x"}, {"step": "9" * 5000}, {"seed": "-"}, {"groups": "["}, {"groups": "{}"},
        {"groups": '{"generator optimiser": 5}'}, {"version": "99"},
    ],
)  # fmt: skip
def test_a_checkpoint_with_other_metadata_is_one_sentence(checkpoint, make_config, about):
    change(checkpoint, **about)
    with pytest.raises(GanDenoiseError, match="cannot be resumed") as error:
        drain(train_steps(make_config(steps=5, encoder="none"), resume=True))
    assert len(str(error.value)) < 400


def test_settings_of_an_optimiser_are_numbers(checkpoint, make_config):
    with safe_open(checkpoint, framework="pt") as file:
        groups = json.loads(file.metadata()["groups"])
    name = next(iter(groups))
    for value in ("fast", None, [1], float("inf")):
        groups[name][0]["lr"] = value
        change(checkpoint, groups=json.dumps(groups))
        with pytest.raises(GanDenoiseError, match="cannot be resumed"):
            drain(train_steps(make_config(steps=5, encoder="none"), resume=True))


def test_one_changed_bit_is_found(checkpoint, make_config):
    content = bytearray(checkpoint.read_bytes())
    content[-5] ^= 1
    checkpoint.write_bytes(content)
    with pytest.raises(GanDenoiseError, match="it is damaged"):
        drain(train_steps(make_config(steps=5, encoder="none"), resume=True))


def test_other_numbers_of_fresh_tiles_are_one_sentence(run, make_config):
    with pytest.raises(GanDenoiseError, match="fresh tiles a step as before"):
        drain(train_steps(make_config(steps=5, encoder="none", fresh=3), resume=True))


@pytest.mark.parametrize("size", [0, 300, 20_000])
def test_a_full_disk_is_one_sentence_and_the_run_goes_on_when_there_is_room(make_config, tmp_path, size, little_room):
    config = make_config(steps=6, encoder="none")
    whole = config.model_copy(update={"output": tmp_path / "whole"})
    drain(train_steps(whole))
    steps = train_steps(config)
    for event in steps:
        if event.stage == "train" and event.done == 4:
            break
    before = Checkpoints(config.output, 2).path(3).read_bytes()
    with (
        little_room(size),
        pytest.raises(GanDenoiseError, match=r"could not be written: .*; put that right and resume"),
    ):
        drain(steps)
    assert Checkpoints(config.output, 2).path(3).read_bytes() == before
    assert not [path for path in config.output.iterdir() if path.name.startswith(".")]
    drain(train_steps(config, resume=True))
    made, expected = (load_file(one.output / "tiny.safetensors") for one in (config, whole))
    assert all(torch.equal(made[key], value) for key, value in expected.items())


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a folder that nobody can write to, root neither")
def test_a_folder_that_cannot_be_written_to_is_found_before_the_work(make_config):
    with pytest.raises(GanDenoiseError, match="Nothing can be written to /proc"):
        next(train_steps(make_config(output="/proc/run")))


def test_a_run_does_not_replace_the_model_that_it_begins_with(fringe_set, tmp_path, write_direct_model):
    path = write_direct_model(tmp_path, "begun", pixel_size_nm=PIXEL_NM)
    before = path.read_bytes()
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    for folder in (tmp_path, tmp_path / "link"):
        config = DirectTrainConfig(
            name="begun",
            output=folder,
            data={"kind": "simulated", "path": fringe_set},
            start=str(path),
            device="cpu",
            architecture=UNetArchitecture(size=16, widths=(4, 4), conditions=("strength",)),
            tiles=TileConfig(pose="upright", scale=0, intensity="standard"),
        )
        with pytest.raises(GanDenoiseError, match="is the input itself"):
            drain(train_steps(config))
    assert path.read_bytes() == before


NAMES = ("../evil", "Pt/CeO2", "..\\evil", "a\0", "..", "", "x\n", "é" * 101)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_a_model_is_no_path(make_config, name):
    with pytest.raises(ValidationError, match="name"):
        make_config(name=name)
    with pytest.raises(ValidationError, match="name"):
        CifTrainConfig(cif="a.cif", name=name)
    with pytest.raises(GanDenoiseError, match="name"):
        commands.train({"name": name, "output": "out", "data": {"kind": "simulated", "path": "x"}})


@pytest.mark.parametrize("name", ["Pt on CeO2", "gold-2.1", "é" * 80, "золото"])
def test_a_name_that_a_file_can_have_stays(make_config, name):
    assert make_config(name=name).name == name


def test_an_output_that_is_empty_is_not_this_folder(make_config):
    with pytest.raises(ValidationError, match="empty"):
        make_config(output="")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_named_pipes_in_a_run_folder_keep_nobody_waiting(run, checkpoint):
    for name in ("checkpoint-00000009.safetensors", "preview.npz"):
        os.mkfifo(run.output / name)
    (run.output / "history.csv").unlink()
    os.mkfifo(run.output / "history.csv")
    assert Checkpoints(run.output, 1).paths() == [checkpoint]
    found = read_run(run.output)
    assert (found.step, found.history, found.preview()) == (3, [], None)
    longer = run.model_copy(update={"steps": 4})
    drain(train_steps(longer, resume=True))
    assert load_model_file(run.output / "tiny.safetensors").header.training["step"] == 4
