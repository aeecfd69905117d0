"""The stream of tiles: the same in any number of processes, which end when they should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import islice

import imageio.v3 as imageio
import numpy as np
import psutil
import pytest
import torch

from napari_gandenoise.datasets.sources import open_source
from napari_gandenoise.datasets.stream import TileStream
from napari_gandenoise.datasets.tiles import TileSampler
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.data import FolderData, SimulatedData, TileConfig


@pytest.fixture(scope="module")
def sampler(tmp_path_factory, write_set, lattices):
    path = write_set(tmp_path_factory.mktemp("set") / "set.zarr", lattices(5, 120))
    return TileSampler(open_source(SimulatedData(path=path)), TileConfig(), 32, 0.0244)


# A run that says which processes it has begun, and then waits.
RUN = """
import sys, time, psutil
from pathlib import Path
from napari_gandenoise.settings.data import SimulatedData, TileConfig
from napari_gandenoise.datasets.sources import open_source
from napari_gandenoise.datasets.stream import TileStream
from napari_gandenoise.datasets.tiles import TileSampler
if __name__ == "__main__":
    source = open_source(SimulatedData(path=Path(sys.argv[1])))
    chunks = TileStream(TileSampler(source, TileConfig(), 32, 0.0244), 3, seed=5, workers=1).start(0)
    next(chunks)
    print(*(c.pid for c in psutil.Process().children() if "spawn_main" in " ".join(c.cmdline())), flush=True)
    time.sleep(60)
"""


def workers() -> list[psutil.Process]:
    """Processes that cut tiles, of all that this one has begun."""
    # Children of other tests may have ended, and not been waited for.
    living = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in living if "spawn_main" in " ".join(child.cmdline())]


def test_a_chunk_depends_on_its_number_and_the_seed_alone(sampler):
    chunks = list(islice(TileStream(sampler, 3, seed=5).start(0), 4))
    assert [chunk.shape for chunk in chunks] == [(3, 1, 32, 32)] * 4
    again = next(TileStream(sampler, 3, seed=5).start(2))
    other = next(TileStream(sampler, 3, seed=6).start(2))
    assert torch.equal(chunks[2], again)
    assert not torch.equal(chunks[2], other)
    assert not torch.equal(chunks[0], chunks[1])


@pytest.mark.slow
def test_other_processes_cut_the_same_tiles_in_order_until_one_is_killed(sampler):
    here = list(islice(TileStream(sampler, 3, seed=5).start(10), 12))
    stream = TileStream(sampler, 3, seed=5, workers=2)
    chunks = stream.start(10)
    there = list(islice(chunks, 12))
    assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True))
    first, _ = workers()
    os.kill(first.pid, signal.SIGKILL)
    with pytest.raises(GanDenoiseError, match="lower workers"):
        list(islice(chunks, 1000))
    assert workers() == []


@pytest.mark.slow  # that none is left is seen above, too
def test_processes_end_with_the_stream(sampler):
    stream = TileStream(sampler, 2, seed=0, workers=1)
    next(stream.start(0))
    assert len(workers()) == 1
    stream.close()
    assert workers() == []
    stream.close()  # may be asked twice


def test_threads_are_given_back(sampler):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        next(TileStream(sampler, 1, seed=0).start(0))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("processes", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_what_goes_wrong_in_a_process_arrives_in_its_own_words(tmp_path, processes):
    path = tmp_path / "photograph.png"
    imageio.imwrite(path, np.zeros((40, 40), np.uint8))
    tiles = TileConfig(pose="upright", intensity="absolute", scale=0)
    sampler = TileSampler(open_source(FolderData(path=tmp_path)), tiles, 32, None)
    path.write_bytes(path.read_bytes()[:50])
    stream = TileStream(sampler, 2, seed=0, workers=processes)
    with pytest.raises(GanDenoiseError) as error:
        next(stream.start(0))
    assert str(error.value).startswith(f"{path} cannot be read as an image")
    assert workers() == []


@pytest.mark.slow
def test_processes_do_not_outlive_a_run_that_is_killed(tmp_path, write_set, lattices):
    path = write_set(tmp_path / "set.zarr", lattices(2, 120))
    script = tmp_path / "run.py"
    script.write_text(RUN)
    with subprocess.Popen([sys.executable, script, path], stdout=subprocess.PIPE, text=True) as run:
        children = [psutil.Process(int(pid)) for pid in run.stdout.readline().split()]
        run.kill()
    assert len(children) == 1
    assert psutil.wait_procs(children, timeout=10)[1] == []
