"""The Denoise panel with the real engine and the bundled model, some of it in a real window."""

from __future__ import annotations

import time

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from napari.utils.notifications import notification_manager
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog

from napari_gandenoise.denoising import Check, Region, Verdict
from napari_gandenoise.layers import IMAGE_OF_FILE
from napari_gandenoise.models import load_model
from napari_gandenoise.models.calibration import UNCALIBRATED
from napari_gandenoise.settings.noise import Poisson
from napari_gandenoise.widgets import DenoiseWidget
from napari_gandenoise.widgets.viewer.source import whole

MINUTES = 60_000


@pytest.fixture
def viewer():
    """What the panel needs of a viewer; the last tests have a window."""
    return ViewerModel()


@pytest.fixture
def panel(qtbot, viewer):
    """The panel, docked if there is a window; whatever it still does is stopped at the end."""
    widget = DenoiseWidget(viewer)
    if hasattr(viewer, "window"):
        viewer.window.add_dock_widget(widget, name="Denoise")
    yield widget
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.busy, timeout=2 * MINUTES)
    widget.deleteLater()


def _settle(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.busy, timeout=2 * MINUTES)


def _run(qtbot, panel):
    panel.form["preset"].value = "fast"
    panel.panel.run.click()
    assert panel.panel.cancel.isEnabled()
    assert not panel.panel.run.isEnabled()
    _settle(qtbot, panel)
    return panel.panel.status.text()


def _errors():
    return [record.message for record in notification_manager.records if str(record.severity) == "error"]


@pytest.fixture(autouse=True)
def no_old_notifications():
    notification_manager.records.clear()


def test_a_guessed_pixel_size_is_marked_and_gives_way_to_a_typed_one(qtbot, viewer, panel):
    counts = np.random.default_rng(0).poisson(np.full((96, 96), 2.0))
    viewer.add_image(counts, name="counts")
    panel.form["model"].value = "hrtem-unet"  # automatic needs none
    _settle(qtbot, panel)
    size = panel.form.field("pixel_size_nm")
    assert size._box.text().endswith(" pm ?")
    assert size.value() is None
    assert "is a guess" in panel.panel.plan.text()
    size.set_value(0.0244)
    _settle(qtbot, panel)
    assert size._box.text() == "24.40 pm"
    assert "is a guess" not in panel.panel.plan.text()


def test_the_verdict_card_tells_goes_there_and_keeps_the_adapted_model(qtbot, viewer, panel, tmp_path, monkeypatch):
    y, x = np.mgrid[:96, :96] / 7.0  # sharp columns: nothing that the model has learnt from
    rate = 4 * (1 - 0.9 * (np.cos(np.pi * x) * np.cos(np.pi * y)) ** 8)
    counts = np.random.default_rng(2).poisson(rate).astype(np.uint16)
    viewer.add_image(counts, name="counts", scale=(0.0244, 0.0244), units="nm")
    panel.form["model"].value = "hrtem-unet"
    panel.form["adapt"].value = "auto"
    panel.form["adapt_steps"].value = 40
    assert not panel.card.isVisibleTo(panel)
    _settle(qtbot, panel)
    assert _run(qtbot, panel).startswith("Done in ")
    assert panel.card.isVisibleTo(panel)
    report = viewer.layers["denoised · hrtem-unet"].metadata["napari-gandenoise"]
    assert report["verdict"]["sentence"][1:] in panel.card.line.text()
    assert panel.card.checks.text().count("●") == 3
    assert "adapted" in panel.card.checks.text()
    assert panel.card.keep.isVisibleTo(panel)
    kept = tmp_path / "kept.safetensors"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(kept), ""))
    panel.card.keep.click()
    assert load_model(kept).name == "hrtem-unet adapted"
    region = Region(0, "doubtful", (10, 20, 30, 60), 6.0)
    panel.card.show_verdict(Verdict((Check("counts", "amber", 0.5, "keeps noise"),), (region,)), adapted=False)
    assert not panel.card.keep.isVisibleTo(panel)
    panel.card.places.linkActivated.emit("0")
    camera = viewer.scene.camera
    np.testing.assert_allclose(camera.center[-2:], (19.5 * 0.0244, 39.5 * 0.0244))


