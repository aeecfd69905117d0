"""What the Train panel makes of what a user has, and what becomes of a run and of its model."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import time

import numpy as np
import psutil
import pytest
import skimage.data
from napari.components import ViewerModel
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QMainWindow, QMessageBox, QVBoxLayout, QWidget

from napari_gandenoise.models import load_model
from napari_gandenoise.settings.data import FolderData, LiveData, ModesData
from napari_gandenoise.settings.denoise import ADAPT_STEPS
from napari_gandenoise.settings.train import DirectTrainConfig, TrainConfig
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth
from napari_gandenoise.widgets import TrainWidget
from napari_gandenoise.widgets.training import close
from napari_gandenoise.widgets.training.background import find_background, start_background
from napari_gandenoise.widgets.training.close import CloseGuard
from napari_gandenoise.widgets.training.form import SOURCES
from napari_gandenoise.widgets.training.keep import described
from napari_gandenoise.widgets.training.process import TrainingProcess
from napari_gandenoise.widgets.training.target import NOISY, noise_share
from napari_gandenoise.widgets.training.try_on import TryOn, tried

SECONDS = 1000
MINUTE = 60 * SECONDS


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def panel(qtbot, viewer, tmp_path):
    widget = TrainWidget(viewer)
    widget.output.value = tmp_path / "runs" / "mine"
    widget.name.value = "mine"
    yield widget
    widget.stop()
    qtbot.waitUntil(lambda: not widget.busy, timeout=2 * MINUTE)
    widget.deleteLater()


def _offered(combo):
    model = combo.model()
    return {combo.itemData(row) for row in range(combo.count()) if model.item(row).isEnabled()}


# --- what do you have? ----------------------------------------------------------------------------------------------


def test_clean_images_bring_the_layers_and_the_restoration_recipe(panel, viewer, tmp_path, rate):
    viewer.add_image(rate, name="clean", scale=(0.0061, 0.0061), units=("nm", "nm"))
    panel.form["have"].value = "images"
    config = panel.config("mine", tmp_path)
    assert isinstance(config, DirectTrainConfig)
    assert isinstance(config.data, FolderData)
    assert config.recipe.kind == "restoration-gan"
    assert _offered(panel.data.kind) == set(SOURCES["images"])
    assert not panel.noisy.isVisibleTo(panel)


def test_nothing_brings_simulated_images(panel, tmp_path):
    panel.form["have"].value = "images"
    panel.form["have"].value = "nothing"
    assert isinstance(panel.config("mine", tmp_path).data, LiveData | ModesData)
    assert _offered(panel.data.kind) == set(SOURCES["nothing"])


def test_every_kind_of_images_belongs_to_an_answer(panel):
    kinds = {panel.data.kind.itemData(row) for row in range(panel.data.kind.count())}
    assert kinds == set().union(*SOURCES.values())


def test_scenes_of_any_mode_are_seen_in_any_units(panel, tmp_path):
    panel.data.choose("modes")
    config = panel.config("mine", tmp_path)
    assert (config.tiles.intensity, config.architecture.conditions) == ("standard", ("estimated",))
    panel.data.choose("simulated")
    panel.data.set.value = tmp_path
    config = panel.config("mine", tmp_path)
    assert (config.tiles.intensity, config.architecture.conditions) == ("template", ("strength",))


def test_only_noisy_frames_are_not_trained_on_but_adapted_to(panel, viewer, counts):
    panel.form["have"].value = "noisy"
    assert panel.noisy.isVisibleTo(panel)
    assert not panel.form["settings.steps"].native.isVisibleTo(panel)
    assert not panel.output.native.isVisibleTo(panel)
    assert panel.panel.start.text() == "Adapt"
    assert panel.panel.plan.text().startswith("Tick the image layers")
    viewer.add_image(counts, name="noisy")
    assert f"{ADAPT_STEPS} steps of tuning" in panel.panel.plan.text()
    assert "gd.adapt" in panel.noisy.copied("python", "mine")
    assert panel.noisy.copied("command", "mine").startswith("napari-gandenoise adapt INPUT.tif --output mine.safete")
    panel.form["have"].value = "nothing"
    assert panel.panel.start.text() == "Start"


@pytest.mark.slow
def test_an_adapted_model_is_kept_only_if_it_is_better(qtbot, panel, viewer, counts, monkeypatch, tmp_path):
    monkeypatch.setenv("GANDENOISE_MODELS", str(tmp_path / "models"))
    viewer.add_image(counts, name="noisy", scale=(0.0061, 0.0061), units=("nm", "nm"))
    panel.form["have"].value = "noisy"
    panel.noisy.form["model"].value = "hrtem-unet"
    panel.noisy.form["adapt_steps"].value = 20
    panel.panel.start.click()
    assert panel.busy
    assert not panel.noisy.isEnabled()
    qtbot.waitUntil(lambda: not panel.busy, timeout=5 * MINUTE)
    assert "held-out evidence" in panel.panel.status.text()
    kept = tmp_path / "models" / "mine.safetensors"
    assert kept.exists() is ("Saved as mine." in panel.panel.status.text())
    assert panel.panel.use.isVisibleTo(panel.panel.foot) is kept.exists()
    if kept.exists():
        assert load_model("mine").header.description.endswith("adapted to noisy.")


def test_the_question_is_answered_by_the_keyboard(qtbot, panel):
    buttons = panel.form.field("have").buttons
    qtbot.keyClick(buttons["cif"], " ")
    assert panel.form.have == "cif"
    assert panel.form["material.cif"].native.isVisibleTo(panel)


def test_everything_to_press_says_what_it_is_for(panel):
    for have in ("images", "cif", "nothing"):
        panel.form["have"].value = have
        fields = [w for kind in (QAbstractButton, QComboBox) for w in panel.findChildren(kind)]
        bare = [w for w in fields if w.isVisibleTo(panel) and not _tip(w, panel)]
        assert not [getattr(w, "text", w.objectName)() for w in bare]


def _tip(widget, panel):
    while widget is not panel and not widget.toolTip():
        widget = widget.parentWidget()
    return widget.toolTip()


# --- noisy targets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["camera", "coins", "grass", "coffee"])
def test_photographs_are_not_taken_for_noise(name):
    picture = getattr(skimage.data, name)()
    assert noise_share(picture[:256, :256]) < NOISY


@pytest.mark.parametrize("sigma", [0.05, 0.2])
def test_gaussian_noise_is_measured(rng, sigma):
    camera = skimage.data.camera()[:256, :256] / 255
    noisy = camera + rng.normal(0, sigma, camera.shape)
    assert noise_share(noisy) == pytest.approx(sigma / noisy.std(), rel=0.1)


def test_a_low_dose_micrograph_is_noise_and_its_truth_is_not(counts, rate):
    # Of counts the variance is the mean: what the micrograph varies beyond that is its contrast.
    assert noise_share(counts) == pytest.approx(np.sqrt(counts.mean()) / counts.std(), rel=0.05)
    assert noise_share(rate) == 0


@pytest.mark.parametrize("pixels", [np.zeros((40, 40)), np.full((40, 40), np.nan), np.ones((2, 2))])
def test_what_says_nothing_is_not_noisy(pixels):
    assert noise_share(pixels) < NOISY


def test_a_noisy_layer_to_learn_from_is_warned_of(qtbot, panel, viewer, counts, rate):
    placed = {"scale": (0.0061, 0.0061), "units": ("nm", "nm")}
    noisy = viewer.add_image(counts, name="raw", **placed)
    clean = viewer.add_image(rate, name="summed", **placed)
    panel.form["have"].value = "images"
    panel.data.layers.tick([noisy])
    qtbot.waitUntil(lambda: "raw is noisy itself" in panel.panel.warning.text(), timeout=MINUTE)
    panel.data.layers.tick([clean])
    qtbot.waitUntil(lambda: not panel.panel.warning.text(), timeout=MINUTE)
    panel.data.layers.tick([noisy])
    panel.form["have"].value = "nothing"
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTE)
    assert not panel.panel.warning.text()


# --- trying the model -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_frame_is_shown_noisy_denoised_and_clean(qtbot, viewer):
    micrograph, truth = sample_micrograph(), sample_truth()
    model = load_model("hrtem-unet").path
    found = tried(model, micrograph, truth)

    def alike(image):
        clean = found.clean[: image.shape[0] * 4, : image.shape[1] * 4]
        summed = clean.reshape(image.shape[0], -1, image.shape[1], clean.shape[1] // image.shape[1]).mean((1, 3))
        return np.corrcoef(image.ravel(), summed.ravel())[0, 1]

    side = found.noisy.shape[0]
    denoised = found.denoised.reshape(side, found.denoised.shape[0] // side, side, -1).mean((1, 3))
    assert alike(denoised) > alike(found.noisy) + 0.1


def test_the_clean_layer_is_found_by_its_name(qtbot, viewer, counts, rate):
    tries = TryOn(viewer)
    qtbot.addWidget(tries)
    assert tries.isHidden()
    viewer.add_image(rate, name="other")
    viewer.add_image(rate, name="noisy · truth", visible=False)
    noisy = viewer.add_image(counts, name="noisy")
    tries.layer.choose(noisy)
    assert not tries.isHidden()
    assert tries.compared.isChecked()
    assert tries.clean.value.name == "noisy · truth"
    viewer.layers.remove("noisy · truth")
    assert not tries.compared.isChecked()
    viewer.layers.clear()
    assert tries.isHidden()


def test_a_model_that_is_not_for_the_frame_says_so(qtbot, viewer, tmp_path, write_photograph_model):
    viewer.add_image(np.random.default_rng(0).poisson(3.0, (64, 64)), name="noisy")
    tries = TryOn(viewer)
    qtbot.addWidget(tries)
    tries.show_model(tmp_path / "none.safetensors")
    qtbot.waitUntil(lambda: not tries.busy, timeout=MINUTE)
    assert "none.safetensors" in tries.said.text()
    assert tries.pictures.empty


# --- the card -------------------------------------------------------------------------------------------------------


def test_the_card_is_filled_from_the_run(tmp_path):
    data = {"kind": "folder", "path": tmp_path / "cells", "pixel_size_nm": 0.02}
    config = DirectTrainConfig(name="a", output=tmp_path, data=data, tiles={"pose": "upright"})
    assert described(config).description == "Micrographs: like those in cells; U-Net (supervised), one pass."
    assert described(config, ["one", "two"]).description.startswith("Micrographs: like one, two; ")
    own = config.model_copy(update={"description": "Mine: of cells."})
    assert described(own) == own
    latent = TrainConfig(name="a", output=tmp_path, data={"kind": "mnist", "path": tmp_path})
    assert described(latent).description == "Photographs: MNIST (digits); latent GAN."


# --- a run without a window -----------------------------------------------------------------------------------------

TRAINS = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, lambda *_: (Path(sys.argv[2]).with_name("checkpoint").touch(), sys.exit(143)))
print("trains", flush=True)
time.sleep(60)
"""


