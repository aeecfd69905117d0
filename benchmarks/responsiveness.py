"""How quickly napari's window answers while the Train panel trains: latency of the event loop.

Needs a screen: ``xvfb-run -a -s "-screen 0 1600x1200x24" python -m benchmarks.responsiveness``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import QSettings, QTimer
from qtpy.QtTest import QTest

from benchmarks.record import RESULTS, write_result
from napari_gandenoise.io import write_tiff
from napari_gandenoise.settings.data import FolderData, TileConfig
from napari_gandenoise.settings.networks import Architecture
from napari_gandenoise.settings.train import TrainConfig
from napari_gandenoise.simulate.samples import sample_movie_truth
from napari_gandenoise.widgets import TrainWidget

TICK_MS = 5
TITLE = "Latency of the viewer's event loop while a model is trained"
NOTES = (
    "A timer that should fire every 5 ms says how late it is; the viewer shows the panel with curves and samples. "
    "Aim: below 100 ms at the 95th percentile."
)


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Let the window live until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"Still waiting after {seconds} s.")
        QTest.qWait(20)


def latencies_ms(seconds: float) -> np.ndarray:
    """Return how late a timer was, each time, in ms."""
    late: list[float] = []
    last = time.perf_counter()

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        late.append(max(0.0, 1e3 * (now - last) - TICK_MS))
        last = now

    timer = QTimer()
    timer.timeout.connect(tick)
    timer.start(TICK_MS)
    QTest.qWait(round(1e3 * seconds))
    timer.stop()
    return np.array(late)


def row(name: str, what: str, times_ms: np.ndarray) -> dict[str, object]:
    """Make a row of a table: of what, and the times."""
    median, high = np.percentile(times_ms, (50, 95))
    return {
        name: what,
        "median (ms)": round(float(median), 1),
        "95th percentile (ms)": round(float(high), 1),
        "largest (ms)": round(float(times_ms.max()), 1),
        "times": len(times_ms),
    }


def make_config(folder: Path) -> TrainConfig:
    """Write the sample movie's truth as images, and train on them as fast as this machine can."""
    images = folder / "images"
    images.mkdir()
    movie = sample_movie_truth()
    write_tiff(images / "movie.tif", movie.pixels, pixel_size_nm=movie.pixel_size_nm)
    return TrainConfig(
        name="responsiveness",
        data=FolderData(path=images, pixel_size_nm=movie.pixel_size_nm),
        output=folder / "run",
        pixel_size_nm=0.0244,
        tiles=TileConfig(),
        architecture=Architecture(latent=50, width=16, principal=True),
        steps=100_000,
        batch=32,
        pool=512,
        held_out=4,
        checkpoint_every=100,
        validate_every=200,
        encoder="none",
    )


def main() -> None:
    """Measure an idle viewer, then one that trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two seconds each: checks that everything runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the table")
    arguments = parser.parse_args()
    seconds = 2.0 if arguments.quick else 30.0
    with tempfile.TemporaryDirectory() as folder:
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)
        os.environ["GANDENOISE_MODELS"] = f"{folder}/models"
        viewer = napari.Viewer()
        config = make_config(Path(folder))
        panel = TrainWidget(viewer)
        viewer.window.add_dock_widget(panel, name="Train")
        panel.name.value = config.name
        panel.output.value = config.output
        panel.restore(config)
        panel.panel.as_layer.setChecked(True)
        QTest.qWait(1000)
        rows = [row("viewer", "idle", latencies_ms(seconds))]
        panel.start()
        wait_until(lambda: "generator" in panel.panel.plot.names())
        rows.append(row("viewer", "training", latencies_ms(seconds)))
        panel.stop()
        wait_until(lambda: not panel.busy)
        viewer.close()
    print(write_result(arguments.results, "responsiveness", TITLE, NOTES, rows))


if __name__ == "__main__":
    main()
