"""`columns` on images with and without a result, its layers and its files."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import napari_gandenoise as gd
from napari_gandenoise import manifest
from napari_gandenoise.cli import app
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import write_tiff
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth

PIXEL = 0.0061
CROP = (slice(240, 560), slice(320, 640))  # the particle's top


@pytest.fixture(scope="module")
def truth():
    return np.ascontiguousarray(sample_truth().pixels[CROP])


@pytest.fixture(scope="module")
def counts():
    return np.ascontiguousarray(sample_micrograph().pixels[CROP])


@pytest.fixture(scope="module")
def known(counts, truth):
    """Columns of the sample, beside a denoised image that is as good as can be."""
    return gd.columns(counts, denoised=truth, pixel_size_nm=PIXEL, noise=gd.Poisson())


def test_the_sample_is_platinum_along_110(known):
    """Its nearest columns are a/4 · <112> apart as [110] shows them: 0.392 nm · sqrt(6)/4 = 0.240 nm."""
    table = known.table
    assert len(known) > 20
    assert known.report["config"]["contrast"] == "auto"
    assert (table["intensity"] < 0).all()  # black atoms
    [largest, *_] = known.lattices
    steps = sorted(float(np.hypot(*largest[name])) for name in ("a", "b"))
    assert steps[0] == pytest.approx(0.392 * np.sqrt(6) / 4, rel=0.03)
    assert table["sure"].mean() > 0.95
    assert 0.001 < np.median(table["y_error"]) < 0.02
    assert known.units["y"] == "nm"


def test_the_share_of_samples_that_show_a_column_is_in_the_table(counts, truth, known):
    """Every sample shows all columns but one, which every second lacks."""
    assert np.isnan(known.table["share"]).all()
    result = gd.denoise(counts, pixel_size_nm=PIXEL, noise=gd.Poisson(), model="hrtem-unet", preset="fast")
    found = gd.columns(result).table
    middle = int(np.hypot(found["y"] - 0.5, found["x"] - 0.5).argmin())
    y, x = (np.arange(side)[:, None] * PIXEL for side in truth.shape)
    near = np.exp(-((y - found["y"][middle]) ** 2 + (x.T - found["x"][middle]) ** 2) / (2 * 0.06**2))
    without = result.rate + near * (np.quantile(result.rate, 0.9) - result.rate)
    samples = np.stack([result.rate, without] * 3).astype(np.float32)
    table = gd.columns(replace(result, samples=samples)).table
    assert table["share"][middle] == 0.5
    assert np.median(table["share"]) == 1
    assert np.array_equal(table["probability"], found["probability"])


def test_points_lie_on_their_image_and_doubtful_ones_are_hollow(known):
    probability = known.table["probability"].copy()
    probability[:3] = 0.2
    sure = probability > 0.95
    doubtful = replace(known, table={**known.table, "probability": probability, "sure": sure})
    places, options, kind = doubtful.to_layer_data()
    assert kind == "points"
    np.testing.assert_allclose(places[:, 0] * PIXEL, known.table["y"])
    np.testing.assert_allclose(options["scale"], PIXEL)
    assert (options["face_color"][:3, 3] == 0).all()
    assert (options["face_color"][sure, 3] > 0).all()
    assert options["features"]["probability"][0] == 0.2
    assert "y_error_nm" in options["features"]


def test_a_table_holds_units_and_its_report(known, tmp_path):
    path = tmp_path / "columns.csv"
    known.write(path)
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(known)
    np.testing.assert_array_equal([float(row["x_nm"]) for row in rows], known.table["x"])
    report = json.loads(path.with_suffix(".json").read_text())
    assert report["units"]["log_likelihood_ratio"] == "nats"
    with pytest.raises(GanDenoiseError, match="exists already"):
        known.write(path)
    with pytest.raises(GanDenoiseError, match="must end in"):
        known.write(tmp_path / "columns.txt")


def test_parquet_holds_the_same(known, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    known.write(tmp_path / "columns.parquet")
    table = parquet.read_table(tmp_path / "columns.parquet")
    np.testing.assert_array_equal(table["y_nm"].to_numpy(), known.table["y"])
    assert json.loads(table.schema.metadata[b"napari-gandenoise"])["config"]["threshold"] == 0.95


def test_without_pyarrow_parquet_is_refused_before_the_work(monkeypatch, counts, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(GanDenoiseError, match="pyarrow"):
        manifest.columns(counts, tmp_path / "columns.parquet")


def test_without_a_pixel_size_lengths_are_pixels(counts, truth, known):
    found = gd.columns(counts, denoised=truth, noise=gd.Poisson())
    assert found.units["y"] == "px"
    np.testing.assert_allclose(found.table["y"] * PIXEL, known.table["y"])
    assert "scale" not in found.to_layer_data()[1]


def test_gain_and_offset_of_a_camera_change_nothing_but_the_units_of_the_image(counts, truth, known):
    camera = gd.Poisson(gain=50.0, offset=100.0)
    found = gd.columns(50.0 * counts + 100, denoised=50 * truth + 100, noise=camera, pixel_size_nm=PIXEL)
    np.testing.assert_allclose(found.table["y"], known.table["y"], atol=1e-5)
    np.testing.assert_allclose(found.table["probability"], known.table["probability"], atol=1e-4)


def test_bright_columns_are_those_between_dark_ones(counts, truth):
    found = gd.columns(counts, denoised=truth, noise=gd.Poisson(), contrast="bright")
    assert (found.table["intensity"] > 0).mean() > 0.9


def test_a_result_is_taken_as_it_is(counts):
    """From a `DenoiseResult` the counts come back, and no model runs again."""
    result = gd.denoise(counts, pixel_size_nm=PIXEL, noise=gd.Poisson(), model="hrtem-unet", preset="fast")
    events = []
    steps = gd.columns_steps(result)
    try:
        while True:
            events.append(next(steps))
    except StopIteration as stop:
        found = stop.value
    assert {event.stage for event in events} == {"columns"}
    assert isinstance(events[-1].preview, gd.ColumnsResult)
    again = gd.columns(counts, denoised=result.rate, noise=gd.Poisson(), pixel_size_nm=PIXEL)
    np.testing.assert_allclose(found.table["y"], again.table["y"], atol=1e-5)
    assert found.report["denoised"]["model"] == "hrtem-unet"
    assert found.denoised is None
    assert len(found.to_layers()) == 1


def test_frames_of_a_movie_are_linked(counts, truth):
    pytest.importorskip("laptrack")
    movie, shown = np.stack([counts] * 3), np.stack([truth] * 3)
    found = gd.columns(movie, denoised=shown, noise=gd.Poisson(), pixel_size_nm=PIXEL)
    first = found.table["frame"] == 0
    numbers, there = found.occupancy()
    assert len(numbers) == first.sum()
    assert there.shape == (first.sum(), 3)
    for frame in (1, 2):
        np.testing.assert_array_equal(found.table["column"][found.table["frame"] == frame], numbers)
    assert found.to_layer_data()[0].shape[1] == 3


def test_cancelling_keeps_the_frames_that_are_done(counts, truth):
    steps = gd.columns_steps(np.stack([counts] * 3), denoised=np.stack([truth] * 3), noise=gd.Poisson())
    kept = [next(steps) for _ in range(2)][-1].preview
    steps.close()
    assert set(kept.table["frame"]) == {0}
    assert kept.report["done"] == 1


@pytest.mark.parametrize("blank", [np.zeros((64, 64), np.uint8), np.full((64, 64), 7.0)])
def test_an_image_without_columns_gives_an_empty_table(blank, tmp_path):
    found = gd.columns(blank, denoised=blank.astype(float), noise=gd.Poisson())
    assert len(found) == 0
    assert found.summary() == "no columns were found"
    assert any("No columns" in warning for warning in found.report["warnings"])
    found.write(tmp_path / "none.csv")
    assert found.to_layer_data()[0].shape == (0, 2)


def test_what_does_not_fit_is_one_sentence(counts, truth):
    with pytest.raises(GanDenoiseError, match="same pixels"):
        gd.columns(counts, denoised=truth[:100])
    with pytest.raises(GanDenoiseError, match="grey images"):
        gd.columns(gd.Micrograph(np.zeros((32, 32, 3), np.uint8), rgb=True), denoised=truth)
    with pytest.raises(GanDenoiseError, match="contrast"):
        gd.columns(counts, contrast="grey")
    broken = truth.copy()
    broken[3, 4] = np.nan
    with pytest.raises(GanDenoiseError, match="The denoised image has 1 NaN"):
        gd.columns(counts, denoised=broken, noise=gd.Poisson())


def test_the_command_writes_the_table_of_files(counts, truth, tmp_path):
    noisy, shown, output = (tmp_path / name for name in ("noisy.tif", "shown.tif", "out.csv"))
    write_tiff(noisy, counts.astype(np.float32), pixel_size_nm=PIXEL)
    write_tiff(shown, truth, pixel_size_nm=PIXEL)
    words = ["columns", str(noisy), str(output), "--denoised", str(shown), "--gain", "1", "--contrast", "dark"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    assert "columns" in told.output
    found = manifest.columns(noisy, tmp_path / "again.csv", {"contrast": "dark", "noise": gd.Poisson()}, denoised=shown)
    assert (tmp_path / "again.csv").read_text() == output.read_text()
    assert len(found) > 20
    with pytest.raises(GanDenoiseError, match="no image"):
        manifest.columns(denoised=shown)
    with pytest.raises(GanDenoiseError, match="must end in"):
        manifest.columns(noisy, noisy)
