"""One micrograph from a config: counts, truth and how they were made."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.simulate import ImagingConfig, SimulationConfig, StructureConfig
from napari_gandenoise.simulate import simulate_images
from napari_gandenoise.simulate.micrograph import simulate_micrograph, simulate_micrograph_steps

pytestmark = pytest.mark.skipif(find_spec("abtem") is None, reason="needs the extra simulate")

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


@pytest.mark.parametrize("dose", [0, -1.0, float("nan"), float("inf")])
def test_a_dose_that_cannot_be_is_refused(dose):
    with pytest.raises(GanDenoiseError, match="dose must be a positive number"):
        drain(simulate_micrograph_steps(TINY, dose))
