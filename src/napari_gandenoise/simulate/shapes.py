"""What crystals are cut to, how they lie, and the amorphous films below them.

Lengths are in ångström; the beam runs along +z, the centre of the field of view is the origin.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from napari_gandenoise.settings.structures import CrystalConfig, Miller, Shape, Surroundings
from napari_gandenoise.simulate.crystals import Crystal, Floats, Solid, fill, plane_normal, reciprocal_spacing
from napari_gandenoise.simulate.materials import SURFACE_ENERGIES

__all__ = [
    "Region",
    "amorphous",
    "draw_region",
    "draw_turn",
    "flake",
    "in_plane",
    "orientation",
    "random_turn",
    "rotation",
    "slab",
    "wulff",
]

MOST_LAYERS = 4
FLAT = 1e4  # Å, beyond everything


class Region(NamedTuple):
    """A convex body: what lies on the inner side of all planes, and inside a ball.

    Attributes
    ----------
    normals : numpy.ndarray
        ``(K, 3)``, unit vectors that point outwards.
    offsets : numpy.ndarray
        ``(K,)``, distances of the planes from the origin, Å.
    radius : float
        Radius of a ball around ``centre``, Å; infinite: no ball.
    centre : numpy.ndarray
        ``(3,)``, Å.
    """

    normals: Floats
    offsets: Floats
    radius: float = np.inf
    centre: Floats = np.zeros(3)

    def depth(self, positions: Floats) -> tuple[Floats, Floats]:
        """Return how deep positions lie below the surface (negative: above it), and its normals where it is nearest."""
        depth, normals = np.full(len(positions), np.inf), np.zeros_like(positions)
        for normal, offset in zip(self.normals, self.offsets, strict=True):
            here = offset - positions @ normal
            nearer = here < depth
            depth[nearer], normals[nearer] = here[nearer], normal
        if np.isfinite(self.radius):
            out = positions - self.centre
            distance = np.linalg.norm(out, axis=1)
            nearer = self.radius - distance < depth
            depth[nearer] = self.radius - distance[nearer]
            normals[nearer] = out[nearer] / np.maximum(distance[nearer], 1e-9)[:, None]
        return depth, normals

    def cut(self, normal: Floats, offset: float) -> Region:
        """Return the part of the body on the inner side of another plane."""
        return self._replace(normals=np.vstack([self.normals, normal]), offsets=np.append(self.offsets, offset))

    def bounds(self, half: float) -> tuple[Floats, Floats]:
        """Return the corners of the box that holds what of the body lies at most ``half`` Å beside the beam's axis."""
        low, high = np.array([-half, -half, -FLAT]), np.array([half, half, FLAT])
        if np.isfinite(self.radius):
            low, high = np.maximum(low, self.centre - self.radius), np.minimum(high, self.centre + self.radius)
        corners = _corners(np.vstack([self.normals, np.eye(3), -np.eye(3)]), np.concatenate([self.offsets, high, -low]))
        return (corners.min(axis=0), corners.max(axis=0)) if len(corners) else (low, low)

    def moved(self, shift: Floats) -> Region:
        """Return the body in another place."""
        return self._replace(offsets=self.offsets + self.normals @ shift, centre=self.centre + shift)


def _corners(normals: Floats, offsets: Floats) -> Floats:
    """Return the corners of a polyhedron: where three of its planes meet, on the inner side of all others."""
    three = np.array(list(combinations(range(len(offsets)), 3)))
    matrices = normals[three]
    meet = np.abs(np.linalg.det(matrices)) > 1e-6
    points = np.linalg.solve(matrices[meet], offsets[three][meet][..., None])[..., 0]
    return np.asarray(points[(points @ normals.T <= offsets + 1e-6).all(axis=1)])


# --- orientation ----------------------------------------------------------------------------------------------------


def orientation(cell: Floats, zone: Miller, turn: float = 0.0) -> Floats:
    """Return the rotation ``(3, 3)`` that brings a zone axis [uvw] to +z, and turns by an angle (rad) around it."""
    z = np.asarray(zone, float) @ cell
    z /= np.linalg.norm(z)
    x = np.cross(z, np.eye(3)[np.argmin(np.abs(z))])
    x /= np.linalg.norm(x)
    return np.asarray(in_plane(turn) @ np.stack([x, np.cross(z, x), z]))


