from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

pytest.importorskip("ase")


@pytest.fixture
def module(monkeypatch):
    """Import a benchmark as ``python -m`` does, from the repository's root."""
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"benchmarks.{name}")


@pytest.fixture
def heldout(module):
    return module("heldout")


@pytest.mark.slow
def test_heldout_frames_hold_every_contrast_and_are_simulated_once(heldout, tmp_path):
    small = heldout.SIMULATION.model_copy(update={"structures": 6, "pixel_size_nm": 0.0183, "shape": 64})

    frames = heldout.heldout_frames(tmp_path, config=small, least=1)

    assert {frame.contrast for frame in frames} == set(heldout.CONTRASTS)
    assert [frame.structure for frame in frames] == sorted({frame.structure for frame in frames})
    for frame in frames:
        dose = float(frame.truth.mean())
        assert frame.counts.mean() == pytest.approx(dose, abs=5 * np.sqrt(dose / frame.counts.size))
    before = (tmp_path / "heldout.npz").stat().st_mtime_ns
    again = heldout.heldout_frames(tmp_path, config=small, least=1)
    assert (tmp_path / "heldout.npz").stat().st_mtime_ns == before
    np.testing.assert_array_equal(again[-1].counts, frames[-1].counts)


def test_heldout_frames_do_not_share_the_training_seed(heldout):
    import yaml

    recipes = [yaml.safe_load(path.read_text()) for path in (ROOT / "configs").glob("*simulation*.yaml")]

    assert recipes
    assert all(recipe["seed"] != heldout.SIMULATION.seed for recipe in recipes)


def test_a_result_says_what_made_it(module, tmp_path):
    row = {"method": "flat", "PSNR": 26.3}

    markdown = module("record").write_result(tmp_path, "rows", "Rows", "What they are.", [row], seed=4)

    stored = json.loads((tmp_path / "rows.json").read_text())
    assert stored["rows"] == [row]
    assert stored["seed"] == 4
    assert stored["versions"]["numpy"] == np.__version__
    assert (tmp_path / "rows.md").read_text() == markdown
    assert stored["machine"] in markdown


@pytest.mark.slow
def test_the_quick_table_has_every_row(tmp_path, quick):
    quick("denoising", "--presets", "fast")

    result = json.loads((tmp_path / "denoising.json").read_text())
    psnr = {row["method"]: row["PSNR"] for row in result["rows"]}
    assert psnr["noisy"] < psnr["flat"] < psnr["BM3D, full sampling"] < psnr["BM3D, best bin"]
    assert psnr["ours, fast"] > psnr["flat"]
    assert len(result["scores"]) == 2 * len(psnr)
    assert "| ours, fast |" in (tmp_path / "denoising.md").read_text()


@pytest.mark.slow
def test_the_quick_comparison_has_every_method_and_metric(tmp_path, quick):
    pytest.importorskip("sklearn")
    quick("comparison")

    from napari_gandenoise.settings.compare import ALL

    rows = {row["method"]: row for row in json.loads((tmp_path / "comparison.json").read_text())["rows"]}
    assert len(rows) == len(ALL) + 1  # and the bundled U-Net
    assert not any("note" in row for row in rows.values())
    assert all(rows["BM3D"][name] is not None for name in ("PSNR", "SSIM", "F1", "position error, pm", "held-out gain"))
    assert all(rows["GAN (hrtem)"][name] is not None for name in ("coverage, %", "seams"))
    # Two runs of BM3D on several threads differ in rounding.
    oracle, usual, flat, noisy = (rows[name]["PSNR"] for name in ("BM3D, oracle bin", "BM3D", "Flat", "Noisy"))
    assert oracle > usual - 1e-3 > flat > noisy


@pytest.mark.slow
def test_the_quick_settings_of_baselines_are_tried_one_by_one(tmp_path, quick):
    quick("baseline_settings")

    rows = json.loads((tmp_path / "baseline_settings.json").read_text())["rows"]
    for setting in {row["setting"] for row in rows}:
        own = [row for row in rows if row["setting"] == setting]
        assert [row["PSNR"] for row in own if row["best"]] == [max(row["PSNR"] for row in own)]