def test_outlines_of_a_movies_regions_lie_on_its_layer(viewer):
    layer = viewer.add_image(np.zeros((2, 1, 20, 30)), scale=(1, 1, 0.5, 0.5), translate=(0, 0, 3, 4))
    source = whole(layer)
    corners = [np.array([(1, 2, 3), (1, 2, 8), (1, 6, 8), (1, 6, 3)], float)]
    shapes = viewer.add_layer(Layer.create(*source.place((corners, {"shape_type": "rectangle"}, "shapes"))))
    np.testing.assert_array_equal(shapes.data[0][:, 0], 1)
    np.testing.assert_array_equal(shapes.data_to_world(shapes.data[0][0]), (1, 0, 4, 5.5))


def test_what_is_left_out_is_said_before_the_run_and_shown_after_it(qtbot, viewer, panel):
    counts = np.random.default_rng(0).poisson(np.full((96, 96), 2.0))
    counts[40, 50] = 5000
    viewer.add_image(counts, name="counts", scale=(0.0244, 0.0244), units=("nm", "nm"))
    panel.form["model"].value = "hrtem-unet"
    _settle(qtbot, panel)
    assert "1 outlier left out." in panel.panel.plan.text()
    _run(qtbot, panel)
    panel.before_after.chips["missing"].click()
    left_out = viewer.layers["left out · hrtem-unet"]
    assert left_out.visible
    assert np.argwhere(left_out.data).tolist() == [[40, 50]]


def test_fields_are_filled_from_the_layer(qtbot, layer, panel):
    _settle(qtbot, panel)
    assert panel.form["pixel_size_nm"].value == pytest.approx(0.0061)
    # An electron-counting camera: what the sample is.
    assert panel.form["noise"].value == Poisson(gain=1.0, offset=0.0)
    assert panel.panel.plan.text().endswith("works at 24.4 pm")
    assert "4×4 summed" in panel.panel.plan.toolTip()
    assert "on this machine" in panel.form.field("model").card.text()
    assert panel.form["current"].native.isHidden()


def test_empty_viewer_says_what_to_do(panel):
    assert "Open Sample" in panel.panel.plan.text()
    assert not panel.panel.run.isEnabled()


def test_the_uncertainty_is_a_hidden_layer_in_place(qtbot, viewer, layer, panel):
    panel.form["replicates"].value = 2
    _settle(qtbot, panel)
    _run(qtbot, panel)
    error, result = viewer.layers["uncertainty · hrtem-unet"], viewer.layers["denoised · hrtem-unet"]
    assert not error.visible
    np.testing.assert_allclose(error.scale, result.scale)
    np.testing.assert_allclose(error.translate, result.translate)
    assert error.metadata["napari-gandenoise"]["config"]["replicates"] == 2


def test_result_is_closer_to_the_truth_than_the_counts(qtbot, viewer, layer, panel, rate):
    _settle(qtbot, panel)
    _run(qtbot, panel)

    def error(image):
        return float(np.mean((image - rate) ** 2))

    # Even the best flat grey is what a denoiser has to beat.
    assert error(viewer.layers[1].data) < 0.5 * error(layer.data.mean())