@pytest.fixture
def command(tmp_path):
    """What takes the place of ``napari-gandenoise``."""
    script = tmp_path / "trains.py"
    script.write_text(textwrap.dedent(TRAINS))
    return [sys.executable, str(script)]


@pytest.fixture
def config(tmp_path):
    data = {"kind": "simulated", "path": tmp_path / "set.zarr"}
    return TrainConfig(name="tiny", output=tmp_path / "runs" / "tiny", data=data)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_run_in_the_background_is_found_and_stopped(qtbot, panel, command, config):
    number = start_background(command, config)
    try:
        log = config.output / "background.log"
        qtbot.waitUntil(lambda: "trains" in log.read_text(), timeout=10 * SECONDS)
        assert find_background(config.output).pid == number
        assert find_background(config.output.parent) is None
        panel.output.value = config.output
        assert "in the background" in panel.panel.plan.text()
        assert not panel.panel.start.isEnabled()
        panel.start()
        assert not panel._works
        panel.panel.stop.click()
        # Nobody waits for the child of a napari that is gone; here it is ours.
        qtbot.waitUntil(lambda: find_background(config.output) is None, timeout=10 * SECONDS)
        assert (config.output / "checkpoint").exists()
        panel._on_output()
        assert panel.panel.start.isEnabled()
    finally:
        if psutil.pid_exists(number):
            psutil.Process(number).kill()


