"""What a job does with inputs that change, results that vanish, errors nobody foresaw, and ledgers of strangers."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
import zarr

from napari_gandenoise.batching import LEDGER, batch, batch_steps, find_sources, open_results, read_ledger
from napari_gandenoise.batching.failures import ERRORS
from napari_gandenoise.batching.ledger import MOST_FRAMES, Ledger, _sealed
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.batch import BatchConfig

FAST = {"preset": "fast", "model": "tiny"}
RESULT = "movie-denoised.ome.tif"


def forge(folder: Path, *lines: dict) -> None:
    """Write a ledger whose checks are right."""
    text, check = b"", 0
    for line in lines:
        sealed, check = _sealed(line, check)
        text += sealed
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LEDGER).write_bytes(text)


def stopped_after(frames: int, **job) -> list[str]:
    """Close a job when so many frames are done; return what it said."""
    steps, notes, done = batch_steps(**job), [], 0
    for event in steps:
        notes.append(event.note)
        done += event.preview is not None
        if done == frames:
            break
    steps.close()
    return notes


def drained(steps):
    notes = []
    while True:
        try:
            notes.append(next(steps).note)
        except StopIteration as stop:
            return notes, stop.value


@pytest.fixture
def two(tmp_path, frames, write_movie):
    """A job on two movies, ``other`` the first of them."""
    paths = [write_movie(tmp_path / "in" / f"{name}.tif", frames) for name in ("other", "movie")]
    return {"inputs": paths, "output": tmp_path / "out", "settings": FAST}


# --- inputs that change ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "form"),
    [
        ("content", "zarr"),
        ("shape", "tiff"),
        pytest.param("content", "tiff", marks=pytest.mark.slow),
        pytest.param("shape", "zarr", marks=pytest.mark.slow),
        pytest.param("frames", "tiff", marks=pytest.mark.slow),
        pytest.param("frames", "zarr", marks=pytest.mark.slow),
    ],
)
def test_an_input_that_changed_begins_anew_and_no_other(
    tmp_path, two, frames, write_movie, digests, computed_frames, change, form
):
    stopped_after(7, **two, format=form)  # all of other, two of movie
    movie = two["inputs"][1]
    before = movie.stat()
    new = {"content": frames[::-1], "shape": np.pad(frames, ((0, 0), (0, 0), (0, 16))), "frames": frames[:3]}[change]
    write_movie(movie, new)
    if change == "content":  # only the content tells
        os.utime(movie, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert movie.stat().st_size == before.st_size
    notes, result = drained(batch_steps(output=two["output"], resume=True))
    assert any("movie.tif is computed anew: it has changed since the job began" in note for note in notes)
    assert result.failures == {}
    batch(**{**two, "output": tmp_path / "whole"}, format=form)
    assert digests(two["output"]) == digests(tmp_path / "whole")
    assert [frame for name, frame in computed_frames(two["output"]) if name == "other"] == [0, 1, 2, 3, 4]


def test_an_input_that_was_only_touched_or_copied_goes_on(two, reference, computed_frames):
    stopped_after(7, **two)
    movie = two["inputs"][1]
    shutil.copyfile(movie, movie.with_suffix(".copy"))
    movie.with_suffix(".copy").replace(movie)
    os.utime(movie, (1, 1))
    notes, _ = drained(batch_steps(output=two["output"], resume=True))
    assert not any(notes)
    assert [frame for name, frame in computed_frames(two["output"]) if name == "movie"] == [0, 1, 2, 3, 4]


def test_a_result_of_what_an_input_was_is_kept(two, frames, write_movie):
    batch(**two)
    old = tifffile.imread(two["output"] / RESULT)
    for _ in range(2):
        frames = frames[::-1]
        write_movie(two["inputs"][1], frames if frames[0, 0, 0] else frames + 1)
        notes, result = drained(batch_steps(output=two["output"], resume=True))
        assert any("has changed" in note for note in notes)
        assert len(result.outputs) == 2
    np.testing.assert_array_equal(tifffile.imread(two["output"] / "movie-denoised.earlier.ome.tif"), old)
    assert (two["output"] / "movie-denoised.earlier-2.ome.tif").exists()
    assert (two["output"] / RESULT).read_bytes() != (two["output"] / "movie-denoised.earlier-2.ome.tif").read_bytes()


def test_an_input_that_changes_while_the_job_runs_is_not_mixed(tmp_path, two, frames, write_movie, digests):
    steps, done = batch_steps(**two), 0
    notes = []
    for event in steps:
        notes.append(event.note)
        done += event.preview is not None
        if done == 7 and event.preview is not None:
            write_movie(two["inputs"][1], frames[:, ::-1, ::-1])
    assert any("has changed while the job ran: resume the job" in note for note in notes)
    assert not (two["output"] / RESULT).exists()
    batch(output=two["output"], resume=True)
    batch(**{**two, "output": tmp_path / "whole"})
    assert digests(two["output"]) == digests(tmp_path / "whole")


def test_a_zarr_that_changed_in_one_chunk_begins_anew(tmp_path, frames):
    array = zarr.create_array(tmp_path / "movie.zarr", shape=frames.shape, chunks=(1, 96, 96), dtype=frames.dtype)
    array[:] = frames
    job = {"inputs": tmp_path / "movie.zarr", "settings": {**FAST, "pixel_size_nm": 0.00915}}
    stopped_after(2, **job, output=tmp_path / "out")
    array[0] = frames[4]
    notes, _ = drained(batch_steps(output=tmp_path / "out", resume=True))
    assert any("has changed" in note for note in notes)
    batch(**job, output=tmp_path / "whole")
    assert (tmp_path / "out" / RESULT).read_bytes() == (tmp_path / "whole" / RESULT).read_bytes()


# --- outputs that are inputs ----------------------------------------------------------------------------------------


def test_results_beside_their_inputs_replace_none(tmp_path, frames, write_movie):
    folder = tmp_path / "s"
    write_movie(folder / "a.tif", frames[0])
    mine = write_movie(folder / "a-denoised.ome.tif", frames[1])
    before = mine.read_bytes()
    with pytest.raises(GanDenoiseError, match="is the input itself"):
        batch(inputs=str(folder / "*.tif"), output=folder, settings=FAST, overwrite=True)
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    with pytest.raises(GanDenoiseError, match="is the input itself"):
        batch(inputs=str(folder / "*.tif"), output=tmp_path / "link", settings=FAST, overwrite=True)
    assert mine.read_bytes() == before
    assert not (folder / LEDGER).exists()


def test_neither_mask_nor_zarr_is_replaced(tmp_path, frames, write_movie, write_photograph_model):
    model = write_photograph_model(tmp_path, channels=1)
    image, mask = write_movie(tmp_path / "a.tif", frames[0]), tmp_path / "out" / "a-inpainted.ome.tif"
    write_movie(mask, np.eye(96, dtype=np.uint8))
    job = {"job": "restore", "inputs": image, "output": mask.parent, "mask": mask}
    with pytest.raises(GanDenoiseError, match="is the input itself"):
        batch(**job, settings={"task": "inpaint", "model": str(model)}, overwrite=True)
    group = zarr.create_group(tmp_path / "z" / "0-denoised.ome.zarr")
    group.create_array("0", shape=(96, 96), chunks=(96, 96), dtype="uint16")[:] = frames[0]
    with pytest.raises(GanDenoiseError, match="is the input itself"):
        batch(
            inputs=tmp_path / "z" / "0-denoised.ome.zarr" / "0", output=tmp_path / "z", format="zarr", settings=FAST,
            overwrite=True,
        )  # fmt: skip
    assert (tmp_path / "z" / "0-denoised.ome.zarr" / "0").is_dir()


def test_what_another_job_left_unfinished_may_be_an_input(tmp_path, movie):
    stopped_after(2, inputs=movie, output=tmp_path / "out", settings=FAST, format="zarr")
    (part,) = (tmp_path / "out").glob(".*.part")
    with pytest.raises(GanDenoiseError, match="is the input itself"):
        batch(inputs=part, output=tmp_path / "out", settings=FAST, overwrite=True)
    assert part.is_dir()


# --- what fails -----------------------------------------------------------------------------------------------------


def test_an_error_that_nobody_foresaw_fails_its_frame_and_is_kept_for_a_report(two, reference, when_drawing, digests):
    broken = {"now": False}

    def fail(latents):
        if broken["now"]:
            raise ZeroDivisionError("as a damaged pixel may cause")

    when_drawing(fail)
    steps, done, notes = batch_steps(**two), 0, []
    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            result = stop.value
            break
        notes.append(event.note)
        done += event.preview is not None
        broken["now"] = done == 7 and not any("report" in note for note in notes)  # the third frame of movie
    (reason,) = result.failures.values()
    assert list(result.failures) == [f"{two['inputs'][1]}, frame 2"]
    assert "ZeroDivisionError" in reason
    assert "please report it" in reason
    assert reason in notes
    assert "Traceback" in (two["output"] / ERRORS).read_text()
    assert np.isnan(tifffile.imread(two["output"] / RESULT)[2]).all()
    assert result.frames == 9
    # Once the reason is gone, the frame is tried again, and nothing tells that it ever failed.
    again = batch(output=two["output"], resume=True)
    assert (again.frames, again.failures) == (10, {})
    assert digests(two["output"])[RESULT] == reference[RESULT]


def test_a_file_that_fails_as_nobody_foresaw_ends_no_job(two, when_drawing, reference, digests):
    broken = {"now": True}

    def fail(latents):
        if broken["now"]:
            raise RuntimeError("any")

    when_drawing(fail)
    steps = batch_steps(**{**two, "settings": {**FAST, "noise": {"kind": "poisson"}}})
    _, result = drained(steps)
    assert result.frames == 0
    assert len(result.failures) == 10
    assert not list(two["output"].glob("*.ome.tif"))
    broken["now"] = False
    assert batch(output=two["output"], resume=True).frames == 10


@pytest.mark.parametrize("form", ["tiff", "zarr"])
def test_a_drive_that_was_away_costs_nothing(tmp_path, two, digests, computed_frames, form):
    steps, done, movie = batch_steps(**two, format=form), 0, two["inputs"][1]
    for event in steps:
        done += event.preview is not None
        if done == 7 and movie.exists():
            movie.rename(tmp_path / "away.tif")
    result = drained(batch_steps(output=two["output"], resume=True))[1]
    assert [path.name for path in result.outputs] == [f"other-denoised.ome.{form.replace('tiff', 'tif')}"]
    assert list(result.failures) == [str(movie)]
    (tmp_path / "away.tif").rename(movie)
    assert batch(output=two["output"], resume=True).failures == {}
    batch(**{**two, "output": tmp_path / "whole"}, format=form)
    assert digests(two["output"]) == digests(tmp_path / "whole")
    assert [frame for name, frame in computed_frames(two["output"]) if name == "movie"] == [0, 1, 2, 3, 4]
    # When all is done, nobody needs the inputs any more.
    movie.unlink()
    assert batch(output=two["output"], resume=True).failures == {}


@pytest.mark.parametrize("form", ["tiff", "zarr"])
def test_a_result_that_was_deleted_is_made_again(two, digests, form):
    batch(**two, format=form, fit_map=True)
    before = digests(two["output"])
    ending = "tif" if form == "tiff" else "zarr"
    lost = two["output"] / f"movie-fit-map.ome.{ending}"
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    notes, result = drained(batch_steps(output=two["output"], resume=True))
    assert any("movie.tif is computed anew: its results are not there" in note for note in notes)
    assert before.items() <= digests(two["output"]).items()
    assert len(result.outputs) == 4


def test_results_that_vanished_are_not_counted_by_a_job_that_is_stopped_again(tmp_path, movie, reference, digests):
    job = {"inputs": movie, "output": tmp_path / "out", "settings": FAST}
    stopped_after(4, **job)
    (part,) = (tmp_path / "out").glob(".*.part")
    part.unlink()
    stopped_after(1, output=tmp_path / "out", resume=True)
    assert read_ledger(tmp_path / "out")[1]["movie"].done == {0}
    batch(output=tmp_path / "out", resume=True)
    assert digests(tmp_path / "out") == reference


def test_an_unfinished_result_of_another_job_is_not_continued(tmp_path, movie, reference, digests):
    stopped_after(3, inputs=movie, output=tmp_path / "other", settings={**FAST, "seed": 5})
    job = {"inputs": movie, "output": tmp_path / "out", "settings": FAST}
    steps = batch_steps(**job)
    next(steps)
    steps.close()  # the ledger has begun, no frame is done
    (part,) = (tmp_path / "other").glob(".*.part")
    shutil.copyfile(part, tmp_path / "out" / part.name)
    batch(output=tmp_path / "out", resume=True)
    assert digests(tmp_path / "out") == reference


# --- names, ledgers, folders ----------------------------------------------------------------------------------------


@pytest.fixture
def ledger_of_a_stranger(tmp_path, movie):
    """Write a ledger whose results have a name that its writer chose: ``ledger_of_a_stranger(name)``."""

    def write(name: str, *lines: dict, **fields) -> Path:
        folder = tmp_path / "strange"
        config = BatchConfig(inputs=(str(movie),), output=folder, settings=FAST).model_dump(mode="json")
        head = {"ledger": 2, "config": config, "files": {name: str(movie)}, "overwrite": True}
        forge(folder, {**head, **fields}, *lines)
        return folder

    return write


@pytest.mark.parametrize("name", ["../victim/keep", "/tmp/keep", "..\\keep", "a\0b", "", "..", "x" * 240, "a/b", "\n"])
def test_a_ledger_cannot_say_that_results_go_elsewhere(tmp_path, ledger_of_a_stranger, name):
    victim = tmp_path / "victim"
    victim.mkdir()
    before = sorted(tmp_path.rglob("*"))
    folder = ledger_of_a_stranger(name)
    for act in (lambda: batch(output=folder, resume=True), lambda: open_results(folder)):
        with pytest.raises(GanDenoiseError, match="damaged"):
            act()
    assert sorted(set(tmp_path.rglob("*")) - set(before)) == [folder, folder / LEDGER]


def test_a_ledger_whose_results_are_its_inputs_replaces_none(tmp_path, movie, ledger_of_a_stranger):
    folder = ledger_of_a_stranger("movie")
    victim = folder / "movie-denoised.ome.tif"
    victim.write_bytes(movie.read_bytes())
    folder = ledger_of_a_stranger("movie", files={"movie": str(victim)})
    with pytest.raises(GanDenoiseError, match="is the input itself"):
        batch(output=folder, resume=True)
    assert victim.read_bytes() == movie.read_bytes()


def test_no_link_in_a_folder_of_a_stranger_is_written_through(tmp_path, movie, ledger_of_a_stranger, reference):
    stopped_after(2, inputs=movie, output=tmp_path / "out", settings=FAST)
    (part,) = (tmp_path / "out").glob(".*.part")
    victim = tmp_path / "victim.ome.tif"
    part.rename(victim)
    before = victim.read_bytes()
    part.symlink_to(victim)
    (tmp_path / "out" / ERRORS).symlink_to(victim)
    result = batch(output=tmp_path / "out", resume=True)
    assert victim.read_bytes() == before
    assert result.frames == 5
    assert not result.outputs[0].is_symlink()


WRONG = {
    "too many frames": [{"file": "a", "event": "opened", "frames": MOST_FRAMES + 1, "size": 1, "mtime_ns": 1}],
    "no such frame": [{"file": "a", "event": "done", "first": 0, "last": 10**9}],
    "frames backwards": [
        {"file": "a", "event": "opened", "frames": 9, "size": 1, "mtime_ns": 1},
        {"file": "a", "event": "done", "first": 5, "last": 2},
    ],
    "no such file": [{"file": "b", "event": "whole"}],
    "no such event": [{"file": "a", "event": "explode"}],
    "a wrong type": [{"file": "a", "event": "opened", "frames": "9", "size": 1, "mtime_ns": 1}],
    "a missing field": [{"file": "a", "event": "failed", "frame": -1}],
    "no mapping": [[1, 2, 3]],
    "noise of nobody": [{"file": "a", "event": "begun", "sha256": "", "noise": {"kind": "poisson", "gain": -1}}],
}


@pytest.mark.parametrize("case", WRONG)
def test_a_line_that_means_nothing_is_one_sentence(ledger_of_a_stranger, case):
    folder = ledger_of_a_stranger("a", *WRONG[case])
    with pytest.raises(GanDenoiseError, match="is damaged") as error:
        batch(output=folder, resume=True)
    assert str(error.value).count(".") <= 3
    assert len(str(error.value)) < 300


def test_heads_that_cannot_be_used_are_one_sentence(tmp_path, ledger_of_a_stranger):
    for fields, match in (
        ({"config": {}}, "settings that cannot be used"),
        ({"config": {"inputs": 5, "settings": {"preset": []}}}, "settings that cannot be used"),
        ({"ledger": 3}, "another version"),
        ({"files": []}, "damaged"),
        ({"overwrite": "yes"}, "damaged"),
    ):
        folder = ledger_of_a_stranger("a", **fields)
        with pytest.raises(GanDenoiseError, match=match):
            batch(output=folder, resume=True)
    old = json.dumps({"config": {}, "files": {"a": "a.tif"}, "model_sha256": "", "versions": {}, "overwrite": False})
    (folder / LEDGER).write_text(f"{old}\n")
    with pytest.raises(GanDenoiseError, match="another version"):
        batch(output=folder, resume=True)
    for deep in ("[" * 100_000 + "\n", '{"config": ' * 100_000 + "\n", "9" * 5_000 + "\n", "\xff\n"):
        (folder / LEDGER).write_text(deep, encoding="latin-1")
        with pytest.raises(GanDenoiseError, match=r"damaged|another version"):
            batch(output=folder, resume=True)


def test_a_ledger_that_has_not_begun_is_no_job(tmp_path, movie, reference, digests):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / LEDGER).write_text('{"ledger": 2, "conf')
    with pytest.raises(GanDenoiseError, match="no job to resume"):
        batch(output=tmp_path / "out", resume=True)
    batch(inputs=movie, output=tmp_path / "out", settings=FAST)
    assert digests(tmp_path / "out") == reference


def test_a_disk_that_is_full_at_the_first_line_leaves_nothing(tmp_path, movie, finished, little_room):
    with little_room(100), pytest.raises(GanDenoiseError, match="put that right and start the job again"):
        batch(inputs=movie, output=tmp_path / "out", settings=FAST)
    assert list((tmp_path / "out").iterdir()) == []
    job = Path(shutil.copytree(finished, tmp_path / "finished"))
    before = (job / LEDGER).read_bytes()
    with little_room(100), pytest.raises(GanDenoiseError, match="start the job again"):
        batch(inputs=movie, output=job, settings=FAST, overwrite=True)
    assert (job / LEDGER).read_bytes() == before
    assert batch(output=job, resume=True).frames == 5


def test_a_job_has_no_more_frames_than_memory_has_room_for(tmp_path):
    ledger = Ledger(tmp_path, {"config": {}, "files": {"a": "a.tif", "b": "b.tif"}})
    ledger.add("a", "opened", frames=MOST_FRAMES, size=1, mtime_ns=1)
    with pytest.raises(GanDenoiseError, match="run two jobs"):
        ledger.add("b", "opened", frames=1, size=1, mtime_ns=1)
    ledger.close()
    assert read_ledger(tmp_path)[1]["a"].frames == MOST_FRAMES


# --- inputs ---------------------------------------------------------------------------------------------------------


def test_folders_that_are_links_are_searched_once(tmp_path, frames, write_movie):
    data = tmp_path / "data"
    write_movie(data / "a" / "one.tif", frames[0])
    write_movie(tmp_path / "elsewhere" / "two.tif", frames[0])
    write_movie(data / ".hidden" / "three.tif", frames[0])
    (data / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    for number in range(3):  # three loops: more ways through them than there are atoms
        (data / "a" / f"loop-{number}").symlink_to(data, target_is_directory=True)
    names = [source.name for source in find_sources([str(data / "**" / "*.tif")])]
    assert sorted(names) == ["one", "two"]
    assert [source.name for source in find_sources([str(data / "**")])] == ["one", "two"]
    group = zarr.create_group(data / "movie.ome.zarr")
    group.create_array("0", shape=(8, 8), chunks=(8, 8), dtype="uint16")
    assert sorted(source.name for source in find_sources([str(data / "**" / "*")])) == ["movie", "one", "two"]


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_input_is_not_this_folder(tmp_path, monkeypatch, frames, write_movie, empty):
    write_movie(tmp_path / "a.tif", frames[0])
    monkeypatch.chdir(tmp_path)
    for fields in ({"inputs": [empty]}, {"inputs": ["a.tif", empty]}, {"inputs": "a.tif", "output": empty}):
        with pytest.raises(GanDenoiseError, match="empty"):
            batch(**{"output": tmp_path / "out", "settings": FAST, **fields})
    with pytest.raises(GanDenoiseError, match="empty"):
        find_sources([empty])
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_too_long_for_its_results_is_found_before_the_work(tmp_path, frames, write_movie):
    long = write_movie(tmp_path / f"{'x' * 240}.tif", frames[0])
    with pytest.raises(GanDenoiseError, match="200 bytes"):
        batch(inputs=long, output=tmp_path / "out", settings=FAST)
    assert not (tmp_path / "out").exists()


# --- the cluster ----------------------------------------------------------------------------------------------------


def _listening() -> set[str]:
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    found = (place for process in processes for place in process.net_connections(kind="inet"))
    return {place.laddr.ip for place in found if place.status == psutil.CONN_LISTEN}


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_scheduler_dashboard_and_workers_listen_to_this_computer_only(workers):
    pytest.importorskip("distributed")
    from napari_gandenoise.batching.cluster import _client

    before = _listening()
    with _client(workers, None) as client:
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        assert _listening() - before <= {"127.0.0.1"}
        assert "127.0.0.1" in _listening()
