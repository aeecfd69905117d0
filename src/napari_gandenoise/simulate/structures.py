"""Atomic structures in the field of view: nanoparticles on their support, or crystals of any material.

The beam runs along +z.  Lengths here are in ångström, as in ASE.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.structures import CrystalConfig, Metal, StructureConfig, StructureSource, Surroundings
from napari_gandenoise.simulate import defects, shapes
from napari_gandenoise.simulate.crystals import Crystal, Floats, Solid, draw_crystal, fill
from napari_gandenoise.simulate.materials import SURFACE_ENERGIES

__all__ = ["build_structure"]

CERIA_LATTICE = 5.411  # Å, fluorite CeO2
FACES = [(1, 1, 1), (1, 0, 0), (1, 1, 0)]
INTERFACE_GAP = 2.4  # Å between the last cation plane of CeO2 and the first metal plane


def _orientation(zone: tuple[int, int, int], up: tuple[int, int, int]) -> NDArray[np.float64]:
    """Rotation that brings the zone axis to +z and, as nearly as it can, ``up`` to +y."""
    z = np.asarray(zone, float) / np.linalg.norm(zone)
    y = np.asarray(up, float)
    y = y - (y @ z) * z
    y /= np.linalg.norm(y)
    return np.stack([np.cross(y, z), y, z])


def _up_for(zone: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the densest plane normal that is perpendicular to the zone axis: the interface plane."""
    candidates = [(1, -1, 1), (0, 0, 1), (1, -1, 0), (1, 1, 1)]
    return min(candidates, key=lambda up: abs(np.dot(zone, up)))


def _tilt(rng: np.random.Generator, spread_deg: float) -> NDArray[np.float64]:
    ax, ay = np.deg2rad(rng.normal(0, spread_deg, 2)) if spread_deg else (0.0, 0.0)
    rx = np.array([[1, 0, 0], [0, np.cos(ax), -np.sin(ax)], [0, np.sin(ax), np.cos(ax)]])
    ry = np.array([[np.cos(ay), 0, np.sin(ay)], [0, 1, 0], [-np.sin(ay), 0, np.cos(ay)]])
    return np.asarray(rx @ ry)


def _particle(config: StructureConfig, metal: Metal, rng: np.random.Generator) -> tuple[Any, NDArray[np.float64]]:
    """Return a Wulff particle (ASE atoms, centred) and its orientation matrix."""
    from ase.cluster import wulff_construction
    from ase.data import atomic_numbers, reference_states

    diameter = 10 * rng.uniform(*config.diameter_nm)
    a = reference_states[atomic_numbers[metal]]["a"]
    count = max(38, int(np.pi / 6 * diameter**3 / (a**3 / 4)))
    energies = np.array([SURFACE_ENERGIES[metal][plane] for plane in FACES]) * rng.uniform(0.9, 1.1, 3)
    atoms = wulff_construction(metal, FACES, energies, count, "fcc", rounding="closest")
    zone = config.zone_axes[rng.integers(len(config.zone_axes))]
    return atoms, _orientation(zone, _up_for(zone))


def _remove_columns(xy: NDArray[np.float64], rng: np.random.Generator, count: int) -> NDArray[np.bool_]:
    """Mask that drops ``count`` whole atom columns near the particle's outline."""
    keep = np.ones(len(xy), bool)
    centre = xy.mean(axis=0)
    for _ in range(count):
        angle = rng.uniform(0, 2 * np.pi)
        direction = np.array([np.cos(angle), np.sin(angle)])
        outermost = np.argmax((xy - centre) @ direction * keep)
        keep &= np.hypot(*(xy - xy[outermost]).T) > 0.7
    return keep


