"""Runs on the simulations of a CIF, and what is said of them at their end."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading

import pytest
import torch

import napari_gandenoise as gd
from napari_gandenoise.datasets.tiles import normalise
from napari_gandenoise.finetuning import PSNR, compare_steps, run_steps
from napari_gandenoise.finetuning.comparison import TABLE
from napari_gandenoise.models import load_model, load_model_file
from napari_gandenoise.progress import drain
from napari_gandenoise.training import train_steps
from napari_gandenoise.training.direct.exposure import Exposure
from napari_gandenoise.training.draws import Draws

BM3D = "BM3D, oracle bin"


def stages(events) -> list[str]:
    return list(dict.fromkeys(event.stage for event in events))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["hrtem", "haadf"])
def test_a_run_ends_with_a_comparison_that_its_model_keeps(make_run, small, tmp_path, mode):
    pytest.importorskip("bm3d")
    fields = {"architecture": {"kind": "unet", "size": 24, "widths": (4, 6), "conditions": ("strength",)}}
    first = drain(train_steps(make_run({**fields, "output": tmp_path / "first", "name": "first"}, mode=mode)))
    # Tiles of another size: the weights are the same.
    fields["architecture"]["size"] = 32
    config = make_run({**fields, "start": str(first)}, mode=mode, dose=(4.0, 100.0))
    seen = []
    steps = run_steps(config)
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as stop:
            path = stop.value
            break
    assert stages(seen)[-2:] == ["test", "compare"]
    assert (seen[-1].done, seen[-1].total) == (6, 6)
    header = load_model_file(path).header
    # The middle dose is the geometric mean.
    at = f"{PSNR}20 e⁻/pixel"
    assert {at, f"{at}, first", f"{at}, {BM3D}", f"{at}, noisy"} <= header.metrics.keys()
    assert all(math.isfinite(value) for value in header.metrics.values())
    assert header.description.partition(":")[0].endswith("of SrTiO3")
    lines = (config.output / TABLE).read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"| e⁻/pixel | e⁻/Å² | SrTiO3 | first | {BM3D} | noisy |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 4", "| 20", "| 100"]
    # Nothing is left to do, so that nothing is done again.
    assert "compare" not in stages(run_steps(config, resume=True))


@pytest.mark.slow
def test_what_counting_adds_is_what_theory_says(make_run, small, monkeypatch):
    monkeypatch.setitem(sys.modules, "bm3d", None)  # which has a test of its own
    config = make_run(mode="haadf", dose=(1.0, 1e4))
    found = drain(compare_steps(config, drain(train_steps(config))))
    # The variance of counts is their mean, and the range of a rate is in proportion to it.
    first, middle, last = found.psnr["noisy"]
    assert middle - first == pytest.approx(20, abs=0.5)
    assert last - middle == pytest.approx(20, abs=0.5)
    assert found.doses == (1.0, 100.0, 1e4)


@pytest.mark.slow
def test_without_bm3d_the_table_says_so(make_run, small, monkeypatch):
    monkeypatch.setitem(sys.modules, "bm3d", None)
    config = make_run(mode="haadf", dose=(5.0, 5.0))
    found = drain(compare_steps(config, drain(train_steps(config))))
    assert BM3D not in found.psnr
    [note] = found.notes
    assert note.startswith(BM3D)
    assert note in found.table()
    assert len(found.psnr["noisy"]) == 1  # a range of one dose


@pytest.mark.slow
def test_a_run_that_is_stopped_while_it_is_compared_is_compared_when_it_goes_on(make_run, small, monkeypatch):
    monkeypatch.setitem(sys.modules, "bm3d", None)
    config, stop = make_run(mode="haadf", dose=(5.0, 5.0)), threading.Event()
    steps = run_steps(config, stop=stop)
    while next(steps).stage != "compare":
        pass
    stop.set()
    assert drain(steps) == config.output
    assert not (config.output / TABLE).exists()
    path = drain(run_steps(config, resume=True))
    assert any(name.startswith(PSNR) for name in load_model(path).header.metrics)


def test_the_dose_of_images_that_are_made_is_that_of_their_mean(make_run):
    config = make_run({"dose": (10.0, 10.0)})
    generator = torch.Generator().manual_seed(0)
    tiles = torch.rand(64, 1, 24, 24, generator=generator) * torch.linspace(0.1, 1, 64).view(-1, 1, 1, 1)
    pairs = Exposure(config, Draws(0, torch.device("cpu"))).expose(normalise(tiles, config.tiles))
    levels = pairs.strength.flatten() ** -2
    # But for how much a tile's mean is off a frame's.
    assert 7.4 < levels.min() < 8.5
    assert 12 < levels.max() < 13.4
    counts = pairs.noisy * levels.view(-1, 1, 1, 1)
    assert torch.allclose(counts, counts.round(), atol=1e-3)
    assert counts.mean(dim=(1, 2, 3)).mean() == pytest.approx(10, rel=0.02)


def test_python_refuses_a_setting_that_is_not_there(cif):
    with pytest.raises(gd.GanDenoiseError, match="hours"):
        gd.train_cif(cif, hours=1)


@pytest.mark.slow
def test_the_command_makes_a_model_of_a_file(cif, tmp_path):
    words = ["--cif", str(cif), "--mode", "hrtem", "--pixel-size", "0.02", "--dose", "5,50", "--minutes", "0.1"]
    command = [sys.executable, "-m", "napari_gandenoise.cli", "train", *words, "--device", "cpu", "--name", "titanate"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ})
    assert run.returncode == 0, run.stderr
    path = tmp_path / "runs" / "titanate" / "titanate.safetensors"
    assert "| e⁻/pixel | e⁻/Å² | titanate | hrtem-unet |" in run.stdout
    assert "trained; use it with" in run.stdout
    model = load_model(path)
    assert model.header.architecture.widths == load_model("hrtem-unet").header.architecture.widths
    metrics = model.header.metrics
    # Six seconds change little; far from it would be a run that breaks what it began with.
    begun = next(value for name, value in metrics.items() if name.endswith("hrtem-unet"))
    own = next(value for name, value in metrics.items() if name.startswith(PSNR) and "," not in name)
    assert own == pytest.approx(begun, abs=3)
    assert own > next(value for name, value in metrics.items() if name.endswith("noisy"))
