"""The peer for movies: its own script is run on a file, and its time is that of all it does."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.video_peer import train_and_denoise
from napari_gandenoise.errors import GanDenoiseError

SCRIPT = """
import argparse
import time
import numpy as np
import tifffile
parser = argparse.ArgumentParser()
for name in ("--data", "--output-file", "--num-epochs"):
    parser.add_argument(name)
given = parser.parse_args()
ending = time.process_time() + 0.2
while time.process_time() < ending:
    pass
np.save(given.output_file + ".npy", tifffile.imread(given.data) * float(given.num_epochs))
"""


@pytest.fixture
def peer(tmp_path):
    """A folder with an environment that is this one, and a script that multiplies the movie by the epochs."""
    environment, checkout = tmp_path / "video-venv", tmp_path / "udvd-mf"
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    for folder in (python.parent, checkout):
        folder.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (environment / "ready").touch()
    (checkout / "denoise_mf.py").write_text(SCRIPT)
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="the environment of this test is a shell script")
def test_the_movie_goes_through_the_script_and_its_time_is_told(peer, rng):
    movie = rng.poisson(3, (3, 8, 9)).astype(np.uint16)
    found = train_and_denoise(movie, 2, peer)
    np.testing.assert_array_equal(found.movie, 2 * movie)
    assert found.processor_seconds > 0.2


@pytest.mark.skipif(sys.platform == "win32", reason="the environment of this test is a shell script")
def test_a_script_that_fails_is_told_in_one_sentence(peer, rng):
    (peer / "udvd-mf" / "denoise_mf.py").write_text("raise MemoryError('no room')")
    with pytest.raises(GanDenoiseError, match=r"^UDVD-MF failed: MemoryError: no room$"):
        train_and_denoise(rng.poisson(3, (3, 8, 9)), 1, peer)
