"""Columns of a movie from frame to frame: which are the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["linked"]

MOVED = 0.4  # of the spacing: a column that is farther away is another one
MISSED = 2  # frames in a row in which a column may be missed


def linked(table: Mapping[str, NDArray[Any]], spacing: float) -> tuple[NDArray[np.int64], list[str]]:
    """Give the same column of all frames one number.

    Parameters
    ----------
    table : mapping
        "frame", "y" and "x" of all rows.
    spacing : float
        Distance of neighbours, in the unit of the places.

    Returns
    -------
    tuple
        ``(K,)`` numbers from 0, and what the user is to know.
    """
    alone = np.arange(len(table["frame"]))
    if not len(alone):
        return alone, []
    try:
        import networkx
        from laptrack import LapTrack
    except ImportError:
        sentence = (
            "The columns of the frames were not linked: that needs the package laptrack, "
            "`pip install napari-gandenoise[columns]`."
        )
        return alone, [sentence]
    farthest = (MOVED * spacing) ** 2
    tracker = LapTrack(cutoff=farthest, gap_closing_cutoff=farthest, gap_closing_max_frame_count=MISSED)
    frames = [np.flatnonzero(table["frame"] == index) for index in range(int(table["frame"].max()) + 1)]
    places = np.column_stack([table["y"], table["x"]])
    tracks = networkx.weakly_connected_components(tracker.predict([places[rows] for rows in frames]))
    numbers = np.full(len(alone), -1)
    # The first frame that shows a column has its number; those of laptrack come in no order.
    for number, rows in enumerate(sorted(sorted(frames[frame][row] for frame, row in track) for track in tracks)):
        numbers[rows] = number
    return numbers, []
