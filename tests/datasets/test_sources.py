"""What all sources share: subsets, the split, and a short memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_gandenoise.datasets.recent import Recent
from napari_gandenoise.datasets.sources import Subset, open_source, prepare_steps, split
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.data import SimulatedData

ALL = slice(None), slice(None)


@pytest.fixture
def numbered(tmp_path, write_set):
    """Twelve images, three of each structure, all pixels of each their number."""
    images = np.arange(12)[:, None, None] + np.zeros((12, 8, 8))
    return open_source(SimulatedData(path=write_set(tmp_path / "set.zarr", images, per=3)))


def numbers(source) -> list[int]:
    return [int(source.read(i, *ALL)[0, 0, 0]) for i in range(len(source))]


def test_a_subset_holds_its_images_alone(numbered):
    subset = Subset(numbered, 3, 7)
    assert numbers(subset) == [3, 4, 5, 6]
    assert subset.shape(0) == (8, 8)
    assert (subset.channels, subset.pixel_size_nm, subset.variants) == (1, numbered.pixel_size_nm, 1)
    assert numbers(Subset(subset, 1, 3)) == [4, 5]


@pytest.mark.parametrize(("start", "stop"), [(3, 3), (-1, 4), (0, 13)])
def test_images_that_are_not_there_make_no_subset(numbered, start, stop):
    with pytest.raises(ValueError, match="no images"):
        Subset(numbered, start, stop)


@pytest.mark.parametrize(("held_out", "held"), [(1, 3), (3, 3), (4, 6), (9, 9)])
def test_a_split_keeps_structures_together(numbered, held_out, held):
    validation, training = split(numbered, held_out)
    assert numbers(validation) == list(range(held))
    assert numbers(training) == list(range(held, 12))


def test_something_must_be_left_to_train_on(numbered):
    with pytest.raises(GanDenoiseError, match="12 images, of which 12 are held out"):
        split(numbered, 10)


def test_a_set_on_disk_needs_no_preparation(tmp_path):
    assert list(prepare_steps(SimulatedData(path=tmp_path / "anything.zarr"))) == []


@given(st.lists(st.integers(0, 6)), st.integers(1, 4))
def test_the_latest_values_are_kept_and_no_more(indices, size):
    loaded = []
    recent = Recent(lambda index: loaded.append(index) or index * 10, size)
    held: list[int] = []
    for index in indices:
        before = len(loaded)
        assert recent(index) == index * 10
        assert (len(loaded) > before) == (index not in held)
        held = [*(other for other in held if other != index), index][-size:]
    assert set(recent.kept) == set(held)
