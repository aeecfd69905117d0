"""Simulated sets to train on that were damaged or forged: tiles that are numbers, or one sentence."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
import zarr
from tests.attack.files.mutations import EXTREMES, mutated, spoil

from napari_gandenoise.datasets.sources import open_source, split
from napari_gandenoise.datasets.tiles import TileSampler
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.data import SimulatedData, TileConfig
from napari_gandenoise.settings.simulate import ScenesConfig, SimulationConfig
from napari_gandenoise.simulate import simulate_steps

pytestmark = pytest.mark.slow

IMAGES = "images/zarr.json"
ODD = (
    *EXTREMES, -1, 0.5, 1e-300, 1e308, float("nan"), True, None, "", "x", "../../x", "/dev/zero", "file:///etc/passwd",
    "float64", "complex64", "bool", "int8", "string", "|O", [], {}, [[]], [-1], [10**6] * 3, [20_000, 20_000], [1, 64],
    [{"name": "numcodecs.pickle"}], {"name": "regular", "configuration": {"chunk_shape": [1, 10**6, 10**6]}},
)  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Six images of scenes, as the command writes them."""
    path = tmp_path_factory.mktemp("sound") / "set.zarr"
    scenes = SimulationConfig(
        structures=3, images_per_structure=2, shape=64, pixel_size_nm=0.03, structure=ScenesConfig()
    )
    drain(simulate_steps(scenes, path))
    return path


def train_on(path, rng):
    """Draw tiles as training does, of both shares."""
    for share in split(open_source(SimulatedData(path=path)), 2):
        tiles = TileConfig(near_empty=1.0, pose=str(rng.choice(("oriented", "upright"))))
        drawn = TileSampler(share, tiles, 16, 0.0244).draw(4, torch.Generator().manual_seed(int(rng.integers(99))))
        assert drawn.shape == (4, 1, 16, 16)
        assert torch.isfinite(drawn).all()


@pytest.fixture
def attacked(tmp_path, sound, rng, trial):
    """Copy the set, ``attacked(number, change)``: change it by ``change(path)``, and train on it."""
    train_on(sound, rng)  # what is imported on the way is imported now
    path = tmp_path / "set.zarr"

    def attack(number, change):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(sound, path)
        what = change(path)
        with trial(f"{number}: {what}"):
            train_on(path, rng)

    return attack


def test_mutated_simulated_sets(attacked, rng, attacks):
    def change(path):
        files = sorted(file for file in path.rglob("*") if file.is_file())
        file = files[rng.integers(len(files))]
        if rng.random() < 0.1:
            file.unlink()
        else:
            file.write_bytes(mutated(file.read_bytes(), rng))
        return file.relative_to(path)

    for number in range(attacks // 3):
        attacked(number, change)


def test_simulated_sets_with_other_metadata(attacked, rng, attacks):
    def change(path):
        name = str(rng.choice(("zarr.json", IMAGES, IMAGES)))
        described = json.loads((path / name).read_text())
        if name == "zarr.json" and rng.random() < 0.5:
            spoil(described["attributes"], rng, ODD)
        else:
            spoil(described, rng, ODD)
        if rng.random() < 0.05:
            described = {"attributes": json.loads("[" * 900 + "]" * 900)}
        (path / name).write_text(json.dumps(described))
        return f"{name} {json.dumps(described)[:3000]}"

    for number in range(attacks // 3):
        attacked(number, change)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, -6e4, 6e4])
def test_simulated_sets_of_other_values(attacked, value):
    def change(path):
        zarr.open_group(path, mode="r+")["images"][:] = value
        return value

    attacked(0, change)
