"""Orientations, what crystals are cut to, and amorphous films."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull, cKDTree

from napari_gandenoise.settings.structures import CrystalConfig

pytest.importorskip("ase")

from napari_gandenoise.simulate.crystals import fill, material, plane_normal
from napari_gandenoise.simulate.shapes import (
    Region,
    amorphous,
    draw_region,
    draw_turn,
    flake,
    orientation,
    random_turn,
    rotation,
    slab,
    wulff,
)

FIXED = CrystalConfig(
    materials=("Pt",), thickness_nm=(6.0, 6.0), diameter_nm=(4.0, 4.0), wedge_deg=(30.0, 30.0), random_orientation=0.0
)
INSIDE = np.random.default_rng(0).uniform(-50, 50, (400_000, 3))
CELL_VOLUME = 100.0**3


def volume(region):
    """Å³ of a region in a box of 10 nm, by counting points."""
    return (region.depth(INSIDE)[0] >= 0).mean() * CELL_VOLUME


def drawn(shape, seed=0):
    """Draw a body in a field of no width: it is in the middle."""
    return draw_region(shape, FIXED, material("Pt"), np.eye(3), 0.0, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("name", "zone"), [("Pt", (1, 1, 0)), ("Co", (2, 1, 0)), ("TiO2", (0, 1, 1)), ("MFI", (0, 1, 0))]
)
def test_a_zone_axis_points_along_the_beam(name, zone):
    crystal = material(name)
    turn = orientation(crystal.cell, zone, 0.7)
    axis = turn @ (np.array(zone) @ crystal.cell)
    np.testing.assert_allclose(axis / np.linalg.norm(axis), [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_tilts_stay_within_their_limit_and_use_it():
    config = FIXED.model_copy(update={"zone_axes": ((0, 0, 1),), "max_tilt_deg": 4.0})
    turns = [draw_turn(config, material("Pt"), np.random.default_rng(seed)) for seed in range(200)]
    angles = np.rad2deg([np.arccos(min(1, turn[2, 2])) for turn in turns])
    assert angles.max() <= 4 + 1e-9
    assert angles.mean() == pytest.approx(2, abs=0.3)


def test_random_orientations_prefer_no_direction():
    turns = np.array([random_turn(np.random.default_rng(seed)) for seed in range(3000)])
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turns.shape), atol=1e-9)
    # Each entry of an evenly drawn rotation has mean 0 and variance 1/3.
    assert np.abs(turns.mean(axis=0)).max() < 5 * np.sqrt(1 / 3 / 3000)
    np.testing.assert_allclose(turns.var(axis=0), 1 / 3, atol=0.03)
    np.testing.assert_allclose(rotation(np.array([0, 0, 2.0]), np.pi / 2) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("slab", 60 * 100**2),
        ("sphere", 4 / 3 * np.pi * 20**3),
        # A roof of 40 Å width and 60 Å height; its length varies with its direction.
        ("ridge", None),
    ],
)
def test_bodies_have_the_size_asked_for(shape, expected):
    region = drawn(shape)
    if expected is not None:
        assert volume(region) == pytest.approx(expected, rel=0.02)
    low, high = region.bounds(50.0)
    assert (high - low)[2] == pytest.approx(40 if shape == "sphere" else 60, abs=1e-6)


def test_a_wedge_thins_out_at_its_angle():
    region = drawn("wedge", seed=4)
    across = -region.normals[2, :2] / np.linalg.norm(region.normals[2, :2])
    for distance in (5.0, 20.0, 40.0):
        heights = np.linspace(-30, 30, 6001)
        line = np.column_stack([np.tile(-across * distance, (6001, 1)), heights])
        other = np.column_stack([np.tile(across * distance, (6001, 1)), heights])
        thicknesses = [0.01 * (region.depth(points)[0] >= 0).sum() for points in (line, other)]
        # Thickness over distance from the edge is the tangent of 30°; on the other side there is nothing.
        assert max(thicknesses) == pytest.approx(distance * np.tan(np.pi / 6), abs=0.05)
        assert min(thicknesses) <= 0.011


def test_a_ridge_is_thickest_along_its_middle():
    region = drawn("ridge")
    depth_at = region.depth(np.column_stack([np.zeros((3, 2)), [-29.9, 0, 29.9]]))[0]
    assert (depth_at > 0).all()
    across = region.normals[2, :2] / np.linalg.norm(region.normals[2, :2])
    half = np.column_stack([np.tile(10 * across, (2, 1)), [-0.1, 0.1]])
    assert (region.depth(half)[0] > 0).tolist() == [True, False]  # half its height at half its half-width


def test_bounds_hold_the_body_tightly():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        turn = random_turn(rng)
        region = wulff(material("Co"), 20.0, rng, turn).moved(np.array([5.0, -3, 1]))
        inside = INSIDE[region.depth(INSIDE)[0] >= 0]
        low, high = region.bounds(50.0)
        assert (inside >= low).all()
        assert (inside <= high).all()
        np.testing.assert_allclose(inside.min(axis=0), low, atol=2)
        np.testing.assert_allclose(inside.max(axis=0), high, atol=2)


class TestWulff:
    """Against Wulff's theorem and against ASE's construction."""

    def test_faces_stand_off_in_the_ratio_of_their_energies(self):
        class Same:
            """Draws nothing: energies stay as they are."""

            def uniform(self, *_):
                return 1.0

        energies = {(1, 1, 1): 1.0, (1, 0, 0): 1.15}
        body = wulff(material("Pt"), 20.0, Same(), energies=energies)
        assert len(body.offsets) == 8 + 6
        cubes = np.isclose(np.abs(body.normals).max(axis=1), 1)
        np.testing.assert_allclose(body.offsets[cubes] / body.offsets[~cubes][0], 1.15)

    def test_fcc_metals_are_truncated_octahedra(self):
        """Donnay and Harker's law: {111} is the widest spacing of a face-centred lattice, {200} the next."""
        body = wulff(material("Au"), 20.0, np.random.default_rng(1))
        faces = np.argmax(-(body.offsets - INSIDE @ body.normals.T)[body.depth(INSIDE)[0] > 0], axis=1)
        near = np.bincount(faces, minlength=len(body.offsets))
        octahedra = np.isclose(np.abs(body.normals).min(axis=1), 1 / np.sqrt(3))
        assert near[octahedra].min() > 0.06 * near.sum()

    def test_its_mean_radius_is_the_one_asked_for(self):
        for name in ("Au", "GaN", "TiO2", "LTA"):
            body = wulff(material(name), 20.0, np.random.default_rng(0))
            points = INSIDE[body.depth(INSIDE)[0] >= 0]
            hull = ConvexHull(points)
            assert (3 * hull.volume / 4 / np.pi) ** (1 / 3) == pytest.approx(20, rel=0.1)

    def test_it_has_the_symmetry_of_its_crystal(self):
        body = wulff(material("Co"), 20.0, np.random.default_rng(2))
        sixfold = rotation(np.array([0, 0, 1.0]), np.pi / 3)
        depth, turned = body.depth(INSIDE)[0], body.depth(INSIDE @ sixfold.T)[0]
        np.testing.assert_allclose(depth, turned, atol=1e-9)