def in_plane(angle: float) -> Floats:
    """Return the rotation by an angle (rad) around the beam."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def rotation(axis: Floats, angle: float) -> Floats:
    """Return the rotation by an angle (rad) around any axis (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def random_turn(rng: np.random.Generator) -> Floats:
    """Draw any rotation, all equally likely (a unit quaternion of normal numbers)."""
    w, x, y, z = (quaternion := rng.normal(size=4)) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def tilt(rng: np.random.Generator, largest_deg: float) -> Floats:
    """Draw a tilt off the beam: any direction in the plane, any angle up to the largest."""
    direction = rng.uniform(0, 2 * np.pi)
    axis = np.array([np.cos(direction), np.sin(direction), 0.0])
    return rotation(axis, np.deg2rad(rng.uniform(0, largest_deg)))


def draw_turn(config: CrystalConfig, crystal: Crystal, rng: np.random.Generator, flake: bool = False) -> Floats:
    """Draw how a crystal lies: along a zone axis, tilted a little, or in any direction; a flake along [001]."""
    if flake:
        zone = (0, 0, 1)
    elif rng.random() < config.random_orientation:
        return random_turn(rng)
    else:
        zone = config.zone_axes[int(rng.integers(len(config.zone_axes)))]
    return tilt(rng, config.max_tilt_deg) @ orientation(crystal.cell, zone, rng.uniform(0, 2 * np.pi))


# --- bodies ---------------------------------------------------------------------------------------------------------


def slab(thickness: float) -> Region:
    """Return a plate from z = -thickness/2 to thickness/2."""
    return Region(np.array([[0, 0, 1.0], [0, 0, -1.0]]), np.full(2, thickness / 2))


def flake(crystal: Crystal, turn: Floats, rng: np.random.Generator) -> tuple[Region, Floats]:
    """Draw a flake of one to four whole layers; return it, and where the corner of the cell has to lie.

    The layers of a cell lie between gaps, the first of which is half a layer below the first heavy plane.
    """
    normal = turn @ plane_normal(crystal.cell, (0, 0, 1))
    spacing = 1 / reciprocal_spacing(crystal.cell, (0, 0, 1)) / crystal.layers
    heights = crystal.positions @ plane_normal(crystal.cell, (0, 0, 1))
    thickness = spacing * int(rng.integers(1, MOST_LAYERS + 1))
    # The first site of each prototype is in the middle of a layer.
    gap = heights[0] - spacing / 2 + spacing * int(rng.integers(crystal.layers))
    body = Region(np.stack([normal, -normal]), np.full(2, thickness / 2))
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        body = body.cut(np.array([np.cos(angle), np.sin(angle), 0.0]), rng.uniform(-20.0, 20.0))
    return body, -(thickness / 2 + gap) * normal


def draw_region(
    shape: Shape, config: CrystalConfig, crystal: Crystal, turn: Floats, box: float, rng: np.random.Generator
) -> Region:
    """Draw what a crystal is cut to.

    Parameters
    ----------
    shape : {"slab", "wedge", "sphere", "polyhedron", "ridge"}
        Plate over the whole field; plate that thins out to an edge in the field; ball; Wulff polyhedron; bar with the
        section of a roof, thickest along its middle.
    config : CrystalConfig
        Ranges of the sizes.
    crystal : Crystal
        For the planes of a polyhedron.
    turn : numpy.ndarray
        ``(3, 3)``, how it lies.
    box : float
        Side of the field of view, Å.
    rng : numpy.random.Generator
        Source of the draws.
    """
    thickness = 10 * rng.uniform(*config.thickness_nm)
    radius = 5 * rng.uniform(*config.diameter_nm)
    shift = np.append(rng.uniform(-0.2, 0.2, 2) * box, 0.0)
    match shape:
        case "slab":
            return slab(thickness)
        case "wedge":
            angle = np.deg2rad(rng.uniform(*config.wedge_deg))
            return _wedge(thickness, angle, rng.uniform(0, 2 * np.pi)).moved(shift)
        case "sphere":
            return Region(np.zeros((0, 3)), np.zeros(0), radius, shift)
        case "polyhedron":
            return wulff(crystal, radius, rng, turn, SURFACE_ENERGIES.get(crystal.name)).moved(shift)
        case "ridge":
            return _ridge(thickness, radius, rng.uniform(0, 2 * np.pi)).moved(shift)


def _wedge(thickness: float, angle: float, direction: float) -> Region:
    """Return a plate whose upper face falls to the lower one along a line through the middle."""
    along = np.array([np.cos(direction), np.sin(direction), 0.0])
    slope = -np.sin(angle) * along + np.array([0, 0, np.cos(angle)])
    # At the edge both faces meet: z = -thickness/2 where the position along the direction is 0.
    return slab(thickness).cut(slope, -np.cos(angle) * thickness / 2)


def _ridge(thickness: float, half_width: float, direction: float) -> Region:
    """Return a bar through the middle: two slopes from its edges up to its crest."""
    across = np.array([np.cos(direction), np.sin(direction), 0.0])
    slope = np.arctan2(thickness, half_width)
    body = slab(thickness)
    for side in (across, -across):
        normal = np.sin(slope) * side + np.array([0, 0, np.cos(slope)])
        body = body.cut(normal, float(normal @ (half_width * side - np.array([0, 0, thickness / 2]))))
    return body


def wulff(
    crystal: Crystal,
    radius: float,
    rng: np.random.Generator,
    turn: Floats | None = None,
    energies: dict[Miller, float] | None = None,
) -> Region:
    """Return the Wulff polyhedron of a crystal: planes at distances in the ratio of their surface energies.

    Parameters
    ----------
    crystal : Crystal
        Whose planes.
    radius : float
        Mean distance of the faces from the centre, Å.
    rng : numpy.random.Generator
        Varies the energies by up to a tenth, as adsorbates do.
    turn : numpy.ndarray, optional
        ``(3, 3)``, how it lies.
    energies : mapping, optional
        Surface energies of planes (hkl), in any unit; planes of the same spacing have the same.  By default they are
        those of the law of Bravais, Friedel, Donnay and Harker (Donnay and Harker, Am. Mineral. 22 (1937) 446): in
        proportion to 1/d of the first reflection that is not extinct.
    """
    families = _families(crystal) if energies is None else _given_families(crystal, energies)
    normals: list[Floats] = []
    distances: list[float] = []
    for energy, planes in families:
        varied = energy * rng.uniform(0.9, 1.1)
        normals += [plane_normal(crystal.cell, plane) for plane in planes]
        distances += [varied] * len(planes)
    body = Region(np.array(normals), np.array(distances) / min(distances))
    scale = radius / _mean_distance(body)
    outwards = body.normals if turn is None else body.normals @ turn.T
    return Region(outwards, body.offsets * scale)


PLANES: list[Miller] = [(h, k, ell) for h, k, ell in product((-1, 0, 1), repeat=3) if any((h, k, ell))]
Families = list[tuple[float, list[Miller]]]


def _families(crystal: Crystal) -> Families:
    """Group low-index planes by their spacing, with the energies of Donnay and Harker."""
    scaled, numbers = crystal.positions @ np.linalg.inv(crystal.cell), crystal.numbers
    energies: dict[Miller, float] = {}
    for plane in PLANES:
        orders = np.arange(1, 5)
        phases = 2j * np.pi * orders[:, None] * (scaled @ np.array(plane))
        amplitudes = np.abs((numbers * np.exp(phases)).sum(axis=1)) / numbers.sum()
        # Glide planes, screw axes and centrings extinguish reflections; a faint one is as good as extinct.
        order = int(orders[np.argmax(amplitudes > 0.05)]) if (amplitudes > 0.05).any() else 1
        energies[plane] = order * reciprocal_spacing(crystal.cell, plane)
    return _grouped(energies)


def _given_families(crystal: Crystal, energies: dict[Miller, float]) -> Families:
    """Give planes of the same spacing as one that is given its energy."""
    cell = crystal.cell
    given: dict[Miller, float] = {}
    for plane, energy in energies.items():
        h, k, ell = plane
        like = [p for p in PLANES if abs(reciprocal_spacing(cell, p) - reciprocal_spacing(cell, plane)) < 1e-6]
        given |= dict.fromkeys([*like, plane, (-h, -k, -ell)], energy)
    return _grouped(given)


def _grouped(energies: dict[Miller, float]) -> Families:
    groups: dict[float, list[Miller]] = {}
    for plane, energy in energies.items():
        groups.setdefault(round(energy, 6), []).append(plane)
    return list(groups.items())


def _mean_distance(body: Region) -> float:
    """Return the mean distance of the surface from the origin over all directions."""
    golden = np.arange(256) * np.pi * (1 + np.sqrt(5))  # a spiral over the sphere, evenly dense
    heights = 1 - (2 * np.arange(256) + 1) / 256
    flat = np.sqrt(1 - heights**2)
    directions = np.stack([flat * np.cos(golden), flat * np.sin(golden), heights], -1)
    towards = directions @ body.normals.T
    reach = np.where(towards > 1e-9, body.offsets / np.maximum(towards, 1e-9), np.inf)
    return float(reach.min(axis=1).mean())


# --- amorphous solids -----------------------------------------------------------------------------------------------


class Glass(NamedTuple):
    """An amorphous solid: atomic numbers with their shares, atoms in a cubic nanometre, least distances, Å."""

    numbers: tuple[int, ...]
    shares: tuple[float, ...]
    density: float
    distances: tuple[tuple[float, ...], ...]


# Densities: evaporated carbon 2.0 g/cm³ (Robertson, Mater. Sci. Eng. R 37 (2002) 129), fused silica 2.20 g/cm³, LPCVD
# silicon nitride 3.1 g/cm³.  Least distances: a tenth below the first maxima of the pair distributions: C-C 1.42 to
# 1.54 Å, Si-O 1.61 Å, O-O 2.63 Å, Si-Si 3.1 Å (Mozzi and Warren, J. Appl. Cryst. 2 (1969) 164), Si-N 1.73 Å,
# N-N 2.8 Å (Aiyama et al., J. Non-Cryst. Solids 33 (1979) 131).  Bonds are not made: only their lengths are kept to.
GLASSES: dict[str, Glass] = {
    "carbon": Glass((6,), (1.0,), 100.3, ((1.32,),)),
    "silica": Glass((14, 8), (1 / 3, 2 / 3), 66.2, ((2.5, 1.48), (1.48, 2.1))),
    "silicon nitride": Glass((14, 7), (3 / 7, 4 / 7), 93.2, ((2.35, 1.55), (1.55, 2.0))),
}
TILE = 40.0  # Å, side of the cube that is packed once
PUSHES = 400  # at most; none overlap long before


@lru_cache
def packed(name: Surroundings) -> Crystal:
    """Pack a periodic cube of an amorphous solid at random, keeping the least distances.

    Atoms are thrown in anywhere and pushed apart, pair by pair, until none overlap.  Its draws are always the same:
    what differs from film to film is how it lies.
    """
    glass = GLASSES[name]
    rng = np.random.default_rng(0)
    count = round(glass.density * (TILE / 10) ** 3)
    kinds = np.searchsorted(np.cumsum(glass.shares), (np.arange(count) + 0.5) / count)
    least = np.array(glass.distances)
    positions = rng.uniform(0, TILE, (count, 3))
    for _ in range(PUSHES):
        tree = cKDTree(positions, boxsize=TILE)
        first, second = tree.query_pairs(least.max(), output_type="ndarray").T
        gap = positions[first] - positions[second]
        gap -= TILE * np.round(gap / TILE)
        distance = np.linalg.norm(gap, axis=1)
        wanted = least[kinds[first], kinds[second]]
        near = distance < wanted
        if not near.any():
            break
        # A little more than needed: pushing one pair apart pushes others together.
        push = (0.55 * (wanted - distance) + 0.01)[near, None] * gap[near] / np.maximum(distance[near], 1e-6)[:, None]
        np.add.at(positions, first[near], push)
        np.subtract.at(positions, second[near], push)
        positions %= TILE
    return Crystal(str(name), np.eye(3) * TILE, positions, np.array(glass.numbers)[kinds], {}, float(least.min()))


def amorphous(name: Surroundings, low: Floats, high: Floats, rng: np.random.Generator) -> Solid:
    """Fill a box with an amorphous solid.

    Parameters
    ----------
    name : {"carbon", "silica", "silicon nitride"}
        Which.
    low, high : numpy.ndarray
        ``(3,)``, corners of the box, Å.
    rng : numpy.random.Generator
        Draws how the packed cube lies: its repeats do not line up with the beam or the image.
    """
    solid = packed(name)
    return fill(solid, random_turn(rng), low, high, rng.uniform(0, TILE, 3), rng)