@pytest.mark.serial
def test_cancel_takes_effect_within_a_second(qtbot, viewer, layer, panel):
    _settle(qtbot, panel)
    panel.form["preset"].value = "thorough"
    panel.panel.run.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=2 * MINUTES)
    panel.run()  # a second run does not start beside the first
    panel.panel.cancel.click()
    # For the user the run has ended now; the computation stops at its next event.
    assert "Cancelled" in panel.panel.status.text()
    partial = viewer.layers[1]
    assert partial.name.endswith("(partial)")
    assert partial.data.shape == layer.data.shape
    np.testing.assert_allclose(partial.translate, layer.translate)
    assert partial.metadata["napari-gandenoise"]["config"]["preset"] == "thorough"
    start = time.monotonic()
    qtbot.waitUntil(panel.panel.run.isEnabled, timeout=10_000)
    assert time.monotonic() - start < 1.0
    assert len(viewer.layers) == 2
    assert not panel.before_after.isVisibleTo(panel)
    assert "Cancelled" in panel.panel.status.text()


def test_rectangle_is_denoised_in_place(qtbot, viewer, layer, panel):
    corners = np.array([[80, 100], [80, 300], [220, 300], [220, 100]]) - 0.5
    viewer.add_shapes(np.array([layer.data_to_world(c) for c in corners]), shape_type="rectangle")
    panel.form["region"].value = "rectangle"
    panel.form["model"].value = "hrtem-unet"
    _settle(qtbot, panel)
    _run(qtbot, panel)
    result = viewer.layers["denoised · hrtem-unet"]
    assert result.data.shape == (140, 200)
    noisy = viewer.layers["noisy, summed 4×4"]
    corner = noisy.data_to_world((-0.5, -0.5))
    np.testing.assert_allclose(corner, layer.data_to_world((79.5, 99.5)))
    np.testing.assert_allclose(result.data_to_world((0, 0)), layer.data_to_world((80, 100)))


