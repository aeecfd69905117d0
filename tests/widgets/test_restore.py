"""The Restore panel with the real engine and a tiny model of colour images."""

from __future__ import annotations

import ast
import shlex

import numpy as np
import pytest
import torch
import yaml
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton

import napari_gandenoise as gd
from napari_gandenoise.models import load_model
from napari_gandenoise.settings.restore import TASKS, RestoreConfig
from napari_gandenoise.widgets import RestoreWidget, mask_of

MINUTES = 60_000
SIDE = 40
HOLE = (slice(12, 24), slice(10, 22))


@pytest.fixture
def viewer():
    """What the panel needs of a viewer; the last tests have a window."""
    return ViewerModel()


@pytest.fixture
def panel(qtbot, viewer):
    """The panel, docked if there is a window; whatever it still does is stopped at the end."""
    widget = RestoreWidget(viewer)
    if hasattr(viewer, "window"):
        viewer.window.add_dock_widget(widget, name="Restore")
    yield widget
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.busy, timeout=2 * MINUTES)
    widget.deleteLater()


@pytest.fixture
def models(tmp_path, write_photograph_model):
    """Paths of a model of colours and of one of grey images."""
    return {3: str(write_photograph_model(tmp_path)), 1: str(write_photograph_model(tmp_path, "greys", channels=1))}


@pytest.fixture
def drawing(models):
    """An image that the model of colours can draw, 8 bits: ``(40, 40, 3)``, its first and last rows repeated."""
    model = load_model(models[3])
    torch.manual_seed(5)
    with torch.no_grad():
        template = model.render(torch.randn(1, model.latent))[0].numpy()
    values = np.clip(127.5 * (template.transpose(1, 2, 0) + 1), 0, 255).astype(np.uint8)
    return np.pad(values, ((4, 4), (4, 4), (0, 0)), mode="edge")


@pytest.fixture
def cup(viewer, drawing):
    """The image in the viewer, scaled and away from the origin."""
    return viewer.add_image(drawing, name="cup", rgb=True, scale=(0.5, 0.5), translate=(3, 7), units=("um", "um"))


@pytest.fixture(autouse=True)
def no_old_notifications():
    notification_manager.records.clear()


def _errors():
    return [record.message for record in notification_manager.records if str(record.severity) == "error"]


def _settle(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.busy, timeout=2 * MINUTES)


def _choose(panel, task, model=None, **settings):
    panel.form["task"].value = task
    if model is not None:
        panel.form.field("model").open(model)
    for name, value in {"steps": 10, "restarts": 2, **settings}.items():
        panel.form[name].value = value


def _run(qtbot, panel):
    _settle(qtbot, panel)
    panel.panel.run.click()
    assert panel.panel.cancel.isEnabled(), _errors()
    _settle(qtbot, panel)
    return panel.panel.status.text()


def _hole(panel):
    """Press *Draw mask* and paint."""
    panel.form.field("mask").draw.click()
    labels = panel.form["mask"].value
    labels.data_setitem(np.nonzero(_hole_mask()), 1)
    return labels


def _hole_mask():
    hole = np.zeros((SIDE, SIDE), bool)
    hole[HOLE] = True
    return hole


def _copied(panel, kind):
    panel.findChild(QPushButton, f"copy_{kind}").click()
    return QGuiApplication.clipboard().text()


FIELDS = {"mask", "factor", "levels", "poisson_blending"}
OWN = {
    "inpaint": {"mask", "poisson_blending"},
    "colorize": set(),
    "super-resolve": {"factor"},
    "denoise": set(),
    "dequantize": {"levels"},
}


