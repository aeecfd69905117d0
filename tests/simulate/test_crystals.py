"""Crystals against the crystallography: distances, coordination, densities, files."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.structures import CrystalConfig, Material

pytest.importorskip("ase")

from ase import Atoms
from ase.build import bulk
from ase.io import write

from napari_gandenoise.simulate.crystals import draw_crystal, fill, formula, lattice_translations, material, read_cif
from napari_gandenoise.simulate.materials import MATERIALS
from napari_gandenoise.simulate.shapes import random_turn

# Grams in a cubic centimetre: CRC Handbook of Chemistry and Physics.  That of BN there is of pressed powder.
DENSITIES = {
    "Al": 2.70, "Cu": 8.96, "Ag": 10.5, "Au": 19.3, "Pt": 21.5, "Pd": 12.0, "Ni": 8.90, "Fe": 7.87, "Cr": 7.15,
    "Mo": 10.2, "W": 19.3, "Mg": 1.74, "Ti": 4.506, "Co": 8.86, "Zn": 7.134, "C": 3.513, "Si": 2.3296, "Ge": 5.323,
    "GaAs": 5.318, "InP": 4.81, "InAs": 5.67, "CdTe": 5.85, "ZnS": 4.04, "SiC": 3.21, "GaN": 6.1, "AlN": 3.255,
    "ZnO": 5.6, "CdSe": 5.81, "MgO": 3.6, "NaCl": 2.17, "NiO": 6.72, "TiN": 5.21, "SrTiO3": 5.11, "BaTiO3": 6.02,
    "LaAlO3": 6.52, "CeO2": 7.215, "ZrO2": 6.2, "CaF2": 3.18, "MgAl2O4": 3.58, "Fe3O4": 5.17, "Co3O4": 6.11,
    "TiO2": 4.23, "SnO2": 6.85, "graphene": 2.27, "MoS2": 5.06, "WS2": 7.6, "WSe2": 9.32, "TiS2": 3.37,
    "SnS2": 4.5,
}  # fmt: skip
# Material, centre, neighbour: how many, at which distance.
SURROUNDINGS = [
    ("Pt", "Pt", "Pt", 12, 3.9236 / np.sqrt(2)),
    ("Fe", "Fe", "Fe", 8, 2.8665 * np.sqrt(3) / 2),
    ("Co", "Co", "Co", 12, 2.50),
    ("Si", "Si", "Si", 4, 5.4306 * np.sqrt(3) / 4),
    ("GaAs", "Ga", "As", 4, 5.6533 * np.sqrt(3) / 4),
    ("GaN", "Ga", "N", 4, 1.95),
    ("MgO", "Mg", "O", 6, 4.2112 / 2),
    ("SrTiO3", "Ti", "O", 6, 3.9051 / 2),
    ("SrTiO3", "Sr", "O", 12, 3.9051 / np.sqrt(2)),
    ("CeO2", "Ce", "O", 8, 5.411 * np.sqrt(3) / 4),
    ("CeO2", "O", "Ce", 4, 5.411 * np.sqrt(3) / 4),
    ("MgAl2O4", "Mg", "O", 4, 1.92),
    ("MgAl2O4", "Al", "O", 6, 1.93),
    ("TiO2", "Ti", "O", 6, 1.96),
    ("graphene", "C", "C", 3, 1.42),
    ("BN", "B", "N", 3, 1.446),
    ("MoS2", "Mo", "S", 6, 2.41),
    ("TiS2", "Ti", "S", 6, 2.43),
    ("LTA", "Si", "O", 4, 1.60),
    ("MFI", "Si", "O", 4, 1.59),
    ("MFI", "O", "Si", 2, 1.59),
]


def filled(crystal, half=12.0, seed=0):
    rng = np.random.default_rng(seed)
    edge = np.full(3, half)
    return fill(crystal, random_turn(rng), -edge, edge, rng.uniform(0, 5, 3), rng)


def test_every_material_of_the_settings_is_in_the_table():
    assert tuple(MATERIALS) == get_args(Material)


@pytest.mark.parametrize("name", DENSITIES)
def test_densities_are_those_of_handbooks(name):
    from ase.data import atomic_masses

    crystal = material(name)
    density = atomic_masses[crystal.numbers].sum() / abs(np.linalg.det(crystal.cell)) * 1.66054
    assert density == pytest.approx(DENSITIES[name], rel=0.04)


@pytest.mark.parametrize(("name", "framework"), [("LTA", 14.2), ("MFI", 18.4)])
def test_zeolites_have_the_framework_density_of_the_atlas(name, framework):
    """Baerlocher, McCusker and Olson, Atlas of Zeolite Framework Types: tetrahedral atoms in 1000 cubic ångström."""
    crystal = material(name)
    density = 1000 * (crystal.numbers == 14).sum() / abs(np.linalg.det(crystal.cell))
    assert density == pytest.approx(framework, rel=0.03)


@pytest.mark.parametrize(("name", "centre", "neighbour", "count", "distance"), SURROUNDINGS)
def test_atoms_are_surrounded_as_crystallography_says(name, centre, neighbour, count, distance):
    from ase.data import atomic_numbers

    solid = filled(material(name))
    inner = (np.abs(solid.positions) < 12 - 4).all(axis=1) & (solid.numbers == atomic_numbers[centre])
    others = cKDTree(solid.positions[solid.numbers == atomic_numbers[neighbour]])
    found = others.query_ball_point(solid.positions[inner], 1.1 * distance)
    lengths = [
        np.linalg.norm(others.data[near] - p, axis=1) for near, p in zip(found, solid.positions[inner], strict=True)
    ]
    bonds = [row[row > 0.01] for row in lengths]
    assert {len(row) for row in bonds} == {count}
    assert np.mean(np.concatenate(bonds)) == pytest.approx(distance, rel=0.01)


@pytest.mark.parametrize("name", ["Pt", "Co", "Si", "MgAl2O4", "MFI"])
def test_a_box_is_full_whatever_the_orientation(name):
    crystal = material(name)
    density = len(crystal.positions) / abs(np.linalg.det(crystal.cell))
    for seed in range(3):
        solid = filled(crystal, 20.0, seed)
        assert len(solid.numbers) == pytest.approx(density * 40**3, rel=0.01)
        distances, _ = cKDTree(solid.positions).query(solid.positions, k=2)
        assert distances[:, 1].min() == pytest.approx(crystal.nearest, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "length", "count"),
    [
        ("Cu", 3.6146 / np.sqrt(2), 12),
        ("W", 3.1651 * np.sqrt(3) / 2, 8),
        ("MgO", 4.2112 / np.sqrt(2), 12),
        ("Mg", 3.2094, 6),
        ("SrTiO3", 3.9051, 6),
    ],
)
def test_the_shortest_translations_are_the_burgers_vectors_of_textbooks(name, length, count):
    """Hull and Bacon: a/2 <110> of fcc and rock salt, a/2 <111> of bcc, a/3 <11-20> of hcp, a <100> of perovskites."""
    lengths = np.linalg.norm(lattice_translations(material(name)), axis=1)
    assert lengths[0] == pytest.approx(length, rel=1e-3)
    assert (lengths < 1.01 * length).sum() == count


# --- CIF files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "atoms",
    [
        bulk("Cu", cubic=True),
        bulk("GaN", "wurtzite", a=3.19, c=5.189),
        bulk("Bi", "rhombohedral", a=4.75, alpha=57.2, basis=[[0.234] * 3, [-0.234] * 3]),
    ],
    ids=str,
)
def test_what_ase_writes_comes_back(tmp_path, atoms):
    path = tmp_path / "material.cif"
    write(path, atoms)
    [crystal] = read_cif(path)
    assert crystal.name == "material"
    assert sorted(crystal.numbers) == sorted(atoms.numbers)
    assert abs(np.linalg.det(crystal.cell)) == pytest.approx(atoms.get_volume(), rel=1e-4)
    first = atoms.repeat(3).get_all_distances()
    assert crystal.nearest == pytest.approx(first[first > 0].min(), rel=1e-3)


def test_a_file_with_several_structures_gives_all_of_them(tmp_path):
    path = tmp_path / "two.cif"
    write(path, [bulk("Cu", cubic=True), bulk("Fe", cubic=True)])
    assert [set(c.numbers.tolist()) for c in read_cif(path)] == [{29}, {26}]
    drawn = {int(draw_crystal(CrystalConfig(cif=path), np.random.default_rng(seed)).numbers[0]) for seed in range(20)}
    assert drawn == {26, 29}


SHARED = """data_alloy
_cell_length_a 5.4
_cell_length_b 5.4
_cell_length_c 5.4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Ce1 Ce 0.0 0.0 0.0 0.7
Zr1 Zr 0.0 0.0 0.0 0.3
O1 O 0.25 0.25 0.25 0.85
"""


def test_sites_are_occupied_as_often_as_the_file_says(tmp_path):
    path = tmp_path / "alloy.cif"
    path.write_text(SHARED)
    [crystal] = read_cif(path)
    solid = filled(crystal, 25.0)
    counts = {number: (solid.numbers == number).sum() for number in (58, 40, 8)}
    cells = 50**3 / 5.4**3
    # Binomial draws: within four standard deviations.
    for number, sites, share in ((58, 4, 0.7), (40, 4, 0.3), (8, 8, 0.85)):
        spread = np.sqrt(sites * cells * share * (1 - share))
        assert counts[number] == pytest.approx(sites * cells * share, abs=4 * spread + 0.02 * sites * cells)
    assert set(counts) == set(np.unique(solid.numbers).tolist())


def test_parts_of_a_split_site_are_never_there_at_once(tmp_path):
    """Mg in a cage of 6 Å, half 0.3 Å to one side of the middle and half to the other."""
    atoms = Atoms("ArMgMg", scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.45), (0.5, 0.5, 0.55)], cell=[6, 6, 6], pbc=True)
    path = tmp_path / "split.cif"
    write(path, atoms)
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join(line.replace(" 1.0000", " 0.5000") if line.strip().startswith("Mg") else line for line in lines)
    )
    [crystal] = read_cif(path)
    solid = filled(crystal, 20.0)
    magnesium = solid.positions[solid.numbers == 12]
    distances, _ = cKDTree(magnesium).query(magnesium, k=2)
    assert distances[:, 1].min() > 0.7 * np.sqrt(3 * 3.0**2)
    # One of four cages has none, one had both, of which one went.
    assert len(magnesium) == pytest.approx(0.75 * (solid.numbers == 18).sum(), rel=0.15)


UNREADABLE, EMPTY = "cannot be read as a CIF file", "holds no crystal structure"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", EMPTY),
        ("nothing of the kind", f"{UNREADABLE}|{EMPTY}"),
        (SHARED.replace("5.4", "wide"), UNREADABLE),
        (SHARED.replace("Ce1 Ce", "Ce1 Qq"), UNREADABLE),
        ("data_empty\n_cell_length_a 5.4\n", EMPTY),
    ],
)
def test_what_is_no_structure_is_one_sentence(tmp_path, text, said):
    path = tmp_path / "broken.cif"
    path.write_text(text)
    with pytest.raises(GanDenoiseError, match=said) as raised:
        read_cif(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(GanDenoiseError, match=r"nowhere\.cif cannot be read"):
        read_cif(tmp_path / "nowhere.cif")


def test_files_and_materials_are_drawn_alike(tmp_path):
    path = tmp_path / "mine.cif"
    write(path, bulk("Po", "sc", a=3.35))

    def names(**given):
        return {draw_crystal(CrystalConfig(**given), np.random.default_rng(seed)).name for seed in range(60)}

    assert names(cif=path) == {"mine"}
    assert names(cif=path, materials=("Si",)) == {"mine", "Si"}
    assert len(names()) > 25


@pytest.mark.parametrize("name", ["SrTiO3", "MgAl2O4", "CeO2", "MoS2", "Pt", "GaAs"])
def test_a_formula_is_as_it_is_usually_written(name):
    assert formula(material(name)) == name
