"""The pool of tiles: used while it fills, renewed once it is full, and made again as it was."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_gandenoise.datasets.pool import TilePool
from napari_gandenoise.datasets.sources import open_source
from napari_gandenoise.datasets.stream import TileStream
from napari_gandenoise.datasets.tiles import TileSampler
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.data import SimulatedData, TileConfig


@pytest.fixture(scope="module")
def make_pool(tmp_path_factory, write_set, lattices):
    path = write_set(tmp_path_factory.mktemp("set") / "set.zarr", lattices(5, 60), 0.02)
    sampler = TileSampler(open_source(SimulatedData(path=path)), TileConfig(), 16, 0.02)
    return lambda capacity, chunk: TilePool(TileStream(sampler, chunk, seed=3), capacity)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_a_draw_takes_only_tiles_that_have_been_cut(make_pool, generator):
    pool = make_pool(50, 3)
    drawn = pool.draw(20, generator)
    assert drawn.shape == (20, 1, 16, 16)
    assert drawn.dtype == torch.float32
    assert pool.added == 3
    # A place that was never filled would be uninitialised memory; intensities here lie around vacuum.
    held = pool.tiles[:3].float()
    mirrors = torch.cat([held, held.flip(2), held.flip(3), held.flip(2).flip(3)])
    nearest = (drawn[:, None] - mirrors[None]).abs().amax(dim=(2, 3, 4)).min(dim=1).values
    assert nearest.max() == 0


def test_a_full_pool_replaces_its_oldest_tiles(make_pool, generator):
    pool = make_pool(10, 4)
    assert len(pool.fill(10)) == 12  # whole chunks
    before = pool.tiles.clone()
    pool.draw(2, generator)
    replaced = [not torch.equal(pool.tiles[i], before[i]) for i in range(10)]
    assert replaced == [False, False, True, True, True, True, False, False, False, False]
    assert pool.added == 16


def test_a_fill_beyond_the_capacity_keeps_the_latest_tiles(make_pool):
    pool = make_pool(4, 3)
    fresh = pool.fill(9).half()
    assert torch.equal(pool.tiles, fresh[[8, 5, 6, 7]])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(capacity=st.integers(1, 20), chunk=st.integers(1, 5), steps=st.integers(0, 12), ahead=st.integers(0, 9))
def test_a_pool_made_again_is_the_one_that_never_stopped(make_pool, capacity, chunk, steps, ahead):
    whole, resumed = make_pool(capacity, chunk), make_pool(capacity, chunk)
    if ahead:
        whole.fill(ahead)
    for _ in range(steps):
        whole.draw(2, torch.Generator())
    events = list(resumed.rebuild(whole.added))
    assert resumed.added == whole.added
    held = min(capacity, whole.added)
    assert torch.equal(resumed.tiles[:held], whole.tiles[:held])
    assert [event.done for event in events] == sorted(event.done for event in events)
    assert all(event.stage == "tiles" for event in events)
    assert not events or events[-1].done == events[-1].total
    after = [pool.draw(4, torch.Generator().manual_seed(1)) for pool in (whole, resumed)]
    assert torch.equal(*after)


def test_a_pool_goes_on_where_it_was_after_its_stream_was_closed(make_pool):
    whole, closed = make_pool(30, 3), make_pool(30, 3)
    whole.fill(9)
    closed.fill(3)
    closed.close()
    closed.fill(6)
    assert torch.equal(whole.tiles[:9], closed.tiles[:9])


def test_part_of_a_chunk_cannot_be_made_again(make_pool):
    with pytest.raises(ValueError, match="not whole chunks of 3"):
        drain(make_pool(10, 3).rebuild(7))
