"""The Compare panel with real methods."""

from __future__ import annotations

import ast
import csv
import shlex
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as imageio
import numpy as np
import pytest
import yaml
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog, QPushButton

import napari_gandenoise as gd
from napari_gandenoise.settings.compare import ALL, USUAL, CompareConfig
from napari_gandenoise.widgets import CompareWidget

MINUTES = 60_000
QUICK = ("noisy", "flat", "gaussian", "wiener", "bm3d")


@pytest.fixture
def viewer():
    """What the panel needs of a viewer; the last tests have a window."""
    return ViewerModel()


@pytest.fixture
def panel(qtbot, viewer):
    """The panel, docked if there is a window; whatever it still does is stopped at the end."""
    widget = CompareWidget(viewer)
    if hasattr(viewer, "window"):
        viewer.window.add_dock_widget(widget, name="Compare")
    yield widget
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.busy, timeout=2 * MINUTES)
    widget.deleteLater()


@pytest.fixture
def truth(viewer, rate):
    """The rate of `layer`, hidden, as the sample opens it."""
    return viewer.add_image(
        rate, name="the truth", visible=False, scale=(0.0061, 0.0061), units=("nm", "nm"), translate=(1.0, 2.0),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def no_old_notifications():
    notification_manager.records.clear()


def _errors():
    return [record.message for record in notification_manager.records if str(record.severity) == "error"]


def _run(qtbot, panel, methods=QUICK):
    panel.table.tick(methods)
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
    panel.panel.run.click()
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
    return panel.panel.status.text()


def _cells(table):
    """Text of the table by method and column."""
    columns = [table.horizontalHeaderItem(number).text() for number in range(table.columnCount())]
    cells = [[table.item(row, number).text() for number in range(len(columns))] for row in range(table.rowCount())]
    return {own[0]: dict(zip(columns, own, strict=True)) for own in cells}


def _drag(viewer, layer, start, end):
    """Drag the mouse from one pixel of a layer to another, with the button held."""
    event = SimpleNamespace(type="mouse_press", modifiers=(), position=layer.data_to_world(start))
    steps = [called for callback in viewer.mouse_drag_callbacks if (called := callback(viewer, event))]
    for kind, place in (("mouse_press", start), ("mouse_move", end), ("mouse_release", end)):
        event.type, event.position = kind, layer.data_to_world(place)
        for step in steps:
            next(step, None)


def test_usual_methods_are_ticked_and_the_truth_is_found_whichever_layer_came_first(qtbot, panel, truth, layer):
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
    assert panel.form.config().methods == USUAL
    assert panel.form["scored"].value
    assert panel.layer.value is layer
    assert panel.truth.value is truth
    assert panel.panel.plan.text() == f"{len(USUAL)} methods on 320×320 pixels, scored against the truth."
    assert panel.form.config().noise.kind == "poisson"
    panel.form.field("methods").every.click()
    assert panel.form.config().methods == ALL
    panel.form.field("methods").none.click()
    assert panel.panel.plan.text() == "Tick the methods to compare."
    assert not panel.panel.run.isEnabled()


def test_a_truth_that_comes_later_is_found_too(qtbot, panel, layer, truth):
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
    assert panel.truth.value is truth
    panel.form["scored"].value = False
    assert "on held-out electrons" in panel.panel.plan.text()
    panel.form["scored"].value = True
    panel.truth.choose(layer)
    assert "truth is the layer itself" in panel.panel.plan.text()


def test_the_profile_follows_a_line_and_the_spectrum_ends_where_there_is_nothing(qtbot, viewer, layer, truth, panel):
    _run(qtbot, panel)
    assert panel.plots.names() == ["Truth", "BM3D", "Wiener, estimated", "Gaussian blur"]
    along, values = panel.plots.points("Truth")
    middle = (truth.data[159] + truth.data[160]) / 2
    np.testing.assert_allclose(values, middle, rtol=1e-4)
    assert along[-1] == pytest.approx(319 * 0.0061)

    _drag(viewer, layer, (100, 20), (100, 119))  # moves the canvas, as long as the line is not wanted
    np.testing.assert_array_equal(panel.plots.points("Truth")[1], values)
    panel.plots.line.click()
    _drag(viewer, layer, (100, 20), (100, 119))
    _, values = panel.plots.points("Truth")
    np.testing.assert_allclose(values, truth.data[100, 20:120], rtol=1e-4)
    _drag(viewer, layer, (98, 118), (100, 99))  # takes the end that it begins beside
    np.testing.assert_allclose(panel.plots.points("Truth")[1], truth.data[100, 20:100], rtol=1e-4)
    qtbot.keyClick(panel.plots.line, Qt.Key.Key_Down)
    qtbot.keyClick(panel.plots.line, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    np.testing.assert_allclose(panel.plots.points("Truth")[1], truth.data[101, 30:110], rtol=1e-4)

    panel.plots.view.setCurrentIndex(1)
    frequency, power = panel.plots.points("Truth")
    assert frequency[-1] < 0.5 / 0.0061
    assert power.min() > 0


def test_the_model_comes_first_and_rows_follow_the_score_that_is_chosen(qtbot, layer, truth, panel):
    table, methods = panel.table, panel.methods

    def names():
        return [table.item(row, 0).text() for row in range(table.rowCount())]

    def second():
        header = table.horizontalHeader()
        return table.horizontalHeaderItem(header.logicalIndex(1)).text()

    assert names()[0] == "GAN (auto)"
    assert methods._ranked.isHidden()
    _run(qtbot, panel, ("noisy", "flat", "gaussian", "wiener"))
    assert methods.ranking.currentText() == second() == "PSNR"
    assert names()[:4] == ["Wiener, estimated", "Gaussian blur", "Flat", "Noisy"]
    methods.ranking.setCurrentText("spectrum error")  # the less the better
    assert second() == "spectrum error"
    errors = [float(_cells(table)[name]["spectrum error"]) for name in names()[:4]]
    assert errors == sorted(errors)
    assert panel.plots.names() == ["Truth", *(name for name in names()[:4] if name not in ("Flat", "Noisy"))]
    table.sortByColumn(2, Qt.SortOrder.DescendingOrder)  # as a click on its heading does
    assert methods.ranking.currentText() == "PSNR"


def test_figures_that_noise_passes_are_blank_and_say_why(qtbot, layer, truth, panel):
    _run(qtbot, panel, ("noisy", "flat", "wiener"))
    table, cells = panel.table, _cells(panel.table)
    for column in ("precision", "recall", "F1", "position error, pm"):
        assert cells["Noisy"][column] == ""
        assert cells["Wiener, estimated"][column] != ""
    assert cells["Noisy"]["PSNR"] != ""
    assert cells["Flat"]["precision"] == ""  # of nothing found none can be wrong
    assert cells["Flat"]["recall"] == "0"
    place = {table.item(row, 0).text(): row for row in range(table.rowCount())}
    column = list(cells["Noisy"]).index("recall")
    assert "raw counts would have a recall of 1" in table.item(place["Noisy"], column).toolTip()
    assert "share of atom columns" in table.item(place["Wiener, estimated"], column).toolTip()
    span = truth.data.max() - truth.data.min()
    assert f"Data range of PSNR and SSIM: {span:.4g}" in panel.caption.text()
    assert f"at a data range of 1 every PSNR is {-20 * np.log10(span):.2f} dB higher" in panel.caption.text()


def test_without_its_layer_the_panel_forgets_the_comparison(qtbot, viewer, layer, panel):
    _run(qtbot, panel, ("flat", "wiener"))
    assert not panel.csv.isHidden()
    viewer.layers.clear()
    assert panel.panel.plan.text() == "Open an image to compare denoisers on."
    assert panel.result is None
    assert panel.csv.isHidden()
    assert panel.form["pixel_size_nm"].value is None
    assert panel.form["noise"].value is None
    assert panel.table.scores() == []
    viewer.add_image(np.zeros((2, 3, 32, 32), np.float32))
    assert "not (2, 3, 32, 32)" in panel.panel.plan.text()
    assert "\n" not in panel.panel.plan.text()


@pytest.mark.slow
def test_tables_and_figures_are_exported(qtbot, layer, truth, panel, tmp_path, monkeypatch):
    assert panel.csv.isHidden()
    _run(qtbot, panel)
    for button, name in ((panel.csv, "table.csv"), (panel.figure, "figure.png")):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, name=name: (str(tmp_path / name), ""))
        assert not button.isHidden()
        button.click()
    assert _errors() == []
    rows = list(csv.DictReader((tmp_path / "table.csv").open(encoding="utf-8")))
    assert [row["method"] for row in rows] == ["Noisy", "Flat", "Gaussian blur", "Wiener, estimated", "BM3D"]
    assert imageio.imread(tmp_path / "figure.png").std() > 20


def test_a_method_that_fails_says_so_in_its_row(qtbot, layer, panel, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "bm3d", None)

    said = _run(qtbot, panel, ("flat", "bm3d", "wiener"))

    assert said.startswith("2 methods, 1 without a result"), _errors()
    table = panel.table
    assert _cells(table)["BM3D"]["State"] == "failed"
    row = next(row for row in range(table.rowCount()) if table.item(row, 0).text() == "BM3D")
    assert "pip install napari-gandenoise[bm3d]" in table.item(row, 1).toolTip()


def test_one_method_is_skipped_and_the_next_goes_on(qtbot, layer, panel):
    panel.table.tick(("flat", "gan"))
    panel.form["model"].value = "hrtem"
    panel.form["preset"].value = "thorough"
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
    panel.panel.run.click()
    qtbot.waitUntil(lambda: "GAN" in panel.panel.status.text(), timeout=MINUTES)

    panel.skip.click()

    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
    assert _cells(panel.table)["GAN (hrtem)"]["State"] == "left out"
    assert panel.result.rows[-1]["note"] == "Left out."
    assert panel.panel.status.text().startswith("1 methods, 1 without a result")


def test_other_frames_of_the_same_view_give_a_psnr_without_truth(qtbot, viewer, panel, rng, rate):
    viewer.add_image(
        rng.poisson(rate[100:228, 100:228], (4, 128, 128)),
        name="movie",
        scale=(1, 0.0061, 0.0061),
        units=("pixel", "nm", "nm"),
    )
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
    assert not panel.form["copies"].native.isHidden()
    panel.form["copies"].value = True
    viewer.dims.set_current_step(0, 1)

    said = _run(qtbot, panel, ("flat", "wiener"))

    assert "the highest uPSNR has Wiener" in said, _errors()
    assert viewer.layers["Wiener, estimated · movie"].translate[0] == 1


def test_copies_of_the_settings_are_what_the_doors_take(qtbot, layer, truth, panel, understood):
    panel.table.tick(("flat", "bm3d"))
    panel.form["bin_factor"].value = 5
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)

    def copied(kind):
        panel.findChild(QPushButton, f"copy_{kind}").click()
        return QGuiApplication.clipboard().text()

    config = CompareConfig.model_validate(yaml.safe_load(copied("yaml")))
    assert config.methods == ("flat", "bm3d")
    assert config.bin_factor == 5
    again, others = understood(shlex.split(copied("command")), CompareConfig)
    assert again == config
    assert Path(others["truth"]).name == "truth.tif"
    code = copied("python")
    assert "truth=viewer.layers['the truth'].data" in code
    ast.parse(code)
    names = {"viewer": panel._viewer, "gd": gd}
    exec(code, names)
    assert list(names["result"].images) == ["flat", "bm3d"]