@pytest.mark.slow
@pytest.mark.serial
def test_the_quick_scaling_measures_all_by_size_and_by_frames(tmp_path, quick):
    quick("scaling")

    small, large = json.loads((tmp_path / "scaling_size.json").read_text())["rows"]
    assert small["side, pixels"] < large["side, pixels"]
    for method in ("ours", "BM3D, full sampling", "BM3D, summed"):
        assert small[f"{method}, s"] > 0
        assert large[f"{method}, GB"] > 0.05
    # Twice the side is four times the pixels.
    assert large["BM3D, full sampling, s"] > small["BM3D, full sampling, s"]
    few, more = json.loads((tmp_path / "scaling_frames.json").read_text())["rows"]
    assert few["frames"] < more["frames"]
    assert more["seconds"] > few["seconds"] > 0


@pytest.mark.slow
def test_the_quick_timing_measures_all(tmp_path, quick):
    quick("speed")

    rows = json.loads((tmp_path / "speed.json").read_text())["rows"]
    assert [row["method"] for row in rows] == [
        "BM3D, full sampling", "BM3D, summed", "auto, fast", "hrtem-unet, fast", "hrtem, fast",
    ]  # fmt: skip
    assert all(row["seconds"] > 0 and row["peak GB"] > 0.05 for row in rows)
    assert rows[3]["steps"] == 0  # one pass
    assert rows[4]["steps"] > 0


