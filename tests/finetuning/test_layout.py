"""From a CIF file to the settings of a run."""

from __future__ import annotations

import math

import pytest
import yaml
from ase.units import _c, _e, _hplanck, _me

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.finetuning import lay_out
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.cif import CifTrainConfig
from napari_gandenoise.settings.stem import PROBES
from napari_gandenoise.settings.text import as_yaml
from napari_gandenoise.settings.train import DirectTrainConfig, read_training

NO_ATOMS = "data_empty\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n" + "".join(
    f"_cell_angle_{name} 90\n" for name in ("alpha", "beta", "gamma")
)


def test_sums_of_fine_pixels_get_their_electrons(cif):
    run = lay_out(CifTrainConfig(cif=cif, pixel_size_nm=0.012, dose=(2.0, 50.0), device="cpu"))
    assert run.start == "hrtem-unet"
    assert run.tiles.intensity == "template"
    assert run.pixel_size_nm == pytest.approx(0.024)
    assert run.dose == (8.0, 200.0)
    low, high = run.data.sampling_nm
    assert low < 0.024 < high
    assert (run.data.scenes, run.data.hrtem, run.data.haadf) == (0, 1, 0)


def test_what_is_known_of_the_microscope_is_simulated(cif):
    config = CifTrainConfig(
        cif=cif,
        mode="haadf",
        microscope="200kv-corrected",
        scanning_microscope="200kv-corrected",
        dose=(5.0, 50.0),
        device="cpu",
    )
    run = lay_out(config)
    assert run.data.probe.energy_kev == (200.0, 200.0)
    assert (run.data.hrtem, run.data.haadf) == (0, 1)
    assert run.data.structure.cif == (cif,)
    assert (run.acquisition.recorder, run.acquisition.dose) == ("scan", (5.0, 50.0))
    assert run.description.startswith("HAADF-STEM of SrTiO3: 200 kV, corrected, 20 pm/pixel, 5 to 50 e⁻/pixel")
    assert lay_out(config.model_copy(update={"mode": "hrtem"})).data.imaging.energy_kev == 200.0


@pytest.mark.parametrize("mode", ["hrtem", "haadf"])
def test_the_run_is_an_ordinary_one(cif, mode):
    run = lay_out(CifTrainConfig(cif=cif, mode=mode, device="cpu"))
    assert isinstance(run, DirectTrainConfig)
    assert read_training(yaml.safe_load(as_yaml(run))) == run
    assert read_training(run.model_dump(mode="json")) == run
    assert (run.name, str(run.output)) == ("SrTiO3", "runs/SrTiO3")


def test_a_processor_has_ninety_minutes_unless_it_is_told_otherwise(cif):
    assert lay_out(CifTrainConfig(cif=cif, device="cpu")).seconds == 90 * 60
    assert lay_out(CifTrainConfig(cif=cif, device="cpu", minutes=0.5)).seconds == 30


def test_a_mapping_with_a_cif_is_a_run_for_a_material(cif):
    assert read_training({"cif": str(cif), "minutes": 3}) == CifTrainConfig(cif=(cif,), minutes=3)


@pytest.mark.parametrize(
    ("text", "match"), [(NO_ATOMS, "atoms|structure"), ("no crystal\x00 at all", "CIF"), (None, "cannot be read")]
)
def test_a_file_that_is_no_crystal_is_one_sentence(tmp_path, text, match):
    path = tmp_path / "bad.cif"
    if text is not None:
        path.write_text(text)
    with pytest.raises(GanDenoiseError, match=match) as error:
        lay_out(CifTrainConfig(cif=path, device="cpu"))
    said = str(error.value)
    assert str(path) in said
    assert "\n" not in said
    assert said.endswith(".")


@pytest.mark.parametrize(
    ("fields", "match"),
    [({"cif": ()}, "cif"), ({"dose": (5, 1)}, "smaller first"), ({"minutes": 0}, "minutes"), ({"name": "a/b"}, "name")],
)
def test_settings_that_make_no_sense_are_refused(fields, match):
    with pytest.raises(GanDenoiseError, match=match):
        configure(CifTrainConfig, None, {"cif": "x.cif", **fields})


@pytest.mark.parametrize("energy_kev", [200])
def test_probes_without_a_corrector_are_those_that_are_best_for_their_aberration(energy_kev):
    probe = PROBES[f"{energy_kev}kv"]()
    volts = 1e3 * energy_kev * _e
    wavelength = _hplanck * _c / math.sqrt(volts * (volts + 2 * _me * _c**2))  # m
    for cs in probe.cs_um:
        mrad = 1.41e3 * (wavelength / (cs * 1e-6)) ** 0.25
        defocus = 1e9 * math.sqrt(cs * 1e-6 * wavelength)
        assert probe.convergence_mrad[0] <= mrad <= probe.convergence_mrad[1]
        assert probe.defocus_nm[0] <= defocus <= probe.defocus_nm[1]