def test_a_stranger_s_mark_ends_no_process_of_ours(tmp_path, command, config):
    own = psutil.Process(os.getpid())
    for mark in (
        {"process": own.pid, "begun": own.create_time()},
        {"process": 2**70, "begun": 0},
        {"process": "x"},
        [1],
    ):
        (tmp_path / "background.json").write_text(json.dumps(mark))
        assert find_background(tmp_path) is None
    (tmp_path / "background.json").write_text("[" * 4000)
    assert find_background(tmp_path) is None
    (tmp_path / "background.json").write_bytes(b" " * 10_000)
    assert find_background(tmp_path) is None


# --- closing --------------------------------------------------------------------------------------------------------

LISTENS = """
import json, sys
from pathlib import Path
if "--resume" in sys.argv and "--events" not in sys.argv:
    Path(sys.argv[2]).with_name("went-on").touch()
    sys.exit()
event = {"stage": "train", "done": 3, "total": 9, "values": {}, "preview": None, "note": ""}
print(json.dumps(event), flush=True)
Path(__file__).with_name("said").write_text(sys.stdin.readline())
"""


@pytest.fixture
def guarded(qtbot, tmp_path, config):
    """A window with a run under way, and what runs it."""
    script = tmp_path / "listens.py"
    script.write_text(LISTENS)
    process = TrainingProcess([sys.executable, str(script)])
    window, panel, centre = QMainWindow(), QWidget(), QWidget()
    QVBoxLayout(centre).addWidget(QWidget())
    window.setCentralWidget(centre)
    panel.setParent(window)
    window.show()
    guard = CloseGuard(panel, process, lambda: "tiny (train 3 of 9)")
    guard.watch()
    with qtbot.waitSignal(process.progressed, timeout=20 * SECONDS):
        process.start(config, resume=False)
    yield window, process
    process.wait()  # before the window goes, which would ask
    window.close()
    window.deleteLater()


