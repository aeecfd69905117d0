"""The Simulate panel with the real simulation."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton

from napari_gandenoise import cli
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.settings.acquisition import RecordingConfig
from napari_gandenoise.settings.simulate import ImagingConfig, ScenesConfig, SimulationConfig, StructureConfig
from napari_gandenoise.simulate import SimulatedMicrograph
from napari_gandenoise.widgets import SimulateWidget
from napari_gandenoise.widgets.fields.data import describe
from napari_gandenoise.widgets.forms.memory import recall
from napari_gandenoise.widgets.plots.simulation_preview import display_limits, smaller
from napari_gandenoise.widgets.simulate import set_name

MINUTES = 60_000
TINY = SimulationConfig(
    structures=2,
    images_per_structure=1,
    pixel_size_nm=0.03,
    shape=132,
    seed=1,
    structure=StructureConfig(diameter_nm=(1.0, 1.2), supported_fraction=0.0, metals=("Au",)),
    imaging=ImagingConfig(defocus_nm=(4.0, 8.0)),
)


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def panel(qtbot, viewer):
    """The panel, docked if there is a window; whatever it still does is stopped at the end."""
    widget = SimulateWidget(viewer)
    if hasattr(viewer, "window"):
        viewer.window.add_dock_widget(widget, name="Simulate")
    yield widget
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.busy, timeout=2 * MINUTES)
    widget.deleteLater()


@pytest.fixture
def tiny(panel):
    pytest.importorskip("ase")
    panel.form.set_values(TINY)
    panel.form["dose"].value = 5.0
    return panel


def _settle(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.busy, timeout=2 * MINUTES)


def test_the_form_starts_with_the_defaults_and_gives_back_what_it_was_given(panel):
    assert panel.form.config() == SimulationConfig()
    panel.form.set_values(TINY)
    assert panel.form.config() == TINY
    assert describe(TINY) == "Au · 1 to 1.2 nm · 30 pm/pixel · 2 structures"


def test_another_mode_has_its_own_fields_and_its_own_usual_dose(panel):
    def shown(*names):
        return [name in panel.form.names() for name in names]

    asked = ("microscope", "imaging.defocus_nm", "scanning_microscope", "probe.inner_mrad", "structure.kinds")
    assert shown(*asked) == [True, True, False, False, False]
    assert panel.form["dose"].value == 4.0
    panel.form["mode"].value = "haadf"
    assert shown(*asked) == [False, False, True, True, False]
    assert panel.form["dose"].value == 1000.0
    panel.form["mode"].value = "abf"
    assert shown(*asked) == [False, False, True, False, False]
    panel.form["dose"].value = 7.0
    panel.form["mode"].value = "haadf"
    assert panel.form["dose"].value == 7.0  # somebody chose it
    panel.form["structure.kind"].value = "scene"
    assert shown(*asked) == [False, False, False, False, True]
    # One dose for any detector: that in front.
    assert shown("acquisition.recorder", "acquisition.jitter", "acquisition.dose") == [True, False, False]
    panel.form["acquisition.recorder"].value = "scan"
    assert shown("acquisition.jitter", "acquisition.dose") == [True, False]


def test_a_scene_is_scanned_into_the_viewer(qtbot, viewer, panel):
    scan = RecordingConfig(recorder="scan", jitter=2.0)
    scenes = ScenesConfig(kinds=("grains",))
    panel.form.set_values(SimulationConfig(shape=64, pixel_size_nm=2.0, structure=scenes, acquisition=scan))
    panel.form["dose"].value = 60.0
    panel.make_micrograph()
    _settle(qtbot, panel)
    truth, scanned = viewer.layers
    assert scanned.data.shape == truth.data.shape == (64, 64)
    assert scanned.metadata["napari-gandenoise"]["dose"] == 60.0
    assert "grains" in panel.panel.status.text()


def test_each_press_draws_another_seed_unless_it_is_kept(qtbot, viewer, panel):
    panel.form.set_values(SimulationConfig(shape=64, seed=5, structure=ScenesConfig(kinds=("grains",))))

    def made():
        panel.panel.run.click()
        _settle(qtbot, panel)
        seed = viewer.layers[-1].metadata["napari-gandenoise"]["simulation"]["seed"]
        assert panel.form["seed"].value == seed
        assert f"Seed {seed}: " in panel.panel.status.text()
        return seed, viewer.layers[-1].data

    first, counts = made()
    second, others = made()
    assert (first, second) == (5, 6)  # the one that was shown, and that of the next press
    assert (counts != others).any()
    panel.form["keep_seed"].value = True
    third, again = made()
    assert third == 6
    np.testing.assert_array_equal(again, others)
    panel.form["keep_seed"].value = False
    panel.form["seed"].value = 40  # typed, and never pressed for
    assert made()[0] == 40


def test_the_preview_is_a_small_piece_of_what_the_settings_make(qtbot, panel):
    config = SimulationConfig(shape=96, seed=3, structure=ScenesConfig(kinds=("grains",)))
    panel.form.set_values(config)
    assert not panel.busy  # as long as nobody sees it
    qtbot.addWidget(panel)
    panel.show()
    assert panel.preview.said.text() == "preview…"
    _settle(qtbot, panel)
    assert "seed 3: the middle" in panel.preview.said.text()
    seen = panel.preview.truth.pixmap().toImage()
    assert len({seen.pixel(x, 60) for x in range(0, 120, 5)}) > 3
    panel.form["seed"].value = 4
    _settle(qtbot, panel)
    assert panel.preview.truth.pixmap().toImage() != seen
    panel.form["structure.kind"].value = "particle"
    panel.form["mode"].value = "abf"
    assert "takes minutes" in panel.preview.said.text()
    assert not panel.busy
    panel.form["preview"].value = False
    assert panel.preview.isHidden()


def test_the_preview_shows_no_more_atoms_than_are_quick():
    fine, coarse = (SimulationConfig(pixel_size_nm=size, shape=2000) for size in (0.005, 0.05))
    assert smaller(fine).shape == 256
    assert smaller(coarse).shape * 0.05 == pytest.approx(3.2)
    assert smaller(TINY.model_copy(update={"shape": 40})).shape == 40
    assert smaller(SimulationConfig(mode="bf")) is None


def test_contrast_shows_the_truth_and_the_noise_about_it(rng):
    rate = np.full((200, 200), 4.0, np.float32)
    rate[50:150, 50:150] = 2.0
    made = SimulatedMicrograph(Micrograph(rng.poisson(rate)), Micrograph(rate), {})
    low, high = display_limits(made)
    assert low == pytest.approx(2 - np.sqrt(3.5), abs=0.1)  # the mean rate is the variance of the counts
    assert high == pytest.approx(4 + np.sqrt(3.5), abs=0.1)


def test_scenes_need_no_extra(qtbot, viewer, monkeypatch):
    monkeypatch.setattr("napari_gandenoise.simulate.micrograph.find_spec", {}.get)
    widget = SimulateWidget(viewer)
    qtbot.addWidget(widget)
    assert not widget.panel.run.isEnabled()
    widget.form["structure.kind"].value = "scene"
    assert widget.panel.run.isEnabled()
    assert "pip install" not in widget.panel.plan.text()
    widget.form["structure.kind"].value = "crystal"
    assert not widget.panel.run.isEnabled()


def test_a_set_is_written_cancelled_and_continued(qtbot, tiny, tmp_path):
    zarr = pytest.importorskip("zarr")
    tiny.make_set(tmp_path)
    path = tmp_path / set_name(TINY)
    qtbot.waitUntil(lambda: "simulate 1/2" in tiny.panel.status.text(), timeout=2 * MINUTES)
    tiny.panel.cancel.click()
    assert "Cancelled" in tiny.panel.status.text()
    _settle(qtbot, tiny)
    done = len(zarr.open_group(path, mode="r").attrs["records"])
    assert 1 <= done <= 2
    first = np.asarray(zarr.open_group(path, mode="r")["images"][0])
    tiny.make_set(tmp_path)
    _settle(qtbot, tiny)
    group = zarr.open_group(path, mode="r")
    assert len(group.attrs["records"]) == 2
    np.testing.assert_array_equal(group["images"][0], first)
    assert recall("simulate").own["latest_set"] == str(path)
    assert str(path) in tiny.panel.status.text()


def test_values_are_remembered_at_once(qtbot, viewer, panel):
    panel.form["seed"].value = 12
    panel.form["dose"].value = 0.5
    again = SimulateWidget(viewer)
    qtbot.addWidget(again)
    assert again.form.config().seed == 12
    assert again.form["dose"].value == 0.5


def test_without_the_extra_the_panel_says_what_to_install(qtbot, viewer, monkeypatch):
    monkeypatch.setattr("napari_gandenoise.simulate.micrograph.find_spec", {}.get)
    widget = SimulateWidget(viewer)
    qtbot.addWidget(widget)
    assert "pip install napari-gandenoise[simulate]" in widget.panel.plan.text()
    assert not widget.panel.run.isEnabled()
    assert not widget.panel.other.isEnabled()
    widget.form["seed"].value = 3
    assert "pip install" in widget.panel.plan.text()


def test_settings_are_copied_and_mean_the_same_elsewhere(qtbot, viewer, tiny, tmp_path, monkeypatch):
    def copied(kind):
        tiny.findChild(QPushButton, f"copy_{kind}").click()
        return QGuiApplication.clipboard().text()

    assert SimulationConfig(**yaml.safe_load(copied("yaml"))) == TINY
    exec(copied("python"), {"viewer": viewer})
    assert SimulationConfig(**viewer.layers[-1].metadata["napari-gandenoise"]["simulation"]) == TINY
    (tmp_path / "simulation.yaml").write_text(copied("yaml"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", copied("command").split())
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert (tmp_path / set_name(TINY)).is_dir()


def test_a_folder_that_cannot_be_written_is_one_sentence(qtbot, tiny, tmp_path):
    notification_manager.records.clear()
    (tmp_path / set_name(TINY)).write_text("mine")
    tiny.make_set(tmp_path)
    _settle(qtbot, tiny)
    messages = [r.message for r in notification_manager.records if str(r.severity) == "error"]
    assert len(messages) == 1
    assert "\n" not in messages[0]
    assert (tmp_path / set_name(TINY)).read_text() == "mine"
    assert tiny.panel.run.isEnabled()


class TestInAWindow:
    """What needs a dock, or napari's activity dock."""

    @pytest.fixture
    def viewer(self, make_napari_viewer):
        return make_napari_viewer()

    def test_a_micrograph_comes_with_its_truth_scale_units_and_config(self, qtbot, viewer, tiny):
        tiny.panel.run.click()
        assert tiny.panel.cancel.isEnabled()
        assert not tiny.panel.other.isEnabled()
        _settle(qtbot, tiny)
        truth, counts = viewer.layers
        assert not truth.visible
        assert counts.data.shape == (132, 132)
        assert np.issubdtype(counts.data.dtype, np.integer)
        for layer in viewer.layers:
            assert Micrograph.of(layer).pixel_size_nm == pytest.approx(0.03)
        report = counts.metadata["napari-gandenoise"]
        assert SimulationConfig(**report["simulation"]) == TINY
        assert report["dose"] == 5.0
        assert "Au" in tiny.panel.status.text()
        assert viewer.layers.selection.active is counts

    def test_the_canvas_shows_the_micrograph_wherever_it_was(self, qtbot, viewer, panel):
        viewer.add_image(np.zeros((4000, 4000)))
        camera = viewer.scene.camera
        camera.center, camera.zoom = (0, 3000, 3000), 20
        panel.form.set_values(SimulationConfig(shape=64, pixel_size_nm=1.0, structure=ScenesConfig(kinds=("grains",))))
        panel.panel.run.click()
        _settle(qtbot, panel)
        np.testing.assert_allclose(camera.center[-2:], 31.5, atol=1)
        assert camera.zoom * 64 > 200  # pixels of the screen

    def test_a_closed_panel_lets_the_viewer_go_on(self, qtbot, viewer):
        widget = SimulateWidget(viewer)
        dock = viewer.window.add_dock_widget(widget, name="Simulate")
        viewer.window.remove_dock_widget(dock)
        widget.deleteLater()
        qtbot.wait(50)
        viewer.add_image(np.ones((64, 64)))
        viewer.layers.clear()
