"""Columns of a movie from frame to frame: which are the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

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
    tracks = _connected(tracker.predict([places[rows] for rows in frames]))
    numbers = np.full(len(alone), -1)
    # The first frame that shows a column has its number; those of laptrack come in no order.
    for number, rows in enumerate(sorted(sorted(frames[frame][row] for frame, row in track) for track in tracks)):
        numbers[rows] = number
    return numbers, []


def _connected(graph: Any) -> list[list[tuple[int, int]]]:
    """List the tracks of a graph whose nodes are frames with the numbers of places in them."""
    number = {node: index for index, node in enumerate(graph.nodes)}
    edges = np.array([(number[a], number[b]) for a, b in graph.edges], np.int64).reshape(-1, 2)
    linked_by = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(number), len(number)))
    count, track_of = connected_components(linked_by, directed=False)
    tracks: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for node, index in number.items():
        tracks[track_of[index]].append(node)
    return tracks
