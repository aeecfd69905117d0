"""Mutated model files: never code, never much memory, and what opens can be tried."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from safetensors.torch import load_file, save_file
from tests.attack.files.mutations import EXTREMES, mutated

from napari_gandenoise.models import load_model_file, save_model, verify_model
from napari_gandenoise.models.file import HEADER

pytestmark = pytest.mark.slow

ODD = (*EXTREMES, -1, -4, 0.5, 1e308, True, None, "", "x" * 1000, [], [-1], [4, 4, 4], {}, {"kind": "unet"}, 10**400)


@pytest.fixture
def files(tmp_path, write_tiny_model, write_direct_model, write_photograph_model):
    paths = [
        write_tiny_model(tmp_path),
        write_direct_model(tmp_path),
        write_direct_model(tmp_path, "colour", channels=3, intensity="absolute", pixel_size_nm=None),
        write_photograph_model(tmp_path, encoder=True, discriminator=True),
    ]
    small = tmp_path / "small.safetensors"
    save_model(small, load_model_file(paths[0]), bits=8)
    return [*paths, small]


def try_out(path):
    verify_model(load_model_file(path))


def test_mutated_model_files(tmp_path, files, rng, attacks, trial):
    contents = [path.read_bytes() for path in files]
    for path in files:
        with trial(path.name):
            try_out(path)
    changed = tmp_path / "changed.safetensors"
    for number in range(attacks // 2):
        which = int(rng.integers(len(files)))
        changed.write_bytes(mutated(contents[which], rng))
        with trial(f"{number}: {files[which].name}"):
            try_out(changed)


def spoil(part, rng):
    """Change a field of a header, however deep."""
    names = list(part) if isinstance(part, dict) else list(range(len(part)))
    name = names[rng.integers(len(names))]
    if isinstance(part[name], dict | list) and part[name] and rng.random() < 0.7:
        spoil(part[name], rng)
    elif isinstance(part, dict) and rng.random() < 0.15:
        del part[name]
    else:
        part[name] = deepcopy(ODD[rng.integers(len(ODD))])


def test_model_files_with_another_header(tmp_path, files, rng, attacks, trial):
    known = [(load_file(path), load_model_file(path).header.model_dump(mode="json")) for path in files]
    changed = tmp_path / "changed.safetensors"
    for number in range(attacks // 2):
        tensors, header = known[rng.integers(len(known))]
        described = json.loads(json.dumps(header))
        for _ in range(rng.integers(1, 4)):
            spoil(described, rng)
            if not described:
                break
        save_file(tensors, changed, metadata={HEADER: json.dumps(described)})
        with trial(f"{number}: {json.dumps(described)[:2000]}"):
            try_out(changed)
