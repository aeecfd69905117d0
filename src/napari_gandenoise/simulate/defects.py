"""Defects of crystals: points, surfaces, lines and planes, each a function on atoms and a source of draws.

Lengths are in ångström; the beam runs along +z, the centre of the field of view is the origin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_gandenoise.settings.structures import Miller
from napari_gandenoise.simulate.crystals import (
    Crystal,
    Floats,
    Solid,
    fill,
    lattice_translations,
    plane_normal,
    reciprocal_spacing,
    separate,
)
from napari_gandenoise.simulate.materials import PROTOTYPES
from napari_gandenoise.simulate.shapes import Region

__all__ = [
    "adatoms",
    "dislocate",
    "dislocation_field",
    "draw_burgers",
    "grain_boundary",
    "relax",
    "stacking_fault",
    "step",
    "substitute",
    "twin",
    "vacancies",
]

APART = 0.75  # of the shortest distance of the crystal: how near atoms of two grains may come to each other
POISSON_RATIO = 0.3  # of most metals and oxides, near enough
# Elements that are met as dopants and impurities: light to heavy, so that a column's contrast may rise or fall.
DOPANTS = (5, 7, 13, 14, 22, 24, 26, 28, 29, 30, 40, 42, 46, 47, 50, 57, 64, 74, 78, 79)
AROUND, DEEPEST = 13.0, 5.0  # Å, of the crystal around a boundary; where boundaries are tried
MOST_PLANES = 12  # places of a boundary that are compared
Place = TypeVar("Place")
ALIKE = 1.15  # times the shortest distance: as far as the first neighbours

# --- points and surfaces --------------------------------------------------------------------------------------------


def vacancies(solid: Solid, share: float, rng: np.random.Generator) -> Solid:
    """Leave out a share of the atoms, each as likely as any other."""
    return solid.take(rng.random(len(solid.numbers)) >= share)


def substitute(solid: Solid, share: float, rng: np.random.Generator) -> Solid:
    """Put another element in the place of a share of the atoms of one element, which is drawn too."""
    present = np.unique(solid.numbers)
    if not len(present):
        return solid
    host = present[rng.integers(len(present))]
    others = [number for number in DOPANTS if number not in present]
    guest = others[rng.integers(len(others))]
    replaced = (solid.numbers == host) & (rng.random(len(solid.numbers)) < share)
    return solid._replace(numbers=np.where(replaced, guest, solid.numbers))


def adatoms(depth: Floats, height: float, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose, of the sites above a surface, those that hold an atom.

    Parameters
    ----------
    depth : numpy.ndarray
        ``(N,)``, how deep each site lies below the surface, Å; negative above it.
    height : float
        Up to where above the surface there are such sites, Å.
    share : float
        How many of them hold an atom.
    rng : numpy.random.Generator
        Draws which.

    Returns
    -------
    numpy.ndarray
        ``(N,)``, bool.
    """
    return np.asarray((depth < 0) & (depth > -height) & (rng.random(len(depth)) < share))


def step(solid: Solid, region: Region, crystal: Crystal, turn: Floats, rng: np.random.Generator) -> Solid:
    """Take the outermost layer off one side of a face, up to a straight line across it; a ball has no faces."""
    if not len(region.offsets):
        return solid
    face = int(rng.integers(len(region.offsets)))
    normal = region.normals[face]
    heights = np.abs(lattice_translations(crystal) @ turn.T @ normal)
    height = float(heights[heights > 0.4 * crystal.nearest].min())
    along = np.cross(normal, _unit(rng.normal(size=3)))
    beyond = (solid.positions - region.centre) @ _unit(along) > rng.uniform(-10.0, 10.0)
    return solid.take(~(beyond & (region.offsets[face] - solid.positions @ normal < height)))


def relax(solid: Solid, region: Region, shift: float, length: float) -> Solid:
    """Shift the atoms below a surface inwards: the outermost by ``shift``, others by less, exponentially.

    Parameters
    ----------
    solid : Solid
        The atoms.
    region : Region
        What they were cut to.
    shift : float
        Å; negative: outwards.
    length : float
        Depth in which the shift falls to 1/e, Å.
    """
    depth, normals = region.depth(solid.positions)
    amount = shift * np.exp(-np.maximum(depth, 0) / length)
    return solid._replace(positions=solid.positions - amount[:, None] * normals)


# --- lines ----------------------------------------------------------------------------------------------------------


