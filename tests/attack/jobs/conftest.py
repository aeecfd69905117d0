"""Small jobs to attack, how often, and what must hold whatever happens to them.

``GANDENOISE_KILLS`` and ``GANDENOISE_MUTATIONS`` say how often; `make test-slow` is content with little.
"""

from __future__ import annotations

import math
import os
import random
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_gandenoise.settings.networks import Architecture
from napari_gandenoise.settings.train import TrainConfig

KILLS = int(os.environ.get("GANDENOISE_KILLS", "60"))
MUTATIONS = int(os.environ.get("GANDENOISE_MUTATIONS", "200"))
FRAMES = 6


@pytest.fixture(scope="session")
def kills():
    """How many processes are killed of all kinds together."""
    return KILLS


@pytest.fixture(scope="session")
def mutations():
    """How many files are damaged of all kinds together."""
    return MUTATIONS


@pytest.fixture
def chance():
    return random.Random(int(os.environ.get("GANDENOISE_ATTACK_SEED", "20260101")))


@pytest.fixture(scope="session")
def movie(tmp_path_factory):
    """Six frames of 24 × 24 electron counts."""
    path = tmp_path_factory.mktemp("movie") / "movie.tif"
    frames = np.random.default_rng(0).poisson(20, (FRAMES, 24, 24)).astype(np.uint16)
    tifffile.imwrite(path, frames, imagej=True, metadata={"axes": "TYX"})
    return path


@pytest.fixture(scope="session")
def settings(tmp_path_factory, write_direct_model):
    """Settings of a job that takes milliseconds a frame."""
    return {
        "model": str(write_direct_model(tmp_path_factory.mktemp("model"))),
        "noise": {"kind": "poisson"},
        "views": 1,
        "device": "cpu",
    }


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """Config of a run of six steps with a checkpoint at each: ``make_run(folder)``."""
    path = tmp_path_factory.mktemp("data") / "set.zarr"
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:48, :48]
    group = zarr.open_group(path, mode="w")
    group.attrs["simulation"] = {"pixel_size_nm": 0.0244}
    group.attrs["records"] = [{}] * 12
    waves = [1 + 0.3 * np.cos(x * math.cos(a) + y * math.sin(a)) for a in rng.uniform(0, math.pi, 12)]
    group.create_array("images", shape=(12, 48, 48), chunks=(1, 48, 48), dtype="float16")[:] = np.stack(waves)

    def make(folder: Path, **fields) -> TrainConfig:
        tiny = {
            "name": "tiny", "output": folder, "data": {"kind": "simulated", "path": path}, "pixel_size_nm": 0.0244,
            "held_out": 4, "device": "cpu", "half_precision": False, "steps": 6, "batch": 4, "pool": 64, "fresh": 2,
            "checkpoint_every": 1, "dose": (20.0, 200.0), "encoder": "none", "validate_every": 6,
            "architecture": Architecture(size=16, width=4, latent=4),
        }  # fmt: skip
        return TrainConfig(**{**tiny, **fields})

    return make


@pytest.fixture
def disk(tmp_path):
    """A disk of any size: ``disk(kilobytes)`` mounts it anew, empty, ``disk(kilobytes, False)`` makes it larger."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = []

    def size(kilobytes: int, anew: bool = True) -> Path:
        if anew and mounted:
            subprocess.run(["umount", "-l", str(place)], check=True)
            mounted.clear()
        options = f"size={kilobytes}k" if anew else f"remount,size={kilobytes}k"
        told = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=False, capture_output=True
        )
        if told.returncode:
            pytest.skip("only root may mount a small disk")
        mounted.append(place)
        return place

    yield size
    if mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)
