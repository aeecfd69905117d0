"""The one dock in a real window: its tabs, what leads to it, and a first run by three clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari._app_model import get_app_model
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QScrollArea

from napari_gandenoise.io import write_tiff
from napari_gandenoise.widgets.activation import ACTION, activate, offer_action
from napari_gandenoise.widgets.layout.scroll import NARROW
from napari_gandenoise.widgets.viewer.readers import prefer_own
from napari_gandenoise.widgets.workbench import PANELS, TITLE, help_page

PLUGIN = "napari-gandenoise"
DOCS = Path(__file__).parents[2] / "docs"
MINUTE = 60_000
pytestmark = pytest.mark.usefixtures("npe2pm_known")


@pytest.fixture(scope="module")
def npe2pm_known():
    """The plugin, known to npe2 whether or not the package is installed."""
    from importlib.resources import files

    from npe2 import PluginManager, PluginManifest

    manager = PluginManager.instance()
    if PLUGIN not in manager:
        manager.register(PluginManifest.from_file(files("napari_gandenoise") / "napari.yaml"))


@pytest.fixture
def bench(qtbot, viewer):
    dock, bench = viewer.window.add_plugin_dock_widget(PLUGIN, TITLE)
    bench.dock = dock
    yield bench
    for panel in bench.panels.values():
        getattr(panel, "cancel", lambda: None)()
    qtbot.waitUntil(lambda: not any(getattr(panel, "busy", False) for panel in bench.panels.values()), timeout=MINUTE)


def _opened(qtbot, bench, name):
    bench.open(name)
    qtbot.waitUntil(lambda: not bench.busy, timeout=MINUTE)
    return bench.panels[name]


def test_a_first_run_takes_three_clicks(qtbot, viewer, counts):
    viewer.add_image(counts, name="counts", scale=(0.0061, 0.0061), units=("nm", "nm"))
    offer_action(get_app_model())
    get_app_model().commands.execute_command(ACTION).result()  # a right click on the layer, and Denoise
    bench = viewer.window.dock_widgets[f"{TITLE} ({PLUGIN})"]
    qtbot.waitUntil(lambda: not bench.busy, timeout=MINUTE)
    panel = bench.panels["Denoise"]
    assert panel.layer.value is viewer.layers["counts"]
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTE)
    QTest.mouseClick(panel.panel.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTE)
    assert [layer.name for layer in viewer.layers] == ["counts", "denoised · hrtem-unet", "noisy, summed 4×4"]
    assert panel.card.isVisibleTo(panel)
    assert panel.before_after.isVisibleTo(panel)
    qtbot.waitUntil(lambda: panel.before_after.spectra.isVisibleTo(panel), timeout=MINUTE)
    assert viewer.canvas.overlays.scale_bar.visible
    panel.before_after.chips["fit_map"].click()
    assert viewer.layers["fit map · hrtem-unet"].visible
    assert not viewer.layers["denoised · hrtem-unet"].visible
    panel.before_after.chips["denoised"].click()
    assert viewer.layers["denoised · hrtem-unet"].visible
    viewer.layers.remove("noisy, summed 4×4")
    assert not panel.before_after.isVisibleTo(panel)


def test_the_menu_of_a_layer_offers_to_denoise_an_image(viewer):
    offer_action(get_app_model())
    offer_action(get_app_model())  # once more does no harm
    items = get_app_model().menus.get_menu("napari/layers/context")
    assert [item.command.id for item in items if hasattr(item, "command")].count(ACTION) == 1
    activate()  # as npe2 does it: of the real application, which a test does not have


def test_all_panels_open_in_a_narrow_dock(qtbot, viewer, bench):
    viewer.window._qt_window.resize(1280, 720)
    viewer.window._qt_window.show()
    for name in PANELS:
        panel = _opened(qtbot, bench, name)
        assert bench.current == name
        content = panel.findChild(QScrollArea).widget()
        viewer.window._qt_window.resizeDocks([bench.dock], [320], Qt.Orientation.Horizontal)
        qtbot.waitUntil(lambda content=content: content.minimumSizeHint().width() <= NARROW, timeout=5000)
        assert panel.isVisible()
        page = help_page(name).rpartition("napari-gandenoise/")[2]
        assert (DOCS / page).with_suffix(".md").is_file()
    viewer.window._qt_window.hide()


def test_what_is_asked_of_a_panel_waits_until_it_is_there(qtbot, viewer, bench):
    found = []
    bench.open("Batch", found.append)
    bench.open("Compare")
    assert found == []
    assert "Compare" not in bench.panels
    qtbot.waitUntil(lambda: not bench.busy, timeout=MINUTE)
    assert found == [bench.panels["Batch"]]
    assert bench.current == "Compare"
    bench.panels["Denoise"].batch_wanted.emit("/data/movie.tif")
    assert bench.current == "Batch"
    assert bench.panels["Batch"].files.value() == ("/data/movie.tif",)


def test_a_closed_dock_stops_what_its_panels_do(qtbot, viewer, bench):
    viewer.add_image(
        np.random.default_rng(0).poisson(2.0, (40, 96, 96)), scale=(1, 0.0244, 0.0244), units=("pixel", "nm", "nm")
    )
    panel = _opened(qtbot, bench, "Denoise")
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTE)
    panel.panel.run.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=MINUTE)
    viewer.window.remove_dock_widget(bench.dock)
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTE)
    assert viewer.layers[1].name.endswith("(partial)")


def test_a_region_that_is_drawn_is_planned_at_once(qtbot, viewer, counts, bench):
    layer = viewer.add_image(counts, scale=(0.0061, 0.0061), units=("nm", "nm"), translate=(1, 2))
    panel = _opened(qtbot, bench, "Denoise")
    region = panel.form.field("region")
    region.draw.click()
    drawn = viewer.layers["region"]
    assert drawn.mode == "add_rectangle"
    assert region.value() == "rectangle"
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTE)
    assert not panel.panel.run.isEnabled()
    assert "draw one" in panel.panel.plan.text()
    drawn.add_rectangles(np.array([[79.5, 99.5], [239.5, 299.5]]))
    qtbot.waitUntil(lambda: "40×50" in panel.panel.plan.toolTip(), timeout=MINUTE)
    assert panel._source().micrograph.pixels.shape == (160, 200)
    np.testing.assert_allclose(drawn.translate, layer.translate)
    drawn.data = [np.array([[79.5, 99.5], [79.5, 199.5], [239.5, 199.5], [239.5, 99.5]])]
    qtbot.waitUntil(lambda: "40×25" in panel.panel.plan.toolTip(), timeout=MINUTE)


def test_a_layer_that_goes_takes_what_is_known_of_it_along(qtbot, viewer, layer, bench):
    panel = _opened(qtbot, bench, "Denoise")
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTE)
    assert panel.panel.run.isEnabled()
    viewer.layers.clear()
    assert "Open an image" in panel.panel.plan.text()
    assert panel.form["pixel_size_nm"].value is None
    assert "on this machine" not in panel.form.field("model").card.text()
    assert not panel.panel.run.isEnabled()
    viewer.add_labels(np.zeros((64, 64), int))
    viewer.add_image(np.ones((2, 2, 64, 64)))
    assert "(T, Y, X)" in panel.panel.plan.text()
    assert not panel.panel.run.isEnabled()
    viewer.layers.remove(viewer.layers[-1])
    assert "of the kind Labels, and an image is wanted" in panel.panel.plan.text()


def test_a_dropped_file_is_denoised_saved_and_opened_again_with_its_pixel_size(qtbot, viewer, bench, counts, tmp_path):
    path = tmp_path / "counts.micrograph.ome.tif"
    write_tiff(path, counts, pixel_size_nm=0.0061)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    place, button = QPointF(5, 5), Qt.MouseButton.LeftButton
    drop = QDropEvent(place, Qt.DropAction.CopyAction, mime, button, Qt.KeyboardModifier.NoModifier)
    prefer_own()  # as when the plugin is first used; each test has settings of its own, in which napari would ask
    viewer.window._qt_viewer.dropEvent(drop)
    (layer,) = viewer.layers
    assert float(layer.scale[-1]) == pytest.approx(0.0061)
    panel = _opened(qtbot, bench, "Denoise")
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTE)
    assert panel.form["pixel_size_nm"].value == pytest.approx(0.0061)
    panel.panel.run.click()
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTE)
    viewer.layers.selection = {viewer.layers["denoised · hrtem-unet"]}
    saved = tmp_path / "result.micrograph.ome.tif"
    viewer.layers.save(str(saved), selected=True, plugin=PLUGIN)
    viewer.layers.clear()
    (again,) = viewer.open(saved, plugin=PLUGIN)
    assert again.data.shape == counts.shape
    assert float(again.scale[-1]) == pytest.approx(0.0061, rel=1e-4)
    assert again.metadata["napari-gandenoise"]["model"] == "hrtem-unet"
