"""Parts of a batch job that a whole job shows too little of."""

from __future__ import annotations

import numpy as np
import psutil
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gandenoise.batching import batch_steps
from napari_gandenoise.batching.inputs import find_sources, open_source, read_frame
from napari_gandenoise.batching.ledger import Ledger, read_ledger
from napari_gandenoise.batching.outputs import LARGEST_TIFF, StackKind, open_stack, publish, unfinished_path
from napari_gandenoise.batching.work import of_mean
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.noise import Gaussian, Poisson, PoissonGaussian

HEAD = {"config": {}, "files": {"a": "a.tif"}}
OPENED = {"frames": 9, "size": 1, "mtime_ns": 1}
NOISES = (Poisson(gain=3, offset=10), PoissonGaussian(gain=3, offset=10, read_noise=4), Gaussian(sigma=4))


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.kind)
@pytest.mark.parametrize("frames", [2, 5])
def test_the_noise_of_a_mean_is_that_of_means(noise, frames, rng):
    rate = 2.0
    means = np.mean([noise.sample(np.full(40_000, rate), rng) for _ in range(frames)], axis=0)
    drawn = of_mean(noise, frames).sample(np.full(40_000, frames * rate if noise.kind != "gaussian" else rate), rng)
    assert drawn.mean() == pytest.approx(means.mean(), abs=5 * means.std() * np.sqrt(2 / means.size))
    assert drawn.std() == pytest.approx(means.std(), rel=0.03)


@settings(deadline=None, max_examples=30)
@given(order=st.permutations(range(4)), colours=st.booleans(), form=st.sampled_from(["tiff", "zarr"]))
def test_stacks_are_the_same_whatever_the_order_of_their_frames(tmp_path_factory, order, colours, form):
    folder = tmp_path_factory.mktemp("stacks")
    shape = (6, 5, 3) if colours else (6, 5)
    frames = np.random.default_rng(3).random((4, *shape), np.float32)
    digests = []
    for name, numbers in (("straight", range(4)), ("mixed", order)):
        path = folder / name
        stack = open_stack(path, form, StackKind("x", 4, shape, 0.01, 0.5, {"made": "so"}))
        for number in numbers:
            stack.write(number, frames[number])
        stack.close()
        publish(path, form, missing=[], overwrite=False)
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        digests.append([file.read_bytes() for file in files if file.is_file()])
        if form == "tiff":
            np.testing.assert_array_equal(tifffile.imread(path), frames)
    assert digests[0] == digests[1]


def test_a_stack_beyond_four_gigabytes_is_a_bigtiff(tmp_path):
    frames = LARGEST_TIFF // (4 * 2048 * 2048) + 1
    path = tmp_path / "large.ome.tif"
    stack = open_stack(path, "tiff", StackKind("large", frames, (2048, 2048), None, None, {}))
    last = np.full((2048, 2048), 7, np.float32)
    stack.write(frames - 1, last)
    stack.close()
    with tifffile.TiffFile(unfinished_path(path)) as tiff:
        assert tiff.is_bigtiff
        assert tiff.series[0].shape == (frames, 2048, 2048)
        np.testing.assert_array_equal(tiff.pages[frames - 1].asarray(), last)
    assert unfinished_path(path).stat().st_blocks * 512 < 100e6  # what is not written takes no room


def test_frames_are_read_without_mapping_the_others(tmp_path, rng):
    stack = rng.integers(0, 9, (6, 20, 30), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "big-endian.tif", stack, byteorder=">")
    source = open_source(tmp_path / "big-endian.tif")
    for index in (0, 5):
        frame = read_frame(source, index)
        assert type(frame) is np.ndarray
        assert frame.dtype == np.uint16
        np.testing.assert_array_equal(frame, stack[index])


def test_a_file_that_was_changed_is_opened_anew(tmp_path, rng):
    path = tmp_path / "stack.tif"
    for frames in (5, 6):
        tifffile.imwrite(path, rng.integers(0, 9, (frames, 20, 30), dtype=np.uint16))
        assert open_source(path).frames == frames


@settings(deadline=None, max_examples=30)
@given(cut=st.integers(0, 400))
def test_a_ledger_cut_off_anywhere_keeps_its_whole_lines(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("ledger")
    ledger = Ledger(folder, HEAD)
    ledger.add("a", "opened", **OPENED)
    for frame in range(5):
        ledger.add("a", "done", first=frame, last=frame + 1)
    ledger.close()
    head = len(ledger.path.read_bytes().splitlines(keepends=True)[0])
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole[: max(head, len(whole) - cut)])
    lines = ledger.path.read_bytes().count(b"\n")
    again = Ledger(folder)
    assert again.files["a"].done == set(range(max(0, lines - 2)))
    again.add("a", "opened", **OPENED)  # which may have been cut off
    again.add("a", "done", first=8, last=9)
    again.close()
    assert 8 in read_ledger(folder)[1]["a"].done


def test_a_ledger_that_holds_nonsense_is_named(tmp_path):
    Ledger(tmp_path, HEAD).close()
    path = tmp_path / "batch-ledger.jsonl"
    path.write_text(path.read_text() + '{"file": "b", "event": "done", "first": 0, "last": 1}\n')
    with pytest.raises(GanDenoiseError, match="damaged"):
        read_ledger(tmp_path)


@pytest.mark.slow
def test_workers_of_this_computer_keep_the_memory_they_free(monkeypatch, tmp_path, movie):
    pytest.importorskip("distributed")
    # What Dask itself leaves in the environment once it has started a worker.
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    steps = batch_steps(inputs=movie, output=tmp_path / "out", settings={"preset": "fast"}, workers=1)
    next(event for event in steps if "Dashboard" in event.note)
    children = psutil.Process().children(recursive=True)
    (worker,) = (child for child in children if "spawn_main" in " ".join(child.cmdline()))
    environment = worker.environ()
    steps.close()
    assert "MALLOC_TRIM_THRESHOLD_" not in environment
    assert environment["OMP_NUM_THREADS"] == "1"


def test_inputs_of_one_stem_have_results_of_different_names(tmp_path):
    for name in ("x/a.tif", "x/a.png", "x/b.tif", "y/b.tif", "y/c.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    sources = find_sources([str(tmp_path / "x"), str(tmp_path / "y")])
    assert [source.name for source in sources] == ["a-png", "a-tif", "x-b", "y-b", "c"]
