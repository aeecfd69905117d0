"""Structures: particles and crystals of the size asked for, on what they lie on, inside the box."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.structures import (
    CrystalConfig,
    DefectConfig,
    Material,
    Shape,
    StructureConfig,
    Surroundings,
)

pytest.importorskip("ase")

from napari_gandenoise.simulate.crystals import material
from napari_gandenoise.simulate.samples import MICROGRAPH, sample_truth
from napari_gandenoise.simulate.structures import build_structure

BOX_NM = 6.0
BARE = StructureConfig(
    metals=("Pt",), diameter_nm=(2.0, 2.0), zone_axes=((1, 1, 0),), tilt_deg=0, supported_fraction=0.0,
    max_missing_columns=0, max_extra_columns=0, rotate_in_plane=False,
)  # fmt: skip


def build(seed=0, **changes):
    return build_structure(BARE.model_copy(update=changes), np.random.default_rng(seed), BOX_NM)


def columns(atoms) -> np.ndarray:
    """Positions of atom columns in projection, ångström."""
    found: list[np.ndarray] = []
    for xy in atoms.positions[:, :2]:
        if not any(np.hypot(*(xy - other)) < 0.3 for other in found):
            found.append(xy)
    return np.array(found)


def test_a_bare_particle_has_its_size_and_lies_inside_the_box():
    atoms = build()
    assert set(atoms.symbols) == {"Pt"}
    # 2 nm of platinum at 66 atoms a cubic nanometre.
    assert len(atoms) == pytest.approx(66 * np.pi / 6 * 2**3, rel=0.25)
    # Like a ball, whose mean square radius is 3/5 of its squared radius.
    mean_square = ((atoms.positions - atoms.positions.mean(axis=0)) ** 2).sum(axis=1).mean()
    assert 2 * np.sqrt(5 / 3 * mean_square) == pytest.approx(20, rel=0.15)
    assert (atoms.positions >= 0).all()
    assert (atoms.positions < np.diag(atoms.cell)).all()
    np.testing.assert_allclose(np.diag(atoms.cell)[:2], 10 * BOX_NM)


def test_along_110_its_columns_stand_apart_as_in_platinum():
    xy = columns(build())
    nearest = np.sort(np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1)), axis=1)[:, 1]
    # Lattice constant 3.92 Å: columns of the [110] projection stand a √3/(2√2) = 2.40 Å apart.
    assert np.median(nearest) == pytest.approx(3.92 * np.sqrt(3) / np.sqrt(8), rel=0.01)


def test_columns_are_taken_away_and_put_on():
    whole = len(columns(build(seed=3)))
    config = {"max_missing_columns": 3, "max_extra_columns": 3}
    counts = {len(columns(build(seed=seed, **config))) - whole for seed in range(3, 12)}
    assert min(counts) < 0
    assert max(counts) <= 3


def test_a_support_lies_below_its_particle():
    atoms = build(supported_fraction=1.0)
    symbols = np.asarray(atoms.symbols)
    metal, support = atoms.positions[symbols == "Pt"], atoms.positions[symbols != "Pt"]
    assert {"Pt", "Ce", "O"} == set(symbols)
    # One interface gap between them, and no oxygen-to-cerium ratio but that of the oxide.
    assert metal[:, 1].min() - support[:, 1].max() == pytest.approx(2.4, abs=0.05)
    assert (symbols == "O").sum() / (symbols == "Ce").sum() == pytest.approx(2, rel=0.1)


def test_the_same_draw_gives_the_same_structure():
    np.testing.assert_array_equal(build(seed=7).positions, build(seed=7).positions)
    assert not np.array_equal(build(seed=7).positions, build(seed=8).positions)


def test_particles_are_those_that_they_always_were():
    """The bundled sample was simulated from a draw of this source: its black atoms stand where the draw has them."""
    from napari_gandenoise.simulate.make_samples import MICROGRAPH_STRUCTURE, PT_ON_CERIA, SEED

    rng = np.random.default_rng((SEED, MICROGRAPH_STRUCTURE))
    atoms = build_structure(PT_ON_CERIA, rng, MICROGRAPH.cell * MICROGRAPH.pixel_size_nm)
    truth = sample_truth()
    margin = (MICROGRAPH.cell - MICROGRAPH.field) / 2 * MICROGRAPH.pixel_size_nm * 10
    xy = (atoms.positions[np.asarray(atoms.symbols) == "Pt", :2] - margin) / (10 * truth.pixel_size_nm)
    rows, columns = np.round(len(truth.pixels) - xy[:, 1]).astype(int), np.round(xy[:, 0]).astype(int)
    at_atoms = truth.pixels[rows, columns]
    around = truth.pixels[rows.min() : rows.max(), columns.min() : columns.max()]
    assert at_atoms.mean() < 0.7 * around.mean()


# --- crystals of any material ---------------------------------------------------------------------------------------

PERFECT = DefectConfig(
    vacancies=(0, 0), substitutions=(0, 0), adatoms=(0, 0), steps=0, twins=0, stacking_faults=0, grain_boundaries=0,
    dislocations=0, relaxation=(0, 0),
)  # fmt: skip
SLAB = CrystalConfig(
    materials=("Pt",), shapes=("slab",), thickness_nm=(5.0, 5.0), surroundings=("vacuum",), defects=PERFECT
)


def crystal(seed=0, box_nm=BOX_NM, **changes):
    return build_structure(SLAB.model_copy(update=changes), np.random.default_rng(seed), box_nm)


def shortest(atoms):
    return cKDTree(atoms.positions).query(atoms.positions, k=2)[0][:, 1].min()


def check_box(atoms, box_nm):
    assert len(atoms)
    assert (atoms.positions >= 0).all()
    assert (atoms.positions < np.diag(atoms.cell)).all()
    np.testing.assert_allclose(np.diag(atoms.cell)[:2], 10 * box_nm)
    np.testing.assert_allclose(atoms.cell - np.diag(np.diag(atoms.cell)), 0)


def test_a_slab_fills_the_field_to_its_thickness():
    atoms = crystal()
    # 66.2 atoms of platinum in a cubic nanometre.
    assert len(atoms) == pytest.approx(66.2 * BOX_NM**2 * 5, rel=0.03)
    assert atoms.positions[:, 2].max() - atoms.positions[:, 2].min() == pytest.approx(50, abs=1)
    assert shortest(atoms) == pytest.approx(3.9236 / np.sqrt(2), rel=1e-6)


def test_along_a_zone_axis_atoms_stand_in_columns():
    still = {"zone_axes": ((0, 0, 1),), "random_orientation": 0.0, "max_tilt_deg": 0.0}
    atoms = crystal(box_nm=2.5, thickness_nm=(2.0, 2.0), materials=("W",), **still)
    xy = columns(atoms)
    # Of a body-centred cube 3.165 Å wide both kinds of atoms are seen: two columns in each square.
    assert len(xy) == pytest.approx(2 * 25**2 / 3.1651**2, rel=0.1)


@pytest.mark.parametrize("name", get_args(Surroundings))
@pytest.mark.parametrize("shape", get_args(Shape))
def test_every_shape_lies_on_everything(name, shape):
    for seed in range(2):
        atoms = crystal(seed, shapes=(shape,), surroundings=(name,), diameter_nm=(3.0, 4.0), materials=("Pt",))
        check_box(atoms, BOX_NM)
        elements = {"carbon": {"C", "Pt"}, "silica": {"Si", "O", "Pt"}, "silicon nitride": {"Si", "N", "Pt"}}
        assert set(atoms.symbols) == elements.get(name, {"Pt"})
        assert shortest(atoms) > 1.3 if name in elements else shortest(atoms) > 2.1


def test_a_film_has_its_thickness_and_does_not_touch():
    atoms = crystal(surroundings=("carbon",), film_thickness_nm=(3.0, 3.0), materials=("Au",))
    carbon = np.asarray(atoms.symbols) == "C"
    film, metal = atoms.positions[carbon, 2], atoms.positions[~carbon, 2]
    assert np.ptp(film) == pytest.approx(30, abs=1)
    assert max(film.min() - metal.max(), metal.min() - film.max()) >= 2.2 - 1e-6
    assert carbon.sum() == pytest.approx(100.3 * BOX_NM**2 * 3, rel=0.03)


def test_layered_materials_are_flakes_when_asked():
    atoms = crystal(materials=("graphene",), flakes=1.0, max_tilt_deg=0.0)
    levels = np.unique(np.round(atoms.positions[:, 2], 2))
    assert 1 <= len(levels) <= 4
    np.testing.assert_allclose(np.diff(levels), 6.696 / 2, atol=0.02)


def test_defects_come_as_often_as_asked():
    alone = PERFECT.model_dump()
    perfect = len(crystal(3))
    missing = crystal(3, defects=DefectConfig(**{**alone, "vacancies": (0.1, 0.1)}))
    assert len(missing) == pytest.approx(0.9 * perfect, rel=0.02)
    doped = crystal(3, defects=DefectConfig(**{**alone, "substitutions": (0.2, 0.2)}))
    assert (np.asarray(doped.symbols) != "Pt").mean() == pytest.approx(0.2, abs=0.02)
    crowded = crystal(3, defects=DefectConfig(**{**alone, "adatoms": (1.0, 1.0)}))
    assert len(crowded) > perfect


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    name=st.sampled_from(get_args(Material)),
    shape=st.sampled_from(get_args(Shape)),
    below=st.sampled_from(("vacuum", "crystal")),
    defect=st.sampled_from(("twins", "stacking_faults", "grain_boundaries", "dislocations", "steps")),
    box_nm=st.floats(2.5, 5.0),
)
def test_whatever_is_drawn_lies_in_the_box_with_no_atoms_too_near(seed, name, shape, below, defect, box_nm):
    defects = DefectConfig(**{**PERFECT.model_dump(), defect: 1.0, "adatoms": (0.0, 0.3), "relaxation": (-0.04, 0.1)})
    changes = {"materials": (name,), "shapes": (shape,), "surroundings": (below,), "defects": defects}
    sizes = {"thickness_nm": (1.0, 3.0), "diameter_nm": (2.5, 4.0)}
    atoms = crystal(seed, box_nm, **changes, **sizes)
    check_box(atoms, box_nm)
    if len(atoms) > 1:
        assert shortest(atoms) > 0.6 * material(name).nearest
    again = crystal(seed, box_nm, **changes, **sizes)
    np.testing.assert_array_equal(again.positions, atoms.positions)
    np.testing.assert_array_equal(again.numbers, atoms.numbers)


def test_nothing_left_is_said():
    nothing = DefectConfig(**{**PERFECT.model_dump(), "vacancies": (1.0, 1.0)})
    with pytest.raises(GanDenoiseError, match="No atom is left"):
        crystal(defects=nothing)


def test_a_file_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(GanDenoiseError, match="cannot be read"):
        crystal(materials=(), cif=(tmp_path / "no.cif",))
