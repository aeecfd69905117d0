"""The benchmark of GPUs, on the processor: the network alone is one view of the main road, and all rows are there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_gandenoise.denoising import denoise
from napari_gandenoise.settings.noise import Poisson

ROOT = Path(__file__).parents[2]
pytest.importorskip("ase")
gpu = pytest.importorskip("benchmarks.gpu")


@pytest.fixture(scope="module")
def sample():
    return gpu.sample_frames(64, 1)


def test_the_network_alone_is_one_view_of_the_main_road(sample):
    frames, _, size = sample

    alone = gpu.network_alone(frames, size, "cpu")[0, 0, 0]

    settings = {"model": "hrtem-unet", "views": 1, "residual_step": False, "neighbours": 0, "noise": Poisson()}
    road = denoise(frames[0], pixel_size_nm=size, **settings).rate
    on_grid = road.reshape(16, 4, 16, 4).mean(axis=(1, 3)) / frames.mean()
    np.testing.assert_allclose(alone, on_grid, atol=0.05 * on_grid.std())


def test_every_way_to_compute_has_a_row_beside_single_precision(sample):
    frames, truth, size = sample

    rows = gpu.filled(gpu.rows_of_variants(frames, truth, size, "cpu", batch=1, repeats=1))

    assert [row["computed in"] for row in rows] == list(gpu.VARIANTS)
    assert len({tuple(row) for row in rows}) == 1  # the same columns
    assert rows[0]["PSNR difference, dB"] == 0
    assert rows[0]["of single precision"] == 1
    half = next(row for row in rows if row["computed in"] == "bfloat16")
    assert 0 < abs(half["PSNR difference, dB"]) < 0.2  # eight bits of mantissa


@pytest.mark.slow
def test_the_quick_tables_are_written_without_a_gpu(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", "--quick", "--results", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert len(rows) == 7
    assert all(row["same bits"] and row["frames/s"] > 0 and row["peak GB"] > 0 for row in rows)
    assert (tmp_path / "gpu_precision.md").exists()