class TestBeforeARun:
    """What the panel shows and copies."""

    @pytest.mark.parametrize("task", TASKS)
    def test_a_task_has_its_own_fields_only(self, panel, models, task):
        _choose(panel, task, models[3])
        form = panel.form
        assert {name for name in FIELDS if not form[name].native.isHidden()} == OWN[task]
        assert panel.explained.text()
        assert form.config().task == task

    def test_a_model_of_micrographs_has_no_fields_of_constrained_generation(self, panel):
        _choose(panel, "inpaint", norm=2.0)
        assert not panel.form["mask"].native.isHidden()
        names = {"layer", "task", "mask", "model", "pixel_size_nm", "region", "drawn", "seed", "device"}
        assert set(panel.form.names()) == names
        assert panel.form.config() == RestoreConfig(task="inpaint")

    def test_fields_of_other_tasks_stay_out_of_the_config(self, panel, models):
        _choose(panel, "super-resolve", models[3], factor=4)
        assert panel.form.config().factor == 4
        _choose(panel, "dequantize", factor=4, levels=3)
        assert panel.form.config().factor == RestoreConfig(task="dequantize").factor
        assert panel.form.config().levels == 3

    def test_pixel_size_is_asked_for_where_the_model_has_one(self, viewer, panel, models, drawing):
        viewer.add_image(drawing[..., 0], scale=(0.5, 0.5), units=("um", "um"))
        assert not panel.form["pixel_size_nm"].native.isHidden()
        assert panel.form["pixel_size_nm"].value == pytest.approx(500)
        panel.form.field("model").open(models[3])
        assert panel.form["pixel_size_nm"].native.isHidden()
        assert panel.form.config().pixel_size_nm is None

    def test_models_are_offered_that_can_do_the_task_on_the_image(self, qtbot, viewer, panel, models, drawing):
        names = panel.form.field("model").names
        assert names() == ["hrtem"]  # the other bundled one is a direct denoiser, which draws nothing
        panel.form["task"].value = "super-resolve"
        assert names() == []
        panel.form["task"].value = "denoise"
        assert names() == ["hrtem"]
        assert panel.form["model"].value == "hrtem"
        viewer.add_image(drawing, rgb=True)
        assert names() == []
        assert panel.form["model"].value == ""
        _settle(qtbot, panel)
        assert panel.panel.plan.text().startswith("None of your models draws colours")
        panel.form.field("model").open(models[3])
        panel.form["task"].value = "inpaint"
        assert names() == [models[3]]  # stays, whatever it is for: somebody has opened it

    def test_empty_viewer_says_what_to_do(self, panel):
        assert "Open an image" in panel.panel.plan.text()
        assert not panel.panel.run.isEnabled()
        panel.form.field("mask").draw.click()
        assert len(_errors()) == 1
        assert "Open an image" in _errors()[0]

    @pytest.mark.parametrize(
        ("task", "channels", "coloured", "missing"),
        [
            ("inpaint", 1, True, "the layer has colours: open one of colour images with Open…, or train one"),
            ("colorize", 1, True, "colours are wanted: open one of colour images"),
            ("colorize", 1, False, "colours are wanted: open one of colour images"),
            ("denoise", 3, False, "choose a model of grey images, or the task Colourise"),
            ("super-resolve", 0, False, "for micrographs can only inpaint and denoise: open one of photographs"),
            ("inpaint", 0, True, "None of your models draws colours: open one of colour images"),
        ],
    )
    def test_a_model_of_other_channels_is_told_before_the_run(
        self, qtbot, viewer, panel, models, drawing, task, channels, coloured, missing
    ):
        viewer.add_image(drawing if coloured else drawing[..., 0], rgb=coloured)
        _choose(panel, task, models.get(channels))
        _settle(qtbot, panel)
        assert missing in panel.panel.plan.text()
        assert "\n" not in panel.panel.plan.text()
        assert not panel.panel.run.isEnabled()
        assert len(viewer.layers) == 1

    @pytest.mark.parametrize(
        ("task", "said"),
        [
            ("colorize", "Gives colours to 40×40 pixels."),
            ("super-resolve", "Makes 80×80 of 40×40 pixels."),
            ("denoise", "Takes the noise from 40×40 pixels."),
            ("dequantize", "between 5 levels in 40×40 pixels."),
        ],
    )
    @pytest.mark.usefixtures("cup")
    def test_plan_says_what_a_run_does(self, qtbot, panel, models, task, said):
        _choose(panel, task, models[3])
        _settle(qtbot, panel)
        assert said in panel.panel.plan.text()

    def test_plan_for_a_micrograph_is_that_of_denoising(self, qtbot, viewer, panel, counts):
        viewer.add_image(counts, scale=(0.0061, 0.0061), units=("nm", "nm"))
        _choose(panel, "denoise")
        _settle(qtbot, panel)
        planned = gd.plan(counts, model="hrtem", pixel_size_nm=0.0061)
        assert planned.sentence().partition(", about")[0] in panel.panel.plan.text()
        panel.form["pixel_size_nm"].value = 0.5
        _settle(qtbot, panel)
        assert "coarser than the model's" in panel.panel.plan.text()

    def test_a_guessed_pixel_size_is_said(self, qtbot, viewer, panel, counts):
        viewer.add_image(counts)
        _choose(panel, "denoise")
        _settle(qtbot, panel)
        assert "is a guess" in panel.panel.plan.text()

    def test_a_drawn_mask_is_chosen_and_counted(self, qtbot, viewer, cup, panel, models):
        _choose(panel, "inpaint", models[3])
        _settle(qtbot, panel)
        assert "Draw mask" in panel.panel.plan.text()
        labels = _hole(panel)
        assert labels in viewer.layers
        np.testing.assert_allclose(labels.extent.world, cup.extent.world)
        _settle(qtbot, panel)
        assert "Draws 144 of 40×40 pixels, 9 %." in panel.panel.plan.text()
        labels.undo()
        _settle(qtbot, panel)
        assert "Nothing of the image is marked" in panel.panel.plan.text()
        labels.data = np.ones_like(labels.data)
        _settle(qtbot, panel)
        assert "All of the image is marked" in panel.panel.plan.text()

    def test_shapes_of_another_frame_are_counted(self, qtbot, viewer, cup, panel, models):
        _choose(panel, "inpaint", models[3])
        edges = np.array([[12, 10], [12, 22], [24, 22], [24, 10]]) - 0.5
        world = np.array([cup.data_to_world(edge) for edge in edges]) * 1000  # nm
        shapes = viewer.add_shapes(
            [(world - [5, 6]) / 20], shape_type="rectangle", scale=(20, 20), translate=(5, 6), units=("nm", "nm")
        )
        assert panel.form["mask"].value is shapes
        _settle(qtbot, panel)
        assert "Draws 144 of 40×40 pixels" in panel.panel.plan.text()
        np.testing.assert_array_equal(mask_of(shapes, cup), _hole_mask())
        shapes.translate = (-30_000, 0)
        _settle(qtbot, panel)
        assert "Nothing of the image is marked" in panel.panel.plan.text()

    @pytest.mark.parametrize("task", TASKS)
    @pytest.mark.usefixtures("cup")
    def test_copied_yaml_holds_the_config(self, panel, models, task):
        _choose(panel, task, models[3], factor=4, levels=3, seed=7, prior=0.1, poisson_blending=False)
        assert RestoreConfig(**yaml.safe_load(_copied(panel, "yaml"))) == panel.form.config()

    @pytest.mark.parametrize("task", TASKS)
    @pytest.mark.usefixtures("cup")
    def test_copied_command_is_understood_by_the_command_line(self, panel, models, task, understood):
        _choose(panel, task, models[3], factor=4, levels=3, seed=7, prior=0.1, poisson_blending=False)
        if task == "inpaint":
            _hole(panel)
        config, others = understood(shlex.split(_copied(panel, "command")), RestoreConfig)
        assert config == panel.form.config()
        assert (others["mask"] is not None) == (task == "inpaint")

    @pytest.mark.parametrize("region", ["whole", "viewport"])
    def test_copied_python_restores_the_same_pixels(self, viewer, cup, panel, models, region):
        _choose(panel, "inpaint", models[3], seed=7)
        _hole(panel)
        panel.form["region"].value = region
        cup.corner_pixels = np.array([[4, 6], [35, 35]])
        code = _copied(panel, "python")
        call = next(node.value for node in ast.parse(code).body if isinstance(node, ast.Assign))
        names = {"viewer": viewer, "gd": gd, "mask_of": mask_of}
        image = eval(ast.unparse(call.args[0]), names)
        given = {word.arg: eval(ast.unparse(word.value), names) for word in call.keywords}
        source = panel._source()
        micrograph = gd.Micrograph.of(image)
        assert micrograph.rgb
        np.testing.assert_array_equal(micrograph.pixels, source.micrograph.pixels)
        np.testing.assert_array_equal(given.pop("mask"), _hole_mask()[source.box])
        assert RestoreConfig(**given) == panel.form.config()


