"""Make the screenshots of the documentation: the Denoise panel before, during and after a run on the sample.

Needs a screen: ``xvfb-run -a -s "-screen 0 1600x1200x24" python docs/make_screenshots.py``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtCore import QSettings, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget
from superqt import QCollapsible

from napari_gandenoise.commands import open_micrograph
from napari_gandenoise.noise import PoissonGaussian
from napari_gandenoise.widgets import DenoiseWidget

IMAGES = Path(__file__).parent / "images"
WINDOW = (1200, 800)
PANEL_WIDTH = 320


def wait_until(condition: Callable[[], bool], *, seconds: float = 900) -> None:
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


def main() -> None:
    """Open the sample, run the panel, and take pictures on the way."""
    IMAGES.mkdir(exist_ok=True)
    viewer = napari.Viewer()
    window = viewer.window._qt_window
    window.resize(*WINDOW)
    for layer_data in open_micrograph():
        viewer.add_layer(napari.layers.Layer.create(*layer_data))
    panel = DenoiseWidget(viewer)
    dock = viewer.window.add_dock_widget(panel, name="Denoise")
    window.resizeDocks([dock], [PANEL_WIDTH], Qt.Orientation.Horizontal)
    wait_until(lambda: not panel.busy)
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.reset_view()
    shoot(window, "before")

    panel.form.fit_map.setChecked(True)
    wait_until(lambda: not panel.busy)
    panel.panel.run.click()
    wait_until(
        lambda: "refine" in panel.panel.status.text() and panel.panel.bar.value() > panel.panel.bar.maximum() / 2
    )
    shoot(window, "during")
    wait_until(lambda: not panel.busy)
    shoot(window, "after")
    viewer.layers[-1].visible = True
    shoot(window, "fit-map")

    panel.findChild(QCollapsible).expand()
    panel.form.noise.set_typed(PoissonGaussian(gain=2.1, offset=100, read_noise=3.2))
    wait_until(lambda: not panel.busy)
    shoot(panel, "advanced")
    viewer.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        # The pictures show a first start, not what the person at this machine has set.
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)
        main()
