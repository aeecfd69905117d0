"""One micrograph from a config: counts, truth and how they were made."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.acquisition import RecordingConfig
from napari_gandenoise.settings.simulate import (
    CrystalConfig,
    ImagingConfig,
    ScenesConfig,
    SimulationConfig,
    StructureConfig,
)
from napari_gandenoise.simulate import simulate_images
from napari_gandenoise.simulate.micrograph import (
    _shown,
    default_dose,
    simulate_micrograph,
    simulate_micrograph_steps,
)

pytest.importorskip("ase")

TINY = SimulationConfig(
    pixel_size_nm=0.03,
    shape=132,
    seed=1,
    structure=StructureConfig(diameter_nm=(1.0, 1.0), supported_fraction=0.0, metals=("Au",)),
    imaging=ImagingConfig(defocus_nm=(4.0, 8.0)),
)


@pytest.fixture(scope="module")
def simulated():
    return simulate_micrograph(TINY, dose=5.0)


def test_the_counts_are_poisson_around_the_truth(simulated):
    counts, rate = simulated.counts.pixels, simulated.truth.pixels
    assert counts.dtype == np.uint16
    assert counts.shape == rate.shape == (132, 132)
    assert np.median(rate) == pytest.approx(5.0, rel=0.05)  # vacuum
    # Reduced deviation is 1 with a standard error of sqrt(2/N) = 0.011.
    assert np.mean((counts - rate) ** 2 / rate) == pytest.approx(1, abs=0.05)


def test_the_truth_is_the_first_image_of_the_set(simulated):
    np.testing.assert_allclose(simulated.truth.pixels, 5 * simulate_images(TINY, 0)[0].pixels, rtol=1e-6)


def test_the_same_config_gives_the_same_micrograph_and_another_structure_another(simulated):
    again = simulate_micrograph(TINY, dose=5.0)
    np.testing.assert_array_equal(again.counts.pixels, simulated.counts.pixels)
    other = simulate_micrograph(TINY, dose=5.0, structure=1)
    assert not np.array_equal(other.truth.pixels, simulated.truth.pixels)
    assert other.counts.name != simulated.counts.name


def test_the_layers_know_scale_units_and_how_they_were_made(simulated):
    (truth, truth_options, _), (counts, options, kind) = simulated.to_layers()
    assert kind == "image"
    assert options["scale"] == (0.03, 0.03)
    assert options["units"] == ("nm", "nm")
    assert options["visible"]
    assert not truth_options["visible"]
    assert options["name"] == "Au · seed 1"
    report = options["metadata"]["napari-gandenoise"]
    assert SimulationConfig(**report["simulation"]) == TINY
    assert 4.0 <= report["conditions"]["defocus_nm"] <= 8.0
    assert truth.shape == counts.shape


SCENES = SimulationConfig(shape=96, pixel_size_nm=2.0, seed=4, structure=ScenesConfig(kinds=("grains",)))
PLAIN = {"effects": 0.0, "read_noise": (0.0, 0.0), "eight_bits": 0.0}


def test_scenes_need_no_ase(monkeypatch):
    monkeypatch.setattr("napari_gandenoise.simulate.micrograph.find_spec", {}.get)
    made = simulate_micrograph(SCENES, dose=20.0)
    assert made.counts.pixels.shape == (96, 96)
    assert made.counts.pixel_size_nm == 2.0
    assert made.counts.name == "grains · seed 4"
    assert 0 < made.truth.pixels.max() <= 20
    with pytest.raises(GanDenoiseError, match="Simulation needs ASE"):
        simulate_micrograph(TINY)


def test_a_scan_is_recorded_with_its_truth():
    config = SCENES.model_copy(update={"acquisition": RecordingConfig(recorder="scan", effects=1.0)})
    made, again = simulate_micrograph(config, dose=50.0), simulate_micrograph(config, dose=50.0)
    assert made.counts.pixels.shape == made.truth.pixels.shape == (96, 96)
    assert made.counts.pixels.dtype == made.truth.pixels.dtype == np.float32
    assert made.counts.noise is None
    assert 0 <= made.truth.pixels.min() < made.truth.pixels.max() <= 1
    np.testing.assert_array_equal(made.counts.pixels, again.counts.pixels)
    error = made.counts.pixels - made.truth.pixels
    assert error.std() > 0.5 * made.report["strength"] > 0
    assert SimulationConfig(**made.report["simulation"]) == config
    assert made.report["dose"] == 50.0


def test_the_dose_of_another_detector_is_given_or_drawn():
    camera = RecordingConfig(recorder="camera", **PLAIN, dose=(30.0, 30.0))
    config = SCENES.model_copy(update={"shape": 256, "acquisition": camera})
    drawn = simulate_micrograph(config)
    # Counts of mean m vary by m: with 30 electrons a pixel in the mean, by 1/30 of the squared mean.
    error = (drawn.counts.pixels - drawn.truth.pixels) / drawn.truth.pixels.mean()
    assert error.var() == pytest.approx(1 / 30, rel=0.1)
    given = simulate_micrograph(config, dose=4 * drawn.report["dose"])
    error = (given.counts.pixels - given.truth.pixels) / given.truth.pixels.mean()
    assert error.var() == pytest.approx(1 / 120, rel=0.1)
    uncounted = config.model_copy(update={"acquisition": camera.model_copy(update={"dose": None})})
    noiseless = simulate_micrograph(uncounted)
    np.testing.assert_array_equal(noiseless.counts.pixels, noiseless.truth.pixels)
    assert noiseless.report["dose"] is None


@pytest.mark.parametrize(
    ("structure", "formula", "name"),
    [
        (StructureConfig(metals=("Pt", "Au")), "Ce20O40Au9", "Au on CeO2"),
        (StructureConfig(metals=("Pt", "Au")), "Pt9", "Pt"),
        (CrystalConfig(materials=("SrTiO3",)), "C90O60Sr20Ti20", "SrTiO3"),
        (CrystalConfig(materials=("graphene",)), "C90", "graphene"),
        (CrystalConfig(materials=("SrTiO3", "Au")), "Au20C9", "Au"),
        (CrystalConfig(), "C90O60Sr20Ti20", "C-O-Sr-Ti"),
        (CrystalConfig(cif=("quartz.cif",)), "O60Si30", "quartz"),
        (ScenesConfig(), "scene", "scene"),
    ],
)
def test_a_micrograph_is_named_by_what_it_shows(structure, formula, name):
    assert _shown(SimulationConfig(structure=structure), formula) == name


def test_haadf_counts_the_share_of_the_beam_that_is_detected():
    flake = CrystalConfig(materials=("WS2",), flakes=1.0, surroundings=("vacuum",))
    config = SimulationConfig(mode="haadf", shape=64, pixel_size_nm=0.02, structure=flake)
    made = simulate_micrograph(config, dose=5e4)
    share = simulate_images(config, 0)[0].pixels
    np.testing.assert_allclose(made.truth.pixels, 5e4 * share, rtol=1e-6)
    assert made.counts.name == "WS2 · HAADF-STEM · seed 0"
    assert simulate_micrograph(config).report["dose"] == default_dose(config) > default_dose(SimulationConfig())


@pytest.mark.parametrize("dose", [0, -1.0, float("nan"), float("inf")])
def test_a_dose_that_cannot_be_is_refused(dose):
    with pytest.raises(GanDenoiseError, match="dose must be a positive number"):
        drain(simulate_micrograph_steps(TINY, dose))
