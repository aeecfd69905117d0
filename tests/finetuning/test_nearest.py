"""Which model a run begins with."""

from __future__ import annotations

import pytest

from napari_gandenoise.finetuning import nearest_model
from napari_gandenoise.models import bundled


@pytest.fixture
def bundle(tmp_path, monkeypatch, write_direct_model):
    """``bundle(name, …)``: a model that comes with the package, in place of all that do."""
    monkeypatch.setattr(bundled, "FOLDER", tmp_path)

    def put(name, **fields):
        write_direct_model(tmp_path, name, **fields)

    return put


@pytest.mark.parametrize(("pixel_size_nm", "summed"), [(0.0244, 1), (0.03, 1), (0.017, 1), (0.012, 2), (0.0081, 3)])
def test_hrtem_begins_with_the_model_of_that_sampling(pixel_size_nm, summed):
    found = nearest_model("hrtem", pixel_size_nm)
    assert found.model.pixel_size_nm == 0.0244
    assert found.model.header.intensity == "template"
    assert found.summed == summed


@pytest.mark.parametrize(("mode", "pixel_size_nm"), [("haadf", 0.0244), ("hrtem", 0.0306)])
def test_other_modes_and_coarser_images_are_not_for_it(mode, pixel_size_nm):
    found = nearest_model(mode, pixel_size_nm)
    assert found is None or found.model.header.intensity == "standard"


def test_a_model_of_any_micrograph_is_for_all_that_no_other_is_for(bundle):
    hrtem = {"intensity": "template", "pixel_size_nm": 0.02, "description": "High-resolution TEM: crystals."}
    bundle("fine", **{**hrtem, "pixel_size_nm": 0.01})
    bundle("middle", **hrtem)
    bundle("other", intensity="standard", pixel_size_nm=None)
    bundle("tem", **{**hrtem, "description": "TEM of cells."})
    bundle("colours", intensity="standard", channels=3, pixel_size_nm=None)
    assert nearest_model("haadf", 0.02).name == "other"
    assert nearest_model("hrtem", 0.02).name == "middle"
    assert nearest_model("hrtem", 0.012).name == "fine"
    assert nearest_model("hrtem", 0.04).name == "other"


def test_where_no_model_is_near_there_is_none(bundle):
    bundle("photographs", intensity="absolute", channels=3, pixel_size_nm=None)
    assert nearest_model("haadf", 0.02) is None
