"""Mutated settings files, at the doors that read them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.attack.files.mutations import EXTREMES, mutated, spoil

from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.compare import CompareConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.recover import RecoverConfig
from napari_gandenoise.settings.restore import RestoreConfig
from napari_gandenoise.settings.simulate import SimulationConfig
from napari_gandenoise.settings.text import lay_over, read_yaml
from napari_gandenoise.settings.train import read_training

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).parents[3] / "configs"
KINDS = {
    "batch": BatchConfig(inputs=("a.tif", "b.tif"), output=Path("out"), settings=DenoiseConfig(preset="fast")),
    "compare": CompareConfig(methods=("bm3d", "gaussian")),
    "denoise": DenoiseConfig(pixel_size_nm=0.02, noise={"kind": "poisson-gaussian", "gain": 2.0, "read_noise": 1.0}),
    "recover": RecoverConfig(model="hrtem"),
    "restore": RestoreConfig(task="inpaint"),
    "simulate": SimulationConfig(),
}
ODD = (
    *EXTREMES,
    -1,
    0.5,
    float("inf"),
    float("nan"),
    True,
    None,
    "",
    "x" * 1000,
    "2024-06-01",
    [],
    [-1],
    [[]],
    {},
    {"a": 1},
)


def texts() -> list[tuple[str, str]]:
    """Settings of every job, with all their fields, and those that come with the package."""
    whole = [(kind, yaml.safe_dump(config.model_dump(mode="json"))) for kind, config in KINDS.items()]
    training = [("train", path.read_text()) for path in sorted(CONFIGS.rglob("*.yaml")) if "data:" in path.read_text()]
    return whole + training


def read(path: Path, kind: str) -> None:
    fields = read_yaml(path)
    lay_over(fields, {("seed",): 1})
    if kind == "train":
        read_training(fields)
    else:
        configure(type(KINDS[kind]), None, fields)


@pytest.mark.parametrize("how", ["bytes", "values"])
def test_mutated_settings_files(tmp_path, rng, attacks, trial, how):
    path, known = tmp_path / "settings.yaml", texts()
    assert {kind for kind, _ in known} == {*KINDS, "train"}
    for number in range(attacks):
        kind, text = known[rng.integers(len(known))]
        if how == "bytes":
            path.write_bytes(mutated(text.encode(), rng))
        else:
            fields = yaml.safe_load(text)
            for _ in range(rng.integers(1, 4)):
                spoil(fields, rng, ODD)
            path.write_text(yaml.safe_dump(fields))
        with trial(f"{number}: {kind} {path.read_bytes()[:3000]!r}"):
            read(path, kind)