def dislocation_field(positions: Floats, burgers: Floats, line: Floats, poisson: float = POISSON_RATIO) -> Floats:
    """Return the displacements around a straight dislocation through the origin, in an isotropic body.

    Parameters
    ----------
    positions : numpy.ndarray
        ``(N, 3)``, before they are displaced.
    burgers : numpy.ndarray
        ``(3,)``, Burgers vector; its part along the line is the screw's.
    line : numpy.ndarray
        ``(3,)``, direction of the line.
    poisson : float
        Poisson's ratio.

    Returns
    -------
    numpy.ndarray
        ``(N, 3)``: Hirth and Lothe, Theory of Dislocations, 1982, equations 3-3 (screw), 3-45 and 3-46 (edge).  They
        jump by the Burgers vector across the half plane opposite to its edge part.
    """
    along = _unit(line)
    screw = float(burgers @ along)
    edge = burgers - screw * along
    size = float(np.linalg.norm(edge))
    x_axis = edge / size if size > 1e-6 else _unit(np.cross(along, np.eye(3)[np.argmin(np.abs(along))]))
    y_axis = np.cross(along, x_axis)
    x, y = positions @ x_axis, positions @ y_axis
    y = np.where(np.abs(y) < 1e-6, 0.0, y)  # atoms in the plane of the cut are all on one side of it
    angle = np.arctan2(y, x)
    # The logarithm is cut off inside the core, and zero at the rim of a field of 10 nm.
    radius_squared = np.maximum(x**2 + y**2, 1.0)
    elastic = 4 * (1 - poisson)
    u = size / (2 * np.pi) * (angle + np.sin(2 * angle) / elastic)
    logarithm = (1 - 2 * poisson) * np.log(radius_squared / 50.0**2)
    v = -size / (2 * np.pi) / elastic * (logarithm + np.cos(2 * angle))
    w = screw / (2 * np.pi) * angle
    return np.asarray(u[:, None] * x_axis + v[:, None] * y_axis + w[:, None] * along)


def draw_burgers(crystal: Crystal, turn: Floats, rng: np.random.Generator) -> Floats:
    """Draw the Burgers vector of a perfect dislocation: any of the shortest translations of the lattice."""
    translations = lattice_translations(crystal)
    lengths = np.linalg.norm(translations, axis=1)
    shortest = translations[lengths < 1.01 * lengths[0]]
    return np.asarray(turn @ shortest[rng.integers(len(shortest))])


def dislocate(solid: Solid, burgers: Floats, point: Floats, line: Floats, nearest: float) -> Solid:
    """Displace atoms around a dislocation; in its core, where elasticity means nothing, none stay too near.

    Parameters
    ----------
    solid : Solid
        A perfect crystal.
    burgers, point, line : numpy.ndarray
        ``(3,)``, its Burgers vector, a point on it, its direction.
    nearest : float
        Shortest distance of atoms in the crystal, Å.
    """
    from_line = solid.positions - point
    moved = solid._replace(positions=solid.positions + dislocation_field(from_line, burgers, line))
    across = from_line - np.outer(from_line @ _unit(line), _unit(line))
    near = np.linalg.norm(across, axis=1) < 4 * np.linalg.norm(burgers)
    return separate(moved, APART * nearest, near)


# --- planes ---------------------------------------------------------------------------------------------------------


def twin(crystal: Crystal, turn: Floats, low: Floats, high: Floats, rng: np.random.Generator) -> Solid:
    """Fill a box with a crystal and its mirror image, on both sides of a twin plane.

    Of the planes of the family the one that is seen most nearly edge-on is taken; the mirror stands where the atoms
    on both sides keep their distances best.

    Parameters
    ----------
    crystal, turn : Crystal, numpy.ndarray
        The crystal, and how it lies.
    low, high : numpy.ndarray
        ``(3,)``, corners of the box, Å.
    rng : numpy.random.Generator
        Draws where in the box the plane runs.
    """
    prototype = PROTOTYPES.get(crystal.prototype)
    plane = (prototype.twin if prototype else None) or _densest(crystal)
    plane = _edge_on(crystal, plane, turn)
    normal = turn @ plane_normal(crystal.cell, plane)
    point = _inside(low, high, rng)
    origin = point - _mirror(crystal, plane) * normal + _in_the_plane(normal, rng)
    one = fill(crystal, turn, low, high, origin, rng)
    one = one.take(np.asarray((one.positions - point) @ normal <= 0.01))
    corners = np.array(list(product(*zip(low, high, strict=True))))
    mirrored = corners - 2 * np.outer((corners - point) @ normal, normal)
    other = fill(crystal, turn, mirrored.min(axis=0), mirrored.max(axis=0), origin, rng)
    other = other.take(np.asarray((other.positions - point) @ normal < -0.01))
    other = other._replace(positions=other.positions - 2 * np.outer((other.positions - point) @ normal, normal))
    other = other.take(np.asarray(((other.positions >= low) & (other.positions < high)).all(axis=1)))
    return _joined(one, other, point, normal, crystal.nearest)