def test_the_next_session_starts_with_the_same_methods(qtbot, viewer, layer, panel):
    panel.form["bin_factor"].value = 6
    _run(qtbot, panel, ("flat", "wiener"))

    again = CompareWidget(viewer)

    assert again.form.config().methods == ("flat", "wiener")
    assert again.form.config().bin_factor == 6
    qtbot.waitUntil(lambda: not again.busy, timeout=MINUTES)
    again.deleteLater()


def test_recovery_as_published_is_offered_and_named_by_its_model(qtbot, panel):
    table = panel.table
    assert "Recovered, no clipping (hrtem)" in _cells(table)
    panel.form["model"].value = "hrtem-unet"
    assert "Recovered, no clipping (hrtem-unet)" in _cells(table)
    assert "GAN (hrtem-unet)" in _cells(table)
    table.tick(("recovered", "gan", "flat"))
    assert panel.form.config().methods == ("flat", "gan", "recovered")


class TestInAWindow:
    """What needs napari's grid or its activity dock."""

    @pytest.mark.usefixtures("layer")
    def test_the_button_is_in_sight_in_a_small_window(self, qtbot, viewer, panel):
        window = viewer.window._qt_window
        window.show()
        window.resize(1280, 720)
        qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
        window.resizeDocks([panel.parentWidget()], [320], Qt.Orientation.Horizontal)
        qtbot.wait(50)
        assert panel.minimumSizeHint().width() <= 320
        below = panel.panel.run.mapTo(window, panel.panel.run.rect().bottomLeft()).y()
        assert below < window.height() - window.statusBar().height()

    @pytest.fixture
    def viewer(self, make_napari_viewer):
        return make_napari_viewer()

    def test_results_are_linked_layers_in_a_grid_and_rows_of_a_table_that_sorts(
        self, qtbot, viewer, layer, truth, panel
    ):
        said = _run(qtbot, panel)

        assert "5 methods; the highest PSNR has BM3D" in said, _errors()
        names = [f"{title} · noisy" for title in ("Flat", "Gaussian blur", "Wiener, estimated", "BM3D")]
        made = [viewer.layers[name] for name in names]
        for result in made:
            np.testing.assert_allclose(result.translate, layer.translate)
            np.testing.assert_allclose(result.scale, layer.scale)
            assert result.data.shape == layer.data.shape
        made[0].contrast_limits = (0.1, 0.2)
        assert all(tuple(result.contrast_limits) == (0.1, 0.2) for result in made)
        assert panel._grid.enabled
        assert truth.visible
        shown = [layer, truth, *made]
        assert all(each.name_overlay.visible for each in shown)
        drawn = viewer.window._qt_viewer.canvas.layer_to_visual
        qtbot.wait(50)  # until the cells are laid out
        for each in shown:
            [line] = [child for child in drawn[each].node.children if child in panel._line._visuals.values()]
            np.testing.assert_allclose(line.pos, [[0, 159.5], [319, 159.5]])
        panel.plots.view.setCurrentIndex(1)
        assert not len(panel._line._visuals)
        panel.plots.view.setCurrentIndex(0)
        table = panel.table
        cells = _cells(table)
        assert float(cells["BM3D"]["PSNR"]) == pytest.approx(panel.result.rows[4]["PSNR"], rel=1e-3)
        assert cells["BM3D"]["State"] == "7 × 7 summed"
        assert cells["Non-local means"]["PSNR"] == ""
        column = list(cells["BM3D"]).index("PSNR")
        for order in (Qt.SortOrder.DescendingOrder, Qt.SortOrder.AscendingOrder):
            table.sortByColumn(column, order)
            told = [table.item(row, column).text() for row in range(table.rowCount())]
            figures = [float(text) for text in told[:5]]
            assert told[5:] == [""] * (len(told) - 5)
            assert figures == sorted(figures, reverse=order == Qt.SortOrder.DescendingOrder)
        assert panel.form.config().methods == QUICK
        row = next(row for row in range(table.rowCount()) if table.item(row, 0).text() == "Flat")
        table.itemClicked.emit(table.item(row, 0))
        assert viewer.layers.selection.active is made[0]
        assert "Flat" in panel.plots.names()

    @pytest.mark.usefixtures("layer")
    def test_cancel_keeps_what_is_done_and_another_run_can_follow(self, qtbot, viewer, panel):
        panel.table.tick(("flat", "wiener", "gan"))
        panel.form["model"].value = "hrtem"
        panel.form["preset"].value = "thorough"
        qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
        panel.panel.run.click()
        qtbot.waitUntil(lambda: _cells(panel.table)["GAN (hrtem)"]["State"] == "running", timeout=MINUTES)

        panel.panel.cancel.click()

        assert panel.panel.status.text() == "Cancelled; 2 methods are kept."
        assert _cells(panel.table)["GAN (hrtem)"]["State"] == "cancelled"
        assert {"Flat · noisy", "Wiener, estimated · noisy"} <= {layer.name for layer in viewer.layers}
        qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
        assert "highest held-out gain" in _run(qtbot, panel, ("flat", "wiener"))
