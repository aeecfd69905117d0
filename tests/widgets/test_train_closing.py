"""Closing all of napari, in a process of its own, while a real model is trained."""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap

import numpy as np
import psutil
import pytest
import yaml
import zarr

from napari_gandenoise.settings.data import SimulatedData
from napari_gandenoise.settings.networks import Architecture
from napari_gandenoise.settings.train import TrainConfig
from napari_gandenoise.widgets.training.background import find_background
from napari_gandenoise.widgets.training.folder import read_run

MINUTES = 60_000

NAPARI = """
import sys, yaml
import napari
from qtpy.QtCore import QSettings, QTimer
from qtpy.QtWidgets import QApplication, QMessageBox
QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, sys.argv[3])
from napari_gandenoise.settings.train import TrainConfig
from napari_gandenoise.widgets import TrainWidget

config, answers = TrainConfig(**yaml.safe_load(open(sys.argv[1]))), sys.argv[2].split("|")
viewer = napari.Viewer()
panel = TrainWidget(viewer)
viewer.window.add_dock_widget(panel, name="Train")
panel.name.value, panel.output.value = config.name, config.output
panel.restore(config)
panel.panel.start.click()

def press():
    box = QApplication.activeModalWidget()
    if isinstance(box, QMessageBox):
        answer = answers.pop(0)
        next(b for b in box.buttons() if b.text().replace("&", "") == answer).click()
    elif "generator" in panel.panel.plot.names():
        QTimer.singleShot(0, viewer.window._qt_window.close)
    if answers:
        QTimer.singleShot(300, press)

QTimer.singleShot(300, press)
napari.run()
print("napari has ended")
"""


@pytest.fixture
def config(tmp_path):
    """A tiny run that would take minutes."""
    rng = np.random.default_rng(0)
    x = np.mgrid[:64, :64][1]
    frames = [1 + 0.3 * np.cos(0.8 * x + phase) for phase in rng.uniform(0, 2 * math.pi, 24)]
    group = zarr.open_group(tmp_path / "set.zarr", mode="w")
    group.attrs["simulation"] = {"pixel_size_nm": 0.0244, "images_per_structure": 1}
    group.attrs["records"] = [{}] * 24
    group.create_array("images", shape=(24, 64, 64), chunks=(1, 64, 64), dtype="float16")[:] = np.stack(frames)
    return TrainConfig(
        name="tiny", data=SimulatedData(path=tmp_path / "set.zarr"), output=tmp_path / "runs" / "tiny", held_out=4,
        architecture=Architecture(size=16, width=4, latent=8, principal=True), encoder="none", steps=100_000, batch=8,
        pool=128, fresh=8, checkpoint_every=50_000, validate_every=50_000,
    )  # fmt: skip


@pytest.fixture
def close_napari(tmp_path, config):
    """``close_napari(*answers)``: train in a window, close it, and answer as often as it asks."""

    def close(*answers):
        script, settings = tmp_path / "window.py", tmp_path / "tiny.yaml"
        script.write_text(textwrap.dedent(NAPARI))
        settings.write_text(yaml.safe_dump(config.model_dump(mode="json")))
        words = [sys.executable, script, settings, "|".join(answers), tmp_path / "settings"]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
        assert "napari has ended" in ended.stdout, ended.stderr[-3000:]

    return close


def _trains(config):
    """Find processes that work in the run's folder."""
    return [p for p in psutil.process_iter(["cmdline"]) if str(config.output) in " ".join(p.info["cmdline"] or ())]


@pytest.mark.slow
def test_closing_stops_the_run_and_leaves_its_checkpoint(qtbot, close_napari, config):
    close_napari("Do not close", "Stop, keep the checkpoint")
    run = read_run(config.output)
    assert run.step > 0
    assert not (config.output / ".training.lock").exists()
    assert find_background(config.output) is None
    assert not _trains(config)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there a process that is ended writes no checkpoint")
def test_training_goes_on_without_napari(qtbot, close_napari, config):
    close_napari("Train on in the background")
    process, stopped_at = find_background(config.output), read_run(config.output).step
    assert process is not None
    lock = config.output / ".training.lock"
    qtbot.waitUntil(lock.exists, timeout=2 * MINUTES)
    qtbot.wait(5000)
    process.terminate()
    qtbot.waitUntil(lambda: find_background(config.output) is None, timeout=2 * MINUTES)
    assert read_run(config.output).step > stopped_at
