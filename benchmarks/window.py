"""The window: how soon the dock opens, how it answers while it denoises, what a move of the handle costs.

Needs a screen: ``xvfb-run -a -s "-screen 0 1600x1200x24" python -m benchmarks.window``.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import napari
import numpy as np
import typer
from napari.layers import Layer
from qtpy.QtCore import QSettings
from qtpy.QtTest import QTest

from benchmarks.record import RESULTS, write_result
from benchmarks.responsiveness import latencies_ms, row, wait_until
from napari_gandenoise.manifest import open_movie
from napari_gandenoise.widgets.before_after.summed import Summed
from napari_gandenoise.widgets.before_after.swipe import Swipe
from napari_gandenoise.widgets.workbench import TITLE

MOVES = 100  # of the handle
NOTES = (
    "The dock is opened in a viewer in which nothing of the plugin has been used; it is ready when the Denoise panel "
    "can be typed into. Latencies: a timer that should fire every 5 ms says how late it is, here while the sample "
    "movie is denoised and shown. A move of the handle is what the window computes for it, without the drawing "
    "of the canvas, which is the graphics card's. Aims: opens in 1 s; 20 ms at the 95th percentile; 10 ms a move."
)


def opening(viewer: napari.Viewer) -> tuple[Any, list[dict[str, Any]]]:
    """Open the dock; return it, and how long that took."""
    started = time.perf_counter()
    _, bench = viewer.window.add_plugin_dock_widget("napari-gandenoise", TITLE)
    QTest.qWait(1)
    rows = [row("what", "the dock opens", np.array([1e3 * (time.perf_counter() - started)]))]
    gaps, last = [], time.perf_counter()
    while bench.busy:
        QTest.qWait(1)
        gaps.append(1e3 * (time.perf_counter() - last))
        last = time.perf_counter()
    rows.append(row("what", "until it is ready: between events", np.array(gaps)))
    rows.append(row("what", "the panel is ready", np.array([1e3 * (time.perf_counter() - started)])))
    return bench, rows


def denoising(viewer: napari.Viewer, bench: Any, seconds: float) -> dict[str, Any]:
    """Denoise the sample movie for some seconds."""
    viewer.add_layer(Layer.create(*open_movie()[0]))
    panel = bench.panels["Denoise"]
    wait_until(lambda: not panel.busy)
    panel.panel.run.click()
    wait_until(lambda: panel.panel.bar.maximum() > 1)
    late = latencies_ms(seconds)
    panel.cancel()
    wait_until(lambda: not panel.busy)
    return row("what", "an event while a movie is denoised", late)


def moving(viewer: napari.Viewer, side: int, summed: int) -> dict[str, Any]:
    """Move the handle over an image."""
    counts = np.random.default_rng(0).poisson(1.0, (side, side)).astype(np.float32)
    viewer.layers.clear()
    result = viewer.add_image(np.ones_like(counts), name="denoised", contrast_limits=(0, 2))
    coarse = {"scale": (summed, summed), "translate": ((summed - 1) / 2,) * 2}
    swipe = Swipe(viewer, Summed(counts, summed), coarse, result)
    QTest.qWait(500)
    times = []
    for share in np.linspace(0.1, 0.9, MOVES):
        started = time.perf_counter()
        swipe.share = float(share)
        times.append(1e3 * (time.perf_counter() - started))
        QTest.qWait(1)
    swipe.close()
    return row("what", f"a move of the handle, {side}×{side}, {summed}×{summed} summed", np.array(times))


def main(
    quick: Annotated[bool, typer.Option(help="Two seconds, one small image.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Open the dock, denoise a movie, move the handle; write the table."""
    with tempfile.TemporaryDirectory() as folder:
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)
        viewer = napari.Viewer()
        QTest.qWait(500)
        bench, rows = opening(viewer)
        rows.append(denoising(viewer, bench, 2.0 if quick else 30.0))
        for side, summed in ((256, 4),) if quick else ((1200, 4), (1200, 1), (4096, 1)):
            rows.append(moving(viewer, side, summed))
        viewer.close()
    typer.echo(write_result(results, "window", "The window", NOTES, rows))


if __name__ == "__main__":
    typer.run(main)
