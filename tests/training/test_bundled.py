"""Training all bundled models within a budget of seconds, again and again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import load_model_file
from napari_gandenoise.models.verification import verify_model
from napari_gandenoise.progress import drain
from napari_gandenoise.training.bundled import Budget, bundled_steps, read_plan

ROOT = Path(__file__).parents[2]
BUNDLED = ROOT / "configs" / "bundled"
LARGEST = 16 * 2**20  # bytes of a file that is brought back from a machine
TINY = {
    "data": {"kind": "modes", "side": 48, "together": 32, "scene": {"kinds": ["gradients"]}}, "output": "runs/tiny",
    "tiles": {"pose": "upright", "intensity": "standard", "scale": 0.0},
    "architecture": {"kind": "unet", "size": 24, "widths": [4, 6], "conditions": ["estimated"], "estimator": 4},
    "recipe": {"kind": "restoration-gan", "critic_width": 4}, "acquisition": {"margin": 4}, "held_out": 1,
    "batch": 2, "pool": 64, "fresh": 1, "validate_every": 20, "checkpoint_every": 20, "half_precision": False,
}  # fmt: skip


@pytest.fixture
def configs(tmp_path):
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "shares.yaml").write_text(yaml.safe_dump({"second": 2.0, "first": 1.0}, sort_keys=False))
    for name in ("first", "second"):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(TINY))
    return folder


@pytest.fixture
def budget(tmp_path, hurried_clock):
    # A minute passes at every look at the clock, of which a step takes three.
    return Budget(8_000.0, tmp_path / "out", tmp_path / "work", "cpu")


def stages(events) -> list[str]:
    return list(dict.fromkeys(event.stage for event in events))


@pytest.mark.slow
def test_each_model_has_its_turn_and_its_file(configs, budget):
    events = list(bundled_steps(read_plan(configs), budget))
    assert stages(e for e in events if e.values)[::3] == ["second: train", "first: train"]
    assert {path.name for path in budget.output.iterdir()} == {
        "first.safetensors",
        "second.safetensors",
        "reached.json",
    }
    reached = json.loads((budget.output / "reached.json").read_text())
    for name in ("first", "second"):
        verify_model(load_model_file(budget.output / f"{name}.safetensors"))
        assert reached[name]["rounds"] == 1
        assert "validation PSNR" in reached[name]["metrics"]
    # Two thirds of the time and one third, of which a test and a file take their part.
    spent = [reached[name]["seconds"] for name in ("second", "first")]
    assert sum(spent) == pytest.approx(budget.seconds, rel=0.35)
    assert spent[0] > spent[1] > 0


@pytest.mark.slow
def test_a_later_call_goes_on_with_those_that_have_not_had_their_share(configs, budget):
    plan = read_plan(configs)
    steps = bundled_steps(plan, budget)
    while "first: train" not in (stage := next(steps).stage):
        assert "first: " not in stage or "tiles" in stage
    steps.close()
    assert (budget.output / "second.safetensors").exists()
    again = drain(bundled_steps(plan, budget))
    assert {name: found.rounds for name, found in again.items()} == {"second": 1, "first": 1}
    before = load_model_file(budget.output / "second.safetensors").sha256
    third = drain(bundled_steps(plan, budget))
    assert {name: found.rounds for name, found in third.items()} == {"second": 2, "first": 2}
    model = load_model_file(budget.output / "second.safetensors")
    assert model.sha256 != before
    # On a machine that has only the files, too: training begins with them.
    assert model.header.training["start"] == str(budget.output / "second.safetensors")


def test_what_was_interrupted_goes_on_from_its_checkpoint(configs, budget):
    plan = {"first": read_plan(configs)["first"]}
    steps = bundled_steps(plan, budget)
    done = 0
    while not (budget.output / "first.safetensors").exists():
        done = next(steps).done
    steps.close()
    event = next(event for event in bundled_steps(plan, budget) if event.values)
    assert event.stage == "first: train"
    assert event.done > 20 <= done


@pytest.mark.parametrize(
    ("shares", "match"),
    [("none: 1", "no file"), ("first: -1", "above 0"), ("first: much", "a number"), ("- first", "mapping of fields")],
)
def test_plans_that_make_no_sense_are_refused(configs, shares, match):
    (configs / "shares.yaml").write_text(shares)
    with pytest.raises(GanDenoiseError, match=match):
        read_plan(configs)


def test_the_plan_of_the_bundled_models_can_be_read():
    plan = read_plan(BUNDLED)
    assert next(iter(plan)) == "micrographs"
    assert sum(share for share, _ in plan.values()) == pytest.approx(1)
    assert {path.stem for path in BUNDLED.glob("*.yaml")} == {*plan, "shares"}


@pytest.mark.slow
def test_training_bundled_models_needs_little(configs, tmp_path):
    """From a checkout: neither the package nor what draws windows, reads images or talks to a network is imported."""
    script = """
import sys
from napari_gandenoise.training.bundled import main
main(["--budget", "2", "--output", sys.argv[1], "--work", sys.argv[2], "--configs", sys.argv[3], "--device", "cpu"])
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
    (configs / "shares.yaml").write_text("first: 1")
    run = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "out", tmp_path / "work", configs],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    *lines, modules = run.stdout.splitlines()
    assert any("first: train" in line and "steps/s" in line for line in lines)
    assert any(line.endswith("dB") and "first: 1 rounds" in line for line in lines)
    unwanted = {
        "napari",
        "qtpy",
        "magicgui",
        "tifffile",
        "typer",
        "zarr",
        "dask",
        "imageio",
        "skimage",
        "pooch",
        "abtem",
    }
    assert not {*unwanted, "ase", "platformdirs", "psutil"} & set(modules.split())


@pytest.mark.slow
def test_the_bundled_models_are_trained_within_a_minute_if_they_are_small(tmp_path):
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "shares.yaml").write_text((BUNDLED / "shares.yaml").read_text())
    for name, (_, config) in read_plan(BUNDLED).items():
        fields = config.model_dump(mode="json", exclude_unset=True)
        fields["architecture"] |= {"widths": [4, 6], "size": 32, "depth": 1}
        if "windows" in fields["architecture"]:
            fields["architecture"]["windows"] = [16]
        fields["data"] |= {"side": 64, "together": 4, "per_structure": 4, "sampling_nm": [0.03, 0.05]}
        fields |= {"batch": 2, "pool": 64, "fresh": 1, "held_out": 1, "validate_every": 50, "checkpoint_every": 50}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(fields))
    budget = Budget(60.0, tmp_path / "out", tmp_path / "work", "cpu")
    # A busy machine may need another call: making structures takes as long as it takes.
    for _ in range(4):
        reached = drain(bundled_steps(read_plan(folder), budget))
        if all(found.rounds for found in reached.values()):
            break
    assert all(found.rounds == 1 for found in reached.values())
    for name in reached:
        path = budget.output / f"{name}.safetensors"
        assert path.stat().st_size < LARGEST
        verify_model(load_model_file(path))
