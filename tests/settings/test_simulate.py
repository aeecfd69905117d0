"""Settings of simulations: sources of structures, microscopes, files from before there was a choice."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.acquisition import RecordingConfig
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.data import LiveData
from napari_gandenoise.settings.simulate import (
    IMAGING,
    MICROSCOPES,
    CrystalConfig,
    DefectConfig,
    ImagingConfig,
    ScenesConfig,
    SimulationConfig,
    StructureConfig,
)
from napari_gandenoise.settings.stem import PROBES, SCANNING_MICROSCOPES

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


@pytest.mark.parametrize("microscope", SCANNING_MICROSCOPES)
def test_a_scanning_microscope_sets_the_probe_and_what_is_given_wins(microscope):
    config = SimulationConfig(mode="haadf", scanning_microscope=microscope)
    assert type(config.probe) is PROBES[microscope]
    if microscope != "any":
        energy = int(microscope.partition("kv")[0])
        assert config.probe.energy_kev == (energy, energy)
    if microscope == "200kv":
        # The sharpest probe of the middle of the range: semi-angle (4 λ/Cs)^¼, underfocus √(Cs λ).
        wavelength, cs = 2.508e-3, 1e3 * sum(config.probe.cs_um) / 2
        low, high = config.probe.convergence_mrad
        assert low < 1e3 * (4 * wavelength / cs) ** 0.25 < high
        low, high = config.probe.defocus_nm
        assert low < (cs * wavelength) ** 0.5 < high
    # A dark-field detector begins outside of the cone of the probe.
    assert config.probe.inner_mrad[0] > config.probe.convergence_mrad[1]
    given = SimulationConfig(mode="haadf", scanning_microscope=microscope, probe={"cs_um": (1, 2)}).probe
    assert given == config.probe.model_copy(update={"cs_um": (1, 2)})
    assert SimulationConfig.model_validate(config.model_dump(mode="json")) == config


def test_scenes_are_a_source_and_may_have_any_pixels():
    config = SimulationConfig(structure={"kind": "scene", "kinds": ["leaves", "leaves", "pores"]}, pixel_size_nm=5)
    assert config.structure == ScenesConfig(kinds=("leaves", "leaves", "pores"))
    assert config.structure.names == ("leaves", "pores")
    with pytest.raises(GanDenoiseError, match=r"atoms need pixels of 0\.1 nm at most, not 5"):
        configure(SimulationConfig, None, {"pixel_size_nm": 5})


def test_a_counting_detector_records_unless_another_one_is_chosen():
    assert SimulationConfig().acquisition == RecordingConfig()
    config = SimulationConfig(acquisition={"recorder": "scan", "jitter": 2})
    assert config.acquisition == RecordingConfig(recorder="scan", jitter=2)
    assert SimulationConfig.model_validate(config.model_dump(mode="json")) == config


def test_bright_fields_are_too_slow_to_be_made_while_training_runs():
    with pytest.raises(GanDenoiseError, match=r"simulation: a bright field takes minutes an image.* mode haadf"):
        configure(LiveData, None, {"simulation": {"mode": "abf"}, "waves": "waves.zarr"})
    scenes = configure(LiveData, None, {"simulation": {"mode": "abf", "structure": {"kind": "scene"}}, "waves": "w"})
    assert scenes.simulation.mode == "abf"


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
