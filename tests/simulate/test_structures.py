"""Structures: particles of the size asked for, on their support, inside the box."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gandenoise.settings.simulate import StructureConfig

pytest.importorskip("ase")

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
