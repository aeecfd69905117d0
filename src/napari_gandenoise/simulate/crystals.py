"""Crystals: a cell and what stands in it, from the tables of materials or from CIF files.

Lengths are in ångström, as in ASE; cells are matrices whose rows are the cell's vectors.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.settings.structures import CrystalConfig, Material, Miller
from napari_gandenoise.simulate.materials import LAYERED, MATERIALS, PROTOTYPES, Prototype

__all__ = [
    "Crystal",
    "Solid",
    "draw_crystal",
    "draw_species",
    "fill",
    "formula",
    "lattice_translations",
    "material",
    "plane_normal",
    "read_cif",
    "reciprocal_spacing",
    "separate",
]

Floats = NDArray[np.float64]
Kinds = tuple[tuple[int, float], ...]
SAME = 1e-3  # Å within which two positions are one
WHOLE = 1 - 1e-6  # occupancy from which a site is taken to be full
SPLIT = 0.7  # of the shortest distance: what is nearer to each other are parts of a split site
NEIGHBOURS = 24  # enough to find one that may be there at once, whatever splits a site


class Crystal(NamedTuple):
    """A crystal structure.

    Attributes
    ----------
    name : str
        What it is called.
    cell : numpy.ndarray
        ``(3, 3)``, Å, its rows the vectors of the cell.
    positions : numpy.ndarray
        ``(N, 3)``, Å, Cartesian, inside the cell.
    numbers : numpy.ndarray
        ``(N,)``, atomic numbers of the elements that stand on each site, or stand there most often.
    shared : dict
        For each site that several elements share, or that is empty now and then: atomic numbers with occupancies.
    nearest : float
        Shortest distance of two atoms, Å.
    prototype : str
        The structure type, if it is from the table.
    """

    name: str
    cell: Floats
    positions: Floats
    numbers: NDArray[np.int64]
    shared: dict[int, Kinds]
    nearest: float
    prototype: str = ""

    @property
    def layers(self) -> int:
        """Layers in the cell of a layered crystal, one above the other along c; 0 of others."""
        return LAYERED.get(self.prototype, 0)


class Solid(NamedTuple):
    """Atoms: positions ``(N, 3)`` in Å, atomic numbers ``(N,)``."""

    positions: Floats
    numbers: NDArray[np.int64]

    def take(self, which: NDArray[Any]) -> Solid:
        """Return some of the atoms, by a mask or by their places."""
        return Solid(self.positions[which], self.numbers[which])

    def join(self, *others: Solid) -> Solid:
        """Put other atoms beside these."""
        solids = (self, *others)
        return Solid(np.concatenate([s.positions for s in solids]), np.concatenate([s.numbers for s in solids]))


# --- where crystals come from ---------------------------------------------------------------------------------------


def draw_crystal(config: CrystalConfig, rng: np.random.Generator) -> Crystal:
    """Draw a material of the list or a file; a file with several structures gives any of them.

    Raises
    ------
    GanDenoiseError
        If a file cannot be read.
    """
    materials: Sequence[Material] = config.materials or (() if config.cif else tuple(MATERIALS))
    number = int(rng.integers(len(materials) + len(config.cif)))
    if number < len(materials):
        return material(materials[number])
    found = read_cif(config.cif[number - len(materials)])
    return found[int(rng.integers(len(found)))]


@lru_cache
def material(name: Material) -> Crystal:
    """Return a material of the table.

    Returns
    -------
    Crystal
        In its conventional cell.
    """
    from ase.spacegroup import crystal

    known = MATERIALS[name]
    prototype = PROTOTYPES[known.prototype]
    basis = [[known.free if part == "u" else part for part in site] for site in prototype.sites]
    atoms = crystal(
        list(known.elements),
        basis,
        spacegroup=prototype.spacegroup,
        setting=prototype.setting,
        cellpar=[known.a, known.b or known.a, known.c or known.a, 90, 90, 120 if _hexagonal(prototype) else 90],
    )
    return _of_atoms(atoms, name, known.prototype)


def _hexagonal(prototype: Prototype) -> bool:
    return 143 <= prototype.spacegroup <= 194


def read_cif(path: Path) -> tuple[Crystal, ...]:
    """Read the structures of a CIF file.

    Parameters
    ----------
    path : pathlib.Path
        The file.  Elements that share a site, and sites that are empty now and then, are drawn by their occupancies.

    Returns
    -------
    tuple of Crystal
        One for each block that holds a structure.

    Raises
    ------
    GanDenoiseError
        If there is no such file, or if it holds no structure that can be read.
    """
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise GanDenoiseError(f"{path} cannot be read ({error.strerror}): give the path of a CIF file.") from None
    return _read_cif(path, changed)


@lru_cache
def _read_cif(path: Path, _changed: int) -> tuple[Crystal, ...]:
    from ase.io import read

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of settings of space groups that ASE reads from the file instead
            blocks: Any = read(path, index=":", format="cif")
        crystals = tuple(_of_atoms(atoms, path.stem) for atoms in blocks)
    except Exception as error:  # ASE raises whatever a broken file leads to
        said = in_short(error) or type(error).__name__
        raise GanDenoiseError(f"{path} cannot be read as a CIF file ({said}): mend it, or export it again.") from None
    if not crystals:
        raise GanDenoiseError(f"{path} holds no crystal structure: give a CIF file with a cell and atoms.")
    return crystals


def formula(crystal: Crystal) -> str:
    """Write the formula of a crystal, of the elements that stand on most of its sites: ``SrTiO3``."""
    from ase.data import chemical_symbols
    from ase.formula import Formula

    reduced, _ = Formula.from_list([chemical_symbols[number] for number in crystal.numbers]).reduce()
    return str(reduced.format("periodic"))


def _of_atoms(atoms: Any, name: str, prototype: str = "") -> Crystal:
    from ase.data import atomic_numbers

    if atoms.cell.rank < 3 or not len(atoms):
        raise ValueError("it holds no cell, or no atoms")
    kinds = atoms.arrays.get("spacegroup_kinds", np.arange(len(atoms)))
    occupancies = atoms.info.get("occupancy", {})
    species: list[Kinds] = [
        tuple((atomic_numbers[symbol], float(share)) for symbol, share in occupancies[str(kind)].items() if share > 0)
        if str(kind) in occupancies
        else ((int(number), 1.0),)
        for kind, number in zip(kinds, atoms.numbers, strict=True)
    ]
    held = [i for i, here in enumerate(species) if here]
    cell, positions = np.asarray(atoms.cell[:], float), atoms.get_positions(wrap=True)[held]
    kept = [_scaled(species[i]) for i in held]
    numbers = np.array([max(here, key=lambda kind: kind[1])[0] for here in kept], np.int64)
    occupied = np.array([sum(share for _, share in here) for here in kept])
    shared = {i: here for i, here in enumerate(kept) if len(here) > 1 or occupied[i] < WHOLE}
    return Crystal(name, cell, positions, numbers, shared, _nearest(cell, positions, occupied), prototype)


def _scaled(kinds: Kinds) -> Kinds:
    """Scale occupancies that add up to more than one, as rounded ones do."""
    total = sum(share for _, share in kinds)
    return kinds if total <= 1 else tuple((number, share / total) for number, share in kinds)


def _nearest(cell: Floats, positions: Floats, occupied: Floats) -> float:
    """Return the shortest distance of two sites that may be full at once: the parts of a split site are not."""
    shifts = np.array(list(product((-1, 0, 1), repeat=3))) @ cell
    images = (positions[None] + shifts[:, None]).reshape(-1, 3)
    distances, others = cKDTree(images).query(positions, k=min(NEIGHBOURS, len(images)))
    together = (occupied[:, None] + occupied[others % len(positions)] > 1) & (distances > SAME)
    return float(distances[together].min()) if together.any() else float(np.linalg.norm(cell, axis=1).min())


# --- geometry of lattices -------------------------------------------------------------------------------------------


def plane_normal(cell: Floats, plane: Miller) -> Floats:
    """Return the unit normal of a lattice plane (hkl)."""
    normal = np.linalg.inv(cell) @ np.asarray(plane, float)
    return np.asarray(normal / np.linalg.norm(normal))


def reciprocal_spacing(cell: Floats, plane: Miller) -> float:
    """Return 1/d of a lattice plane (hkl), 1/Å."""
    return float(np.linalg.norm(np.linalg.inv(cell) @ np.asarray(plane, float)))


@lru_cache(maxsize=64)
def _translations(key: bytes, count: int, numbers: bytes) -> Floats:
    data = np.frombuffer(key).reshape(count + 3, 3)
    cell, positions = data[:3], data[3:]
    kinds = np.frombuffer(numbers, np.int64)
    scaled = positions @ np.linalg.inv(cell)
    rarest = min(set(kinds.tolist()), key=lambda kind: int((kinds == kind).sum()))
    candidates = scaled[kinds == rarest] - scaled[kinds == rarest][0]
    tree = cKDTree(_wrapped(scaled), boxsize=1.0)
    found = [shift for shift in candidates if _maps(tree, scaled, kinds, shift)]
    steps = np.array(list(product((-2, -1, 0, 1, 2), repeat=3)), float)
    vectors = (np.array(found)[:, None] + steps).reshape(-1, 3) @ cell
    lengths = np.linalg.norm(vectors, axis=1)
    order = np.argsort(lengths, kind="stable")
    return np.asarray(vectors[order][lengths[order] > SAME])


def lattice_translations(crystal: Crystal) -> Floats:
    """Return translations ``(M, 3)`` that leave a crystal as it is, Å, the shortest first; centrings count."""
    data = np.concatenate([crystal.cell, crystal.positions])
    return _translations(data.tobytes(), len(crystal.positions), crystal.numbers.tobytes())


def _maps(tree: cKDTree, scaled: Floats, kinds: NDArray[np.int64], shift: Floats) -> bool:
    """Return whether each atom, shifted, comes to lie on one of its kind."""
    distances, others = tree.query(_wrapped(scaled + shift), distance_upper_bound=SAME)
    return bool(np.isfinite(distances).all() and (kinds[others] == kinds).all())


def _wrapped(scaled: Floats) -> Floats:
    """Bring fractional coordinates into the cell; rounding must not leave a 1."""
    inside: Floats = scaled % 1.0
    inside[inside >= 1.0] = 0.0
    return inside


# --- atoms ----------------------------------------------------------------------------------------------------------


def fill(crystal: Crystal, turn: Floats, low: Floats, high: Floats, origin: Floats, rng: np.random.Generator) -> Solid:
    """Fill a box with a crystal.

    Parameters
    ----------
    crystal : Crystal
        Which.
    turn : numpy.ndarray
        ``(3, 3)``, rotation of the crystal into the frame of the box.
    low, high : numpy.ndarray
        ``(3,)``, corners of the box, Å.
    origin : numpy.ndarray
        ``(3,)``, where a corner of the cell comes to lie, Å.
    rng : numpy.random.Generator
        Draws who stands on shared sites.

    Returns
    -------
    Solid
        All atoms of the crystal inside the box.
    """
    vectors, sites = crystal.cell @ turn.T, crystal.positions @ turn.T
    corners = np.array(list(product(*zip(low, high, strict=True)))) - origin
    scaled = corners @ np.linalg.inv(vectors)
    first, last = np.floor(scaled.min(axis=0)).astype(int) - 1, np.ceil(scaled.max(axis=0)).astype(int) + 1
    # Only the cells along each row that reach into the box are made: rows of a tilted lattice leave it early.
    rows = np.stack(np.meshgrid(np.arange(first[0], last[0]), np.arange(first[1], last[1]), indexing="ij"), -1)
    starts = rows.reshape(-1, 2) @ vectors[:2] + origin
    begin, end = _span(starts, vectors[2], low - _reach(vectors)[1], high - _reach(vectors)[0])
    counts = np.maximum(end - begin, 0)
    row = np.repeat(np.arange(len(starts)), counts)
    along = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + begin[row]
    cells = starts[row] + along[:, None] * vectors[2]
    positions = (cells[:, None] + sites).reshape(-1, 3)
    inside = ((positions >= low) & (positions < high)).all(axis=1)
    which = np.flatnonzero(inside)
    return draw_species(crystal, positions[which], which % len(sites), rng)


def _reach(vectors: Floats) -> tuple[Floats, Floats]:
    """Return how far a cell reaches from its corner, at least and at most, along x, y and z."""
    corners = np.array(list(product((0, 1), repeat=3))) @ vectors
    return corners.min(axis=0) - SAME, corners.max(axis=0) + SAME


def _span(starts: Floats, step: Floats, low: Floats, high: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers n, from the first to before the last, for which ``starts + n step`` lies in a box."""
    begin, end = np.full(len(starts), -np.inf), np.full(len(starts), np.inf)
    for axis in range(3):
        if abs(step[axis]) < 1e-9:
            outside = (starts[:, axis] < low[axis]) | (starts[:, axis] > high[axis])
            end[outside] = -np.inf
            continue
        ends = (np.stack([low[axis] - starts[:, axis], high[axis] - starts[:, axis]])) / step[axis]
        begin, end = np.maximum(begin, ends.min(axis=0)), np.minimum(end, ends.max(axis=0))
    empty = end < begin
    begin[empty], end[empty] = 0, -1
    return np.ceil(begin).astype(np.int64), np.floor(end).astype(np.int64) + 1


