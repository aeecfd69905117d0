"""Ledgers and checkpoints that were damaged or forged: a right result or one sentence, nothing outside the folder."""

from __future__ import annotations

import json
import shutil
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.attack.jobs.attacking import digest, one_sentence

from napari_gandenoise.batching import LEDGER, batch, batch_steps
from napari_gandenoise.batching.failures import ERRORS
from napari_gandenoise.batching.ledger import SEAL, _sealed
from napari_gandenoise.progress import drain
from napari_gandenoise.training import train_steps
from napari_gandenoise.training.checkpoint import Checkpoints, _digest
from napari_gandenoise.widgets.training.folder import read_run

pytestmark = pytest.mark.slow
RESULT = "movie-denoised.ome.tif"
STRANGE = (
    None, True, -1, 0, 1, 2, 10**12, 10**400, 1.5, float("nan"), "", "x", "..", "../x", "/tmp/x", "a\0b", "\udcff",
    "é" * 300, [], {}, [[]], {"kind": "poisson", "gain": -1},
)  # fmt: skip


def damaged(content: bytes, chance) -> bytes:
    """Change some bytes, cut, repeat or remove a part, or exchange two lines."""
    where, length = chance.randrange(len(content)), chance.choice((1, 1, 2, 8, 64))
    part = content[where : where + length]
    match chance.randrange(7):
        case 0:
            changed = bytes(chance.randrange(256) for _ in part)
        case 1:
            changed = bytes(byte ^ 1 << chance.randrange(8) for byte in part)
        case 2:
            return content[:where]
        case 3:
            changed = b""
        case 4:
            changed = part + part
        case 5:
            changed = bytes(chance.choice(b'0123456789{}[]":,-.e\n') for _ in part)
        case _:
            lines = content.splitlines(keepends=True)
            chance.shuffle(lines)
            return b"".join(lines)
    return content[:where] + changed + content[where + length :]


def places(value, path=()):
    """Yield the way to each part of a value."""
    if path:
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def forged(content: bytes, chance) -> bytes:
    """Put something strange into a line of a ledger, or take something out, and make all checks right."""
    lines = [json.loads(line.rpartition(SEAL)[0] + b"}") for line in content.splitlines()]
    line = chance.choice(lines)
    *way, last = chance.choice(list(places(line)))
    inner = line
    for key in way:
        inner = inner[key]
    if chance.random() < 0.2:
        del inner[last]
    elif isinstance(inner, dict) and chance.random() < 0.1:
        inner[str(chance.choice(STRANGE))] = inner.pop(last)
    else:
        inner[last] = chance.choice(STRANGE)
    text, check = b"", 0
    for one in lines:
        sealed, check = _sealed(one, check)
        text += sealed
    return text


@pytest.fixture
def house(tmp_path, movie, settings):
    """A folder with a movie, a file that is nobody's business, and a job that was stopped after three frames."""
    shutil.copyfile(movie, tmp_path / "movie.tif")
    (tmp_path / "victim.ome.tif").write_bytes(b"mine")
    steps, done = batch_steps(inputs=tmp_path / "movie.tif", output=tmp_path / "job", settings=settings), 0
    while done < 3:
        done += next(steps).preview is not None
    steps.close()
    batch(inputs=tmp_path / "movie.tif", output=tmp_path / "whole", settings=settings)
    return tmp_path


def attack_ledger(house: Path, ledger: bytes) -> None:
    """Resume a job with a ledger, and see that nothing else was touched."""
    shutil.rmtree(house / "attacked", ignore_errors=True)
    shutil.copytree(house / "job", house / "attacked")
    (house / "attacked" / LEDGER).write_bytes(ledger)
    before = {path: state for path, state in digest(house).items() if not path.startswith("attacked/")}
    with one_sentence():
        batch(output=house / "attacked", resume=True)
    assert before == {path: state for path, state in digest(house).items() if not path.startswith("attacked/")}


