"""A viewer with a small sample, and a panel that does not touch the user's own settings."""

from __future__ import annotations

import time
from contextlib import contextmanager

import numpy as np
import pytest
import typer
from qtpy.QtCore import QSettings, QTimer

from napari_gandenoise.cli import app
from napari_gandenoise.settings.text import lay_over
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth

CROP = (slice(240, 560), slice(320, 640))  # the particle's top


@pytest.fixture(autouse=True)
def own_settings(tmp_path):
    """Keep what panels remember in a folder of the test."""
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings"))


@pytest.fixture(scope="session")
def counts():
    """A part of the sample micrograph: ``(320, 320)`` electron counts."""
    return np.ascontiguousarray(sample_micrograph().pixels[CROP])


@pytest.fixture(scope="session")
def rate():
    """The truth of `counts`."""
    return np.ascontiguousarray(sample_truth().pixels[CROP])


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def layer(viewer, counts):
    """The sample in the viewer, with the sample's pixel size, away from the origin."""
    return viewer.add_image(counts, name="noisy", scale=(0.0061, 0.0061), units=("nm", "nm"), translate=(1.0, 2.0))


@pytest.fixture
def understood():
    """``understood(words, kind)``: the settings that the command line makes of a command, and its other arguments."""

    def understand(words, kind):
        command = typer.main.get_command(app).commands[words[1]]
        assert words[0] == "napari-gandenoise"
        context = command.make_context(words[1], words[2:])
        return kind.model_validate(lay_over({}, command.given(context), [kind])), context.params

    return understand


@pytest.fixture
def event_loop_gaps(qtbot):
    """Collect, while a ``with`` block runs, the seconds that the window took to answer a timer of 10 ms."""

    @contextmanager
    def collect():
        gaps, last = [], time.monotonic()

        def tick():
            nonlocal last
            now = time.monotonic()
            gaps.append(now - last)
            last = now

        timer = QTimer()
        timer.timeout.connect(tick)
        timer.start(10)
        yield gaps
        timer.stop()

    return collect
