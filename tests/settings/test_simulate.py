"""Settings of simulations: sources of structures, microscopes, files from before there was a choice."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.simulate import (
    IMAGING,
    MICROSCOPES,
    CrystalConfig,
    DefectConfig,
    ImagingConfig,
    SimulationConfig,
    StructureConfig,
)

CONFIGS = Path(__file__).parents[2] / "configs"


def test_files_from_before_there_was_a_choice_mean_nanoparticles_at_300_kv():
    old = {"structure": {"metals": ["Au"], "diameter_nm": [1, 2]}, "imaging": {"defocus_nm": [1, 2]}, "shape": 64}
    config = SimulationConfig.model_validate(old)
    assert config.structure == StructureConfig(metals=("Au",), diameter_nm=(1, 2))
    assert config.imaging == ImagingConfig(defocus_nm=(1, 2))
    bundled = yaml.safe_load((CONFIGS / "hrtem-simulation.yaml").read_text())
    assert SimulationConfig.model_validate(bundled).structure == StructureConfig()


@pytest.mark.parametrize("microscope", MICROSCOPES)
def test_a_microscope_sets_the_ranges_and_what_is_given_wins(microscope):
    config = SimulationConfig(microscope=microscope)
    assert type(config.imaging) is IMAGING[microscope]
    assert config.imaging.energy_kev == int(microscope.partition("kv")[0])
    # Scherzer's focus of the pole piece lies within the range, or with a corrector none at all.
    wavelength = {300: 1.969e-3, 200: 2.508e-3, 80: 4.176e-3}[int(config.imaging.energy_kev)]
    scherzer = 1.2 * (1e3 * config.imaging.cs_um[1] * wavelength) ** 0.5
    if not microscope.endswith("corrected"):
        assert config.imaging.defocus_nm[0] < scherzer < config.imaging.defocus_nm[1]
    given = SimulationConfig(microscope=microscope, imaging={"cs_um": (1, 2)}).imaging
    assert given == config.imaging.model_copy(update={"cs_um": (1, 2)})
    assert SimulationConfig(microscope=microscope, imaging=ImagingConfig(cs_um=(1, 2))).imaging == given
    assert SimulationConfig.model_validate(config.model_dump(mode="json")) == config


def test_a_source_is_chosen_by_its_kind():
    config = SimulationConfig(structure={"kind": "crystal", "materials": ["Si"], "cif": "mine.cif"})
    assert config.structure == CrystalConfig(materials=("Si",), cif=(Path("mine.cif"),))
    assert config.structure.names == ("Si", "mine")
    assert CrystalConfig().names == ("any material",)
    assert SimulationConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        (CrystalConfig, {"thickness_nm": (0, 3)}, "thickness_nm: numbers above 0 and up to 50"),
        (CrystalConfig, {"thickness_nm": (1, 80)}, "thickness_nm: numbers above 0 and up to 50"),
        (CrystalConfig, {"diameter_nm": (0, 3)}, "diameter_nm: numbers above 0"),
        (CrystalConfig, {"wedge_deg": (40, 30)}, "must not exceed the second"),
        (DefectConfig, {"vacancies": (0, 2)}, "vacancies: shares lie between 0 and 1"),
        (DefectConfig, {"relaxation": (0, 2)}, "relaxation: at most ±1"),
        (DefectConfig, {"twins": 0.6, "grain_boundaries": 0.6}, "add up to no more than 1"),
    ],
)
def test_what_cannot_be_is_one_sentence(kind, fields, said):
    with pytest.raises(GanDenoiseError, match=said):
        configure(kind, None, fields)