@pytest.mark.slow
def test_the_demo_writes_its_two_files(tmp_path):
    command = [sys.executable, "-m", "benchmarks.demo", "--output", tmp_path, "--preset", "fast", "--side", "400"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert {path.name for path in tmp_path.iterdir()} == {"denoised.tif", "before_after.png"}
    for row in ("noisy", "Gaussian blur", "BM3D, best bin", "ours, fast"):
        assert f"  {row}" in printed


@pytest.mark.slow
def test_the_quick_comparison_of_training_speed_measures_both_loops(tmp_path, quick):
    quick("training_speed")

    rows = json.loads((tmp_path / "training_speed.json").read_text())["rows"]
    assert [row["processes that cut tiles"] for row in rows[:2]] == [0, 1]
    assert rows[-1]["threads"] == 1
    assert all(row["train_steps"] > 0 and row["bare loop"] > 0 and 0 <= row["waiting for tiles"] < 1 for row in rows)


@pytest.mark.slow
def test_the_quick_table_of_restoration_has_every_task_and_method(tmp_path, quick):
    quick("restoration")

    rows = {row["method"]: row for row in json.loads((tmp_path / "restoration.json").read_text())["rows"]}
    assert list(rows) == [
        "interpolated", "TV", "low rank", "sparse", "ours", "ours, without discriminator", "ours, realism 1",
    ]  # fmt: skip
    # What cannot tell colours gives back the grey image.
    assert rows["TV"]["colorize, PSNR"] == pytest.approx(rows["interpolated"]["colorize, PSNR"], abs=0.1)
    assert rows["TV"]["denoise, PSNR"] > rows["interpolated"]["denoise, PSNR"] == pytest.approx(20, abs=2)
    assert all(0 < row[f"{task}, SSIM"] < 1 for row in rows.values() for task in ("inpaint", "super-resolve"))


@pytest.mark.slow
def test_the_quick_tables_of_photographs_train_their_own_model(tmp_path, quick):
    quick("photographs")

    tests = json.loads((tmp_path / "photographs.json").read_text())["rows"]
    assert [row["test"] for row in tests] == ["1: drawn", "2: held out"]
    assert all(row["at random"] < row["proposed"] <= row["optimised"] for row in tests)
    (noise,) = json.loads((tmp_path / "photographs_denoising.json").read_text())["rows"]
    assert noise["noisy"] < noise["ours"]


@pytest.mark.slow
def test_the_quick_dose_curve_beats_bm3d(tmp_path, quick):
    quick("dose_curve")

    rows = json.loads((tmp_path / "dose_curve.json").read_text())["rows"]
    assert [row["dose"] for row in rows] == [0.45, 4.5]
    assert rows[0]["with residual step"] < rows[1]["with residual step"]
    assert all(row["least margin"] > -0.5 for row in rows)


@pytest.mark.slow
def test_the_quick_coverage_is_most_of_the_image(tmp_path, quick):
    quick("coverage")

    (row,) = json.loads((tmp_path / "coverage.json").read_text())["rows"]
    assert 70 < row["within 2 standard errors, %"] <= 100


@pytest.mark.slow
def test_the_quick_tables_of_samples_hold_each_way_and_each_search(tmp_path, quick):
    quick("samples")

    rows = json.loads((tmp_path / "samples.json").read_text())["rows"]
    assert [row["way"].partition(",")[0] for row in rows] == ["hrtem-unet", "hrtem-unet", "hrtem"]
    assert all(row["within 2 standard errors, %"] > 60 for row in rows)
    assert 1 < rows[0]["mean of 8 less one, dB"] < 4
    searched = {row["samples"]: row for row in json.loads((tmp_path / "samples_search.json").read_text())["rows"]}
    plain, best = searched["as they are drawn"], searched["best of 16 in each tile"]
    assert best["nats over the truth"] > plain["nats over the truth"]
    assert json.loads((tmp_path / "samples_columns.json").read_text())["rows"][-1]["columns"] > 0
    assert len(json.loads((tmp_path / "samples_times.json").read_text())["rows"]) == 4


@pytest.mark.slow
def test_the_quick_table_of_false_columns_has_both_kinds(tmp_path, quick):
    quick("false_atoms")

    (row,) = json.loads((tmp_path / "false_atoms.json").read_text())["rows"]
    assert row["painted: misfit, median"] > 2
    assert row["erased: misfit, median"] > 2
    assert row["neither: lights up, %"] < 10


@pytest.mark.slow
def test_the_quick_ablation_leaves_out_every_part(tmp_path, quick):
    quick("ablation")

    rows = {row["main road"]: row for row in json.loads((tmp_path / "ablation.json").read_text())["rows"]}
    assert rows["as it is"]["change, dB"] == 0
    assert rows["without the residual step"]["change, dB"] < 0
    assert all(row["most"] != 0 or row["least"] != 0 for name, row in rows.items() if name != "as it is")


@pytest.mark.slow
def test_the_quick_tables_of_direct_denoisers_train_their_own_models(tmp_path, quick):
    quick("direct")

    heldout = {row["method"]: row for row in json.loads((tmp_path / "direct_heldout.json").read_text())["rows"]}
    assert heldout["U-Net, 1 view"]["PSNR"] > heldout["flat"]["PSNR"]
    assert [row["dose"] for row in json.loads((tmp_path / "direct_doses.json").read_text())["rows"]] == [0.45, 4.5]


@pytest.mark.slow
def test_the_quick_table_of_defects_shows_what_leaving_them_out_is_worth(tmp_path, quick):
    quick("defects")

    rows = {row["the image"]: row for row in json.loads((tmp_path / "defects.json").read_text())["rows"]}
    best = rows["as counted"]["left out"]
    assert rows["as counted"]["not left out"] == best
    for name in ("3 spikes of 1000", "0.12 % hot pixels", "two bad columns"):
        assert rows[name]["left out"] > best - 1.5
        assert rows[name]["not left out"] < best - 10


@pytest.mark.slow
def test_the_quick_table_of_adaptation_has_all_kinds_of_frames(tmp_path, quick):
    quick("adaptation")

    found = json.loads((tmp_path / "adaptation.json").read_text())
    assert [row["frames"].split(",")[0] for row in found["rows"]] == ["foreign", "foreign", "foreign", "own"]
    assert all(row["least"] > -0.3 for row in found["rows"])
    assert all(row["gain"] == 0 for row in found["frames"] if not row["kept"])


@pytest.mark.slow
def test_the_quick_table_of_the_verdict_finds_noise_and_lets_the_truth_pass(tmp_path, quick):
    quick("verdict")

    rows = json.loads((tmp_path / "verdict.json").read_text())["rows"]
    green = {(row["the result"], row["e-/pixel"]): row["of these green"] for row in rows}
    assert green["keeps 30 % of the noise", 4.5] == "0 %"
    assert green["right: the truth", 4.5] == "100 %"


@pytest.mark.slow
def test_the_quick_tables_of_movies_show_what_neighbours_bring(tmp_path, quick):
    quick("movies")

    rows = json.loads((tmp_path / "movies.json").read_text())["rows"]
    psnr = {(row["movie"].split(",")[0], row["method"]): row["PSNR"] for row in rows}
    for movie in ("sample movie", "one frame", "pyrite FeS2"):
        assert psnr[movie, "with neighbours"] > psnr[movie, "each frame for itself"] + 1
    assert psnr["sample movie", "with neighbours"] > psnr["sample movie", "plain mean of 5 frames"]


@pytest.mark.slow
def test_the_quick_table_of_seams_compares_four_ways(tmp_path, quick):
    quick("seams")

    rows = {row["tiles are put"]: row for row in json.loads((tmp_path / "seams.json").read_text())["rows"]}
    assert len(rows) == 4
    assert rows["side by side"]["PSNR"] < rows["blended"]["PSNR"] < rows["blended, residual step"]["PSNR"]
    assert all(0.5 < row["seams"] < 2 for row in rows.values())


@pytest.mark.slow
def test_the_quick_first_model_is_simulated_trained_and_used(tmp_path, quick):
    quick("first_model")

    rows = json.loads((tmp_path / "first_model.json").read_text())["rows"]
    assert [row["PSNR, dB"] for row in rows] == ["this model", "the bundled model"]
    assert all(row["generator alone"] < row["with residual step"] for row in rows)


@pytest.mark.slow
def test_the_quick_tables_of_recovery_have_every_row(tmp_path, quick):
    quick("recovery")

    def rows(name):
        return json.loads((tmp_path / f"recovery_{name}.json").read_text())["rows"]

    clipping = rows("clipping")
    assert {(row["sigma"], row["clipping"]) for row in clipping} == {
        (sigma, clipping) for sigma in (0, 127) for clipping in ("none", "projected", "stochastic")
    }
    noisy = {(row["start"], row["clipping"]): row for row in clipping if row["sigma"] == 127}
    # An encoder's proposal may be on the bounds; what the prior draws is not.
    assert noisy["published", "stochastic"]["at bounds"] == 0
    assert noisy["published", "none"]["latents"] > noisy["published", "projected"]["latents"]
    assert {row["model"] for row in rows("sharpness")} == {"photographs-uniform", "hrtem"}
    assert {(row["images"], row["noise"]) for row in rows("peers")} == {
        (images, noise) for images in ("drawn", "held out") for noise in ("unlimited", "8 bits")
    }
    assert all(row["BM3D"] > row["noisy"] for row in rows("peers"))


@pytest.mark.slow
def test_quick_batch_tables_show_the_same_bytes_by_every_door(tmp_path, quick):
    pytest.importorskip("distributed")
    quick("batch")

    rows = json.loads((tmp_path / "batch.json").read_text())["rows"]
    assert [row["same bytes"] for row in rows] == [None, True, True, True, True]
    assert [row["door"] for row in rows[1:]] == ["command line", "npe2 command", "1 Dask worker", "2 Dask workers"]
    movies = json.loads((tmp_path / "batch_movies.json").read_text())["rows"]
    assert [row["movie"] for row in movies][:2] == ["each frame alone", "warm start"]
    assert movies[0]["speed"] == 1


@pytest.mark.slow
def test_the_quick_simulations_are_timed_beside_abtem(tmp_path, quick):
    pytest.importorskip("abtem")
    quick("simulation_speed")

    rows = {row["method"]: row for row in json.loads((tmp_path / "simulation_speed.json").read_text())["rows"]}
    assert {"abTEM", "ours"} <= rows.keys()
    assert rows["ours"]["RMS"] < rows["abTEM"]["RMS"]
    assert rows["ours"]["correlation"] > 0.99
