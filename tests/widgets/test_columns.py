"""The Columns panel with the real engine."""

from __future__ import annotations

import ast
import csv

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Points
from napari.utils.notifications import notification_manager
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog

import napari_gandenoise as gd
from napari_gandenoise.settings.columns import ColumnsConfig
from napari_gandenoise.widgets import ColumnsWidget

MINUTES = 60_000


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def panel(qtbot, viewer):
    widget = ColumnsWidget(viewer)
    qtbot.addWidget(widget)
    yield widget
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.busy, timeout=MINUTES)


@pytest.fixture
def shown(viewer, layer, rate):
    """The sample denoised as well as can be, as a layer that the panel finds by its name."""
    return viewer.add_image(rate, name="noisy · denoised (by hand)", scale=layer.scale, units=layer.units)


def points_of(viewer):
    return [layer for layer in viewer.layers if isinstance(layer, Points)]


def test_columns_become_points_that_lie_on_the_image(qtbot, viewer, panel, layer, shown):
    panel.layer.choose(layer)
    assert panel.form["known"].value
    assert panel.denoised.value is shown
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
    panel.run()
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
    [points] = points_of(viewer)
    expected = gd.columns(layer, denoised=shown)
    assert len(points.data) == len(expected) > 20
    np.testing.assert_allclose(points.data * layer.scale[-1], np.stack([expected.table[n] for n in "yx"], 1), atol=1e-6)
    np.testing.assert_allclose(points.translate, layer.translate)
    assert points.features["probability"].between(0, 1).all()
    assert "columns" in panel.panel.status.text()
    assert not panel.save.isHidden()
    assert panel.plot.isHidden()


def test_movies_get_a_plot_and_the_current_frame_lies_in_its_frame(qtbot, viewer, panel, counts, rate):
    movie = viewer.add_image(np.stack([counts] * 3), name="movie")
    viewer.add_image(np.stack([rate] * 3), name="movie · denoised (by hand)")
    panel.layer.choose(movie)
    panel.run()
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
    [points] = points_of(viewer)
    assert set(points.data[:, 0]) == {0, 1, 2}
    assert not panel.plot.isHidden()
    assert len(panel.plot.plot.listDataItems()[0].getData()[0]) == 3

    viewer.dims.set_point(0, 2)
    panel.form["current"].value = True
    panel.run()
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
    single = points_of(viewer)[-1]
    assert single.data.shape[1] == 3
    np.testing.assert_allclose(single.data_to_world(single.data[0])[0], 2)


def test_settings_are_copied_as_python_and_as_a_command(qtbot, viewer, panel, layer, shown, understood):
    import shlex

    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
    panel.form["contrast"].value = "dark"
    panel.panel.copy_clicked.emit("python")
    text = QGuiApplication.clipboard().text()
    ast.parse(text)
    assert "gd.columns" in text
    assert "denoised=viewer.layers['noisy · denoised (by hand)'].data" in text
    panel.panel.copy_clicked.emit("command")
    config, arguments = understood(shlex.split(QGuiApplication.clipboard().text()), ColumnsConfig)
    assert config.contrast == "dark"
    assert str(arguments["output"]).endswith("-columns.csv")


def test_the_table_is_saved_as_the_name_asks(qtbot, viewer, panel, layer, shown, tmp_path, monkeypatch):
    panel.layer.choose(layer)
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
    panel.run()
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTES)
    for asked, written in (("a.csv", "a.csv"), ("b", "b.csv")):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, asked=asked: (str(tmp_path / asked), ""))
        panel.save.click()
        rows = list(csv.DictReader((tmp_path / written).open(encoding="utf-8")))
        assert len(rows) == len(panel.result)
        np.testing.assert_allclose(float(rows[0]["y_nm"]), panel.result.table["y"][0], rtol=1e-4)
    notification_manager.records.clear()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "nowhere" / "c.csv"), ""))
    panel.save.click()
    [said] = [record.message for record in notification_manager.records]
    assert "nowhere" in said
    viewer.layers.remove(layer)
    assert panel.result is None
    assert panel.save.isHidden()
    viewer.layers.clear()
    assert "Open an image" in panel.panel.plan.text()
    assert panel.form["pixel_size_nm"].value is None


def test_without_an_image_the_panel_says_what_to_do(panel):
    assert "Open an image" in panel.panel.plan.text()
