"""The CIF of a material, written by ASE, and a run on it that takes seconds."""

from __future__ import annotations

import pytest

from napari_gandenoise.datasets import modes
from napari_gandenoise.finetuning import comparison, lay_out
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.cif import CifTrainConfig
from napari_gandenoise.settings.train import DirectTrainConfig
from napari_gandenoise.training import supply

LATTICE = 3.905  # Å, cubic SrTiO3


@pytest.fixture(scope="session")
def cif(tmp_path_factory):
    """A CIF file of strontium titanate."""
    spacegroup = pytest.importorskip("ase.spacegroup")
    sites = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)]
    atoms = spacegroup.crystal(("Sr", "Ti", "O"), sites, spacegroup=221, cellpar=[LATTICE] * 3 + [90] * 3)
    path = tmp_path_factory.mktemp("cif") / "SrTiO3.cif"
    atoms.write(path)
    return path


@pytest.fixture
def small(monkeypatch):
    """Two small images are enough to compare with, and to validate with."""
    monkeypatch.setattr(supply, "HELD_OUT", modes.VALIDATED_TOGETHER)
    monkeypatch.setattr(comparison, "IMAGES", 2)
    monkeypatch.setattr(comparison, "SIDE", 48)


@pytest.fixture
def make_run(cif, tmp_path):
    """What is laid out for the material, made tiny: ``make_run(mode="haadf")``."""

    def make(overrides=None, **fields) -> DirectTrainConfig:
        config = CifTrainConfig(cif=cif, output=tmp_path / "run", device="cpu", pixel_size_nm=0.0244, **fields)
        tiny = {
            "architecture": {"kind": "unet", "size": 24, "widths": (4, 6)}, "start": None, "seconds": None, "steps": 4,
            "batch": 2, "pool": 64, "held_out": 1, "validate_every": 4, "checkpoint_every": 2, "half_precision": False,
        }  # fmt: skip
        run = lay_out(config)
        data = run.data.model_copy(update={"side": 48, "together": 4, "per_structure": 16})
        return configure(DirectTrainConfig, run, {**tiny, "data": data, **(overrides or {})})

    return make