def _answers(button, seen):
    """Press a button of the question that is about to be asked."""

    def press():
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox):
            QTimer.singleShot(50, press)
            return
        seen.append(box.text())
        next(b for b in box.buttons() if b.text().replace("&", "") == button).click()

    QTimer.singleShot(0, press)


def test_a_window_that_is_not_to_be_closed_stays(qtbot, guarded):
    window, process = guarded
    seen = []
    _answers(close.STAY, seen)
    assert not window.close()
    assert window.isVisible()
    assert process.running
    assert "tiny (train 3 of 9) is being trained." in seen[0]


@pytest.mark.parametrize("answer", ["STOP", "GO_ON"])
def test_a_window_that_is_closed_stops_the_run(qtbot, guarded, tmp_path, config, answer):
    window, process = guarded
    _answers(getattr(close, answer), [])
    assert window.close()
    process.wait()  # what the end of the application calls
    assert not process.running
    assert (tmp_path / "said").read_text() == "stop\n"
    went_on = config.output / "went-on"
    if answer == "GO_ON":
        qtbot.waitUntil(went_on.exists, timeout=20 * SECONDS)
    else:
        time.sleep(0.2)
        assert not (config.output / "background.json").exists()


def test_a_script_that_closes_the_viewer_is_not_asked(qtbot, guarded):
    window, process = guarded
    for part in window.centralWidget().findChildren(QWidget):
        part.close()  # as napari does first
    assert window.close()
    assert process.running
