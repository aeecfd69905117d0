"""Defects against what defines them: circuits, mirrors, shifts, shares."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

pytest.importorskip("ase")

from napari_gandenoise.simulate.crystals import Solid, fill, lattice_translations, material
from napari_gandenoise.simulate.defects import (
    adatoms,
    dislocate,
    dislocation_field,
    draw_burgers,
    grain_boundary,
    relax,
    stacking_fault,
    step,
    substitute,
    twin,
    vacancies,
)
from napari_gandenoise.simulate.materials import MATERIALS, PROTOTYPES
from napari_gandenoise.simulate.shapes import orientation, random_turn, rotation, slab

LOW, HIGH = np.full(3, -20.0), np.full(3, 20.0)
WITH_FAULTS = [name for name, known in MATERIALS.items() if PROTOTYPES[known.prototype].fault]


def rng(seed=0):
    return np.random.default_rng(seed)


def nearest(solid):
    return cKDTree(solid.positions).query(solid.positions, k=2)[0][:, 1]


def coordination(solid, reach, margin=4.0):
    """Neighbours of the atoms that are not near the faces of the box."""
    inner = (np.abs(solid.positions) < 20 - margin).all(axis=1)
    tree = cKDTree(solid.positions)
    return np.array([len(found) - 1 for found in tree.query_ball_point(solid.positions[inner], reach)])


@pytest.fixture
def platinum():
    return fill(material("Pt"), np.eye(3), LOW, HIGH, np.zeros(3), rng())


# --- points and surfaces --------------------------------------------------------------------------------------------


def test_vacancies_and_substitutions_have_their_shares(platinum):
    number = len(platinum.numbers)
    left = vacancies(platinum, 0.2, rng())
    # Binomial: within four standard deviations.
    assert len(left.numbers) == pytest.approx(0.8 * number, abs=4 * np.sqrt(0.16 * number))
    changed = substitute(platinum, 0.1, rng(1))
    np.testing.assert_array_equal(changed.positions, platinum.positions)
    assert (changed.numbers != 78).sum() == pytest.approx(0.1 * number, abs=4 * np.sqrt(0.09 * number))
    assert len(np.unique(changed.numbers)) == 2


def test_only_one_element_of_a_compound_is_substituted():
    solid = fill(material("SrTiO3"), np.eye(3), LOW, HIGH, np.zeros(3), rng())
    changed = substitute(solid, 0.5, rng(3))
    assert len(np.unique(solid.numbers[changed.numbers != solid.numbers])) == 1


def test_adatoms_sit_just_above_the_surface():
    depth = np.linspace(-5, 5, 10_001)
    chosen = adatoms(depth, 2.0, 0.25, rng())
    assert depth[chosen].max() < 0
    assert depth[chosen].min() > -2
    assert chosen.sum() == pytest.approx(0.25 * 2000, abs=4 * np.sqrt(0.1875 * 2000))


def test_a_step_is_one_layer_high(platinum):
    crystal, region = material("Pt"), slab(30.0)
    solid = platinum.take(region.depth(platinum.positions)[0] >= 0)
    stepped = step(solid, region, crystal, np.eye(3), rng(2))
    gone = {tuple(p) for p in solid.positions} - {tuple(p) for p in stepped.positions}
    heights = {round(z, 3) for *_, z in gone}
    assert len(heights) == 1  # a (200) layer: half a lattice constant
    in_layer = (np.abs(solid.positions[:, 2] - heights.pop()) < 0.01).sum()
    assert 0.1 * in_layer < len(gone) < 0.9 * in_layer


def test_the_outermost_layer_moves_most(platinum):
    region = slab(30.0)
    solid = platinum.take(region.depth(platinum.positions)[0] >= 0)
    moved = relax(solid, region, 0.2, 2.0)
    depth, normals = region.depth(solid.positions)
    inwards = ((solid.positions - moved.positions) * normals).sum(axis=1)
    np.testing.assert_allclose(inwards, 0.2 * np.exp(-depth / 2), atol=1e-9)


# --- lines ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("burgers", [(2.8, 0, 0), (0, 0, 3.9), (1.4, -1.4, 2.0)], ids=["edge", "screw", "mixed"])
@pytest.mark.parametrize("line", [(0, 0, 1), (0.2, -0.1, 1)], ids=["along", "leaning"])
def test_the_burgers_circuit_closes_by_the_burgers_vector(burgers, line):
    """Going once around the line, the displacements add up to the Burgers vector but for the jump at the cut."""
    burgers, line = np.array(burgers, float), np.array(line, float) / np.linalg.norm(line)
    across = np.cross(line, [0, 1, 0])
    across /= np.linalg.norm(across)
    angles = np.linspace(0.1, 0.1 + 2 * np.pi, 20_001)
    circle = 15 * (np.cos(angles)[:, None] * across + np.sin(angles)[:, None] * np.cross(line, across))
    steps = np.diff(dislocation_field(circle, burgers, line), axis=0)
    smooth = steps[np.linalg.norm(steps, axis=1) < 0.5]
    assert len(steps) - len(smooth) == 1
    np.testing.assert_allclose(smooth.sum(axis=0), burgers, atol=2e-3 * np.linalg.norm(burgers) + 2e-3)


def test_strains_fall_with_the_distance_and_obey_elasticity():
    """Equilibrium of an isotropic body: (1 - 2ν) ∇²u + ∇(∇·u) = 0, by finite differences."""
    burgers, line, poisson, h = np.array([2.8, 0, 1.0]), np.array([0, 0, 1.0]), 0.3, 0.05
    points = np.random.default_rng(0).uniform(4, 20, (30, 3))

    def field(shift):
        return dislocation_field(points + shift, burgers, line, poisson)

    axes = h * np.eye(3)
    laplacian = sum(field(axis) + field(-axis) - 2 * field(np.zeros(3)) for axis in axes) / h**2

    def divergence(shift):
        return sum((field(shift + axes[i]) - field(shift - axes[i]))[:, i] for i in range(3)) / (2 * h)

    gradient = np.stack([(divergence(axis) - divergence(-axis)) / (2 * h) for axis in axes], -1)
    residual = (1 - 2 * poisson) * laplacian + gradient
    assert np.abs(residual).max() < 1e-3 * np.abs(gradient).max()


@pytest.mark.parametrize("name", ["Pt", "W", "Mg", "Si", "MgO", "SrTiO3", "TiO2", "MgAl2O4"])
def test_far_from_a_dislocation_the_crystal_is_whole(name):
    """Behind the cut the lattice closes again: every atom has all its neighbours."""
    crystal = material(name)
    for seed in range(3):
        draws = rng(seed)
        turn = random_turn(draws)
        solid = fill(crystal, turn, LOW - 4, HIGH + 4, np.zeros(3), draws)
        burgers = draw_burgers(crystal, turn, draws)
        assert np.linalg.norm(burgers) == pytest.approx(np.linalg.norm(lattice_translations(crystal)[0]), rel=0.01)
        line = np.array([0, 0, 1.0])
        moved = dislocate(solid, burgers, np.zeros(3), line, crystal.nearest)
        assert nearest(moved).min() > 0.6 * crystal.nearest
        far = np.hypot(*moved.positions[:, :2].T) > 4.5 * np.linalg.norm(burgers)
        inner = far & (np.abs(moved.positions) < 18).all(axis=1)
        if inner.sum() > 20:
            assert np.median(nearest(moved)[inner]) == pytest.approx(crystal.nearest, rel=0.06)
            assert nearest(moved)[inner].min() > 0.85 * crystal.nearest
        assert len(moved.numbers) > 0.97 * len(solid.numbers)


# --- planes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "plane"),
    [
        ("Pt", (1, 1, 1)),
        ("Si", (1, 1, 1)),
        ("GaAs", (1, 1, 1)),
        ("CeO2", (1, 1, 1)),
        ("W", (1, 1, 2)),
        ("TiO2", (1, 0, 1)),
    ],
)
def test_a_twin_is_its_own_mirror_image(name, plane):
    crystal = material(name)
    turn = orientation(crystal.cell, {"W": (1, 1, 0), "TiO2": (0, 1, 0)}.get(name, (1, -1, 0)))
    solid = twin(crystal, turn, LOW, HIGH, rng(1))
    tree = cKDTree(solid.positions)
    normals = (
        np.linalg.inv(crystal.cell)
        @ np.array([(a * plane[0], b * plane[1], c * plane[2]) for a in (1, -1) for b in (1, -1) for c in (1, -1)]).T
    )
    best = 0.0
    for normal in (turn @ normals).T:
        normal = normal / np.linalg.norm(normal)
        heights = solid.positions @ normal
        for level in np.unique(np.round(np.concatenate([heights, heights + crystal.nearest / 2, heights + 1.176]), 1)):
            if abs(level) > 10.2:
                continue
            image = solid.positions - 2 * np.outer(heights - level, normal)
            inner = (np.abs(image) < 9).all(axis=1)
            if inner.sum() > 100:
                best = max(best, (tree.query(image[inner])[0] < 0.25).mean())
        if best > 0.98:
            break
    assert best > 0.98
    # And it is no perfect crystal, which a lattice translation would map onto itself.
    inner = (np.abs(solid.positions) < 15).all(axis=1)
    shifts = (turn @ shift for shift in lattice_translations(crystal)[:14])
    assert min((tree.query(solid.positions[inner] + shift)[0] < 0.1).mean() for shift in shifts) < 0.97


@pytest.mark.parametrize("name", ["Pt", "Al", "Si"])
def test_a_coherent_twin_keeps_all_bonds(name):
    crystal = material(name)
    solid = twin(crystal, orientation(crystal.cell, (1, -1, 0)), LOW, HIGH, rng(3))
    bonds = {"Si": 4}.get(name, 12)
    assert set(coordination(solid, 1.15 * crystal.nearest).tolist()) == {bonds}
    np.testing.assert_allclose(nearest(solid)[(np.abs(solid.positions) < 15).all(axis=1)], crystal.nearest, rtol=1e-3)


@pytest.mark.parametrize("name", WITH_FAULTS)
def test_a_stacking_fault_keeps_the_nearest_distances(name):
    crystal = material(name)
    for seed in range(2):
        turn = random_turn(rng(seed))
        solid = stacking_fault(crystal, turn, LOW, HIGH, rng(seed))
        inner = (np.abs(solid.positions) < 16).all(axis=1)
        assert nearest(solid)[inner].min() > 0.94 * crystal.nearest


@pytest.mark.parametrize(("name", "bonds"), [("Cu", 12), ("Si", 4), ("GaAs", 4), ("Co", 12)])
def test_a_stacking_fault_keeps_all_bonds_and_is_a_fault(name, bonds):
    crystal = material(name)
    turn = orientation(crystal.cell, (2, 1, 0) if name == "Co" else (1, -1, 0))
    solid = stacking_fault(crystal, turn, LOW, HIGH, rng(4))
    assert set(coordination(solid, 1.15 * crystal.nearest).tolist()) == {bonds}
    # Lattice translations across the fault miss: those out of its plane.
    tree = cKDTree(solid.positions)
    inner = (np.abs(solid.positions) < 15).all(axis=1)
    missed = [
        (tree.query(solid.positions[inner] + turn @ t)[0] > 0.5).mean() for t in lattice_translations(crystal)[:14]
    ]
    assert max(missed) > 0.03


def test_crystals_without_known_faults_stay_whole():
    solid = stacking_fault(material("SrTiO3"), np.eye(3), LOW, HIGH, rng())
    assert nearest(solid).min() == pytest.approx(3.9051 / 2)


@pytest.mark.parametrize("name", ["Pt", "GaN", "MgAl2O4", "NaCl"])
def test_grains_meet_without_overlap_or_void(name):
    crystal = material(name)
    for seed in range(3):
        draws = rng(seed)
        turn = random_turn(draws)
        other = rotation(np.array([0, 0, 1.0]), 0.5) @ turn
        solid = grain_boundary(crystal, (turn, other), LOW, HIGH, np.zeros(3), draws)
        assert nearest(solid).min() >= 0.75 * crystal.nearest - 1e-6
        density = len(crystal.positions) / abs(np.linalg.det(crystal.cell)) * 40**3
        assert 0.9 * density < len(solid.numbers) < 1.02 * density
        tree = cKDTree(solid.positions)
        for shift in (turn @ lattice_translations(crystal)[0], other @ lattice_translations(crystal)[0]):
            inner = (np.abs(solid.positions) < 20 - np.linalg.norm(shift)).all(axis=1)
            kept = (tree.query(solid.positions[inner] + shift)[0] < 0.1).mean()
            assert 0 < kept < 1


def test_atoms_of_a_solid_are_taken_and_joined(platinum):
    first = platinum.take(np.arange(3))
    both = first.join(Solid(np.zeros((1, 3)), np.array([6])))
    assert both.numbers.tolist() == [78, 78, 78, 6]