def _save_drift_and_give_it(qtbot, panel, path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    panel.course.save.click()
    saved = path.with_suffix(".csv")
    drawn = [curve.getData()[1] for curve in panel.course.plot.listDataItems()]
    rows = np.loadtxt(saved, delimiter=",", skiprows=1)
    np.testing.assert_allclose(np.transpose(drawn), 0.0061 * rows[:, 1:])
    panel.form["drift"].value = saved
    _settle(qtbot, panel)
    assert panel.panel.run.isEnabled()
    saved.write_text("frame,down,right\n0,0,0\n")
    panel.form["drift"].value = None
    panel.form["drift"].value = saved
    _settle(qtbot, panel)
    assert not panel.panel.run.isEnabled()
    assert "has no row for frame 1" in panel.panel.plan.text()
    panel.form["drift"].value = None
    panel.form["align"].value = False
    assert not panel.form["drift"].visible
    panel.form["align"].value = True


def test_movie_is_denoised_frame_by_frame_or_only_the_current_one(qtbot, viewer, counts, panel, tmp_path, monkeypatch):
    movie = np.stack([counts[:160, :160], counts[100:260, :160]])
    layer = viewer.add_image(movie, name="movie", scale=(1, 0.0061, 0.0061), units=("pixel", "nm", "nm"))
    assert not panel.form["current"].native.isHidden()
    assert panel.form["current"].native.itemText(0) == "All 2 frames"
    panel.form["model"].value = "hrtem-unet"
    _settle(qtbot, panel)
    _run(qtbot, panel)
    assert viewer.layers["denoised · hrtem-unet"].data.shape == movie.shape
    assert panel.course.isVisibleTo(panel)
    assert [len(curve.getData()[0]) for curve in panel.course.plot.listDataItems()] == [2, 2]
    _save_drift_and_give_it(qtbot, panel, tmp_path / "drift", monkeypatch)
    viewer.dims.set_point(0, 1)
    panel.form["current"].value = True
    _settle(qtbot, panel)
    _run(qtbot, panel)
    single = viewer.layers["denoised · hrtem-unet [1]"]
    assert single.data.shape == (1, 160, 160)
    assert not panel.course.isVisibleTo(panel)
    np.testing.assert_allclose(single.data_to_world((0, 0, 0)), layer.data_to_world((1, 0, 0)))


def test_layer_without_units_runs_with_a_typed_pixel_size(qtbot, viewer, counts, panel):
    viewer.add_image(counts[:160, :160], name="bare")
    assert panel.form["pixel_size_nm"].value is None
    panel.form["pixel_size_nm"].value = 0.0061
    panel.form["model"].value = "hrtem-unet"
    _settle(qtbot, panel)
    assert "works at 24.4 pm" in panel.panel.plan.text()
    _run(qtbot, panel)
    np.testing.assert_allclose(viewer.layers["denoised · hrtem-unet"].scale, (1, 1))


def test_unusable_image_is_one_sentence(qtbot, viewer, panel):
    viewer.add_image(np.full((320, 320), np.nan), scale=(0.0061, 0.0061), units=("nm", "nm"))
    _settle(qtbot, panel)
    assert "no pixel with a value" in panel.panel.plan.text()
    assert panel.panel.plan.text().count("\n") == 0
    assert not panel.panel.run.isEnabled()


def test_four_axes_are_refused_in_the_plan_line(viewer, panel):
    viewer.add_image(np.ones((2, 2, 64, 64)))
    assert "(T, Y, X)" in panel.panel.plan.text()


def test_results_of_one_layer_share_contrast_limits(qtbot, viewer, layer, panel):
    _settle(qtbot, panel)
    _run(qtbot, panel)
    first = viewer.layers["denoised · hrtem-unet"]
    first.contrast_limits = (0.1, 0.6)
    panel.form["seed"].value = 1
    _settle(qtbot, panel)
    _run(qtbot, panel)
    second = viewer.layers["denoised · hrtem-unet [1]"]
    assert tuple(second.contrast_limits) == pytest.approx((0.1, 0.6))
    second.contrast_limits = (0.2, 0.5)
    assert tuple(first.contrast_limits) == pytest.approx((0.2, 0.5))


def test_values_are_remembered(qtbot, viewer, layer, panel):
    panel.form["seed"].value = 11
    panel.form["residual_step"].value = False
    panel.form["region"].value = "viewport"
    panel.form["noise"].value = Poisson(gain=3.0)
    _settle(qtbot, panel)
    _run(qtbot, panel)
    again = DenoiseWidget(viewer)
    _settle(qtbot, again)
    config = again.form.config()
    assert (config.seed, config.residual_step, config.preset) == (11, False, "fast")
    # What belongs to the image is asked of the image.
    assert again.form["region"].value == "whole"
    assert config.noise != Poisson(gain=3.0)
    again.deleteLater()


def test_an_uncertainty_that_the_result_lacks_is_eight_repeats_of_the_next_run(
    qtbot, layer, panel, write_random_model, tmp_path
):
    panel.form["model"].value = str(write_random_model(tmp_path, pixel_size_nm=0.0244))  # draws no samples
    _settle(qtbot, panel)
    _run(qtbot, panel)
    panel.before_after.chips["uncertainty"].click()
    assert panel.form.config().replicates == 8
    assert panel.before_after.chips["denoised"].isChecked()


def test_samples_are_the_uncertainty_of_a_model_that_draws_and_flicker(
    qtbot, viewer, layer, panel, write_random_model, tmp_path
):
    """What is certain stands still, what is not moves: the samples are played as long as they are looked at."""
    panel.form["model"].value = str(write_random_model(tmp_path, samples=UNCALIBRATED, pixel_size_nm=0.0244))
    _settle(qtbot, panel)
    _run(qtbot, panel)
    panel.before_after.chips["uncertainty"].click()
    assert panel.form.config().samples == 32
    panel.form["samples"].value = 4
    _settle(qtbot, panel)
    _run(qtbot, panel)
    chips, result = panel.before_after.chips, viewer.layers["denoised · random"]
    assert "samples · random" not in viewer.layers
    chips["samples"].click()
    samples = viewer.layers["samples · random"]
    assert samples.data.shape == (4, *layer.data.shape)
    assert samples.visible
    assert not result.visible
    before = viewer.dims.current_step[0]
    qtbot.waitUntil(lambda: viewer.dims.current_step[0] != before, timeout=5000)
    chips["denoised"].click()
    assert not samples.visible
    still = viewer.dims.current_step[0]
    qtbot.wait(400)
    assert viewer.dims.current_step[0] == still
    chips["samples"].click()
    viewer.layers.remove(samples)
    qtbot.wait(200)  # nothing is left to play


@pytest.mark.parametrize(("kind", "part"), [("python", "gd.denoise("), ("command", "--preset"), ("yaml", "preset:")])
def test_settings_are_copied(qtbot, layer, panel, kind, part):
    _settle(qtbot, panel)
    panel.findChild(type(panel.panel.run), f"copy_{kind}").click()
    assert part in QGuiApplication.clipboard().text()


def test_the_layer_is_the_choice_among_the_images_of_its_file(qtbot, layer, panel):
    assert "image" not in panel.form.names()
    layer.metadata = {IMAGE_OF_FILE: "HAADF"}
    _settle(qtbot, panel)
    panel.findChild(type(panel.panel.run), "copy_command").click()
    assert "--image HAADF" in QGuiApplication.clipboard().text()


class TestInAWindow:
    """What needs a canvas, a dock or napari's own bar."""

    @pytest.fixture
    def viewer(self, make_napari_viewer):
        return make_napari_viewer()

    def test_run_gives_a_layer_in_place_with_provenance(self, qtbot, viewer, layer, panel):
        _settle(qtbot, panel)
        _run(qtbot, panel)
        assert "deviance 0.9" in panel.card.checks.text()
        assert [item.name for item in viewer.layers] == ["noisy", "denoised · hrtem-unet", "noisy, summed 4×4"]
        result = viewer.layers[1]
        assert result.data.shape == layer.data.shape
        assert result.data.dtype == np.float32
        np.testing.assert_allclose(result.scale, layer.scale)
        np.testing.assert_allclose(result.translate, layer.translate)
        assert result.units == layer.units
        report = str(dict(result.metadata))
        for part in ("model", "seed", "fast", "versions"):
            assert part in report
        assert viewer.layers.selection.active is result
        panel.before_after.chips["residual"].click()
        assert [item.visible for item in viewer.layers] == [True, False, True, True]
        residual = viewer.layers["residual · hrtem-unet"]
        np.testing.assert_allclose(residual.data, layer.data - result.data, atol=1e-3)
        assert _errors() == []

    @pytest.mark.serial
    @pytest.mark.usefixtures("layer")
    def test_window_stays_responsive_during_a_run(self, qtbot, panel, event_loop_gaps):
        _settle(qtbot, panel)
        with event_loop_gaps() as gaps:
            _run(qtbot, panel)
        assert len(gaps) > 10
        assert max(gaps) < 1.0

    def test_viewport_follows_the_camera(self, qtbot, viewer, layer, panel):
        panel.form["region"].value = "viewport"
        _settle(qtbot, panel)
        layer.corner_pixels = np.array([[0, 0], [255, 255]])
        source = panel._source()
        assert source.micrograph.pixels.shape == (256, 256)
        viewer.scene.camera.zoom *= 1.5
        assert panel._planner.busy

    def test_closed_panel_lets_the_viewer_go_on(self, qtbot, viewer, layer):
        widget = DenoiseWidget(viewer)
        dock = viewer.window.add_dock_widget(widget, name="Denoise")
        _settle(qtbot, widget)
        viewer.window.remove_dock_widget(dock)
        widget.deleteLater()
        qtbot.wait(50)
        viewer.add_image(np.ones((64, 64)))
        viewer.scene.camera.zoom *= 2
        layer.scale = (0.5, 0.5)
        viewer.layers.clear()