def test_a_damaged_ledger_gives_a_right_result_or_a_sentence(house, mutations, chance):
    whole = (house / "job" / LEDGER).read_bytes()
    expected = (house / "whole" / RESULT).read_bytes()
    through = 0
    for _ in range(mutations // 2):
        attack_ledger(house, damaged(whole, chance))
        result = house / "attacked" / RESULT
        through += result.exists()
        assert not result.exists() or result.read_bytes() == expected
        assert not (house / "attacked" / ERRORS).exists()
    assert through < mutations // 2


def test_a_forged_ledger_costs_nothing_but_its_own_results(house, mutations, chance):
    whole = (house / "job" / LEDGER).read_bytes()
    for _ in range(mutations // 4):
        attack_ledger(house, forged(whole, chance))


def stopped_run(config):
    """Train two steps of a run."""
    with closing(train_steps(config)) as steps:
        next(event for event in steps if (event.stage, event.done) == ("train", 2))
    return config


def test_a_damaged_checkpoint_gives_the_same_run_or_a_sentence(tmp_path, make_run, mutations, chance):
    drain(train_steps(make_run(tmp_path / "whole", steps=3)))
    whole = load_file(tmp_path / "whole" / "tiny.safetensors")
    begun = stopped_run(make_run(tmp_path / "begun", steps=3))
    for _ in range(mutations // 8):
        folder = tmp_path / "attacked"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(begun.output, folder)
        for path in Checkpoints(folder, 9).paths():
            if chance.random() < 0.7:
                path.write_bytes(damaged(path.read_bytes(), chance))
        with one_sentence():
            drain(train_steps(make_run(folder, steps=3), resume=True))
            made = load_file(folder / "tiny.safetensors")
            assert all(torch.equal(made[key], value) for key, value in whole.items())


def test_a_damaged_run_folder_gives_the_same_run_or_a_sentence(tmp_path, make_run, mutations, chance):
    drain(train_steps(make_run(tmp_path / "whole", steps=3)))
    whole = load_file(tmp_path / "whole" / "tiny.safetensors")
    begun = stopped_run(make_run(tmp_path / "begun", steps=3))
    np.savez_compressed(begun.output / "preview.npz", samples=np.zeros((4, 1, 16, 16)), real=np.zeros((4, 1, 16, 16)))
    names = ("config.yaml", "history.csv", "preview.npz")
    for _ in range(mutations // 8):
        folder = tmp_path / "attacked"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(begun.output, folder)
        path = folder / chance.choice(names)
        path.write_bytes(damaged(path.read_bytes(), chance))
        with one_sentence():
            read_run(folder).preview()
        with one_sentence():
            drain(train_steps(make_run(folder, steps=3), resume=True))
            made = load_file(folder / "tiny.safetensors")
            assert all(torch.equal(made[key], value) for key, value in whole.items())


def test_a_preview_that_unpacks_to_far_more_than_is_stored_is_left_alone(tmp_path, make_run):
    begun = stopped_run(make_run(tmp_path / "begun", steps=3))
    with zipfile.ZipFile(begun.output / "preview.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name in ("samples", "real"):
            with packed.open(f"{name}.npy", "w") as file:
                about = {"descr": "|u1", "fortran_order": False, "shape": (30, 10**7)}
                np.lib.format.write_array_header_1_0(file, about)
                for _ in range(30):
                    file.write(bytes(10**7))
    assert read_run(begun.output).preview() is None


def test_a_forged_checkpoint_is_one_sentence(tmp_path, make_run, mutations, chance):
    begun = stopped_run(make_run(tmp_path / "begun", steps=3))
    original = Checkpoints(begun.output, 9).path(2)
    for _ in range(mutations // 8):
        folder = tmp_path / "attacked"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(begun.output, folder)
        path = Checkpoints(folder, 9).path(2)
        with safe_open(original, framework="pt") as file:
            about = {key: value for key, value in file.metadata().items() if key != "sha256"}
        tensors = load_file(original)
        key = chance.choice(list(tensors))
        match chance.randrange(5):
            case 0:
                del tensors[key]
            case 1:
                tensors[key] = torch.zeros(3)
            case 2:
                tensors[key] = tensors[key].to(torch.float64)
            case 3:
                tensors[f"{key}x"] = tensors.pop(key)
            case _:
                groups = json.loads(about["groups"])
                *way, last = chance.choice(list(places(groups)))
                inner = groups
                for step in way:
                    inner = inner[step]
                inner[last] = chance.choice(STRANGE)
                about["groups"] = json.dumps(groups)
        save_file(tensors, path, metadata={**about, "sha256": _digest(tensors, about)})
        with one_sentence():
            drain(train_steps(make_run(folder, steps=3), resume=True))
