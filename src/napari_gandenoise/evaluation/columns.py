"""Atom columns: whether those of the truth are in an image, no others, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, optimize, sparse, spatial

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation.spectrum import radial_spectrum

__all__ = ["ColumnScores", "Columns", "match_columns"]

Array = NDArray[np.float64]

FINEST = 4.0  # pixels: no lattice is looked for below
BLUR = 0.15  # of the spacing of planes: what a column is blurred with before its top is looked for
APART = 0.6  # of the spacing of planes: two tops closer than this are one column
HEIGHT = 0.35  # of a high column: what is lower is ripple


class ColumnScores(NamedTuple):
    """How well columns were found.

    Attributes
    ----------
    precision : float
        Share of the columns that were found which are there.
    recall : float
        Share of the columns that are there which were found.
    f1 : float
        Harmonic mean of the two.
    error : float
        Mean distance of matched columns in pixels; NaN if there are none.
    """

    precision: float
    recall: float
    f1: float
    error: float


@dataclass(frozen=True)
class Columns:
    """The atom columns of a clean image, and how to find them in another.

    Attributes
    ----------
    positions : ndarray
        ``(N, 2)``, ``(y, x)`` in pixels.
    spacing : float
        Distance of nearest neighbours, pixels: the tenth percentile, since a view may show several crystals.
    planes : float
        Spacing of the strongest lattice planes, pixels: the scale of the filter.
    dark : bool
        Whether columns are darker than what is around them.
    height : float
        Least height of a column over its surroundings, in the image's units.
    """

    positions: Array
    spacing: float
    planes: float
    dark: bool
    height: float

    @classmethod
    def of(cls, truth: ArrayLike) -> Columns:
        """Find the columns of a clean image.

        Parameters
        ----------
        truth : array_like
            ``(Y, X)``.

        Raises
        ------
        GanDenoiseError
            If the image shows no lattice.
        """
        image = np.asarray(truth, np.float64)
        planes = _plane_spacing(image)
        filtered = _band(image, planes)
        heights = {sign: _height(sign * filtered, planes) for sign in (-1, 1)}
        # Columns are the sharper of the two: between them there is room.
        dark = heights[-1] > heights[1]
        height = HEIGHT * max(heights.values())
        positions = _tops(-filtered if dark else filtered, planes, height)
        if len(positions) < 2:
            raise GanDenoiseError("The truth shows no lattice, so that there are no atom columns to look for.")
        nearest = spatial.cKDTree(positions).query(positions, k=2)[0][:, 1]
        return cls(positions, float(np.percentile(nearest, 10)), planes, dark, height)

    def find(self, image: ArrayLike) -> Array:
        """Find such columns in another image of the same view, ``(N, 2)``."""
        filtered = _band(np.asarray(image, np.float64), self.planes)
        return _tops(-filtered if self.dark else filtered, self.planes, self.height)

    def score(self, image: ArrayLike) -> ColumnScores:
        """Compare the columns of another image with these; they match within half a spacing."""
        return match_columns(self.positions, self.find(image), self.spacing / 2)


def match_columns(true: ArrayLike, found: ArrayLike, within: float) -> ColumnScores:
    """Match columns one to one: as many as possible, and of those the matching with the least total distance.

    Parameters
    ----------
    true, found : array_like
        ``(N, 2)`` and ``(M, 2)`` positions in pixels.
    within : float
        Largest distance of a match, pixels.
    """
    there, seen = (np.asarray(positions, np.float64).reshape(-1, 2) for positions in (true, found))
    matched = _assign(there, seen, within) if len(there) and len(seen) else np.empty(0)
    precision = len(matched) / len(seen) if len(seen) else 0.0
    recall = len(matched) / len(there) if len(there) else 0.0
    f1 = 2 * len(matched) / (len(seen) + len(there)) if len(seen) + len(there) else 0.0
    return ColumnScores(precision, recall, f1, float(matched.mean()) if len(matched) else np.nan)


def _assign(there: Array, seen: Array, within: float) -> Array:
    """Return the distances of the matched pairs.

    Columns farther apart than ``within`` have nothing to do with each other: each connected group is solved alone.
    """
    near = spatial.cKDTree(there).sparse_distance_matrix(spatial.cKDTree(seen), within, output_type="ndarray")
    count = len(there) + len(seen)
    graph = sparse.coo_array((np.ones(len(near)), (near["i"], near["j"] + len(there))), shape=(count, count))
    _, groups = sparse.csgraph.connected_components(graph, directed=False)
    order = np.argsort(groups[near["i"]], kind="stable")
    pairs = near[order]
    starts = np.flatnonzero(np.diff(groups[pairs["i"]], prepend=-1))
    return np.concatenate([_assign_group(group, within) for group in np.split(pairs, starts[1:])] or [np.empty(0)])


def _assign_group(pairs: NDArray[np.void], within: float) -> Array:
    if not len(pairs):
        return np.empty(0)
    rows, i = np.unique(pairs["i"], return_inverse=True)
    columns, j = np.unique(pairs["j"], return_inverse=True)
    # A pair that may not be costs more than any matching of pairs that may.
    cost = np.full((len(rows), len(columns)), within * (len(rows) + len(columns) + 1))
    cost[i, j] = pairs["v"]
    chosen = cost[optimize.linear_sum_assignment(cost)]
    return np.asarray(chosen[chosen <= within])


def _plane_spacing(image: Array) -> float:
    frequency, power = radial_spectrum(image)
    usable = (frequency > 3 / min(image.shape)) & (frequency < 1 / FINEST)
    if not usable.any() or not power[usable].any():
        raise GanDenoiseError("The truth shows no lattice, so that there are no atom columns to look for.")
    # Rings of white light all have their circumference; a lattice stands out from the fall towards fine detail.
    strength = np.where(usable, power * frequency**2, 0)
    return float(1 / frequency[np.argmax(strength)])


def _band(image: Array, planes: float) -> Array:
    band: Array = ndimage.gaussian_filter(image, BLUR * planes) - ndimage.gaussian_filter(image, planes)
    return band


def _height(filtered: Array, planes: float) -> float:
    tops = _tops(filtered, planes, 0.0)
    rows, columns = np.rint(tops).astype(int).T
    return float(np.percentile(filtered[rows, columns], 90)) if len(tops) else 0.0


def _tops(filtered: Array, planes: float, least: float) -> Array:
    from skimage.feature import peak_local_max

    distance = max(1, int(APART * planes))
    peaks = peak_local_max(filtered, min_distance=distance, threshold_abs=least, exclude_border=max(2, distance))
    return _refined(filtered, peaks) if len(peaks) else np.empty((0, 2))


def _refined(image: Array, peaks: NDArray[np.int64]) -> Array:
    """Put each top where a parabola through its three pixels along either axis has its own."""
    moved = peaks.astype(np.float64)
    rows, columns = peaks.T
    centre = image[rows, columns]
    for axis, (dy, dx) in enumerate(((1, 0), (0, 1))):
        before, after = image[rows - dy, columns - dx], image[rows + dy, columns + dx]
        curvature = 2 * centre - before - after
        step = (after - before) / (2 * np.where(curvature > 0, curvature, np.inf))
        moved[:, axis] += np.clip(step, -0.5, 0.5)
    return moved
