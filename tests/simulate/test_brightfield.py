"""Bright-field images: vacuum, absorption by what leaves the cone, and what reciprocity promises."""

import numpy as np
import pytest
import torch
from ase import Atoms

from napari_gandenoise.settings.stem import ProbeConfig
from napari_gandenoise.simulate.probe import ProbeConditions, draw_probe
from napari_gandenoise.simulate.stem import stem_images

ANNULAR = ProbeConditions(
    energy_kev=200.0,
    convergence_mrad=24.0,
    cs_um=0.0,
    defocus_nm=0.0,
    astigmatism_nm=0.0,
    astigmatism_angle=0.0,
    source_nm=0.02,
    inner_mrad=12.0,
    outer_mrad=24.0,
    thermal_nm=0.007,
)


def atoms(symbols, positions, side=12.0, depth=4.0):
    return Atoms(symbols, positions=positions, cell=[side, side, depth])


def test_far_from_an_atom_is_vacuum():
    for given in (ANNULAR, ANNULAR._replace(inner_mrad=0.0, outer_mrad=8.0)):
        image = stem_images([atoms("C", [(0.0, 0.0, 1.0)], side=20.0)], [given], 48)[0]
        torch.testing.assert_close(image[18:30, 18:30], torch.ones(12, 12), atol=2e-3, rtol=0)


def test_columns_are_dark_in_an_annular_bright_field():
    column = [(4.0, 7.5, z) for z in (1.0, 5.0, 9.0, 13.0)]
    image = stem_images([atoms("Sr4", column, depth=15.0)], [ANNULAR], 48)[0]
    assert divmod(int(image.argmin()), 48) == (30, 16)
    assert image.min() < 0.9


def test_the_image_moves_with_its_atoms():
    still = ANNULAR._replace(thermal_nm=0.0)
    images = stem_images([atoms("Au", [(3.0, 6.0, 1.0)]), atoms("Au", [(6.0, 4.5, 1.0)])], [still] * 2, 48)
    torch.testing.assert_close(images[0].roll((-6, 12), (0, 1)), images[1], atol=1e-3, rtol=0)


def test_depth_is_defocus():
    """An atom lower down looks as it does at the top when the probe is focused as much lower."""
    still = ANNULAR._replace(thermal_nm=0.0, inner_mrad=0.0, outer_mrad=8.0)
    structures = [atoms("Sr", [(6.0, 6.0, z)], depth=62.0) for z in (1.1, 51.1)]
    top, deep = stem_images(structures, [still._replace(defocus_nm=2.0), still._replace(defocus_nm=7.0)], 48)
    assert top.std() > 0.005
    torch.testing.assert_close(deep, top, atol=0.05 * float(top.std()), rtol=0)


def test_a_batch_may_mix_fields():
    structure = atoms("Sr", [(4.0, 7.5, 1.0)])
    dark = ANNULAR._replace(inner_mrad=70.0, outer_mrad=200.0)
    mixed = stem_images([structure] * 3, [dark, ANNULAR, dark], 40)
    assert torch.equal(mixed[0], mixed[2])
    assert torch.equal(mixed[1], stem_images([structure], [ANNULAR], 40)[0])
    assert mixed[0].max() < 0.05 < mixed[1].min()


@pytest.mark.parametrize(("detector", "inner", "outer"), [("abf", 0.5, 1.0), ("bf", 0.0, 1 / 3)])
def test_named_detectors_are_parts_of_the_cone(rng, detector, inner, outer):
    given = draw_probe(ProbeConfig(), rng, detector)
    assert np.allclose((given.inner_mrad, given.outer_mrad), np.array((inner, outer)) * given.convergence_mrad)