@pytest.mark.parametrize(("name", "spacing"), [("graphene", 6.696 / 2), ("MoS2", 12.295 / 2), ("TiS2", 5.6953)])
def test_flakes_are_whole_layers(name, spacing):
    crystal = material(name)
    stoichiometry = np.bincount(crystal.numbers)[crystal.numbers] / len(crystal.numbers)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        turn = draw_turn(FIXED, crystal, rng, flake=True)
        body, origin = flake(crystal, turn, rng)
        low, high = body.bounds(40.0)
        solid = fill(crystal, turn, low - 4, high + 4, origin, rng)
        solid = solid.take(body.depth(solid.positions)[0] >= 0)
        normal = turn @ plane_normal(crystal.cell, (0, 0, 1))
        heights = np.unique(np.round(solid.positions @ normal, 2))
        layers = round((body.offsets[:2].sum()) / spacing)
        assert 1 <= layers <= 4
        # A sheet of graphene is one plane of atoms, one of a dichalcogenide three.
        assert len(heights) == layers * (1 if name == "graphene" else 3)
        middle = solid.take(np.abs(solid.positions[:, :2]).max(axis=1) < 15)
        shares = np.bincount(middle.numbers)[middle.numbers] / len(middle.numbers)
        assert np.unique(np.round(shares, 1)).tolist() == np.unique(np.round(stoichiometry, 1)).tolist()


# Grams in a cubic centimetre, and the shortest distances that diffraction finds.
@pytest.mark.parametrize(
    ("name", "density", "shortest"), [("carbon", 2.0, 1.42), ("silica", 2.20, 1.61), ("silicon nitride", 3.1, 1.73)]
)
def test_amorphous_films_have_their_density_and_no_atoms_too_near(name, density, shortest):
    from ase.data import atomic_masses

    edge = np.array([40.0, 40.0, 20.0])
    solid = amorphous(name, -edge, edge, np.random.default_rng(0))
    assert (np.abs(solid.positions) <= edge).all()
    found = atomic_masses[solid.numbers].sum() / (8 * edge.prod()) * 1.66054
    assert found == pytest.approx(density, rel=0.02)
    distances, _ = cKDTree(solid.positions).query(solid.positions, k=2)
    assert distances[:, 1].min() > 0.88 * shortest
    assert np.median(distances[:, 1]) < 1.3 * shortest


def test_amorphous_films_show_no_lattice():
    """Projected along the beam, no spatial frequency stands out of the others of its length as a lattice's does."""
    edge = np.array([40.0, 40.0, 25.0])
    solid = amorphous("carbon", -edge, edge, np.random.default_rng(3))
    density, *_ = np.histogram2d(*solid.positions[:, :2].T, bins=160, range=[[-40, 40]] * 2)
    power = np.abs(np.fft.fft2(density - density.mean())) ** 2
    radius = np.hypot(*np.meshgrid(*[np.fft.fftfreq(160, 0.5)] * 2))
    for ring in np.arange(0.2, 0.8, 0.1):
        here = power[(radius >= ring) & (radius < ring + 0.1)]
        # Of exponentially distributed powers, as those of random atoms are, the largest of n is about log n means.
        assert here.max() < 3 * np.log(len(here)) * here.mean()


def test_a_plate_is_cut_on_the_inner_side():
    body = slab(10.0).cut(np.array([1.0, 0, 0]), 3.0)
    depth, normals = body.depth(np.array([[0, 0, 0.0], [2.5, 0, 0], [0, 0, 6.0]]))
    np.testing.assert_allclose(depth, [3, 0.5, -1])
    np.testing.assert_allclose(normals[1:], [[1, 0, 0], [0, 0, 1]])
    assert isinstance(body, Region)
