"""Lattices that columns lie on, one a crystal: their vectors, who belongs to them, and the strain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, spatial

from napari_gandenoise.locating.fitting import Array

__all__ = ["Lattice", "Sites", "find_sites"]

FEWEST = 12  # columns of a lattice: fewer lie on one by chance
MOST = 6  # lattices: what is left then is no crystal
NEAR = 12  # neighbours that steps are looked for among
TOLERANCE = 0.2  # of a step: how far a neighbour may be from where it is expected
ALIKE = 0.1  # of the spacing: steps that differ by less are the same
SLANTED = 0.4  # sine of the angle between two steps, at least


@dataclass(frozen=True)
class Lattice:
    """A lattice of columns: ``origin`` and two ``vectors`` as rows, ``(y, x)``, in the unit of the places."""

    origin: Array
    vectors: Array


@dataclass(frozen=True)
class Sites:
    """Where columns are on their lattices.

    Attributes
    ----------
    lattices : list of Lattice
        The largest first.
    owner : ndarray of int
        ``(K,)``, number of the lattice from 1; 0 for columns on none.
    indices : ndarray of int
        ``(K, 2)``, multiples of the two vectors.
    displacement : ndarray
        ``(K, 2)``, from the lattice's site; NaN on none.
    strain : ndarray
        ``(K, 3)``: of y along y, of x along x, and shear, by the steps to the neighbours; NaN where they do not tell.
    rotation : ndarray
        ``(K,)``, radians, from x towards y.
    """

    lattices: list[Lattice]
    owner: NDArray[np.int64]
    indices: NDArray[np.int64]
    displacement: Array
    strain: Array
    rotation: Array


@dataclass(frozen=True)
class _Steps:
    """Pairs of neighbouring columns that are one step of a lattice apart: from, to, and the step ``(E, 2)``."""

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    step: NDArray[np.int64]


def find_sites(places: Array) -> Sites:
    """Fit lattices to places ``(K, 2)``, one after the other, each to what the ones before have left."""
    count = len(places)
    sites = Sites(
        [],
        np.zeros(count, np.int64),
        np.zeros((count, 2), np.int64),
        np.full((count, 2), np.nan),
        np.full((count, 3), np.nan),
        np.full(count, np.nan),
    )
    left = np.arange(count)
    while len(left) >= FEWEST and len(sites.lattices) < MOST:
        members = _add(sites, places, left)
        if not len(members):
            break
        left = np.setdiff1d(left, members)
    return sites


def _add(sites: Sites, places: Array, left: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the largest lattice among the columns that are left; return whose it is."""
    here = places[left]
    vectors = _common_steps(here)
    if vectors is None:
        return np.empty(0, np.int64)
    for _ in range(2):  # once more with better vectors
        steps = _steps(here, vectors)
        inside, indices = _indexed(len(here), steps)
        if len(inside) < FEWEST or len(np.unique(indices[:, 0])) < 2 or len(np.unique(indices[:, 1])) < 2:
            return np.empty(0, np.int64)
        design = np.column_stack([np.ones(len(inside)), indices])
        solution = np.linalg.lstsq(design, here[inside], rcond=None)[0].astype(np.float64)
        lattice = Lattice(solution[0], solution[1:])
        vectors = lattice.vectors
    members: NDArray[np.int64] = left[inside]
    sites.lattices.append(lattice)
    sites.owner[members], sites.indices[members] = len(sites.lattices), indices
    sites.displacement[members] = here[inside] - design @ solution
    strain, rotation = _deformed(here, steps, lattice.vectors)
    sites.strain[members], sites.rotation[members] = strain[inside], rotation[inside]
    return members


def _common_steps(places: Array) -> Array | None:
    """Return the two shortest steps that most columns have to a neighbour, as rows; None if there are none."""
    distance, near = spatial.cKDTree(places).query(places, k=min(NEAR + 1, len(places)))
    spacing = float(np.median(distance[:, 1]))
    steps = (places[near[:, 1:]] - places[:, None]).reshape(-1, 2)
    length = np.hypot(*steps.T)
    steps = steps[(length < 2.5 * spacing) & (length > 0)]
    if len(steps) < FEWEST:
        return None
    votes = spatial.cKDTree(steps).query_ball_point(steps, ALIKE * spacing, return_length=True)
    # Of steps that are as common the shorter one: all others are made of it.
    worth = votes / np.hypot(*steps.T)
    first = steps[np.argmax(worth)]
    slant = np.abs(steps[:, 0] * first[1] - steps[:, 1] * first[0]) / (np.hypot(*steps.T) * np.hypot(*first))
    if not (slant > SLANTED).any():
        return None
    second = steps[np.argmax(np.where(slant > SLANTED, worth, 0))]
    return np.stack([_mean_of(steps, step, ALIKE * spacing) for step in (first, second)])


def _mean_of(steps: Array, step: Array, within: float) -> Array:
    mean: Array = steps[np.hypot(*(steps - step).T) < within].mean(axis=0)
    return mean


def _steps(places: Array, vectors: Array) -> _Steps:
    """Find the pairs of columns that are one step apart."""
    tree = spatial.cKDTree(places)
    found = []
    for step in ((1, 0), (0, 1)):
        vector = np.asarray(step) @ vectors
        distance, end = tree.query(places + vector, distance_upper_bound=TOLERANCE * float(np.hypot(*vector)))
        start = np.flatnonzero(np.isfinite(distance))
        found.append((start, end[start], np.tile(step, (len(start), 1))))
    return _Steps(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _indexed(count: int, steps: _Steps) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the largest group of columns that steps lead through, and their indices."""
    graph = sparse.coo_array((np.ones(len(steps.start)), (steps.start, steps.end)), shape=(count, count)).tocsr()
    _, groups = sparse.csgraph.connected_components(graph, directed=False)
    largest = np.flatnonzero(groups == np.argmax(np.bincount(groups)))
    along = np.zeros((count, 2), np.int64)
    known = {(a, b): step for a, b, step in zip(steps.start.tolist(), steps.end.tolist(), steps.step, strict=True)}
    order, before = sparse.csgraph.breadth_first_order(graph, largest[0], directed=False)
    for place in order[1:].tolist():
        origin = int(before[place])
        forth = known.get((origin, place))
        along[place] = along[origin] + (forth if forth is not None else -known[place, origin])
    return largest, along[largest]


def _deformed(places: Array, steps: _Steps, vectors: Array) -> tuple[Array, Array]:
    """Return the strain ``(K, 3)`` and the rotation ``(K,)`` that turn the lattice's steps into those of each column.

    Least squares over the steps to the neighbours; NaN where they lead in one direction only.
    """
    seen, meant = places[steps.end] - places[steps.start], steps.step @ vectors
    across, own = np.zeros((2, len(places), 2, 2))
    for ends in (steps.start, steps.end):
        np.add.at(across, ends, seen[:, :, None] * meant[:, None])
        np.add.at(own, ends, meant[:, :, None] * meant[:, None])
    known = np.linalg.det(own) > 1e-6 * np.trace(own, axis1=1, axis2=2) ** 2
    gradient = np.full((len(places), 2, 2), np.nan)
    gradient[known] = across[known] @ np.linalg.inv(own[known])
    strain = np.stack(
        [gradient[:, 0, 0] - 1, gradient[:, 1, 1] - 1, (gradient[:, 0, 1] + gradient[:, 1, 0]) / 2], axis=1
    )
    return strain, (gradient[:, 0, 1] - gradient[:, 1, 0]) / 2