@pytest.mark.parametrize("factor", [2, 4])
def test_super_resolved_layer_lies_on_the_image(qtbot, viewer, cup, panel, models, factor):
    _choose(panel, "super-resolve", models[3], factor=factor)
    _run(qtbot, panel)
    result = viewer.layers[-1]
    assert result.data.shape == (factor * SIDE, factor * SIDE, 3)
    np.testing.assert_allclose(result.scale, np.divide(cup.scale, factor))
    np.testing.assert_allclose(result._extent_augmented.world, cup._extent_augmented.world)
    assert result.units == cup.units


def test_colours_are_given_to_a_grey_image(qtbot, viewer, panel, models, drawing):
    grey = viewer.add_image(drawing.max(axis=-1), name="grey", scale=(2, 2), translate=(1, 1))
    _choose(panel, "colorize", models[3])
    _run(qtbot, panel)
    result = viewer.layers[-1]
    assert result.rgb
    assert result.data.shape == (SIDE, SIDE, 3)
    assert 0 <= result.data.min() <= result.data.max() <= 1
    np.testing.assert_allclose(result.extent.world, grey.extent.world)


@pytest.mark.parametrize("task", ["denoise", "dequantize"])
def test_grey_results_of_one_layer_share_contrast_limits(qtbot, viewer, panel, models, drawing, task):
    viewer.add_image(drawing[..., 0], name="grey")
    _choose(panel, task, models[1])
    _run(qtbot, panel)
    _run(qtbot, panel)
    first, second = viewer.layers[-2:]
    assert first.data.shape == (SIDE, SIDE)
    assert not first.rgb
    second.contrast_limits = (10, 20)
    assert tuple(first.contrast_limits) == (10, 20)


