"""A movie without a truth is judged by frames that nothing has seen."""

from __future__ import annotations

import numpy as np
import tifffile

from benchmarks.movies import real


def test_held_out_frames_are_for_the_neighbours_of_a_specimen_that_drifts(tmp_path, rng):
    y, x = np.mgrid[:112, :112].astype(float)
    frames = []
    for drift in (0, 1, 2, 3, 4):
        lattice = np.cos(2 * np.pi * y / 9) * np.cos(2 * np.pi * (x - drift) / 9)
        inside = 1 / (1 + np.exp(np.hypot(y - 56, x - 56 - drift) - 26))
        frames.append(rng.poisson(20 * (1 + 0.6 * inside * lattice)))
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, np.array(frames, np.uint16), photometric="minisblack")
    rows = list(real(path, "micrographs"))
    assert [(row["frame"], row["held out"]) for row in rows] == [(2, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5)]
    assert all(float(row["with neighbours"]) < float(row["alone"]) for row in rows)
