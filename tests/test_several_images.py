"""A file of several detectors: every door takes its largest image and says so, or the one that is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from tests.io.test_microscope import write_velox

import napari_gandenoise as gd
from napari_gandenoise import cli
from napari_gandenoise import manifest as commands
from napari_gandenoise.batching.inputs import open_source
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_images, read_micrograph
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.text import as_options, as_yaml

pytest.importorskip("rsciio")

SIDES = {"BF": 32, "HAADF": 48, "DF4": 40}


@pytest.fixture
def images(rng):
    return {detector: rng.poisson(20, (side, side)).astype("u2") for detector, side in SIDES.items()}


@pytest.fixture
def velox(tmp_path, images):
    """Three detectors of different sizes, a Fourier transform that is larger than all of them, and spectra."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "scan.emd"
    write_velox(path, images)
    half = np.dtype([("realFloatHalfEven", "<f4"), ("imagFloatHalfEven", "<f4")])
    with h5py.File(path, "a") as file:
        group = file.create_group("Data/Image/" + "f" * 32)
        group["Data"] = np.zeros((64, 33, 1), half)
        group["Metadata"] = file["Data/Image/" + "0" * 32 + "/Metadata"][()]
        file.create_group("Data/SpectrumStream/" + "0" * 32)
    return path


@pytest.fixture
def settings(tmp_path, write_direct_model):
    return {"model": str(write_direct_model(tmp_path, pixel_size_nm=None, intensity="standard")), "device": "cpu"}


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["napari-gandenoise", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return call


def test_all_of_them_are_read_each_with_its_name(velox, images):
    found = read_images(velox)
    assert {image.name for image in found} == {f"scan {detector}" for detector in SIDES}
    for image in found:
        np.testing.assert_array_equal(image.pixels, images[image.title])


def test_the_largest_real_one_is_taken_and_the_note_names_all(velox):
    found = read_micrograph(velox)
    assert found.title == "HAADF"
    said = " ".join(found.notes)
    assert "scan.emd holds 3 images: BF, HAADF, DF4; this is HAADF, the largest." in said
    assert "complex numbers (64×33)" in said
    assert "streams of spectra: left out" in said


@pytest.mark.parametrize("name", ["DF4", "df4", "scan DF4"])
def test_another_is_taken_by_its_name(velox, name):
    assert read_micrograph(velox, image=name).pixels.shape == (40, 40)


def test_a_name_that_is_not_there_is_refused_with_those_that_are(velox):
    with pytest.raises(GanDenoiseError, match=r"scan.emd has no image 'ADF', but: BF, HAADF, DF4"):
        read_micrograph(velox, image="ADF")


def test_the_only_image_has_the_name_of_the_file_and_is_found_by_its_detector(tmp_path, images):
    write_velox(tmp_path / "one.emd", {"BF": images["BF"]})
    found = read_micrograph(tmp_path / "one.emd", image="BF")
    assert (found.name, found.title, found.notes) == ("one", "BF", ())


def test_in_python(velox, settings):
    named = gd.denoise(velox, image="BF", **settings)
    assert named.rate.shape == (32, 32)
    largest = gd.denoise(str(velox), **settings)
    assert largest.rate.shape == (48, 48)
    assert any("this is HAADF, the largest" in warning for warning in largest.report["warnings"])
    assert any("this is HAADF, the largest" in warning for warning in gd.plan(velox, **settings).warnings)
    with pytest.raises(GanDenoiseError, match="this is an array"):
        gd.denoise(np.ones((32, 32)), image="BF", **settings)


def test_on_the_command_line(velox, settings, tmp_path, run):
    chosen = ("--model", settings["model"], "--device", "cpu")
    code, said = run("denoise", velox, tmp_path / "a.ome.tif", *chosen)
    assert code == 0
    assert "this is HAADF, the largest" in said
    code, said = run("denoise", velox, tmp_path / "b.ome.tif", *chosen, "--image", "BF")
    assert code == 0
    assert "largest" not in said
    assert tifffile.imread(tmp_path / "a.ome.tif").shape == (48, 48)
    assert tifffile.imread(tmp_path / "b.ome.tif").shape == (32, 32)
    code, said = run("denoise", velox, tmp_path / "c.ome.tif", *chosen, "--image", "ADF")
    assert code == 1
    assert "BF, HAADF, DF4" in said


def test_as_a_command_of_the_plugin_and_in_a_comparison(velox, settings, tmp_path):
    assert commands.denoise(velox, tmp_path / "a.ome.tif", {**settings, "image": "DF4"}).rate.shape == (40, 40)
    found = gd.compare(velox, methods="flat", image="BF")
    assert found.noisy.shape == (32, 32)
    assert any("this is HAADF" in note for note in gd.compare(velox, methods="flat").report["notes"])


def test_in_a_batch_job(velox, settings, tmp_path):
    result = gd.batch(inputs=velox, output=tmp_path / "out", settings={**settings, "image": "BF"})
    assert not result.failures
    assert tifffile.imread(tmp_path / "out" / "scan-denoised.ome.tif").shape == (32, 32)
    assert open_source(velox).title == "HAADF"
    assert open_source(velox, "DF4").title == "DF4"


def test_in_yaml_and_among_the_options():
    config = BatchConfig(inputs=("a.emd",), output="out", settings={"image": "BF"})
    assert "image: BF" in as_yaml(config)
    assert json.dumps(as_options(config)).count('"--image", "BF"') == 1


def test_napari_shows_a_layer_for_each(velox, images):
    layers = commands.get_reader(str(velox))(str(velox))
    assert [options["name"] for _, options, _ in layers] == [f"scan {detector}" for detector in SIDES]
    for data, options, kind in layers:
        assert kind == "image"
        assert options["units"] == ("nm", "nm")
        np.testing.assert_array_equal(data, images[options["name"].removeprefix("scan ")])