def draw_species(crystal: Crystal, positions: Floats, sites: NDArray[np.int64], rng: np.random.Generator) -> Solid:
    """Put atoms on positions, by the sites that they are; who stands on shared sites is drawn, anew for each.

    Of the parts of a split site that come to lie too near to each other only one stays.
    """
    numbers = crystal.numbers[sites]
    if not crystal.shared:
        return Solid(positions, numbers)
    drawn = rng.random(len(sites))
    for site, kinds in crystal.shared.items():
        here = sites == site
        limits = np.cumsum([share for _, share in kinds])
        limits[-1] = 1.0 if limits[-1] >= WHOLE else limits[-1]
        numbers[here] = np.array([*(number for number, _ in kinds), 0])[np.searchsorted(limits, drawn[here], "right")]
    return separate(Solid(positions, numbers).take(numbers > 0), SPLIT * crystal.nearest)


def separate(solid: Solid, distance: float, among: NDArray[np.bool_] | None = None) -> Solid:
    """Take atoms away until no two of them are nearer to each other than a distance, Å.

    Parameters
    ----------
    solid : Solid
        The atoms; of two that are too near the later one goes.
    distance : float
        The least distance.
    among : numpy.ndarray, optional
        Mask ``(N,)`` of the atoms that are looked at.
    """
    places = np.arange(len(solid.numbers)) if among is None else np.flatnonzero(among)
    pairs = cKDTree(solid.positions[places]).query_pairs(distance, output_type="ndarray")
    if not len(pairs):
        return solid
    keep = np.ones(len(solid.numbers), bool)
    for first, second in places[pairs[np.lexsort(pairs.T[::-1])]]:
        if keep[first] and keep[second]:
            keep[second] = False
    return solid.take(keep)