def test_doubts_about_the_levels_are_told(qtbot, cup, panel, models):
    _choose(panel, "dequantize", models[3], levels=5)
    _run(qtbot, panel)
    warnings = [record.message for record in notification_manager.records if str(record.severity) == "warning"]
    assert len(warnings) == 1
    assert "check the levels" in warnings[0]


def test_frame_of_a_movie_is_restored(qtbot, viewer, panel, models, drawing):
    movie = viewer.add_image(np.moveaxis(drawing, -1, 0), name="movie", scale=(1, 0.5, 0.5), rgb=False)
    viewer.dims.set_point(0, 2)
    _choose(panel, "denoise", models[1])
    _settle(qtbot, panel)
    assert "40×40 pixels of frame 2" in panel.panel.plan.text()
    _run(qtbot, panel)
    result = viewer.layers[-1]
    assert result.data.shape == (1, SIDE, SIDE)
    np.testing.assert_allclose(result.data_to_world((0, 0, 0)), movie.data_to_world((2, 0, 0)))


def test_an_image_with_holes_of_nan_is_one_sentence(qtbot, viewer, panel, models, drawing):
    viewer.add_image(np.where(_hole_mask(), np.nan, drawing[..., 0]), name="grey")
    _choose(panel, "denoise", models[1])
    _run(qtbot, panel)
    assert len(_errors()) == 1
    assert "NaN" in _errors()[0]
    assert "\n" not in _errors()[0]
    assert len(viewer.layers) == 1
    assert panel.panel.run.isEnabled()


def test_values_are_remembered(qtbot, viewer, cup, panel, models):
    panel.form["drawn"].value = True
    _choose(panel, "super-resolve", models[3], factor=4, seed=11, prior=0.5)
    _run(qtbot, panel)
    again = RestoreWidget(viewer)
    assert again.form.config() == panel.form.config()
    assert again.form["drawn"].value
    _settle(qtbot, again)
    again.deleteLater()