def _add_columns(pos: NDArray[np.float64], rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Copy surface columns one lattice step outwards: extra columns on a facet."""
    extra = [np.empty((0, 3))]
    xy = pos[:, :2]
    centre = xy.mean(axis=0)
    for _ in range(count):
        angle = rng.uniform(0, 2 * np.pi)
        outermost = xy[np.argmax((xy - centre) @ [np.cos(angle), np.sin(angle)])]
        column = pos[np.hypot(*(xy - outermost).T) < 0.7]
        gaps = xy - outermost
        distance = np.hypot(*gaps.T)
        near = (distance > 1.2) & (distance < 3.2)
        if near.any():
            inwards = gaps[near][np.argmin(gaps[near] @ (outermost - centre))]
            extra.append(column - np.array([*inwards, 0.0]))
    return np.concatenate(extra)


def _support(
    config: StructureConfig, rng: np.random.Generator, box: float, orient: NDArray[np.float64], terrace: float
) -> Any:
    """CeO2 filling y < 0 over the box's diagonal; the terrace ``|x| < terrace`` is flat, beyond it may be steps."""
    from ase import Atoms
    from ase.build import bulk

    cell = bulk("CeO2", "fluorite", a=CERIA_LATTICE, cubic=True)
    reach = 0.75 * box
    thickness = 10 * rng.uniform(*config.support_thickness_nm)
    repeats = int(np.ceil(2 * np.hypot(reach, reach) / CERIA_LATTICE)) + 2
    corner = np.stack(np.meshgrid(*[np.arange(repeats) - repeats // 2] * 3, indexing="ij"), -1).reshape(-1, 3)
    # Only cells whose centre can fall inside the slab are expanded into atoms.
    centres = (corner * CERIA_LATTICE) @ orient.T
    margin = CERIA_LATTICE * 1.8
    corner = corner[
        (abs(centres[:, 0]) < reach + margin)
        & (abs(centres[:, 1] + reach / 2) < reach / 2 + margin)
        & (abs(centres[:, 2]) < thickness / 2 + margin)
    ]
    pos = (corner[:, None, :] * CERIA_LATTICE + cell.positions).reshape(-1, 3) @ orient.T
    symbols = np.tile(cell.get_chemical_symbols(), len(corner))
    step = 3.12  # Å, one CeO2 (111) trilayer
    left, right = terrace * rng.uniform(1.0, 3.0, 2)
    lower_left, lower_right = step * rng.integers(0, 2, 2)
    top = -lower_left * (pos[:, 0] < -left) - lower_right * (pos[:, 0] > right)
    wedge = rng.uniform(0, config.support_wedge)
    half = thickness / 2 * (1 + wedge * (-pos[:, 1] / reach))
    keep = (pos[:, 1] < top) & (pos[:, 1] > -reach) & (abs(pos[:, 0]) < reach) & (abs(pos[:, 2]) < half)
    return Atoms(symbols[keep], pos[keep])


def build_structure(config: StructureSource, rng: np.random.Generator, box_nm: float) -> Any:
    """Draw one structure.

    Parameters
    ----------
    config : StructureConfig or CrystalConfig
        The source of structures, and the ranges to draw from.
    rng : numpy.random.Generator
        Source of every draw.
    box_nm : float
        Side of the square field of view, nm.

    Returns
    -------
    ase.Atoms
        Atoms inside an orthogonal cell ``(box, box, depth)`` in Å, beam along +z.

    Raises
    ------
    GanDenoiseError
        If a CIF file cannot be read, or if no atom is left in the field of view.
    """
    match config:
        case CrystalConfig():
            return _in_view(_atoms_of(_scene(config, rng, 10 * box_nm)), 10 * box_nm)
        case StructureConfig():
            return _nanoparticle(config, rng, 10 * box_nm)


# --- nanoparticles on CeO2 ------------------------------------------------------------------------------------------


def _nanoparticle(config: StructureConfig, rng: np.random.Generator, box: float) -> Any:
    """Draw a nanoparticle, bare or on its support."""
    from ase import Atoms

    metal = config.metals[rng.integers(len(config.metals))]
    supported = rng.random() < config.supported_fraction
    particle, orient = _particle(config, metal, rng)
    pos = particle.positions @ (_tilt(rng, config.tilt_deg) @ orient).T
    pos -= pos.mean(axis=0)
    keep = _remove_columns(pos[:, :2], rng, int(rng.integers(0, config.max_missing_columns + 1)))
    extra = _add_columns(pos, rng, int(rng.integers(0, config.max_extra_columns + 1)))
    pos = np.concatenate([pos[keep], extra])
    atoms = Atoms([metal] * len(pos), pos)
    if supported:
        radius = 0.5 * np.ptp(pos[:, 1])
        cut = rng.uniform(*config.truncation) * radius
        atoms = atoms[pos[:, 1] > -radius + cut]
        atoms.positions[:, 1] += INTERFACE_GAP - atoms.positions[:, 1].min()
        zone = config.support_zone_axes[rng.integers(len(config.support_zone_axes))]
        ceria = _tilt(rng, config.tilt_deg) @ _orientation(zone, _up_for(zone))
        support = _support(config, rng, box, ceria, 0.5 * np.ptp(pos[:, 0]))
        support.positions[:, 1] -= support.positions[:, 1].max()
        atoms = atoms + support
        atoms.positions[:, 0] += rng.uniform(-0.15, 0.15) * box
        atoms.positions[:, 1] -= rng.uniform(0.1, 0.35) * np.ptp(pos[:, 1])
    else:
        atoms.positions[:, :2] += rng.uniform(-0.15, 0.15, 2) * box
    return _into_box(atoms, rng.uniform(0, 2 * np.pi) if config.rotate_in_plane else 0.0, box)


def _into_box(atoms: Any, angle: float, box: float) -> Any:
    """Rotate in plane, centre on the field of view, drop atoms outside it and set the cell."""
    atoms.rotate(np.rad2deg(angle), "z")
    return _in_view(atoms, box)


def _in_view(atoms: Any, box: float) -> Any:
    """Centre on the field of view, drop atoms outside it and set the cell."""
    atoms.positions[:, :2] += box / 2
    inside = np.all((atoms.positions[:, :2] >= 0) & (atoms.positions[:, :2] < box), axis=1)
    atoms = atoms[inside]
    if not len(atoms):
        raise GanDenoiseError("No atom is left in the field of view: ask for larger crystals or for fewer vacancies.")
    atoms.positions[:, 2] -= atoms.positions[:, 2].min() - 2.0
    atoms.set_cell([box, box, atoms.positions[:, 2].max() + 2.0])
    atoms.pbc = True
    return atoms


# --- crystals of any material ---------------------------------------------------------------------------------------

GAP = 2.2  # Å between a crystal and what it lies on: about a bond, between the outermost atoms
MARGIN = 4.0  # Å beside the field of view that are made too, for what is displaced


def _atoms_of(solid: Solid) -> Any:
    from ase import Atoms

    return Atoms(numbers=solid.numbers, positions=solid.positions)


def _scene(config: CrystalConfig, rng: np.random.Generator, box: float) -> Solid:
    """Draw a crystal with its defects, and what it lies on."""
    crystal = draw_crystal(config, rng)
    flat = bool(crystal.layers) and rng.random() < config.flakes
    turn = shapes.draw_turn(config, crystal, rng, flat)
    below = config.surroundings[int(rng.integers(len(config.surroundings)))]
    shape = config.shapes[int(rng.integers(len(config.shapes)))]
    if flat:
        region, origin = shapes.flake(crystal, turn, rng)
    else:
        region = shapes.draw_region(shape, config, crystal, turn, box, rng)
        origin = rng.uniform(0, 10, 3)
    solid = _body(config, crystal, turn, region, origin, flat, box, rng)
    if below == "vacuum" or not len(solid.numbers):
        return solid
    if below == "crystal" and not flat and shape in ("sphere", "polyhedron"):
        return _on_edge(config, solid, box, rng)
    return _on_film(config, below, solid, box, rng)


def _body(
    config: CrystalConfig,
    crystal: Crystal,
    turn: Floats,
    region: shapes.Region,
    origin: Floats,
    flat: bool,
    box: float,
    rng: np.random.Generator,
) -> Solid:
    """Fill a region with a crystal that has some of the defects."""
    drawn, near = config.defects, crystal.nearest
    low, high = region.bounds(box / 2 + MARGIN)
    solid, whole = _lattice(config, crystal, turn, (low - MARGIN, high + MARGIN), origin, flat, rng)
    # The lattice closes again behind a dislocation only if it is the same on both sides.
    if whole and rng.random() < drawn.dislocations:
        line = shapes.tilt(rng, config.max_tilt_deg) @ np.array([0.0, 0.0, 1.0])
        point = low + (high - low) * rng.uniform(0.3, 0.7, 3)
        solid = defects.dislocate(solid, defects.draw_burgers(crystal, turn, rng), point, line, near)
    depth, _ = region.depth(solid.positions)
    above = defects.adatoms(depth, 0.8 * near, rng.uniform(*drawn.adatoms), rng)
    solid = solid.take((depth >= 0) | above)
    if rng.random() < drawn.steps:
        solid = defects.step(solid, region, crystal, turn, rng)
    solid = defects.relax(solid, region, rng.uniform(*drawn.relaxation) * near, near)
    solid = defects.substitute(solid, rng.uniform(*drawn.substitutions), rng)
    return defects.vacancies(solid, rng.uniform(*drawn.vacancies), rng)


def _lattice(
    config: CrystalConfig,
    crystal: Crystal,
    turn: Floats,
    box: tuple[Floats, Floats],
    origin: Floats,
    flat: bool,
    rng: np.random.Generator,
) -> tuple[Solid, bool]:
    """Fill a box with a crystal that has a boundary, or is whole; flakes have only boundaries of grains."""
    drawn = config.defects
    kind = rng.choice(4, p=_shares(drawn.grain_boundaries, drawn.twins, drawn.stacking_faults))
    if kind == 0:
        if flat or rng.random() < 0.5:
            axis = turn @ np.array([0.0, 0.0, 1.0]) if flat else np.array([0.0, 0.0, 1.0])
            other = shapes.rotation(axis, np.deg2rad(rng.uniform(5, 85))) @ turn
        else:
            other = shapes.draw_turn(config, crystal, rng)
        return defects.grain_boundary(crystal, (turn, other), *box, origin, rng), False
    if kind == 1 and not flat:
        return defects.twin(crystal, turn, *box, rng), False
    if kind == 2 and not flat:
        return defects.stacking_fault(crystal, turn, *box, rng), False
    return fill(crystal, turn, *box, origin, rng), True


def _shares(*shares: float) -> list[float]:
    return [*shares, max(0.0, 1 - sum(shares))]


def _on_edge(config: CrystalConfig, particle: Solid, box: float, rng: np.random.Generator) -> Solid:
    """Put a particle, cut flat, on the edge of another crystal that is seen from the side."""
    angle = rng.uniform(0, 2 * np.pi)
    up = np.array([np.cos(angle), np.sin(angle), 0.0])
    heights = particle.positions @ up
    cut = heights.min() + np.ptp(heights) * rng.uniform(0.05, 0.45)
    particle = particle.take(heights >= cut)
    support = draw_crystal(config, rng)
    body = shapes.slab(10 * rng.uniform(*config.thickness_nm)).cut(up, float((particle.positions @ up).min()) - GAP)
    turn = shapes.draw_turn(config, support, rng)
    return particle.join(_plain(support, turn, body, box, rng))


def _on_film(config: CrystalConfig, name: Surroundings, solid: Solid, box: float, rng: np.random.Generator) -> Solid:
    """Put a film, amorphous or of another crystal, below a crystal or above it."""
    thickness = 10 * rng.uniform(*config.film_thickness_nm)
    heights = solid.positions[:, 2]
    start = heights.max() + GAP if rng.random() < 0.5 else heights.min() - GAP - thickness
    if name == "crystal":
        other = draw_crystal(config, rng)
        body = shapes.slab(thickness).moved(np.array([0, 0, start + thickness / 2]))
        return solid.join(_plain(other, shapes.draw_turn(config, other, rng), body, box, rng))
    low, high = np.array([-box / 2, -box / 2, start]), np.array([box / 2, box / 2, start + thickness])
    return solid.join(shapes.amorphous(name, low, high, rng))


def _plain(crystal: Crystal, turn: Floats, body: shapes.Region, box: float, rng: np.random.Generator) -> Solid:
    """Fill a region with a crystal without defects."""
    solid = fill(crystal, turn, *body.bounds(box / 2), rng.uniform(0, 10, 3), rng)
    return solid.take(body.depth(solid.positions)[0] >= 0)
