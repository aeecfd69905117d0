"""The comparison with real methods: images, figures, files, and what happens when a method fails."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from skimage.metrics import peak_signal_noise_ratio

from napari_gandenoise import CompareConfig, CompareResult, GanDenoiseError, Gaussian, Micrograph, Poisson, Progress
from napari_gandenoise.baselines import bm3d, wiener
from napari_gandenoise.comparison import compare, compare_steps
from napari_gandenoise.evaluation import Columns
from napari_gandenoise.io import read_micrograph
from napari_gandenoise.settings.compare import ALL, RECOVERED, USUAL
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth

CROP = (slice(480, 736), slice(440, 696))  # half particle, half support
QUICK = ("noisy", "flat", "gaussian", "wiener", "bm3d")


@pytest.fixture(scope="module")
def truth():
    return replace(sample_truth(), pixels=sample_truth().pixels[CROP])


@pytest.fixture(scope="module")
def noisy():
    return replace(sample_micrograph(), pixels=sample_micrograph().pixels[CROP])


@pytest.fixture(scope="module")
def result(noisy, truth):
    return compare(
        noisy, truth=truth, methods=(*QUICK, "gan"), model="hrtem", preset="fast", data_range=1, replicates=2
    )


def finish(steps):
    """Run to the end; return the events and the result."""
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            return events, stop.value


def row(result: CompareResult, name: str) -> dict:
    return next(row for row in result.rows if row["name"] == name)


def test_every_method_has_an_image_and_figures_of_it(result, noisy, truth):
    assert list(result.images) == [*QUICK, "gan"]
    for name, image in result.images.items():
        assert image.shape == noisy.pixels.shape
        own = row(result, name)
        assert own["PSNR"] == pytest.approx(peak_signal_noise_ratio(truth.pixels, image, data_range=1))
        assert own["seconds"] >= 0
    np.testing.assert_array_equal(result.images["noisy"], noisy.pixels)
    assert row(result, "noisy")["deviance"] == pytest.approx(0, abs=1e-4)
    assert row(result, "flat")["spectrum error"] == pytest.approx(1)
    assert row(result, "gan")["PSNR"] > row(result, "flat")["PSNR"] + 1.5
    assert row(result, "bm3d")["F1"] > 0.9
    assert row(result, "bm3d")["position error, pm"] < 30


def test_what_only_models_have_is_measured_of_them_alone(result):
    assert 50 < row(result, "gan")["coverage, %"] <= 100
    assert 0.5 < row(result, "gan")["seams"] < 2
    assert "coverage, %" not in row(result, "bm3d")
    assert list(result.uncertainties) == ["gan"]


def test_baselines_are_called_with_the_noise_and_the_usual_sums(result, noisy):
    assert result.report["bin_factor"] == 7
    assert row(result, "bm3d")["setting"] == "7 × 7 summed"
    np.testing.assert_allclose(result.images["bm3d"], bm3d(noisy.pixels, 7), atol=1e-4)
    np.testing.assert_array_equal(result.images["wiener"], wiener(noisy.pixels, 7))
    given = compare(noisy, methods="wiener", bin_factor=3, splitting=False)
    np.testing.assert_array_equal(given.images["wiener"], wiener(noisy.pixels, 3))


def test_the_table_has_the_same_columns_in_every_row_and_says_what_it_rests_on(result, truth):
    table = result.table()
    assert {tuple(row) for row in table} == {tuple(table[0])}
    assert list(table[0])[:4] == ["method", "setting", "PSNR", "SSIM"]
    assert "note" not in table[0]
    assert next(row for row in table if row["method"] == "Flat")["position error, pm"] is None
    assert "Data range of PSNR and SSIM: 1." in result.caption()
    assert f"{len(Columns.of(truth.pixels).positions)} atom columns" in result.caption()
    assert "6 methods; the highest PSNR has" in result.summary()
    report = json.loads(json.dumps(result.report))
    assert CompareConfig.model_validate(report["config"]).methods == (*QUICK, "gan")


def test_layers_carry_scale_units_and_shared_contrast(result):
    layers = result.to_layers()
    assert [options["name"] for _, options, _ in layers][-2:] == ["BM3D · Pt on CeO2", "GAN (hrtem) · Pt on CeO2"]
    assert len({options["contrast_limits"] for _, options, _ in layers}) == 1
    for (data, options, kind), image in zip(layers, result.images.values(), strict=True):
        assert kind == "image"
        assert data is image
        assert options["scale"] == pytest.approx((0.0061, 0.0061))
        assert options["units"] == ("nm", "nm")
        assert "PSNR" in options["metadata"]["napari-gandenoise"]["row"]


@pytest.mark.slow
def test_files_hold_the_table_the_figure_and_the_images(result, tmp_path):
    assert result.write(tmp_path / "new" / "folder") == []
    folder = tmp_path / "new" / "folder"
    assert {path.name for path in folder.iterdir()} == {
        "comparison.csv", "comparison.png", *(f"{name}.tif" for name in result.images)
    }  # fmt: skip
    with (folder / "comparison.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(r["PSNR"]) for r in rows] == [r["PSNR"] for r in result.rows]
    assert {r["data range"] for r in rows} == {"1.0"}
    assert imageio.imread(folder / "comparison.png").std() > 20
    image = read_micrograph(folder / "bm3d.tif")
    assert image.pixel_size_nm == pytest.approx(0.0061)
    np.testing.assert_array_equal(image.pixels, result.images["bm3d"])
    with tifffile.TiffFile(folder / "bm3d.tif") as tiff:
        assert json.loads(tiff.imagej_metadata["Info"])["row"]["method"] == "BM3D"
    with pytest.raises(GanDenoiseError, match="already exists"):
        result.write(folder)
    result.write(folder, overwrite=True)


def test_without_matplotlib_the_rest_is_written_and_the_figure_named(result, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)

    (missing,) = result.write(tmp_path)

    assert "pip install napari-gandenoise[compare]" in missing
    assert (tmp_path / "comparison.csv").exists()
    assert not (tmp_path / "comparison.png").exists()


def test_without_truth_methods_are_scored_on_electrons_they_have_not_seen(noisy):
    result = compare(noisy, methods=(*QUICK, "bm3d-oracle"))

    gain = {r["name"]: r.get("held-out gain") for r in result.rows}
    assert gain["bm3d"] > gain["gaussian"] > gain["flat"] == pytest.approx(0, abs=0.5)
    assert gain["noisy"] < 0
    assert gain["bm3d-oracle"] is None
    assert "needs the truth" in row(result, "bm3d-oracle")["note"]
    assert "PSNR" not in result.table()[0]
    assert result.table()[-1]["note"] == row(result, "bm3d-oracle")["note"]
    assert result.summary().startswith("5 methods, 1 without a result; the highest held-out gain has")


def test_copies_of_the_view_give_a_psnr_near_the_true_one(noisy, truth, rng):
    copies = rng.poisson(truth.pixels, (6, *truth.pixels.shape))

    found = compare(noisy, methods=("flat", "bm3d"), truth=truth, copies=copies, data_range=1)

    for one in found.rows:
        assert one["uPSNR"] == pytest.approx(one["PSNR"], abs=2)
    assert "uPSNR" in found.table()[0]


def test_oracles_choose_what_is_closest_to_the_truth(noisy, truth):
    found = compare(noisy, truth=truth, methods=("gaussian", "gaussian-oracle", "wiener", "wiener-oracle", "tv-oracle"))

    psnr = {r["name"]: r["PSNR"] for r in found.rows}
    assert psnr["gaussian-oracle"] >= psnr["gaussian"]
    assert psnr["wiener-oracle"] > psnr["wiener"]
    assert row(found, "tv-oracle")["strength"] == "chosen by the truth"
    assert found.report["data_range"] == pytest.approx(np.ptp(truth.pixels))


@pytest.mark.parametrize("splitting", [None, False])
def test_images_that_count_nothing_are_compared_without_splitting(rng, splitting, make_scene):
    scene = 100 * make_scene(96, 16)
    noisy = scene + rng.normal(0, 15, scene.shape)

    found = compare(noisy, noise=Gaussian(sigma=15), methods=QUICK, splitting=splitting)

    assert "held-out gain" not in found.table()[0]
    assert bool(found.report["notes"]) == (splitting is None)
    assert row(found, "bm3d")["deviance"] == pytest.approx(1, abs=0.2)
    with pytest.raises(GanDenoiseError, match="leave splitting out"):
        compare(noisy, noise=Gaussian(sigma=15), methods="flat", splitting=True)


@pytest.mark.slow
def test_photographs_are_compared_in_colour(rng, tmp_path, write_photograph_model):
    model = str(write_photograph_model(tmp_path))
    y, x = np.indices((48, 52))
    truth = 0.5 + 0.3 * np.stack([np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)], axis=-1)
    noisy = truth + rng.normal(0, 0.1, truth.shape)
    settings = {"methods": ("flat", "nlm", "bm3d", "gan"), "model": model, "preset": "fast", "data_range": 1}

    photograph = Micrograph(noisy.astype(np.float32), rgb=True, name="photograph")
    found = compare(photograph, truth=truth, noise=Gaussian(sigma=0.1), **settings)

    assert all("note" not in r for r in found.rows)
    assert row(found, "bm3d")["PSNR"] > 25 > row(found, "flat")["PSNR"]
    assert "F1" not in found.table()[0]
    (data, options, _), *_ = found.to_layers()
    assert options["rgb"]
    assert data.min() >= 0
    assert data.max() <= 1
    assert found.write(tmp_path / "out") == []
    assert read_micrograph(tmp_path / "out" / "bm3d.tif").rgb


def test_recovery_as_published_has_rows_beside_the_model_s_own(rng, tmp_path, write_photograph_model):
    from napari_gandenoise import RecoverConfig, recover

    model = str(write_photograph_model(tmp_path, prior="uniform"))
    noisy = Micrograph(rng.normal(0.5, 0.2, (32, 32, 3)).astype(np.float32), rgb=True, noise=Gaussian(sigma=0.2))
    found = compare(noisy, methods=("gan", *RECOVERED), model=model, preset="fast", seed=2)

    assert [r["method"] for r in found.rows[1:]] == [f"{title} (photos)" for title, _ in RECOVERED.values()]
    assert [r.get("note") for r in found.rows] == [None] * 4
    assert {r["setting"] for r in found.rows} == {"fast"}
    for name, (_, fields) in RECOVERED.items():
        alone = recover(noisy, RecoverConfig(model=model, preset="fast", seed=2, **fields))
        np.testing.assert_array_equal(found.images[name], alone.rate)
    assert not np.array_equal(found.images["recovered"], found.images["gan"])  # another objective


def test_a_method_that_fails_has_a_row_that_says_why_and_the_others_go_on(noisy, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "bm3d", None)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no model")

    found = compare(noisy, methods=("bm3d", f"model:{broken}", "model:nowhere", "flat"), splitting=False)

    notes = [r.get("note", "") for r in found.rows]
    assert "pip install napari-gandenoise[bm3d]" in notes[0]
    assert "broken.safetensors" in notes[1]
    assert "nowhere" in notes[2]
    assert notes[3] == ""
    assert list(found.images) == ["flat"]


def test_a_crash_of_a_library_is_a_row_too(noisy, monkeypatch):
    import skimage.restoration

    def crash(*_, **__):
        raise MemoryError("too large")

    monkeypatch.setattr(skimage.restoration, "denoise_nl_means", crash)

    found = compare(noisy, methods="nlm,flat", splitting=False)

    assert row(found, "nlm")["note"] == "MemoryError: too large"
    assert "PSNR" not in found.rows[1]


def test_events_name_the_method_and_hold_the_result_so_far(noisy, truth):
    events, result = finish(compare_steps(noisy, methods="flat,bm3d,gan", model="hrtem", truth=truth, preset="fast"))

    assert all(isinstance(event, Progress) and 0 <= event.done <= event.total for event in events)
    partial = [event.preview for event in events if event.preview is not None]
    assert [list(found.images) for found in partial] == [["flat"], ["flat", "bm3d"], ["flat", "bm3d", "gan"]]
    assert partial[-1] is result
    stages = list(dict.fromkeys(event.stage for event in events))
    assert stages[:3] == ["prepare", "Flat", "BM3D"]
    assert "GAN (hrtem): refine" in stages


def test_a_method_can_be_given_up_while_it_runs(noisy):
    unwanted: set[str] = set()
    steps = compare_steps(noisy, methods="gan,flat", model="hrtem", skip=unwanted, splitting=False, preset="fast")
    seen = []
    while not seen or not seen[-1].startswith("GAN (hrtem): "):
        seen.append(next(steps).stage)
    unwanted.add("gan")

    events, result = finish(steps)

    assert len([event for event in events if event.stage.startswith("GAN")]) == 1  # that it is over
    assert row(result, "gan")["note"] == "Left out."
    assert list(result.images) == ["flat"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"methods": "flat,magic"}, "'magic' is no method; there are noisy, flat"),
        ({"methods": ()}, "methods: "),
        ({"truth": np.ones((5, 6))}, "256×256 pixels and the truth 5×6"),
        ({"truth": np.full((256, 256), np.nan)}, "NaN or infinite"),
        ({"copies": np.ones((1, 256, 256))}, "At least 2 noisy copies"),
        ({"copies": np.ones((3, 9, 256))}, "the copies 9×256"),
        ({"share": 1.0}, "share: input should be less than 1"),
        ({"truth": "nowhere.tif"}, "no file nowhere.tif"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(noisy, fields, sentence):
    with pytest.raises(GanDenoiseError, match=sentence):
        compare(noisy, **{"methods": "flat", **fields})


def test_a_movie_is_refused():
    with pytest.raises(GanDenoiseError, match="pick a frame"):
        compare(np.ones((3, 40, 40)), noise=Poisson(), methods="flat")


def test_all_methods_are_known_and_the_usual_ones_look_at_no_truth():
    assert CompareConfig().methods == USUAL
    assert not [name for name in USUAL if "oracle" in name]
    assert CompareConfig(methods=",".join(ALL)).methods == ALL
    assert CompareConfig(methods="flat, flat ,model:unet").methods == ("flat", "model:unet")


def test_all_methods_see_an_image_without_its_defects(rng):
    image = rng.poisson(3.0, (96, 96)).astype(np.float32)
    image[5], image[40, 50] = np.nan, 5000
    result = compare(image, methods=("flat", "gaussian"))
    assert "1 outlier and 96 pixels without a value left out." in " ".join(result.report["notes"])
    assert all(np.isfinite(image).all() for image in result.images.values())
