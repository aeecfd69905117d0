"""The Batch panel with real jobs on real files."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import yaml
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton

from napari_gandenoise.batching import LEDGER, batch, read_ledger
from napari_gandenoise.io import read_micrograph
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.restore import RestoreConfig
from napari_gandenoise.settings.text import as_yaml
from napari_gandenoise.widgets import BatchWidget

MINUTES = 60_000
PIXEL_NM = 0.0061


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def panel(qtbot, viewer):
    """The panel, docked if there is a window; whatever it still does is stopped at the end."""
    widget = BatchWidget(viewer)
    if hasattr(viewer, "window"):
        viewer.window.add_dock_widget(widget, name="Batch")
    yield widget
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.busy, timeout=2 * MINUTES)
    widget.deleteLater()


@pytest.fixture
def movie(tmp_path, counts):
    """Four frames, with their pixel size."""
    path = tmp_path / "movie.tif"
    frames = np.stack([counts[shift : shift + 96, 200:296] for shift in range(100, 104)])
    options = {"resolution": (1 / PIXEL_NM,) * 2, "metadata": {"unit": "nm", "axes": "TYX"}}
    tifffile.imwrite(path, frames, imagej=True, **options)
    return path


@pytest.fixture
def filled(panel, movie, tmp_path):
    panel.form["settings.preset"].value = "fast"
    panel.form["output"].value = tmp_path / "out"
    panel.files.add(str(movie))
    return panel


def _settle(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.busy, timeout=2 * MINUTES)


def test_the_panel_says_what_is_missing(panel, movie, tmp_path):
    assert "Add the files" in panel.panel.plan.text()
    panel.files.add(str(movie))
    assert "Choose the folder" in panel.panel.plan.text()
    panel.form["output"].value = tmp_path / "out"
    assert panel.panel.plan.text() == "1 file."
    panel.files.add(str(tmp_path / "nowhere.tif"))
    assert "no file" in panel.panel.plan.text()
    assert not panel.panel.other.isEnabled()


def test_the_image_of_files_that_hold_several_is_named_here(panel):
    panel.form["settings.image"].value = "HAADF"
    assert panel.form.values()["settings"]["image"] == "HAADF"


def test_a_job_runs_shows_its_files_and_opens_its_results(qtbot, viewer, filled, tmp_path):
    (tmp_path / "broken.tif").write_bytes(b"II*\0 nothing")
    filled.files.add(str(tmp_path / "broken.tif"))
    assert filled.files.statuses() == {"movie.tif": "waiting", "broken.tif": "waiting"}
    filled.panel.run.click()
    assert filled.panel.cancel.isEnabled()
    _settle(qtbot, filled)
    assert filled.files.statuses() == {"movie.tif": "done", "broken.tif": "failed"}
    assert "4 frames in 1 results; 1 failed" in filled.panel.status.text()
    assert "broken.tif" in notification_manager.records[-1].message
    assert [row.preview is not None for row in filled.files.view.pairs.rows()] == [False, False]  # read from the file
    filled.open.click()
    [layer] = viewer.layers
    assert layer.name.startswith("movie · denoised (")
    result = read_micrograph(tmp_path / "out" / "movie-denoised.ome.tif")
    np.testing.assert_array_equal(np.asarray(layer.data), result.pixels)
    assert Micrograph.of(layer).pixel_size_nm == pytest.approx(PIXEL_NM, rel=1e-6)
    assert not isinstance(layer.data, np.ndarray) or isinstance(layer.data, np.memmap)


@pytest.mark.slow
def test_a_cancelled_job_is_resumed_to_the_same_bytes(qtbot, filled, movie, tmp_path):
    filled.panel.run.click()
    qtbot.waitUntil(lambda: "frames 1/4" in filled.panel.status.text(), timeout=2 * MINUTES)
    filled.panel.cancel.click()
    assert "Cancelled" in filled.panel.status.text()
    _settle(qtbot, filled)
    assert "Resume goes on" in filled.panel.plan.text()
    assert filled.panel.other.isEnabled()
    filled.panel.other.click()
    _settle(qtbot, filled)
    whole = batch(inputs=movie, output=tmp_path / "whole", settings={"preset": "fast"})
    assert (tmp_path / "out" / "movie-denoised.ome.tif").read_bytes() == whole.outputs[0].read_bytes()


def test_a_new_panel_finds_the_job_in_the_folder(qtbot, viewer, filled, tmp_path):
    filled.run()
    _settle(qtbot, filled)
    other = BatchWidget(viewer)
    assert other.form["output"].value == tmp_path / "out"
    assert "4 of 4 frames are done" in other.panel.plan.text()
    assert other.files.statuses() == {"movie.tif": "done"}
    other.run()
    assert not other.busy
    other.deleteLater()


def test_settings_are_pasted_from_the_denoise_panel(qtbot, filled):
    settings = DenoiseConfig(preset="thorough", seed=3, noise={"kind": "poisson", "gain": 2.0})
    QGuiApplication.clipboard().setText(as_yaml(settings))
    filled.paste.click()
    assert filled.form.config().settings == settings
    assert filled.form["settings.seed"].value == 3
    QGuiApplication.clipboard().setText("not: settings")
    filled.paste.click()
    assert "cannot be used" in notification_manager.records[-1].message
    assert filled.form.config().settings == settings


def test_the_job_is_copied_in_all_forms(filled, tmp_path, movie):
    filled.take({"preset": "fast", "noise": {"kind": "poisson", "gain": 2.0}})
    filled.form["average"].value = 3
    filled.form["fit_map"].value = True
    filled.form["workers"].value = 2
    wanted = filled.form.config()
    texts = {}
    for kind in ("python", "command", "yaml"):
        filled.findChild(QPushButton, f"copy_{kind}").click()
        texts[kind] = QGuiApplication.clipboard().text()
    assert BatchConfig(**yaml.safe_load(texts["yaml"])) == wanted
    assert texts["command"] == f"napari-gandenoise batch batch.yaml --output {tmp_path / 'out'} --workers 2"
    given = {}
    namespace = {"dict": dict, "given": given}
    call = texts["python"].split("result = gd.batch(")[1].split("\n    )")[0]
    exec(f"given.update(dict({call}))", namespace)
    assert given.pop("workers") == 2
    assert BatchConfig(**given) == wanted


def test_fields_of_the_other_job_are_hidden(panel):
    panel.form["job"].value = "restore"
    assert panel.form["settings.preset"].native.isHidden()
    assert not panel.form["settings.task"].native.isHidden()
    panel.form["fit_map"].value = True
    assert not panel.form.values().get("fit_map")
    panel.form["job"].value = "denoise"
    assert not panel.form["settings.preset"].native.isHidden()
    assert panel.form["drawn"].native.isHidden()


def test_settings_of_a_restoration_are_pasted_too(filled, tmp_path):
    settings = RestoreConfig(task="inpaint", seed=4)
    QGuiApplication.clipboard().setText(as_yaml(settings))
    filled.paste.click()
    filled.form["mask"].value = tmp_path / "mask.tif"
    config = filled.form.config()
    assert (config.job, config.settings, config.mask) == ("restore", settings, tmp_path / "mask.tif")


def test_what_was_changed_is_remembered_but_for_the_files(qtbot, viewer, filled, tmp_path):
    filled.form["settings.seed"].value = 5
    filled.form["workers"].value = 0
    filled.form["settings.pixel_size_nm"].value = 0.01
    filled.run()
    _settle(qtbot, filled)
    other = BatchWidget(viewer)
    assert other.files.inputs == []
    assert other.form["settings.seed"].value == 5
    assert other.form["settings.pixel_size_nm"].value is None
    other.deleteLater()


class TestInAWindow:
    """What needs napari's readers, or its activity dock."""

    @pytest.fixture
    def viewer(self, make_napari_viewer):
        return make_napari_viewer()

    def test_results_open_in_napari_and_tifffile(self, qtbot, viewer, filled, tmp_path):
        filled.run()
        _settle(qtbot, filled)
        path = tmp_path / "out" / "movie-denoised.ome.tif"
        assert len(read_ledger(tmp_path / "out")[1]) == 1
        assert (tmp_path / "out" / LEDGER).is_file()
        with tifffile.TiffFile(path) as tiff:
            assert (tiff.series[0].axes, tiff.series[0].shape, tiff.series[0].dtype) == ("TYX", (4, 96, 96), np.float32)
        [plain] = viewer.open(path)
        assert plain.data.shape == (4, 96, 96)
        assert plain.data.dtype == np.float32
        [ours] = viewer.open(path, plugin="napari-gandenoise")
        assert tuple(ours.scale) == pytest.approx((1, PIXEL_NM, PIXEL_NM))
        assert [str(unit) for unit in ours.units] == ["pixel", "nanometer", "nanometer"]
