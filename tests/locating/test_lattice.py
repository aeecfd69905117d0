"""Lattices and strain of known places."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gandenoise.locating.lattice import find_sites


def patch(vectors, count=8, origin=(0.0, 0.0)):
    steps = np.stack(np.meshgrid(np.arange(count), np.arange(count), indexing="ij"), axis=-1).reshape(-1, 2)
    return steps @ np.asarray(vectors) + origin


def test_a_lattice_is_found_with_its_area_and_no_strain():
    vectors = np.array([[0.02, 0.24], [0.22, 0.08]])
    sites = find_sites(patch(vectors))
    [lattice] = sites.lattices
    assert abs(np.linalg.det(lattice.vectors)) == pytest.approx(abs(np.linalg.det(vectors)))
    assert (sites.owner == 1).all()
    assert len(np.unique(sites.indices, axis=0)) == 64
    np.testing.assert_allclose(sites.displacement, 0, atol=1e-9)
    inner = np.isfinite(sites.strain).all(axis=1)
    assert inner.sum() >= 60
    np.testing.assert_allclose(sites.strain[inner], 0, atol=1e-9)


def test_strain_of_a_half_that_is_stretched_is_the_difference():
    """Two halves that differ by 4 % along x: the fitted lattice lies between, each half is 2 % from it."""
    places = patch([[0.0, 1.0], [1.0, 0.0]], 12)
    right = places[:, 1] > 5.5
    places[right, 1] = 5.5 + 1.04 * (places[right, 1] - 5.5)
    sites = find_sites(places)
    xx = sites.strain[:, 1]
    far = np.abs(places[:, 1] - 5.5) > 1.5
    step = np.median(xx[far & right]) - np.median(xx[far & ~right])
    assert step == pytest.approx(0.04, abs=0.003)
    np.testing.assert_allclose(sites.strain[:, 0], 0, atol=1e-6)


def test_two_crystals_have_a_lattice_each_and_strangers_none():
    first, second = patch([[0, 1.0], [1.0, 0]]), patch([[0.3, 1.3], [1.25, -0.2]], origin=(0, 20.0))
    strangers = np.array([[40.0, 3.0], [47.0, 11.0]])
    sites = find_sites(np.concatenate([first, second, strangers]))
    assert len(sites.lattices) == 2
    assert len({*sites.owner[:64]}) == len({*sites.owner[64:128]}) == 1
    assert sites.owner[0] != sites.owner[64]
    assert (sites.owner[128:] == 0).all()
    assert np.isnan(sites.displacement[128:]).all()


@pytest.mark.parametrize("places", [np.empty((0, 2)), np.zeros((1, 2)), np.zeros((30, 2)), patch([[0, 1.0], [0, 8.0]])])
def test_too_few_or_all_in_one_line_are_no_lattice(places):
    sites = find_sites(places)
    assert sites.lattices == []
    assert (sites.owner == 0).all()
