"""A set of fringes, written as the simulator writes it, and the smallest run there can be."""

from __future__ import annotations

import math

import imageio.v3 as imageio
import numpy as np
import pytest
import zarr

from napari_gandenoise.settings.networks import Architecture
from napari_gandenoise.settings.train import TrainConfig
from napari_gandenoise.training import supply

PIXEL_NM = 0.0244


@pytest.fixture(scope="session")
def fringe_set(tmp_path_factory):
    """24 frames of 64×64 pixels with fringes of random direction and contrast."""
    path = tmp_path_factory.mktemp("data") / "set.zarr"
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    angle, phase, contrast = rng.uniform(0, math.pi, 24), rng.uniform(0, 6, 24), rng.uniform(0.1, 0.4, 24)
    frames = [
        1 + c * np.cos(2 * np.pi * (np.cos(a) * x + np.sin(a) * y) / 8 + p)
        for a, p, c in zip(angle, phase, contrast, strict=True)
    ]
    group = zarr.open_group(path, mode="w")
    group.attrs["simulation"] = {"pixel_size_nm": PIXEL_NM}
    group.attrs["records"] = [{}] * 24
    group.create_array("images", shape=(24, 64, 64), chunks=(1, 64, 64), dtype="float16")[:] = np.stack(frames)
    return path


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """12 small colour photographs: coloured blots on grounds of other colours, PNG."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:40, :48] / 20
    for i in range(12):
        ground, blot = rng.uniform(0.2, 0.8, (2, 3))
        weight = np.exp(-((x - rng.uniform(0, 2)) ** 2) - (y - rng.uniform(0, 2)) ** 2)[..., None]
        image = ground * (1 - weight) + blot * weight
        imageio.imwrite(folder / f"{i}.png", np.round(255 * image).astype(np.uint8))
    return folder


@pytest.fixture
def make_config(fringe_set, tmp_path):
    """Config of a run of seconds: ``make_config(recipe="bce", steps=5)``."""

    def make(**fields) -> TrainConfig:
        tiny = {
            "name": "tiny", "output": tmp_path / "run", "data": {"kind": "simulated", "path": fringe_set},
            "pixel_size_nm": PIXEL_NM, "held_out": 4, "device": "cpu", "half_precision": False,
            "architecture": Architecture(size=16, width=4, latent=8, principal=True),
            "steps": 6, "batch": 8, "pool": 128, "fresh": 8, "checkpoint_every": 3, "dose": (20.0, 200.0),
            "encoder": "evidence", "encoder_steps": 4, "validate_every": 6,
        }  # fmt: skip
        return TrainConfig(**{**tiny, **fields})

    return make


@pytest.fixture(autouse=True)
def few_held_out(monkeypatch):
    """Validate with few tiles: cutting them takes longer than the smallest run."""
    monkeypatch.setattr(supply, "HELD_OUT", 16)
