"""Make the screenshots of the documentation: the panels before, during and after their runs.

Needs a screen: ``xvfb-run -a -s "-screen 0 1600x1200x24" python docs/make_screenshots.py``.  With ``denoise``,
``simulate``, ``train``, ``restore``, ``restore-micrograph``, ``compare``, ``columns`` or ``batch`` it takes the
pictures of one panel only.  ``restore`` needs a model of photographs, as `configs/photographs.yaml` trains it; its
path, if another than that configuration's, comes after the name.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import napari
import numpy as np
import skimage
from qtpy.QtCore import QSettings, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QScrollArea, QWidget
from superqt import QCollapsible

from napari_gandenoise.io import write_tiff
from napari_gandenoise.manifest import open_micrograph
from napari_gandenoise.settings.noise import PoissonGaussian
from napari_gandenoise.simulate.samples import sample_micrograph, sample_movie
from napari_gandenoise.widgets import (
    BatchWidget,
    ColumnsWidget,
    CompareWidget,
    DenoiseWidget,
    RestoreWidget,
    SimulateWidget,
    TrainWidget,
)
from napari_gandenoise.widgets.forms.memory import remember

IMAGES = Path(__file__).parent / "images"
WINDOW = (1200, 800)
PANEL_WIDTH = 320
COMPARE_WIDTH = 480
TALL = 900
PHOTOGRAPHS = Path("runs/photographs/photographs.safetensors")
PARTICLE = slice(240, 560), slice(400, 720)  # of the sample micrograph
CROP = slice(100, 292), slice(210, 402)  # of the coffee cup, 192 pixels a side
STROKES = (((40, 30), (60, 75)), ((128, 60), (140, 110), (120, 150)))  # pixels of the crop


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
    widget.grab().save(str(IMAGES / f"widget-{name}.png"))


def open_panel(kind: type[QWidget], name: str, height: int = WINDOW[1]) -> tuple[napari.Viewer, QWidget, Any]:
    """Open a viewer with one panel; return viewer, window and panel."""
    viewer = napari.Viewer()
    window = viewer.window._qt_window
    window.resize(WINDOW[0], height)
    panel = kind(viewer)
    dock = viewer.window.add_dock_widget(panel, name=name)
    window.resizeDocks([dock], [PANEL_WIDTH], Qt.Orientation.Horizontal)
    return viewer, window, panel


def denoise() -> None:
    """Open the sample, run the panel, and take pictures on the way."""
    viewer, window, panel = open_panel(DenoiseWidget, "Denoise")
    for layer_data in open_micrograph():
        viewer.add_layer(napari.layers.Layer.create(*layer_data))
    wait_until(lambda: not panel.busy)
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.reset_view()
    shoot(window, "before")

    panel.form["also"].value = ("fit_map",)
    wait_until(lambda: not panel.busy)
    panel.panel.run.click()
    wait_until(lambda: panel.panel.bar.maximum() > 1 and panel.panel.bar.value() > panel.panel.bar.maximum() / 2)
    shoot(window, "during")
    wait_until(lambda: not panel.busy)
    shoot(window, "after")
    viewer.layers[-1].visible = True
    shoot(window, "fit-map")

    panel.findChild(QCollapsible).expand()
    panel.form["noise"].value = PoissonGaussian(gain=2.1, offset=100, read_noise=3.2)
    wait_until(lambda: not panel.busy)
    QTest.qWait(300)
    panel.form.resize(PANEL_WIDTH, panel.form.sizeHint().height())
    shoot(panel.form, "advanced")
    viewer.close()


def simulate() -> None:
    """Make a micrograph; show the folded fields."""
    viewer, window, panel = open_panel(SimulateWidget, "Simulate", TALL)
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
    """Train for some minutes on a few live structures."""
    viewer, window, panel = open_panel(TrainWidget, "Train", TALL)
    shoot(window, "train-before")
    remember("simulate", {"structures": 24}, {})
    config = panel.config("nanoparticles", folder / "nanoparticles")
    fields = {
        "steps": 1500,
        "batch": 32,
        "pool": 2048,
        "checkpoint_every": 50,
        "validate_every": 100,
        "encoder": "evidence",
        "adversarial_weight": 0.02,
        "adversarial_every": 2,
        "penalty": 5.0,
    }
    networks = config.architecture.model_copy(update={"width": 16})
    panel.name.value = config.name
    panel.output.value = config.output
    panel.restore(config.model_copy(update={**fields, "architecture": networks, "held_out": 4}))
    panel.panel.as_layer.setChecked(True)
    panel.panel.start.click()
    wait_until(lambda: panel.panel.bar.maximum() == fields["steps"] and panel.panel.bar.value() > 900, seconds=1800)
    viewer.reset_view()
    shoot(window, "train-during")
    panel.panel.plot.view.setCurrentIndex(panel.panel.plot.view.findData("validation"))
    shoot(panel.panel.plot, "train-validation")
    panel.panel.stop.click()
    wait_until(lambda: not panel.busy)
    viewer.close()

    viewer, window, panel = open_panel(TrainWidget, "Train", TALL)
    panel.settings.collapse()
    shoot(window, "train-resume")
    viewer.close()


def restore(model: Path) -> None:
    """Paint over a photograph, and have a model of photographs fill what was painted over."""
    viewer, window, panel = open_panel(RestoreWidget, "Restore")
    photograph = skimage.data.coffee()[CROP]
    viewer.add_image(photograph, name="coffee")
    panel.form.field("model").open(str(model))
    panel.form.field("mask").draw.click()
    labels = panel.form["mask"].value
    labels.brush_size = 9
    for stroke in STROKES:
        for start, end in pairwise(stroke):
            for share in np.linspace(0, 1, 60):
                labels.paint(np.rint((1 - share) * np.array(start) + share * np.array(end)), 1)
    wait_until(lambda: not panel.busy)
    viewer.reset_view()
    shoot(window, "restore-before")
    panel.panel.run.click()
    wait_until(lambda: not panel.busy)
    labels.visible = False
    shoot(window, "restore")
    panel.findChild(QCollapsible).expand()
    QTest.qWait(300)
    panel.form.resize(PANEL_WIDTH, panel.form.sizeHint().height())
    shoot(panel.form, "restore-advanced")
    viewer.close()


def restore_micrograph() -> None:
    """Fill a hole in a piece of the sample."""
    viewer, window, panel = open_panel(RestoreWidget, "Restore")
    pixels = sample_micrograph().pixels[PARTICLE]
    viewer.add_image(pixels, name="Pt on CeO2", scale=(0.0061, 0.0061), units=("nm", "nm"))
    panel.form.field("mask").draw.click()
    labels = panel.form["mask"].value
    marked = np.zeros_like(labels.data)
    marked[120:220, 110:250] = 1
    labels.data = marked
    wait_until(lambda: not panel.busy)
    panel.panel.run.click()
    wait_until(lambda: not panel.busy)
    viewer.reset_view()
    shoot(window, "restore-micrograph")
    viewer.close()


def compare() -> None:
    """Compare methods on the sample, in a grid."""
    viewer, window, panel = open_panel(CompareWidget, "Compare", TALL)
    for layer_data in open_micrograph():
        viewer.add_layer(napari.layers.Layer.create(*layer_data))
    wait_until(lambda: not panel.busy)
    shoot(window, "compare-before")
    panel.panel.run.click()
    wait_until(lambda: not panel.busy)
    dock = panel.parent()
    window.resizeDocks([dock], [COMPARE_WIDTH], Qt.Orientation.Horizontal)
    panel.findChild(QScrollArea).ensureWidgetVisible(panel.figure)
    viewer.reset_view()
    shoot(window, "compare")
    viewer.close()


def columns() -> None:
    """Find the columns of the sample in what the latent search draws of it: it draws a few that are not there."""
    viewer, window, panel = open_panel(ColumnsWidget, "Columns")
    viewer.add_layer(napari.layers.Layer.create(*sample_micrograph().to_layer_data()))
    panel.form["model"].value, panel.form["preset"].value = "hrtem", "fast"
    wait_until(lambda: not panel.busy)
    panel.run()
    wait_until(lambda: not panel.busy)
    viewer.camera.center, viewer.camera.zoom = (0, 2.6, 4.2), 260
    shoot(window, "columns")
    viewer.close()


def batch(folder: Path) -> None:
    """Denoise a movie and a folder with a broken file; open what is whole."""
    viewer, window, panel = open_panel(BatchWidget, "Batch", TALL)
    movie, _ = sample_movie()
    inputs = folder / "session"
    inputs.mkdir()
    write_tiff(inputs / "movie.tif", movie.pixels[:8, 150:450, 150:450], pixel_size_nm=movie.pixel_size_nm)
    micrograph = sample_micrograph()
    for number in range(3):
        part = micrograph.pixels[300 * number :][:300, 400:700]
        write_tiff(inputs / f"particle-{number}.tif", part, pixel_size_nm=micrograph.pixel_size_nm)
    (inputs / "copied-in-part.tif").write_bytes((inputs / "movie.tif").read_bytes()[:5000])
    panel.files.add(str(inputs))
    panel.form["output"].value = folder / "denoised"
    panel.form["settings.preset"].value = "fast"
    shoot(window, "batch-before")
    panel.panel.run.click()
    wait_until(lambda: "frames" in panel.panel.status.text() and panel.panel.bar.value() >= 5)
    shoot(window, "batch-during")
    wait_until(lambda: not panel.busy)
    panel.open.click()
    viewer.reset_view()
    shoot(window, "batch")
    panel.findChild(QCollapsible).expand()
    QTest.qWait(300)
    panel.form.resize(PANEL_WIDTH, panel.form.sizeHint().height())
    shoot(panel.form, "batch-advanced")
    viewer.close()


def main(wanted: list[str]) -> None:
    """Take the pictures that are wanted, or all."""
    IMAGES.mkdir(exist_ok=True)
    model = next((Path(name) for name in wanted if name.endswith(".safetensors")), PHOTOGRAPHS)
    with tempfile.TemporaryDirectory() as folder:
        # The pictures show a first start, not what the person at this machine has set.
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)
        os.environ["GANDENOISE_MODELS"] = f"{folder}/models"
        pictures = {
            "denoise": denoise,
            "simulate": simulate,
            "train": lambda: train(Path(folder)),
            "restore": lambda: restore(model),
            "restore-micrograph": restore_micrograph,
            "compare": compare,
            "columns": columns,
            "batch": lambda: batch(Path(folder)),
        }
        for name, take in pictures.items():
            if not wanted or name in wanted:
                take()


if __name__ == "__main__":
    main(sys.argv[1:])
