from __future__ import annotations

import _thread
import csv
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
import torch
import yaml
from skimage.metrics import peak_signal_noise_ratio

from napari_gandenoise import cli
from napari_gandenoise.io import read_micrograph, write_tiff
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import load_model
from napari_gandenoise.models.calibration import UNCALIBRATED
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch, capsys) -> Callable[..., Outcome]:
    """Call the console script's own entry point."""

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr("sys.argv", ["napari-gandenoise", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        captured = capsys.readouterr()
        return Outcome(code if isinstance(code, int) else int(code is not None), captured.out, captured.err)

    return call


@pytest.fixture(scope="module")
def sample() -> Micrograph:
    """160 x 160 pixels of the sample's particle, 6.1 pm a pixel."""
    whole = sample_micrograph(seed=0)
    return replace(whole, pixels=whole.pixels[500:660, 500:660])


@pytest.fixture
def micrograph(tmp_path, sample) -> Path:
    """The sample's particle as a file."""
    path = tmp_path / "noisy.tif"
    write_tiff(path, sample.pixels, pixel_size_nm=sample.pixel_size_nm)
    return path


def test_the_command_line_imports_nothing_heavy():
    code = (
        "import sys, napari_gandenoise.cli;"
        "print([n for n in ('torch', 'numpy', 'napari', 'qtpy', 'abtem') if n in sys.modules])"
    )

    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert finished.stdout.strip() == "[]"


# --- denoise --------------------------------------------------------------------------------------------------------


def test_denoise_writes_a_float32_tiff_with_the_pixel_size(run, micrograph, tmp_path):
    output, fit_map = tmp_path / "denoised.tif", tmp_path / "fit.tif"

    outcome = run("denoise", micrograph, output, "--preset", "fast", "--fit-map", fit_map)

    assert outcome.code == 0, outcome.err
    assert len(outcome.out.splitlines()) == 1
    assert outcome.out.startswith(f"{output}: ")
    noisy, denoised = read_micrograph(micrograph), read_micrograph(output)
    assert denoised.pixels.dtype == np.float32
    assert denoised.pixels.shape == read_micrograph(fit_map).pixels.shape == noisy.pixels.shape
    assert denoised.pixel_size_nm == pytest.approx(0.0061)
    assert denoised.pixels.mean() == pytest.approx(noisy.pixels.mean(), rel=0.05)
    assert denoised.pixels.std() < 0.5 * noisy.pixels.std()


def test_samples_are_written_one_after_the_other(run, micrograph, write_random_model, tmp_path):
    model = write_random_model(tmp_path, samples=UNCALIBRATED, pixel_size_nm=0.0244)
    output, samples, error = (tmp_path / name for name in ("out.tif", "samples.tif", "error.tif"))
    given = ("--model", model, "--preset", "fast", "--samples", 3, "--samples-file", samples, "--uncertainty", error)
    outcome = run("denoise", micrograph, output, *given)
    assert outcome.code == 0, outcome.err
    drawn, rate = tifffile.imread(samples), tifffile.imread(output)
    assert drawn.shape == (3, *rate.shape)
    assert read_micrograph(samples).pixel_size_nm == read_micrograph(micrograph).pixel_size_nm
    spread = np.sqrt(np.square(drawn - rate).mean(axis=0))
    above = (drawn > 0).all(axis=0)
    assert tifffile.imread(error)[above] == pytest.approx(spread[above], rel=1e-3, abs=1e-5)


def test_the_drift_of_a_movie_is_written_and_taken_again(run, sample, tmp_path):
    moving = np.stack([sample.pixels[10 * frame :][:96, :96] for frame in range(3)])
    movie, output, drift = (tmp_path / name for name in ("movie.tif", "out.tif", "drift.csv"))
    write_tiff(movie, moving, pixel_size_nm=4 * sample.pixel_size_nm)
    fast = ("--model", "hrtem-unet", "--views", 1, "--no-residual-step", "--overwrite")
    denoise = ("denoise", movie, output, *fast, "--neighbours", 1)
    assert run(*denoise, "--drift-file", drift).code == 0
    found, rate = drift.read_text(), tifffile.imread(output)
    assert found.splitlines()[:2] == ["frame,down,right", "0,0,0"]
    outcome = run(*denoise, "--drift", drift, "--drift-file", tmp_path / "again.csv")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "again.csv").read_text() == found
    np.testing.assert_array_equal(tifffile.imread(output), rate)
    for refused, sentence in (
        (("--drift-file", tmp_path / "drift.tif"), "must end in .csv"),
        (("--drift", drift, "--drift-file", drift), "is the input itself"),
        (("--drift", tmp_path / "none.csv"), "There is no file"),
    ):
        outcome = run(*denoise, *refused)
        assert outcome.code == 1
        assert sentence in outcome.err
    outcome = run(*denoise, "--neighbours", 0, "--drift-file", tmp_path / "none.csv")
    assert outcome.code == 0
    assert "none.csv was not written: this job has no drift." in outcome.err


def test_the_uncertainty_is_written_beside_the_result(run, micrograph, tmp_path):
    output, error = tmp_path / "denoised.tif", tmp_path / "error.tif"

    outcome = run("denoise", micrograph, output, "--preset", "fast", "--uncertainty", error, "--replicates", 1)

    assert outcome.code == 0, outcome.err
    noisy, uncertainty = read_micrograph(micrograph), read_micrograph(error)
    assert uncertainty.pixels.shape == noisy.pixels.shape
    assert uncertainty.pixel_size_nm == noisy.pixel_size_nm
    # A single pixel's counting noise is the least that one can know of it.
    assert 0 < uncertainty.pixels.mean() < noisy.pixels.std()


def test_gain_and_offset_carry_the_result_into_the_input_units(run, tmp_path, sample):
    counts = sample.pixels
    camera, output = tmp_path / "camera.tif", tmp_path / "denoised.tif"
    write_tiff(camera, 40.0 * counts + 300, pixel_size_nm=0.0061)

    outcome = run("denoise", camera, output, "--preset", "fast", "--gain", 40, "--offset", 300)

    assert outcome.code == 0, outcome.err
    assert read_micrograph(output).pixels.mean() == pytest.approx(40 * counts.mean() + 300, rel=0.02)


def test_options_override_the_yaml_file_and_both_end_in_the_provenance(run, micrograph, tmp_path):
    settings, output = tmp_path / "denoise.yaml", tmp_path / "denoised.tif"
    settings.write_text(yaml.safe_dump({"preset": "paper", "seed": 5, "residual_step": False}))

    outcome = run("denoise", micrograph, output, "--config", settings, "--preset", "fast")

    assert outcome.code == 0, outcome.err
    with tifffile.TiffFile(output) as tiff:
        config = json.loads(tiff.imagej_metadata["Info"])["config"]
    assert (config["preset"], config["seed"], config["residual_step"]) == ("fast", 5, False)


@pytest.fixture
def interruptible():
    """Have interrupts raised: a shell that starts the tests in the background has them ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_leaves_nothing_behind(run, tmp_path, when_drawing):
    sample = sample_micrograph(seed=0)
    noisy = tmp_path / "noisy.tif"
    write_tiff(noisy, sample.pixels, pixel_size_nm=sample.pixel_size_nm)
    pressed = []

    def ctrl_c(latents):
        if not pressed:
            pressed.append(True)
            _thread.interrupt_main()

    when_drawing(ctrl_c)

    outcome = run("denoise", noisy, tmp_path / "denoised.tif", "--preset", "paper", "--model", "hrtem")

    assert pressed, "nothing was drawn"
    assert outcome.code != 0
    assert "Traceback" not in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["noisy.tif"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.tif", "out.tif"], "There is no file"),
        (["noisy.tif", "out.png"], "must end in .tif"),
        (["noisy.tif", "noisy.tif", "--overwrite"], "is the input itself"),
        (["noisy.tif", "nowhere/out.tif"], "does not exist"),
        (["noisy.tif", "there.tif"], "add --overwrite"),
        (["noisy.tif", "out.tif", "--fit-map", "out.tif"], "cannot both be"),
        (["noisy.tif", "out.tif", "--preset", "quick"], "--preset: input should be 'fast'"),
        (["noisy.tif", "out.tif", "--gain", "0"], "--gain: input should be greater than 0, not 0.0"),
        (["noisy.tif", "out.tif", "--gain", "1", "--sigma", "2"], "either --sigma or the numbers of a camera"),
        (["noisy.tif", "out.tif", "--pixel-size", "-1"], "--pixel-size: input should be greater than 0"),
        (["noisy.tif", "out.tif", "--seed", "few"], "--seed: input should be a valid integer"),
        (["noisy.tif", "out.tif", "--max-memory-gb", "0"], "--max-memory-gb: input should be greater than 0"),
        (["noisy.tif", "out.tif", "--config", "quick.yaml"], ": preset: input should be 'fast'"),
        (["noisy.tif", "out.tif", "--model", "no-such-model"], "no-such-model"),
        (["noisy.tif", "out.tif", "--config", "missing.yaml"], "missing.yaml"),
        (["noisy.tif", "out.tif", "--config", "list.yaml"], "must hold a mapping"),
        (["noisy.tif", "out.tif", "--config", "broken.yaml"], "is not a YAML file"),
        (["noisy.tif", "out.tif", "--config", "unknown.yaml"], "speed"),
    ],
)
def test_what_cannot_work_is_one_sentence(run, micrograph, monkeypatch, arguments, sentence):
    folder = micrograph.parent
    monkeypatch.chdir(folder)
    (folder / "there.tif").write_bytes(b"")
    (folder / "list.yaml").write_text("- fast\n")
    (folder / "broken.yaml").write_text("preset: [fast\n")
    (folder / "unknown.yaml").write_text("speed: 3\n")
    (folder / "quick.yaml").write_text("preset: quick\n")

    outcome = run("denoise", *arguments)

    assert outcome.code == 1
    assert sentence in outcome.err
    assert outcome.err.startswith("napari-gandenoise: ")
    assert len(outcome.err.splitlines()) == 1
    assert not (folder / "out.tif").exists()


# --- restore --------------------------------------------------------------------------------------------------------


@pytest.fixture
def photograph(tmp_path, rng, write_photograph_model) -> Path:
    """40 x 36 colour pixels, with a mask and a model beside them."""
    write_photograph_model(tmp_path)
    imageio.imwrite(tmp_path / "cat.png", rng.integers(0, 256, (40, 36, 3), dtype=np.uint8))
    mask = np.zeros((40, 36), np.uint8)
    mask[10:20, 5:15] = 255
    imageio.imwrite(tmp_path / "mask.png", mask)
    return tmp_path / "cat.png"


def test_restore_fills_what_is_masked(run, photograph, tmp_path):
    output, drawn = tmp_path / "out.tif", tmp_path / "drawn.tif"

    outcome = run(
        "restore", photograph, output, "--task", "inpaint", "--mask", tmp_path / "mask.png",
        "--model", tmp_path / "photos.safetensors", "--steps", 3, "--drawn", drawn,
    )  # fmt: skip

    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"{output}: inpainted: 100 pixels drawn")
    assert len(outcome.out.splitlines()) == 1
    image, known = read_micrograph(output), imageio.imread(tmp_path / "mask.png") == 0
    assert image.rgb
    assert image.pixels.dtype == np.float32
    np.testing.assert_array_equal(image.pixels[known], imageio.imread(photograph)[known])
    assert read_micrograph(drawn).pixels.shape == image.pixels.shape


def test_restore_takes_its_fields_from_a_file_and_shrinks_the_pixels(run, photograph, tmp_path):
    config, source, output = tmp_path / "restore.yaml", tmp_path / "in.ome.tif", tmp_path / "out.ome.tif"
    config.write_text(
        f"task: super-resolve\nfactor: 2\nmodel: {tmp_path / 'photos.safetensors'}\nsteps: 2\nwhite: 255\n"
    )
    write_tiff(source, imageio.imread(photograph), pixel_size_nm=100.0, axes="YXS")

    outcome = run("restore", source, output, "--config", config, "--factor", 4)

    assert outcome.code == 0, outcome.err
    enlarged = read_micrograph(output)
    assert enlarged.pixels.shape == (160, 144, 3)
    assert enlarged.pixel_size_nm == pytest.approx(25)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "--task: field required."),
        (["--task", "sharpen"], "--task: input should be"),
        (["--task", "super-resolve", "--factor", "3"], "--factor: input should be 2 or 4"),
        (["--task", "inpaint"], "a mask must say what is missing"),
        (["--task", "denoise", "--mask", "mask.png"], "A mask says where to inpaint"),
        (["--task", "inpaint", "--mask", "nowhere.png"], "There is no file nowhere.png"),
        (["--task", "colorize", "--model", "hrtem"], "choose a model of photographs"),
    ],
)
def test_restore_says_in_a_sentence_what_is_wrong(run, photograph, tmp_path, monkeypatch, options, sentence):
    monkeypatch.chdir(tmp_path)
    model = [] if "--model" in options else ["--model", "photos.safetensors"]

    outcome = run("restore", photograph, "out.tif", *options, *model)

    assert outcome.code == 1
    assert sentence in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not Path("out.tif").exists()


# --- recover --------------------------------------------------------------------------------------------------------


def test_recover_denoises_as_published(run, micrograph, tmp_path):
    output, fit_map = tmp_path / "out.tif", tmp_path / "fit.tif"

    outcome = run("recover", micrograph, output, "--preset", "fast", "--clipping", "projected", "--fit-map", fit_map)

    assert outcome.code == 0, outcome.err
    noisy, found = read_micrograph(micrograph), read_micrograph(output)
    assert found.pixels.shape == read_micrograph(fit_map).pixels.shape == noisy.pixels.shape
    assert found.pixels.std() < 0.5 * noisy.pixels.std()
    with tifffile.TiffFile(output) as tiff:
        config = json.loads(tiff.imagej_metadata["Info"])["config"]
    assert (config["objective"], config["clipping"], config["residual_step"]) == ("squared", "projected", False)


def test_recover_fills_what_is_masked_as_published(run, photograph, tmp_path):
    output, fit_map = tmp_path / "out.tif", tmp_path / "fit.tif"

    outcome = run(
        "recover", photograph, output, "--task", "inpaint", "--mask", tmp_path / "mask.png",
        "--model", tmp_path / "photos.safetensors", "--steps", 3, "--realism", 0, "--fit-map", fit_map,
    )  # fmt: skip

    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"{output}: inpainted: 100 pixels drawn")
    image, known = read_micrograph(output), imageio.imread(tmp_path / "mask.png") == 0
    np.testing.assert_array_equal(image.pixels[known], imageio.imread(photograph)[known])
    assert "has no fit map" in outcome.err
    assert not fit_map.exists()


# --- compare --------------------------------------------------------------------------------------------------------


@pytest.fixture
def clean(tmp_path) -> Path:
    """The truth of `micrograph`."""
    sample = sample_truth()
    path = tmp_path / "clean.tif"
    write_tiff(path, sample.pixels[500:660, 500:660], pixel_size_nm=sample.pixel_size_nm)
    return path


def test_compare_writes_table_figure_and_images_of_real_files(run, micrograph, clean, tmp_path):
    output = tmp_path / "comparison"

    outcome = run(
        "compare", micrograph, "--truth", clean, "--methods", "noisy,bm3d,gan", "--preset", "fast",
        "--data-range", 1, "--output", output,
    )  # fmt: skip

    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0].startswith("| method | setting | PSNR | SSIM |")
    assert [line.split(" | ")[0] for line in lines[2:5]] == ["| Noisy", "| BM3D", "| GAN (auto)"]
    assert lines[-1].startswith(f"{output}: 3 methods; the highest PSNR has ")
    rate, truth = read_micrograph(output / "gan.tif"), read_micrograph(clean).pixels
    assert rate.pixel_size_nm == pytest.approx(0.0061, rel=1e-3)
    table = list(csv.DictReader((output / "comparison.csv").open(encoding="utf-8")))
    assert float(table[2]["PSNR"]) == pytest.approx(peak_signal_noise_ratio(truth, rate.pixels, data_range=1))
    assert imageio.imread(output / "comparison.png").ndim == 3
    again = run("compare", micrograph, "--methods", "flat", "--output", output)
    assert again.code == 1
    assert "already exists" in again.err


def test_compare_takes_its_fields_from_a_file_and_copies_from_a_stack(run, micrograph, clean, tmp_path, rng):
    rate = read_micrograph(clean).pixels
    write_tiff(tmp_path / "copies.tif", rng.poisson(rate, (3, *rate.shape)))
    settings = tmp_path / "compare.yaml"
    settings.write_text("methods: [flat, wiener]\nbin_factor: 4\n")

    outcome = run(
        "compare", micrograph, "--config", settings, "--copies", tmp_path / "copies.tif", "-o", tmp_path / "out"
    )

    assert outcome.code == 0, outcome.err
    header, _, flat, wiener = outcome.out.splitlines()[:4]
    assert "uPSNR | held-out gain" in header
    assert flat.startswith("| Flat |")
    assert wiener.startswith("| Wiener, estimated | 4 × 4 summed |")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--methods", "magic"], "'magic' is no method"),
        (["--truth", "nowhere.tif"], "There is no file nowhere.tif"),
        (["--sigma", "0"], "sigma: input should be greater than 0"),
        (["--output", "noisy.tif"], "is a file"),
    ],
)
def test_compare_says_in_a_sentence_what_is_wrong(run, micrograph, monkeypatch, options, sentence):
    monkeypatch.chdir(micrograph.parent)
    output = [] if "--output" in options else ["--output", "out"]

    outcome = run("compare", "noisy.tif", *options, *output)

    assert outcome.code == 1
    assert sentence in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not Path("out").exists()


# --- simulate -------------------------------------------------------------------------------------------------------


def test_simulate_writes_a_set_that_it_can_continue(run, tmp_path):
    zarr = pytest.importorskip("zarr")
    pytest.importorskip("ase")
    settings, output = tmp_path / "simulate.yaml", tmp_path / "set.zarr"
    settings.write_text(yaml.safe_dump({"shape": 64, "structures": 9, "images_per_structure": 2}))

    outcome = run("simulate", settings, output, "--structures", 1)

    assert outcome.code == 0, outcome.err
    assert "2 images of 1 structures" in outcome.out
    group = zarr.open_group(output, mode="r")
    assert group["images"].shape == (2, 64, 64)
    assert run("simulate", settings, output, "--structures", 1).code == 0
    other = run("simulate", settings, output, "--structures", 2)
    assert other.code == 1
    assert "another set" in other.err


def test_simulate_writes_one_micrograph_with_its_truth(run, tmp_path):
    pytest.importorskip("ase")
    output = tmp_path / "one.tif"

    outcome = run("simulate", output, "--shape", 64, "--dose", 2, "--seed", 3)

    assert outcome.code == 0, outcome.err
    counts, truth = read_micrograph(output), read_micrograph(tmp_path / "one-truth.tif")
    assert counts.pixels.shape == truth.pixels.shape == (64, 64)
    assert counts.pixel_size_nm == pytest.approx(0.0183, rel=1e-3)
    assert np.all(counts.pixels == np.round(counts.pixels))
    assert run("simulate", output).code == 1


def test_simulate_writes_scenes_and_records_scans_on_the_device_that_is_wanted(run, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_gandenoise.simulate.micrograph.find_spec", {}.get)  # scenes need no ASE
    scenes = ("--structure.kind", "scene", "--shape", 64, "--pixel-size", 5, "--device", "cpu")

    outcome = run(
        "simulate", tmp_path / "one.tif", *scenes, "--acquisition.recorder", "scan", "--acquisition.jitter", 2
    )

    assert outcome.code == 0, outcome.err
    assert "scene · seed 0" in outcome.out
    scanned, truth = (read_micrograph(tmp_path / name) for name in ("one.tif", "one-truth.tif"))
    assert scanned.pixels.shape == truth.pixels.shape == (64, 64)
    assert scanned.pixel_size_nm == pytest.approx(5)
    assert run("simulate", tmp_path / "set.zarr", *scenes, "--structures", 2).code == 0
    if not torch.cuda.is_available():
        refused = run("simulate", tmp_path / "other.zarr", *scenes[:-1], "cuda")
        assert refused.code == 1
        assert "There is no CUDA device on this machine" in refused.err


def test_simulate_without_its_extra_names_it(run, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_gandenoise.simulate.micrograph.find_spec", {}.get)

    outcome = run("simulate", tmp_path / "set.zarr")

    assert outcome.code == 1
    assert "pip install napari-gandenoise[simulate]" in outcome.err


def test_a_range_that_cannot_be_is_refused(run, tmp_path):
    outcome = run("simulate", tmp_path / "set.zarr", "--pixel-size", 3)

    assert outcome.code == 1
    assert outcome.err == (
        "napari-gandenoise: pixel_size_nm: atoms need pixels of 0.1 nm at most, not 3; scenes may have larger ones.\n"
    )
    outcome = run("simulate", tmp_path / "set.zarr", "--shape", 3)
    assert outcome.err == "napari-gandenoise: --shape: input should be greater than or equal to 32, not 3.\n"


# --- models and training --------------------------------------------------------------------------------------------


def test_models_are_listed_and_shown(run):
    listed = run("models", "list")

    assert listed.code == 0
    assert "hrtem" in listed.out
    shown = run("models", "show", "hrtem")
    assert yaml.safe_load(shown.out)["name"] == "hrtem"
    assert run("models", "show", "no-such-model").code == 1


def test_a_model_is_exported_and_verified(run, tmp_path):
    copy = tmp_path / "copy.safetensors"

    assert run("models", "export", "hrtem", copy).code == 0
    sound = run("models", "verify", copy)
    assert sound.code == 0
    assert "sound" in sound.out
    assert hashlib.sha256(copy.read_bytes()).hexdigest() in sound.out
    assert run("models", "export", "hrtem", copy).code == 1
    copy.write_bytes(copy.read_bytes()[:5000])
    damaged = run("models", "verify", copy)
    assert damaged.code == 1
    assert damaged.err.count("\n") == 1
    assert "copy.safetensors" in damaged.err


def test_a_model_of_your_own_is_named_like_others(run, tmp_path, write_direct_model):
    path = write_direct_model(tmp_path)
    installed = run("models", "install", path)
    assert installed.code == 0
    name = load_model(path).name
    assert f"--model {name}" in installed.out
    assert run("models", "verify", name).code == 0
    again = run("models", "install", path)
    assert (again.code, again.err.count("\n")) == (1, 1)
    assert "already" in again.err
    assert run("models", "install", path, "--overwrite").code == 0
    assert run("models", "install", "hrtem").code == 1
    assert run("models", "install", "hrtem", "--name", "mine").code == 0
    assert {name, "mine"} <= {line.partition("  ")[0] for line in run("models", "list").out.splitlines()}


def test_sharpness_writes_a_new_model_that_recover_uses(run, tmp_path, write_photograph_model):
    model = write_photograph_model(tmp_path, prior="uniform")
    before = model.read_bytes()
    few = ("--images", 4, "--levels", "0.2,0.6", "--preset", "fast")

    measured = run("sharpness", model, *few)

    sharp = tmp_path / "photos-sharp.safetensors"
    assert measured.code == 0
    assert f"{sharp}: photos with the sharpness attribute of 4 images at 2 noise levels" in measured.out
    assert model.read_bytes() == before
    header = load_model(sharp).header
    assert header.sharpness is not None
    assert header.sharpness.levels == (0.2, 0.6)
    assert header.sharpness.settings["preset"] == "fast"
    assert run("sharpness", model, *few).err.count("exists already") == 1
    assert run("sharpness", model, *few, "--output", model).code == 1
    assert model.read_bytes() == before
    assert run("sharpness", model, *few, "--output", model, "--overwrite").code == 0
    assert load_model(model).header.sharpness == header.sharpness

    image = tmp_path / "noise.png"
    imageio.imwrite(image, np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))
    options = ("--objective", "squared", "--clipping", "stochastic", "--sharpness", "--sigma", 100)
    recovered = run("recover", image, tmp_path / "out.tif", "--model", sharp, *options)
    assert recovered.code == 0, recovered.err
    with tifffile.TiffFile(tmp_path / "out.tif") as tiff:
        report = json.loads(tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Description"])
    assert report["sharpness_level"] == pytest.approx(100 / 255, rel=0.02)
    chosen = {name: report["config"][name] for name in ("objective", "clipping", "sharpness")}
    assert chosen == {"objective": "squared", "clipping": "stochastic", "sharpness": True}


@pytest.mark.parametrize("levels", ["1,0.5", "a few", "0,1", ""])
def test_sharpness_refuses_levels_that_cannot_be(run, levels):
    outcome = run("sharpness", "hrtem", "--levels", levels)

    assert outcome.code == 1
    assert "levels" in outcome.err
    assert outcome.err.count("\n") == 1


def test_training_config_without_its_fields_is_one_sentence(run, tmp_path):
    settings = tmp_path / "train.yaml"
    settings.write_text("name: mine\n")

    outcome = run("train", settings)

    assert outcome.code == 1
    assert "data: field required" in outcome.err
    assert outcome.err.count("\n") == 1


def test_options_of_training_override_its_file(run, tmp_path):
    settings = tmp_path / "train.yaml"
    settings.write_text("name: mine\noutput: run\ndata: {kind: simulated, path: nowhere.zarr}\n")

    for options, sentence in (
        (("--steps", 0), "--steps: input should be greater than or equal to 1, not 0."),
        (("--tiles.scale", 2), "--tiles.scale: input should be less than 0.5"),
        (("--architecture.kind", "unet"), "Direct denoisers see images as they lie: set tiles.pose to upright."),
        (("--data.kind", "mnist"), "--data.path: field required."),
        (("--dose", "9,1"), "--dose: two numbers above 0, the smaller first"),
    ):
        outcome = run("train", settings, *options)
        assert outcome.code == 1
        assert sentence in outcome.err
        assert outcome.err.count("\n") == 1


@pytest.mark.skipif(find_spec("ase") is None, reason="needs the extra simulate")
def test_nested_settings_are_options(run, tmp_path):
    output = tmp_path / "gold.tif"
    outcome = run(
        "simulate", output, "--shape", 64, "--structure.metals", "Au", "--imaging.defocus", "-5,-5",
        "--structure.zone-axes", "1,1,0", "--no-structure.rotate-in-plane",
    )  # fmt: skip

    assert outcome.code == 0, outcome.err
    with tifffile.TiffFile(output) as tiff:
        report = json.loads(tiff.imagej_metadata["Info"])
    assert report["simulation"]["structure"]["metals"] == ["Au"]
    assert report["simulation"]["imaging"]["defocus_nm"] == [-5.0, -5.0]
    assert report["simulation"]["structure"]["zone_axes"] == [[1, 1, 0]]
    assert report["simulation"]["structure"]["rotate_in_plane"] is False


def test_a_model_is_exported_small(run, tmp_path):
    small = tmp_path / "small.safetensors"
    assert run("models", "export", "hrtem-unet", small, "--small").code == 0
    shown = run("models", "show", small)
    assert shown.code == 0
    assert "hrtem-unet" in shown.out
