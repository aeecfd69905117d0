"""Make the screenshots of the documentation: the panels before, during and after their runs.

Needs a screen: ``xvfb-run -a -s "-screen 0 1600x1200x24" python docs/make_screenshots.py``.  With ``denoise``,
``recording``, ``simulate``, ``train``, ``restore``, ``compare``, ``columns`` or ``batch`` it takes the pictures of one
panel only.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QSettings, Qt, QTimer
from qtpy.QtGui import QImage
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget, QScrollArea, QWidget
from superqt import QCollapsible

from napari_gandenoise.io import write_tiff
from napari_gandenoise.manifest import open_micrograph
from napari_gandenoise.settings.noise import PoissonGaussian
from napari_gandenoise.simulate.samples import sample_micrograph, sample_movie
from napari_gandenoise.widgets.forms.form import SettingsForm
from napari_gandenoise.widgets.forms.memory import remember
from napari_gandenoise.widgets.workbench import TITLE

IMAGES = Path(__file__).parent / "images"
WINDOW = (1200, 800)
PANEL_WIDTH = 320
COMPARE_WIDTH = 480
TALL = 900
RECORDED = (1000, 640)
PERIOD_MS = 150
PARTICLE = slice(240, 560), slice(400, 720)  # of the sample micrograph


def wait_until(condition: Callable[[], bool], *, seconds: float = 240) -> None:
    """Let the window live until a condition holds."""
    for _ in range(int(seconds * 20)):
        QTest.qWait(50)
        if condition():
            return
    raise TimeoutError(f"Still waiting after {seconds} s.")


def shoot(widget: QWidget, name: str) -> None:
    """Save what a widget looks like."""
    QTest.qWait(300)
    picture = widget.grab().toImage()
    # By these a test finds pictures that are older than their panel.
    forms = widget.findChildren(SettingsForm) + ([widget] if isinstance(widget, SettingsForm) else [])
    picture.setText("fields", json.dumps({form.settings: form.all_names() for form in forms}))
    picture.save(str(IMAGES / f"widget-{name}.png"))


def open_panel(name: str, height: int = WINDOW[1]) -> tuple[napari.Viewer, QWidget, Any]:
    """Open a viewer with the dock at one of its panels; return viewer, window and panel."""
    viewer = napari.Viewer()
    window = viewer.window._qt_window
    window.resize(WINDOW[0], height)
    dock, bench = viewer.window.add_plugin_dock_widget("napari-gandenoise", TITLE)
    bench.open(name)
    wait_until(lambda: not bench.busy)
    window.resizeDocks([dock], [PANEL_WIDTH], Qt.Orientation.Horizontal)
    return viewer, window, bench.panels[name]


def denoise() -> None:
    """Open the sample, run the panel, and take pictures on the way."""
    viewer, window, panel = open_panel("Denoise")
    for layer_data in open_micrograph():
        viewer.add_layer(napari.layers.Layer.create(*layer_data))
    wait_until(lambda: not panel.busy)
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.reset_view()
    shoot(window, "before")

    panel.panel.run.click()
    wait_until(lambda: panel.panel.bar.maximum() > 1 and panel.panel.bar.value() > panel.panel.bar.maximum() / 2)
    shoot(window, "during")
    wait_until(lambda: not panel.busy)
    QTest.qWait(1000)  # for the spectra
    shoot(window, "after")
    panel.before_after.chips["fit_map"].click()
    shoot(window, "fit-map")

    panel.findChild(QCollapsible).expand()
    panel.form["noise"].value = PoissonGaussian(gain=2.1, offset=100, read_noise=3.2)
    wait_until(lambda: not panel.busy)
    QTest.qWait(300)
    panel.form.resize(PANEL_WIDTH, panel.form.sizeHint().height())
    shoot(panel.form, "advanced")
    viewer.close()


def recording() -> None:
    """Record the first run: open the sample, denoise it, swipe."""
    viewer = napari.Viewer()
    window = viewer.window._qt_window
    window.resize(*RECORDED)
    pictures: list[Image.Image] = []
    clock = QTimer()
    clock.timeout.connect(lambda: pictures.append(_as_picture(window)))
    _, bench = viewer.window.add_plugin_dock_widget("napari-gandenoise", TITLE)
    wait_until(lambda: not bench.busy)
    panel = bench.panels["Denoise"]
    clock.start(PERIOD_MS)
    QTest.qWait(1000)
    viewer.open_sample("napari-gandenoise", "micrograph")
    viewer.reset_view()
    wait_until(lambda: not panel.busy)
    QTest.qWait(1500)
    panel.panel.run.click()
    wait_until(lambda: not panel.busy)
    QTest.qWait(1500)
    for place in (*np.linspace(0.5, 0.1, 12), *np.linspace(0.1, 0.95, 25), *np.linspace(0.95, 0.5, 12)):
        panel.before_after.swipe.share = place
        QTest.qWait(PERIOD_MS)
    panel.before_after.chips["fit_map"].click()
    QTest.qWait(1500)
    panel.before_after.chips["denoised"].click()
    QTest.qWait(1500)
    clock.stop()
    pictures[0].save(
        IMAGES / "first-run.webp", save_all=True, append_images=pictures[1:], duration=PERIOD_MS, loop=0, quality=45
    )
    viewer.close()


def _as_picture(window: QWidget) -> Image.Image:
    picture = window.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(picture.constBits().asarray(picture.sizeInBytes()), np.uint8)
    rows = rows.reshape(picture.height(), picture.bytesPerLine())[:, : 3 * picture.width()]
    return Image.fromarray(rows.reshape(picture.height(), picture.width(), 3).copy())


def simulate() -> None:
    """Make a micrograph; show the folded fields."""
    viewer, window, panel = open_panel("Simulate", TALL)
    panel.form["seed"].value = 7
    panel.form["dose"].value = 8
    panel.panel.run.click()
    wait_until(lambda: not panel.busy)
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.reset_view()
    shoot(window, "simulate")
    panel.form["preview"].value = False  # nor computed while sections unfold
    for section in panel.findChildren(QCollapsible):
        section.expand()
    QTest.qWait(3000)
    panel.form.resize(PANEL_WIDTH, panel.form.sizeHint().height())
    shoot(panel.form, "simulate-advanced")
    viewer.close()


def train(folder: Path) -> None:
    """Train for some minutes on a few live structures, and try the model on the sample."""
    viewer, window, panel = open_panel("Train", TALL)
    shoot(window, "train-before")
    for layer_data in open_micrograph():
        viewer.add_layer(napari.layers.Layer.create(*layer_data))
    viewer.reset_view()
    panel.form["have"].value = "noisy"
    shoot(window, "train-noisy")
    panel.form["have"].value = "images"
    wait_until(lambda: not panel.busy)
    shoot(window, "train-target")
    remember("simulate", {"structures": 24}, {})
    panel.form["have"].value = "nothing"
    config = panel.config("nanoparticles", folder / "nanoparticles")
    steps = 600
    fields = {"steps": steps, "batch": 8, "pool": 512, "checkpoint_every": 25, "validate_every": 50, "held_out": 4}
    networks = config.architecture.model_copy(update={"size": 64, "widths": (16, 32, 48)})
    panel.name.value = config.name
    panel.output.value = config.output
    panel.restore(config.model_copy(update={**fields, "architecture": networks}))
    panel.panel.start.click()
    wait_until(lambda: panel.panel.bar.maximum() > 25 and panel.panel.bar.value() > steps / 6, seconds=1800)
    wait_until(lambda: not panel.tries.pictures.empty)
    shoot(window, "train-during")
    panel.panel.stop.click()
    wait_until(lambda: not panel.busy)
    viewer.close()

    viewer, window, panel = open_panel("Train", TALL)
    panel.settings.collapse()
    shoot(window, "train-resume")
    viewer.close()


def restore() -> None:
    """Mark a hole in a piece of the sample, and fill it."""
    viewer, window, panel = open_panel("Restore")
    pixels = sample_micrograph().pixels[PARTICLE]
    viewer.add_image(pixels, name="Pt on CeO2", scale=(0.0061, 0.0061), units=("nm", "nm"))
    panel.form.field("mask").draw.click()
    labels = panel.form["mask"].value
    marked = np.zeros_like(labels.data)
    marked[120:220, 110:250] = 1
    labels.data = marked
    wait_until(lambda: not panel.busy)
    viewer.reset_view()
    shoot(window, "restore-before")
    panel.panel.run.click()
    wait_until(lambda: not panel.busy)
    viewer.reset_view()
    shoot(window, "restore")
    viewer.close()


def compare() -> None:
    """Compare methods on the sample, in a grid."""
    viewer, window, panel = open_panel("Compare", TALL)
    for layer_data in open_micrograph():
        viewer.add_layer(napari.layers.Layer.create(*layer_data))
    wait_until(lambda: not panel.busy)
    shoot(window, "compare-before")
    panel.panel.run.click()
    wait_until(lambda: not panel.busy)
    dock = next(dock for dock in window.findChildren(QDockWidget) if dock.isAncestorOf(panel))
    window.resizeDocks([dock], [COMPARE_WIDTH], Qt.Orientation.Horizontal)
    panel.findChild(QScrollArea).ensureWidgetVisible(panel.figure)
    viewer.reset_view()
    shoot(window, "compare")
    viewer.close()


def columns() -> None:
    """Find the columns of the sample in what the latent search draws of it: it draws a few that are not there."""
    viewer, window, panel = open_panel("Columns")
    viewer.add_layer(napari.layers.Layer.create(*sample_micrograph().to_layer_data()))
    panel.form["model"].value, panel.form["preset"].value = "hrtem", "fast"
    wait_until(lambda: not panel.busy)
    panel.run()
    wait_until(lambda: not panel.busy)
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 2.6, 4.2), 260
    shoot(window, "columns")
    viewer.close()


def batch(folder: Path) -> None:
    """Denoise a movie and a folder with a broken file; open a pair."""
    viewer, window, panel = open_panel("Batch", TALL)
    movie, _ = sample_movie()
    inputs = folder / "session"
    inputs.mkdir()
    write_tiff(inputs / "movie.tif", movie.pixels[:4, 150:450, 150:450], pixel_size_nm=movie.pixel_size_nm)
    micrograph = sample_micrograph()
    for number in range(3):
        part = micrograph.pixels[300 * number :][:300, 400:700]
        write_tiff(inputs / f"particle-{number}.tif", part, pixel_size_nm=micrograph.pixel_size_nm)
    (inputs / "copied-in-part.tif").write_bytes((inputs / "movie.tif").read_bytes()[:5000])
    panel.files.add(str(inputs))
    panel.form["output"].value = folder / "denoised"
    panel.form["settings.preset"].value = "fast"
    view = panel.files.view
    wait_until(lambda: len(view.thumbnails) == view.pairs.rowCount())
    panel.panel.run.click()
    wait_until(lambda: "frames" in panel.panel.status.text() and panel.panel.bar.value() >= 3)
    shoot(window, "batch-during")
    wait_until(lambda: not panel.busy)
    view.setCurrentIndex(view.pairs.index(view.pairs.rowCount() - 2))
    panel.open_pair.click()
    wait_until(lambda: len(view.thumbnails) == 2 * view.pairs.rowCount() - 1)  # of what is broken there is no result
    shoot(window, "batch")
    panel.findChild(QCollapsible).expand()
    wait_until(lambda: panel.form.height() >= panel.form.sizeHint().height())
    shoot(panel.form, "batch-advanced")
    viewer.close()


def main(wanted: list[str]) -> None:
    """Take the pictures that are wanted, or all."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # The pictures show a first start, not what the person at this machine has set.
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)
        os.environ["GANDENOISE_MODELS"] = f"{folder}/models"
        pictures = {
            "denoise": denoise,
            "recording": recording,
            "simulate": simulate,
            "train": lambda: train(Path(folder)),
            "restore": restore,
            "compare": compare,
            "columns": columns,
            "batch": lambda: batch(Path(folder)),
        }
        for name, take in pictures.items():
            if not wanted or name in wanted:
                take()


if __name__ == "__main__":
    main(sys.argv[1:])
