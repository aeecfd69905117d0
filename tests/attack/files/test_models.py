"""Mutated model files: never code, never much memory, and what opens can be tried."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.attack.files.mutations import EXTREMES, mutated, spoil

from napari_gandenoise.models import load_model, load_model_file, save_adapted, save_model, verify_model
from napari_gandenoise.models.adapted import read_adapted_header
from napari_gandenoise.models.denoisers import make_denoiser
from napari_gandenoise.models.file import HEADER, DirectHeader, DirectModel
from napari_gandenoise.settings.networks import UNetArchitecture

pytestmark = pytest.mark.slow

NAMES = ("", "x" * 1000, "/etc/passwd", "../../up", "a\nb\x1b[2J", "a\0b", "\N{MUSICAL SYMBOL G CLEF}" * 80)
ODD = (*EXTREMES, *NAMES, -1, -4, 0.5, 1e308, True, None, [], [-1], [4, 4, 4], {}, {"kind": "unet"}, 10**400)
GAINS = (0.0, -1.0, 1e30, -3e38, 1e300, float("nan"), float("inf"))
TYPES = (torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.int64, torch.bool, torch.complex64)


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


@pytest.fixture
def adapted(tmp_path):
    """Gains that were moved a little, and the file of the model whose they are beside it."""
    torch.manual_seed(1)
    architecture = UNetArchitecture(size=16, widths=(4, 6), block="gated")
    header = DirectHeader(name="base", architecture=architecture)
    save_model(tmp_path / "base.safetensors", DirectModel(header, make_denoiser(architecture).eval()))
    base = load_model(tmp_path / "base.safetensors")
    network = deepcopy(base.network)
    with torch.no_grad():
        for part in network.parameters():
            part.add_(0.01)
    path = tmp_path / "adapted.safetensors"
    save_adapted(path, replace(base, network=network), base, "a stranger's", {"steps": 40, "change": 0.1})
    return path


def try_out(path):
    verify_model(load_model(path))


def test_mutated_model_files(tmp_path, files, adapted, rng, attacks, trial):
    files = [*files, adapted, adapted]
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


def test_model_files_with_another_header(tmp_path, files, rng, attacks, trial):
    known = [(load_file(path), load_model_file(path).header.model_dump(mode="json")) for path in files]
    changed = tmp_path / "changed.safetensors"
    for number in range(attacks // 2):
        tensors, header = known[rng.integers(len(known))]
        described = json.loads(json.dumps(header))
        for _ in range(rng.integers(1, 4)):
            spoil(described, rng, ODD)
            if not described:
                break
        save_file(tensors, changed, metadata={HEADER: json.dumps(described)})
        with trial(f"{number}: {json.dumps(described)[:2000]}"):
            try_out(changed)


def described_anew(header, rng):
    """Change an adapted model's header: a field, whose gains they are, or what nobody expects a header to be."""
    if rng.random() < 0.1:
        return rng.choice(("[" * 100_000, '"adapted"', "7", "", '{"adapted": 1}', '["adapted"]'))
    described = json.loads(json.dumps(header))
    if rng.random() < 0.3:
        described["base_sha256"] = rng.choice(("0" * 64, "../" * 21 + "x", described["base_sha256"].upper()))
        described[rng.choice(("base", "name"))] = str(rng.choice(NAMES)) or "another"
    elif rng.random() < 0.2:
        described["adaptation"] = json.loads("[" * 900 + "]" * 900)
    elif rng.random() < 0.7:
        spoil(described, rng, ODD)
    return json.dumps(described)


def gains_anew(tensors, rng):
    """Change an adapted model's gains: their values, types, shapes or names."""
    name = str(rng.choice(list(tensors)))
    match rng.integers(6):
        case 0:
            tensors[name] = torch.full_like(tensors[name], float(rng.choice(GAINS)), dtype=torch.float64)
        case 1:
            tensors[name] = tensors[name].to(TYPES[rng.integers(len(TYPES))])
        case 2:
            tensors[name] = torch.zeros([int(side) for side in rng.choice((0, 1, 4, 5), rng.integers(4))])
        case 3:
            tensors[str(rng.choice(NAMES))] = tensors.pop(name)
        case 4:
            del tensors[name]
        case _:
            tensors["../extra"] = torch.zeros(3)


def test_adapted_models_with_another_header_or_other_gains(tmp_path, adapted, rng, attacks, trial):
    header = read_adapted_header(adapted).model_dump(mode="json")
    changed = tmp_path / "changed.safetensors"
    for number in range(attacks // 2):
        tensors = load_file(adapted)
        described = described_anew(header, rng)
        if rng.random() < 0.5:
            gains_anew(tensors, rng)
        save_file(tensors, changed, metadata={HEADER: described})
        with trial(f"{number}: {described[:2000]}"):
            try_out(changed)