def test_copied_python_runs(qtbot, viewer, cup, panel, models):
    _choose(panel, "denoise", models[3])
    exec(_copied(panel, "python"), {"viewer": viewer})
    assert viewer.layers[-1].name == "cup · denoised (photos)"


class TestInAWindow:
    """What needs a canvas, a dock or napari's own bar."""

    @pytest.fixture
    def viewer(self, make_napari_viewer):
        return make_napari_viewer()

    def test_inpainting_keeps_what_is_not_marked(self, qtbot, viewer, cup, panel, models, drawing):
        broken = drawing.copy()
        broken[HOLE] = 255
        cup.data = broken
        _choose(panel, "inpaint", models[3])
        labels = _hole(panel)
        panel.form["drawn"].value = True
        summary = _run(qtbot, panel)
        assert _errors() == []
        assert summary
        assert "\n" not in summary
        result, drawn = viewer.layers[-2:]
        assert result.name == "cup · inpainted (photos)"
        assert viewer.layers.selection.active is result
        assert result.rgb
        assert result.data.shape == drawing.shape
        assert result.data.dtype == np.float32
        np.testing.assert_allclose(result.extent.world, cup.extent.world)
        assert result.units == cup.units
        np.testing.assert_allclose(result.data[~_hole_mask()], broken[~_hole_mask()] / 255, atol=2 / 255)
        assert np.abs(result.data[HOLE] - 1).max() > 0.1
        assert not drawn.visible
        assert labels in viewer.layers
        report = result.metadata["napari-gandenoise"]
        assert report["config"]["task"] == "inpaint"
        assert report["model_sha256"] == load_model(models[3]).sha256
        assert report["versions"]["napari-gandenoise"] == gd.__version__

    def test_what_the_canvas_shows_is_restored_in_place(self, qtbot, viewer, cup, panel, models):
        _choose(panel, "inpaint", models[3])
        _hole(panel)
        panel.form["region"].value = "viewport"
        cup.corner_pixels = np.array([[4, 4], [35, 35]])
        panel._on_changed()
        _settle(qtbot, panel)
        assert "144 of 32×32 pixels" in panel.panel.plan.text()
        _run(qtbot, panel)
        result = viewer.layers[-1]
        assert result.data.shape == (32, 32, 3)
        np.testing.assert_allclose(result.data_to_world((0, 0)), cup.data_to_world((4, 4)))

    @pytest.mark.usefixtures("cup")
    def test_cancel_ends_a_run_of_hours(self, qtbot, viewer, panel, models):
        _choose(panel, "denoise", models[3], steps=100_000)
        _settle(qtbot, panel)
        panel.panel.run.click()
        qtbot.waitUntil(lambda: panel.panel.bar.value() > 0, timeout=2 * MINUTES)
        panel.run()  # a second run does not start beside the first
        panel.panel.cancel.click()
        assert "Cancelled" in panel.panel.status.text()
        qtbot.waitUntil(panel.panel.run.isEnabled, timeout=MINUTES)
        for partial in viewer.layers[1:]:
            assert partial.name == "cup · denoised (photos) (partial)"
            assert partial.metadata["napari-gandenoise"]["config"]["steps"] == 100_000

    def test_closing_the_panel_cancels(self, qtbot, viewer, cup, models):
        widget = RestoreWidget(viewer)
        dock = viewer.window.add_dock_widget(widget, name="Restore")
        _choose(widget, "denoise", models[3], steps=100_000)
        _settle(qtbot, widget)
        widget.panel.run.click()
        qtbot.waitUntil(lambda: widget.panel.bar.value() > 0, timeout=2 * MINUTES)
        viewer.window.remove_dock_widget(dock)  # what the dock's cross does
        qtbot.waitUntil(lambda: not widget.busy, timeout=MINUTES)
        widget.deleteLater()
        qtbot.wait(50)
        viewer.add_labels(np.ones((8, 8), int))
        cup.scale = (2, 2)
        viewer.scene.camera.zoom *= 2
        viewer.layers.clear()