def stacking_fault(crystal: Crystal, turn: Floats, low: Floats, high: Floats, rng: np.random.Generator) -> Solid:
    """Fill a box with a crystal, one side of which is shifted along a plane by a partial Burgers vector.

    Crystals whose faults the table of prototypes does not know stay whole.  Parameters as in `twin`.
    """
    prototype = PROTOTYPES.get(crystal.prototype)
    point = _inside(low, high, rng)
    if prototype is None or prototype.fault is None:
        return fill(crystal, turn, low, high, point, rng)
    plane, fractions = prototype.fault
    edge_on = _edge_on(crystal, plane, turn)
    # The plane of the family is that of the table with other signs, and so is the shift.
    signs = np.where(np.array(plane) != 0, np.array(edge_on) * np.sign(plane), 1)
    shift = np.array(fractions) * signs
    normal = plane_normal(crystal.cell, edge_on)
    place, moved = _fault(crystal, normal, shift @ crystal.cell)
    lab = turn @ normal
    origin = point - place * lab + _in_the_plane(lab, rng)
    solid = fill(crystal, turn, low - 4, high + 4, origin, rng)
    above = (solid.positions - point) @ lab > 0
    positions = solid.positions + above[:, None] * (turn @ moved)
    solid = solid._replace(positions=positions)
    return solid.take(np.asarray(((positions >= low) & (positions < high)).all(axis=1)))


def grain_boundary(
    crystal: Crystal, turns: tuple[Floats, Floats], low: Floats, high: Floats, origin: Floats, rng: np.random.Generator
) -> Solid:
    """Fill a box with two grains that lie differently, on both sides of a plane nearly along the beam.

    Parameters
    ----------
    crystal : Crystal
        Of both grains.
    turns : pair of numpy.ndarray
        How they lie.
    low, high, origin : numpy.ndarray
        ``(3,)``, corners of the box, and where a corner of both cells lies, Å.
    rng : numpy.random.Generator
        Draws where the plane runs.
    """
    direction, lean = rng.uniform(0, 2 * np.pi), rng.uniform(-0.3, 0.3)
    normal = _unit(np.array([np.cos(direction), np.sin(direction), lean]))
    point = _inside(low, high, rng)
    one, other = (fill(crystal, turn, low, high, origin, rng) for turn in turns)
    one = one.take(np.asarray((one.positions - point) @ normal < 0))
    other = other.take(np.asarray((other.positions - point) @ normal >= 0))
    return _joined(one, other, point, normal, crystal.nearest)


def _joined(one: Solid, other: Solid, point: Floats, normal: Floats, nearest: float) -> Solid:
    """Put two sides of a boundary together; where atoms of both come too near, one of them goes."""
    both = one.join(other)
    return separate(both, APART * nearest, np.abs((both.positions - point) @ normal) < nearest)


def _densest(crystal: Crystal) -> Miller:
    """Return the low-index plane with the largest spacing."""
    planes = [plane for plane in product((0, 1), (-1, 0, 1), (-1, 0, 1)) if any(plane)]
    return min(planes, key=lambda plane: reciprocal_spacing(crystal.cell, plane))


def _edge_on(crystal: Crystal, plane: Miller, turn: Floats) -> Miller:
    """Return, of the planes that differ by signs and have the same spacing, the one that the beam runs along best."""
    spacing = reciprocal_spacing(crystal.cell, plane)
    family = [
        (h, k, ell)
        for h, k, ell in product(*((part, -part) if part else (0,) for part in plane))
        if abs(reciprocal_spacing(crystal.cell, (h, k, ell)) - spacing) < 1e-6
    ]
    return min(family, key=lambda other: round(abs(float((turn @ plane_normal(crystal.cell, other))[2])), 6))


