"""The drift that somebody knows of a movie, in place of looking for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_table
from napari_gandenoise.settings.denoise import DenoiseConfig, SearchSettings

__all__ = ["COLUMNS", "Way", "given_way"]

Way = NDArray[np.int64]

COLUMNS = ("frame", "down", "right")
FARTHEST = 1e6  # pixels: no image is as large


def given_way(config: SearchSettings, frames: int) -> Way | None:
    """Read where the specimen lies in each frame, if the settings name a table of it and neighbours have a say.

    Parameters
    ----------
    config : SearchSettings
        The settings.
    frames : int
        Number of frames of the movie.

    Returns
    -------
    ndarray or None
        ``(T, 2)``, down and right, whole input pixels since the first frame.

    Raises
    ------
    GanDenoiseError
        If it cannot be read, or has not one row for each frame.
    """
    if not isinstance(config, DenoiseConfig) or config.drift is None or frames < 2 or not config.neighbours:
        return None
    table = read_table(config.drift, COLUMNS)
    numbers, places = table[:, 0], table[:, 1:]
    known = np.isin(numbers, np.arange(frames))
    if not known.all():
        stray = f"{config.drift} has a frame {numbers[~known][0]:.10g}"
        raise GanDenoiseError(f"{stray}, but this movie has the frames 0 to {frames - 1}.")
    rows = np.bincount(numbers.astype(np.int64), minlength=frames)
    if (wrong := np.flatnonzero(rows != 1)).size:
        said = "no row" if rows[wrong[0]] == 0 else f"{rows[wrong[0]]} rows"
        needed = f"it must have one for each of the frames 0 to {frames - 1}"
        raise GanDenoiseError(f"{config.drift} has {said} for frame {wrong[0]}: {needed}.")
    if (far := np.abs(places).max(axis=1) > FARTHEST).any():
        raise GanDenoiseError(
            f"{config.drift} has the specimen of frame {numbers[far][0]:.0f} more than {FARTHEST:,.0f} pixels away: "
            "the columns down and right are in pixels of the image."
        )
    way = places[np.argsort(numbers)]
    whole: Way = np.rint(way - way[0]).astype(np.int64)
    return whole
