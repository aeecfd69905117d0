"""Atom columns: what is there is found, and what is missing, added or moved costs what was said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import Columns, match_columns

SPACING = 14


def lattice(rows: int = 7, columns: int = 8, spacing: float = SPACING) -> np.ndarray:
    """Positions ``(N, 2)`` of a square lattice, a column's half away from the edge and off the pixel grid."""
    y, x = np.mgrid[:rows, :columns]
    return np.stack([y.ravel(), x.ravel()], axis=1) * spacing + spacing + np.array([0.3, 0.4])


def picture(positions: np.ndarray, contrast: float = 0.5, shape=(128, 142)) -> np.ndarray:
    """Gaussian columns on a background of one."""
    y, x = np.indices(shape)
    image = np.ones(shape)
    for row, column in positions:
        image += contrast * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * 2.5**2))
    return image


@pytest.mark.parametrize("contrast", [0.5, -0.5], ids=["white", "black"])
def test_columns_of_a_clean_image_are_found_where_they_are(contrast):
    positions = lattice()

    columns = Columns.of(picture(positions, contrast))

    assert columns.dark == (contrast < 0)
    assert columns.spacing == pytest.approx(SPACING, rel=0.02)
    assert match_columns(positions, columns.positions, 1.0)[:3] == (1, 1, 1)
    assert match_columns(positions, columns.positions, 1.0).error < 0.1
    assert columns.score(picture(positions, contrast)) == (1, 1, 1, 0)


def test_a_removed_column_costs_recall():
    positions = lattice()
    scores = Columns.of(picture(positions)).score(picture(np.delete(positions, 27, axis=0)))

    count = len(positions)
    assert scores.precision == 1
    assert scores.recall == (count - 1) / count
    assert scores.f1 == pytest.approx(2 * (count - 1) / (2 * count - 1))
    assert scores.error < 0.05


def test_an_added_column_costs_precision():
    positions = np.delete(lattice(), 27, axis=0)
    scores = Columns.of(picture(positions)).score(picture(lattice()))

    count = len(positions)
    assert scores.recall == 1
    assert scores.precision == count / (count + 1)


@pytest.mark.parametrize(("shift", "kept"), [(3.0, True), (6.0, True), (8.0, False)])
def test_a_shifted_column_costs_its_distance_or_both_beyond_half_a_spacing(shift, kept):
    # At the end of a row, so that it moves away from the others.
    positions = lattice()
    moved = positions.copy()
    moved[31] += (0, shift)
    scores = match_columns(positions, moved, SPACING / 2)

    count = len(positions)
    if kept:
        assert scores == pytest.approx((1, 1, 1, shift / count))
    else:
        assert scores[:3] == pytest.approx(((count - 1) / count,) * 3)
        assert scores.error == 0
    found = Columns.of(picture(positions)).score(picture(moved))
    assert found[:3] == scores[:3]
    assert found.error == pytest.approx(scores.error, abs=0.02)


def test_nothing_found_scores_nothing():
    columns = Columns.of(picture(lattice()))

    scores = columns.score(np.ones((128, 142)))

    assert scores[:3] == (0, 0, 0)
    assert np.isnan(scores.error)


@pytest.mark.parametrize("image", [np.ones((64, 64)), np.zeros((5, 5))])
def test_a_truth_without_a_lattice_is_refused(image):
    with pytest.raises(GanDenoiseError, match="no lattice"):
        Columns.of(image)


@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(0, 12), st.floats(0.05, 0.6))
def test_the_matching_is_that_of_one_dense_assignment(seed, there, seen, within):
    random = np.random.default_rng(seed)
    true, found = random.random((there, 2)), random.random((seen, 2))
    scores = match_columns(true, found, within)

    distance = np.linalg.norm(true[:, None] - found[None], axis=2)
    dense = np.where(distance <= within, distance, 1e3)
    chosen = dense[linear_sum_assignment(dense)]
    matched = chosen[chosen < 1e3]
    assert scores.recall == (len(matched) / there if there else 0)
    assert scores.precision == (len(matched) / seen if seen else 0)
    if len(matched):
        assert scores.error == pytest.approx(matched.mean())