def _mirror(crystal: Crystal, plane: Miller) -> float:
    """Return the height along the plane's normal at which a mirror keeps the surroundings of atoms best, Å."""
    normal = plane_normal(crystal.cell, plane)
    solid, heights = _around(crystal, normal)
    period = min(1 / reciprocal_spacing(crystal.cell, plane), DEEPEST)
    levels = _levels(heights, period)

    def halves(level: float) -> tuple[Floats, Floats]:
        below = solid[heights <= level + 0.01]
        above = below[below @ normal < level - 0.01]
        return below, above - 2 * np.outer(above @ normal - level, normal)

    between = (levels + np.append(levels[1:], levels[0] + period)) / 2
    places = [(float(level), level) for level in (*levels, *between)]
    return float(_best(crystal, places, halves, solid, normal))


def _fault(crystal: Crystal, normal: Floats, shift: Floats) -> tuple[float, Floats]:
    """Return the height of a fault, between two planes of atoms, and its shift, this way or that way."""
    solid, heights = _around(crystal, normal)
    levels = np.unique(np.round(heights[np.abs(heights) < DEEPEST], 2))
    levels = levels[np.concatenate([[True], np.diff(levels) > 0.3])]
    gaps = np.diff(levels)
    # Layers slide on each other; other crystals may part between any two planes.
    between = (levels[:-1] + gaps / 2)[gaps > gaps.max() - 0.1 if crystal.layers else gaps > 0]
    places = [(float(level), (level, sign)) for level in between for sign in (1, -1)]

    def halves(place: tuple[float, int]) -> tuple[Floats, Floats]:
        level, sign = place
        return solid[heights <= level], solid[heights > level] + sign * shift

    level, sign = _best(crystal, places, halves, solid, normal)
    return level, sign * shift


def _around(crystal: Crystal, normal: Floats) -> tuple[Floats, Floats]:
    """Return the atoms around a corner of the cell, and their heights along a normal."""
    half = np.full(3, AROUND)
    solid = fill(crystal._replace(shared={}), np.eye(3), -half, half, np.zeros(3), np.random.default_rng(0)).positions
    return solid, solid @ normal


def _levels(heights: Floats, period: float) -> Floats:
    """Return the heights of the planes of atoms within a period, at most a dozen."""
    inside = heights[(heights >= -0.01) & (heights < period - 0.01)]
    levels = np.unique(np.round(inside, 2))
    return levels if len(levels) <= MOST_PLANES else levels[:: len(levels) // MOST_PLANES]


def _best(
    crystal: Crystal,
    places: Sequence[tuple[float, Place]],
    halves: Callable[[Place], tuple[Floats, Floats]],
    solid: Floats,
    normal: Floats,
) -> Place:
    """Return the place of a boundary at which atoms keep their distances and the number of their neighbours best.

    Parameters
    ----------
    crystal : Crystal
        For the distance of neighbours.
    places : sequence
        Heights of the boundary, each with what `halves` has to know.
    halves : callable
        Returns the atoms on both sides.
    solid : numpy.ndarray
        Atoms of the whole crystal.
    normal : numpy.ndarray
        Of the boundary.
    """
    reach, near = ALIKE * crystal.nearest, crystal.nearest

    def neighbours(atoms: Floats, height: float) -> float:
        beside = atoms - np.outer(atoms @ normal, normal)
        inner = (np.abs(atoms @ normal - height) < near) & (np.linalg.norm(beside, axis=1) < AROUND - 1.5 * reach)
        found = cKDTree(atoms).query_ball_point(atoms[inner], reach, return_length=True)
        return float(np.mean(found)) - 1 if inner.any() else 0.0

    def score(place: tuple[float, Place]) -> tuple[float, float]:
        height, given = place
        below, above = halves(given)
        shortest = float(cKDTree(below).query(above)[0].min()) / near
        return round(min(shortest, 0.95), 2), -round(abs(neighbours(np.concatenate([below, above]), height) - usual), 2)

    usual = neighbours(solid, 0.0)
    return max(places, key=score)[1]


def _inside(low: Floats, high: Floats, rng: np.random.Generator) -> Floats:
    """Draw a point of the middle half of a box."""
    return np.asarray(low + (high - low) * rng.uniform(0.25, 0.75, 3))


def _in_the_plane(normal: Floats, rng: np.random.Generator) -> Floats:
    """Draw a vector of some ångström along a plane."""
    shift = rng.uniform(0, 10, 3)
    return np.asarray(shift - (shift @ normal) * normal)


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector))
