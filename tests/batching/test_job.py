"""Batch jobs on real files: what comes out, what happens to what is broken, and what is left by a job that stops."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
import zarr

from napari_gandenoise.batching import (
    LEDGER,
    FileProgress,
    FileState,
    Judged,
    batch,
    batch_steps,
    open_results,
    pairs_of,
    read_ledger,
)
from napari_gandenoise.batching.ledger import Done
from napari_gandenoise.denoising import denoise
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_micrograph
from napari_gandenoise.noise import calibrate
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.denoise import DenoiseConfig

PIXEL_NM = 0.00915
FAST = {"preset": "fast", "model": "tiny"}


@pytest.fixture
def job_done(tmp_path, finished):
    """The folder of an uninterrupted job on the movie, the test's own."""
    return Path(shutil.copytree(finished, tmp_path / "reference"))


def events_of(steps):
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            return events, stop.value


def test_each_frame_is_what_denoise_makes_of_it_alone(tmp_path, movie, frames):
    result = batch(inputs=movie, output=tmp_path / "out", settings=FAST, fit_map=True)
    rate, fit_map = (read_micrograph(path) for path in result.outputs)
    noise = calibrate(frames[0]).noise
    for index in (0, 3):
        alone = denoise(frames[index], **FAST, pixel_size_nm=PIXEL_NM, noise=noise)
        np.testing.assert_allclose(rate.pixels[index], alone.rate, rtol=1e-3)
        np.testing.assert_allclose(fit_map.pixels[index], alone.fit_map, rtol=1e-3)
    assert result.frames == len(frames)
    assert result.failures == {}


@pytest.mark.parametrize("form", ["tiff", "zarr"])
def test_results_keep_axes_pixel_size_and_time(tmp_path, movie, frames, form):
    result = batch(inputs=movie, output=tmp_path / "out", settings=FAST, format=form)
    found = read_micrograph(result.outputs[0])
    assert found.pixels.shape == frames.shape
    assert found.pixels.dtype == np.float32
    assert found.pixel_size_nm == pytest.approx(PIXEL_NM)
    assert found.frame_interval_s == pytest.approx(0.5)
    assert np.isfinite(found.pixels).all()


def test_a_tiff_result_says_how_it_was_made(finished):
    with tifffile.TiffFile(finished / "movie-denoised.ome.tif") as tiff:
        assert tiff.series[0].axes == "TYX"
        assert not tiff.is_bigtiff
        image = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
    made = json.loads(image["Description"])
    assert made["settings"] == DenoiseConfig(**FAST).model_dump(mode="json")
    assert made["noise"]["kind"] == "poisson"
    assert (made["source"], made["product"], made["model"]) == ("movie.tif", "denoised", "tiny")
    assert str(finished.parent) not in image["Description"]


def test_a_zarr_result_is_the_same_and_an_ome_zarr(tmp_path, movie, finished):
    stored = batch(inputs=movie, output=tmp_path / "zarr", settings=FAST, format="zarr").outputs[0]
    expected = tifffile.imread(finished / "movie-denoised.ome.tif")
    np.testing.assert_array_equal(read_micrograph(stored).pixels, expected)
    attributes = zarr.open_group(stored, mode="r").attrs
    assert [axis["name"] for axis in attributes["ome"]["multiscales"][0]["axes"]] == ["t", "y", "x"]
    assert attributes["napari-gandenoise"]["settings"]["preset"] == "fast"


def test_zarr_goes_in_as_well(tmp_path, frames, digests):
    array = zarr.create_array(tmp_path / "plain.zarr", shape=frames.shape, chunks=(2, 96, 96), dtype=frames.dtype)
    array[:] = frames
    settings = {**FAST, "pixel_size_nm": PIXEL_NM}
    result = batch(inputs=tmp_path / "plain.zarr", output=tmp_path / "out", settings=settings)
    tifffile.imwrite(tmp_path / "plain.tif", frames)
    same = batch(inputs=tmp_path / "plain.tif", output=tmp_path / "same", settings=settings)
    np.testing.assert_array_equal(tifffile.imread(result.outputs[0]), tifffile.imread(same.outputs[0]))


@pytest.mark.parametrize("options", [{"compression": "zlib"}, {"bigtiff": True}, {"ome": True}])
def test_every_kind_of_stack_gives_the_same(tmp_path, movie, frames, options):
    other = tmp_path / "other.ome.tif"
    tifffile.imwrite(other, frames, metadata={"axes": "TYX"}, **options)
    settings = {**FAST, "pixel_size_nm": PIXEL_NM}
    made = [batch(inputs=path, output=tmp_path / path.stem, settings=settings).outputs[0] for path in (movie, other)]
    np.testing.assert_array_equal(tifffile.imread(made[0]), tifffile.imread(made[1]))


def test_a_broken_file_is_reported_and_skipped(tmp_path, frames, write_movie):
    folder = tmp_path / "in"
    for index in (0, 2):
        write_movie(folder / f"{index}.tif", frames[index])
    (folder / "1.tif").write_bytes(b"II*\0 this is no image")
    (folder / "notes.txt").write_text("not an image at all")
    events, result = events_of(batch_steps(inputs=folder, output=tmp_path / "out", settings=FAST))
    assert [path.name for path in result.outputs] == ["0-denoised.ome.tif", "2-denoised.ome.tif"]
    assert list(result.failures) == [str(folder / "1.tif")]
    assert "1 failed" in result.summary()
    assert any("1.tif cannot be read" in event.note for event in events)
    assert (events[-1].done, events[-1].total) == (2, 2)


def test_a_broken_frame_becomes_nan_and_the_rest_goes_on(tmp_path, frames):
    broken = frames.astype(np.float32)
    broken[2] = np.nan
    tifffile.imwrite(tmp_path / "movie.tif", broken)
    for name, options in {"alone": {}, "runs": {"warm_start": 5}, "zarr": {"format": "zarr"}}.items():
        settings = {**FAST, "pixel_size_nm": PIXEL_NM}
        result = batch(inputs=tmp_path / "movie.tif", output=tmp_path / name, settings=settings, **options)
        pixels = read_micrograph(result.outputs[0]).pixels
        assert np.isnan(pixels[2]).all()
        assert np.isfinite(pixels[[0, 1, 3, 4]]).all()
        assert list(result.failures) == [f"{tmp_path / 'movie.tif'}, frame 2"]
        assert result.frames == 4


def test_what_was_left_out_is_said_once_and_kept_of_each_frame(tmp_path, frames):
    spoilt = frames.astype(np.float32)
    spoilt[1, 5, 5], spoilt[3, [7, 9], 9] = 5000, 4000
    tifffile.imwrite(tmp_path / "movie.tif", spoilt)
    inputs, output = tmp_path / "movie.tif", tmp_path / "out"
    steps = batch_steps(inputs=inputs, output=output, settings={**FAST, "pixel_size_nm": PIXEL_NM})
    notes = [event.note for event in steps if event.note]
    told = [note for note in notes if "outlier" in note]
    assert told == ["movie, frame 1: 1 outlier left out.", "movie, frame 3: 2 outliers left out."]
    lines = [json.loads(line) for line in (output / "batch-ledger.jsonl").read_text().splitlines()]
    said = {line["first"]: line["said"] for line in lines if line.get("said")}
    assert said == {1: ["1 outlier left out."], 3: ["2 outliers left out."]}


def test_a_damaged_frame_of_a_compressed_stack_does_not_stop_the_others(tmp_path, frames):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, compression="zlib", rowsperstrip=96)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[1].dataoffsets[0]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 64)
    result = batch(inputs=path, output=tmp_path / "out", settings={**FAST, "pixel_size_nm": PIXEL_NM})
    assert list(result.failures) == [f"{path}, frame 1"]
    assert np.isfinite(tifffile.imread(result.outputs[0])[[0, 2, 3, 4]]).all()


@pytest.mark.parametrize("options", [{}, {"format": "zarr"}, {"warm_start": 2, "fit_map": True}])
def test_a_job_closed_at_any_frame_ends_with_the_same_bytes(tmp_path, movie, digests, computed_frames, options):
    batch(inputs=movie, output=tmp_path / "whole", settings=FAST, **options)
    job = {"inputs": movie, "output": tmp_path / "out", "settings": FAST, **options}
    resume, finished = False, False
    while not finished:
        steps = batch_steps(resume=resume, **job)
        for event in steps:
            if event.preview is not None:  # a run of frames is done
                steps.close()
                break
        else:
            finished = True
        if not finished:
            assert not [path for path in (tmp_path / "out").iterdir() if not path.name.startswith((".", LEDGER))] or (
                read_ledger(tmp_path / "out")[1]["movie"].whole
            )
        resume = True
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")
    assert computed_frames(tmp_path / "out") == [("movie", index) for index in range(5)]


def test_a_finished_job_is_resumed_without_work(job_done, reference, computed_frames, digests):
    again = batch(output=job_done, resume=True)
    assert again.frames == 5
    assert len(computed_frames(job_done)) == 5
    assert digests(job_done) == reference


def test_a_line_that_was_being_written_is_cut_off(tmp_path, movie, reference, digests):
    steps = batch_steps(inputs=movie, output=tmp_path / "out", settings=FAST)
    next(event for event in steps if event.preview is not None)
    steps.close()
    with (tmp_path / "out" / LEDGER).open("a") as file:
        file.write('{"file": "movie", "event": "done", "fir')
    batch(output=tmp_path / "out", resume=True)
    assert digests(tmp_path / "out") == reference


def test_unfinished_results_that_were_removed_are_computed_again(tmp_path, movie, reference, digests):
    steps = batch_steps(inputs=movie, output=tmp_path / "out", settings=FAST)
    next(event for event in steps if event.preview is not None)
    steps.close()
    for part in (tmp_path / "out").glob(".*.part"):
        part.unlink()
    batch(output=tmp_path / "out", resume=True)
    assert digests(tmp_path / "out") == reference


def test_nothing_is_overwritten_unless_that_is_asked_for(tmp_path, movie):
    out = tmp_path / "out"
    out.mkdir()
    mine = out / "movie-denoised.ome.tif"
    mine.write_bytes(b"mine")
    with pytest.raises(GanDenoiseError, match="exists already"):
        batch(inputs=movie, output=out, settings=FAST)
    assert mine.read_bytes() == b"mine"
    assert not (out / LEDGER).exists()
    batch(inputs=movie, output=out, settings=FAST, overwrite=True)
    assert tifffile.imread(mine).shape == (5, 96, 96)
    with pytest.raises(GanDenoiseError, match="holds a job already"):
        batch(inputs=movie, output=out, settings=FAST)
    batch(inputs=movie, output=out, settings=FAST, overwrite=True)


def test_a_result_that_appears_meanwhile_is_left_alone(tmp_path, movie, frames, write_movie, digests):
    write_movie(tmp_path / "a.tif", frames[0])
    steps = batch_steps(inputs=[movie, tmp_path / "a.tif"], output=tmp_path / "out", settings=FAST)
    next(event for event in steps if event.preview is not None)
    theirs = tmp_path / "out" / "a-denoised.ome.tif"
    theirs.write_bytes(b"theirs")
    with pytest.raises(GanDenoiseError, match="move it away and resume"):
        events_of(steps)
    assert theirs.read_bytes() == b"theirs"
    theirs.unlink()
    assert len(batch(output=tmp_path / "out", resume=True).outputs) == 2


def test_other_settings_cannot_resume_a_job(tmp_path, movie, job_done):
    with pytest.raises(GanDenoiseError, match="began with preset fast, not balanced"):
        batch(inputs=movie, output=job_done, settings={**FAST, "preset": "balanced"}, resume=True)
    with pytest.raises(GanDenoiseError, match="no job to resume"):
        batch(output=tmp_path, resume=True)
    with pytest.raises(GanDenoiseError, match="either resumed or started anew"):
        batch(output=job_done, resume=True, overwrite=True)


@pytest.mark.skipif(sys.platform == "win32", reason="no locks")
def test_two_jobs_cannot_work_in_one_folder(tmp_path, movie, reference, digests):
    # To flock, each file that was opened is another party, whether by this process or by another one.
    steps = batch_steps(inputs=movie, output=tmp_path / "out", settings=FAST)
    next(event for event in steps if event.preview is not None)
    with pytest.raises(GanDenoiseError, match="Another process works"):
        batch(output=tmp_path / "out", resume=True)
    steps.close()
    batch(output=tmp_path / "out", resume=True)
    assert digests(tmp_path / "out") == reference


def test_events_count_frames_and_show_the_last_result(tmp_path, movie, frames):
    events, _ = events_of(batch_steps(inputs=movie, output=tmp_path / "out", settings=FAST))
    told = [event for event in events if event.preview is not None]
    assert [(event.stage, event.done, event.total) for event in told] == [("frames", n + 1, 5) for n in range(5)]
    assert told[-1].values == {"file": 0, "done": 5, "of": 5, "failed": 0}
    np.testing.assert_array_equal(told[3].preview, tifffile.imread(tmp_path / "out" / "movie-denoised.ome.tif")[3])
    assert all(0 <= event.done <= event.total for event in events)


def test_runs_of_frames_are_what_denoise_makes_of_a_movie(tmp_path, movie, frames):
    result = batch(inputs=movie, output=tmp_path / "out", settings=FAST, warm_start=3)
    noise = calibrate(frames[0]).noise
    whole = tifffile.imread(result.outputs[0])
    for run in (slice(0, 3), slice(3, 5)):
        together = denoise(frames[run], **FAST, pixel_size_nm=PIXEL_NM, noise=noise)
        np.testing.assert_allclose(whole[run], together.rate, rtol=1e-3)


def test_evidence_is_averaged_over_a_window_that_does_not_shrink(tmp_path, movie, frames):
    result = batch(inputs=movie, output=tmp_path / "out", settings=FAST, average=3)
    noise = calibrate(frames[0]).noise
    threefold = noise.model_copy(update={"gain": noise.gain / 3})
    for index, window in {0: slice(0, 3), 2: slice(1, 4), 4: slice(2, 5)}.items():
        mean = frames[window].mean(axis=0)
        alone = denoise(mean, **FAST, pixel_size_nm=PIXEL_NM, noise=threefold)
        np.testing.assert_allclose(tifffile.imread(result.outputs[0])[index], alone.rate, rtol=1e-3)


def test_photographs_are_restored_from_folder_to_folder(tmp_path, rng, write_photograph_model):
    import imageio.v3 as imageio

    model = write_photograph_model(tmp_path)
    for number in range(2):
        imageio.imwrite(tmp_path / f"{number}.png", rng.integers(0, 256, (40, 36, 3), dtype=np.uint8))
    settings = {"task": "super-resolve", "factor": 2, "model": str(model), "steps": 3}
    result = batch(
        job="restore", inputs=str(tmp_path / "*.png"), output=tmp_path / "out", settings=settings, drawn=True
    )
    names = ["0-super-resolved", "0-drawn", "1-super-resolved", "1-drawn"]
    assert [path.name for path in result.outputs] == [f"{name}.ome.tif" for name in names]
    for path in result.outputs:
        found = read_micrograph(path)
        assert found.rgb
        assert found.pixels.shape == (80, 72, 3)
        assert found.pixels.dtype == np.float32


def test_one_mask_inpaints_every_frame_of_a_stack(tmp_path, rng, write_photograph_model):
    model = write_photograph_model(tmp_path, channels=1)
    stack, mask = rng.integers(0, 256, (2, 40, 36), dtype=np.uint8), np.zeros((40, 36), np.uint8)
    mask[10:20, 5:15] = 1
    tifffile.imwrite(tmp_path / "stack.tif", stack)
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    settings = {"task": "inpaint", "model": str(model), "steps": 2}
    job = {"job": "restore", "inputs": tmp_path / "stack.tif", "mask": tmp_path / "mask.tif", "settings": settings}
    result = batch(output=tmp_path / "out", **job)
    assert result.failures == {}
    made = tifffile.imread(result.outputs[0])
    np.testing.assert_array_equal(made[:, mask == 0], stack[:, mask == 0])
    assert (made[:, mask == 1] != stack[:, mask == 1]).any()


def test_a_drift_table_is_that_of_the_whole_movie_however_frames_are_dealt_out(tmp_path, movie, frames, write_movie):
    drifting = np.stack([np.roll(frame, 9 * number, axis=0) for number, frame in enumerate(frames[:4])])
    path = write_movie(tmp_path / "drifting.tif", drifting)
    rows = [f"{number},{9 * number},0" for number in range(4)]
    table = tmp_path / "drift.csv"
    table.write_text("\n".join(["frame,down,right", *rows]))
    direct = {"model": "hrtem-unet", "views": 1, "neighbours": 1, "residual_step": False, "noise": {"kind": "poisson"}}
    settings = {**direct, "pixel_size_nm": 4 * PIXEL_NM, "drift": table}
    result = batch(inputs=path, output=tmp_path / "out", settings=settings, warm_start=2)
    assert result.failures == {}
    whole = denoise(path, **settings)
    np.testing.assert_array_equal(whole.drift["down"], 9 * np.arange(4))
    np.testing.assert_array_equal(read_micrograph(result.outputs[0]).pixels, whole.rate)
    still = denoise(path, **{**settings, "drift": None})
    assert (still.rate != whole.rate).any()
    with pytest.raises(GanDenoiseError, match="that of one movie, but there are 2 inputs"):
        batch(inputs=[path, movie], output=tmp_path / "two", settings=settings)
    table.write_text("\n".join(["frame,down,right", *rows[:3]]))
    with pytest.raises(GanDenoiseError, match="is another than when the job began"):
        batch(output=tmp_path / "out", resume=True)
    failed = batch(inputs=path, output=tmp_path / "bad", settings=settings)
    assert [*failed.failures] == [str(path)]
    assert "has no row for frame 3" in failed.failures[str(path)]


BAD = {
    "nothing there": ({"inputs": "nowhere.tif"}, "no file nowhere.tif"),
    "no match": ({"inputs": "nowhere/*.tif"}, "holds no image"),
    "unknown setting": ({"settings": {"presett": "fast"}}, "settings.presett"),
    "unknown field": ({"warmth": 3}, "warmth"),
    "unknown model": ({"settings": {"model": "hrtm"}}, "no model called hrtm"),
    "map of the other job": ({"drawn": True}, "drawn is for jobs that restore"),
    "mask": ({"mask": "mask.tif"}, "mask is for jobs that restore"),
    "drift of means": ({"settings": {"drift": "drift.csv"}, "average": 3}, "leave out drift or average"),
    "warm restoration": ({"job": "restore", "settings": {"task": "denoise"}, "warm_start": 2}, "that denoise"),
    "no task": ({"job": "restore", "settings": {}}, "settings.task: field required"),
    "wrong settings": ({"job": "restore", "settings": DenoiseConfig()}, "must be a RestoreConfig"),
    "two places": ({"workers": 2, "scheduler": "tcp://127.0.0.1:1"}, "either a number of workers"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_done_is_refused_in_one_sentence(tmp_path, movie, case):
    fields, match = BAD[case]
    with pytest.raises(GanDenoiseError, match=match) as caught:
        batch(**{"inputs": movie, "output": tmp_path / "out", "settings": FAST, **fields})
    assert str(caught.value).endswith(".")
    assert not (tmp_path / "out" / LEDGER).exists()


def test_a_folder_cannot_hold_inputs_and_results(tmp_path, movie):
    with pytest.raises(GanDenoiseError, match="another folder"):
        batch(inputs=tmp_path, output=tmp_path, settings=FAST)


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path, frames, write_movie):
    for folder in ("monday", "tuesday"):
        write_movie(tmp_path / folder / "a.tif", frames[0])
    result = batch(inputs=str(tmp_path / "*day" / "*.tif"), output=tmp_path / "out", settings=FAST)
    assert [path.name for path in result.outputs] == [f"{day}-a-denoised.ome.tif" for day in ("monday", "tuesday")]


def test_a_config_survives_yaml(tmp_path):
    import yaml

    config = BatchConfig(inputs=("a.tif",), output=Path("out"), settings={"preset": "fast"}, average=3)
    assert BatchConfig(**yaml.safe_load(yaml.safe_dump(config.model_dump(mode="json")))) == config


def test_results_open_without_being_loaded(tmp_path, movie, frames, write_movie):
    for index in (0, 1):
        write_movie(tmp_path / "in" / f"{index}.tif", frames[index])
    (tmp_path / "in" / "2.tif").write_bytes(b"II*\0 nothing")
    batch(inputs=[tmp_path / "in", movie], output=tmp_path / "out", settings=FAST)
    results = list(open_results(tmp_path / "out"))
    assert [result.name for result in results] == ["0-denoised", "1-denoised", "movie-denoised"]
    assert [result.pixels.shape for result in results] == [(96, 96), (96, 96), (5, 96, 96)]
    assert type(results[2].pixels) is not np.ndarray  # on the disk until it is asked for
    for result in results:
        assert result.pixel_size_nm == pytest.approx(PIXEL_NM)
    np.testing.assert_array_equal(results[1].pixels, tifffile.imread(tmp_path / "out" / "1-denoised.ome.tif"))


@pytest.mark.parametrize("form", ["tiff", "zarr"])
def test_the_verdict_is_in_the_ledger_and_in_the_file_of_an_image(tmp_path, movie, frames, write_movie, form):
    write_movie(tmp_path / "one.tif", frames[0])
    batch(inputs=[tmp_path / "one.tif", movie], output=tmp_path / "out", format=form, settings=FAST)
    one, film = pairs_of(tmp_path / "out")
    said = denoise(frames[0], **FAST, pixel_size_nm=PIXEL_NM).report["verdict"]
    assert (one.standing.verdict.colour, one.standing.verdict.sentence) == (said["colour"], said["sentence"])
    stored = read_micrograph(one.result).report["verdict"]
    assert (stored["colour"], stored["sentence"]) == (said["colour"], said["sentence"])
    assert "verdict" not in read_micrograph(film.result).report  # of each frame there is one
    assert film.standing.verdict.colour in ("grey", "green", "amber", "red")


def test_of_a_movie_the_worst_verdict_counts_and_names_its_frame():
    state = FileState(frames=9)
    said = [("green", "explains the counts"), ("red", "is wrong"), ("amber", "keeps noise"), ("red", "is wrong, too")]
    for frame, (colour, sentence) in enumerate(said):
        verdict = {"colour": colour, "sentence": sentence}
        state.take(Done(file="movie", event="done", first=frame, last=frame + 1, verdict=verdict))
    assert state.standing().verdict == Judged(colour="red", sentence="frame 2: is wrong")
    state.take(Done(file="movie", event="done", first=4, last=9))  # a line of an earlier version
    assert state.standing().verdict.colour == "red"
    assert state.standing().settled


def test_events_tell_how_far_each_file_is_and_what_goes_on_in_it(tmp_path, movie, frames, write_movie):
    write_movie(tmp_path / "one.tif", frames[0])
    (tmp_path / "broken.tif").write_bytes(b"II*\0 nothing")
    inputs = [tmp_path / "one.tif", tmp_path / "broken.tif", movie]
    events, _ = events_of(batch_steps(inputs=inputs, output=tmp_path / "out", settings=FAST))
    of_files = [event for event in events if isinstance(event, FileProgress)]
    under_way = [event.file for event in of_files if event.part is not None]
    assert sorted(set(under_way)) == [0, 2]
    assert under_way == sorted(under_way)
    last = {event.file: event.standing for event in of_files if event.part is None}
    assert [last[number].settled for number in range(3)] == [True] * 3
    assert [last[number].broken for number in range(3)] == [False, True, False]
    assert last[1].reasons
    assert (last[2].done, last[2].frames, last[2].whole) == (5, 5, True)


@pytest.mark.slow
def test_a_movie_is_adapted_to_once_and_its_model_kept(tmp_path):
    path = tmp_path / "lattice.tif"
    y, x = np.mgrid[:96, :96] / 7.0  # sharp columns: nothing that the model has learnt from
    rate = 4 * (1 - 0.9 * (np.cos(np.pi * x) * np.cos(np.pi * y)) ** 8)
    frames = np.random.default_rng(1).poisson(rate, (3, 96, 96)).astype(np.uint16)
    tifffile.imwrite(path, frames, metadata={"axes": "TYX"})
    settings = {"preset": "fast", "model": "hrtem-unet", "pixel_size_nm": 0.0244, "adapt": "auto", "adapt_steps": 40}
    result = batch(inputs=path, output=tmp_path / "out", settings=settings)
    assert result.failures == {}
    kept = tmp_path / "out" / "lattice-model.safetensors"
    noise = calibrate(frames[0]).noise
    again = denoise(frames, preset="fast", model=kept, pixel_size_nm=0.0244, noise=noise)
    np.testing.assert_allclose(read_micrograph(result.outputs[0]).pixels, again.rate, rtol=1e-4)
    with pytest.raises(GanDenoiseError, match="is the input itself"):
        batch(
            inputs=path, output=tmp_path / "out", overwrite=True, settings={"model": str(kept), "pixel_size_nm": 0.0244}
        )


def test_a_movie_that_cannot_be_adapted_to_is_denoised_all_the_same(tmp_path, movie, finished):
    result = batch(inputs=movie, output=tmp_path / "out", settings={**FAST, "adapt": "auto"})
    np.testing.assert_array_equal(
        tifffile.imread(result.outputs[0]), tifffile.imread(finished / "movie-denoised.ome.tif")
    )
    refused = batch(inputs=movie, output=tmp_path / "on", settings={**FAST, "adapt": "on"})
    assert "no direct denoiser" in next(iter(refused.failures.values()))


@pytest.mark.slow
def test_a_movie_is_the_same_however_its_frames_are_dealt_out(tmp_path, movie, frames):
    settings = {"preset": "fast", "model": "hrtem-unet"}
    results = [
        batch(inputs=movie, output=tmp_path / f"out{run}", settings=settings, warm_start=run).outputs[0]
        for run in (1, 3)
    ]
    np.testing.assert_array_equal(*(tifffile.imread(path) for path in results))
    whole = denoise(movie, **settings, noise=calibrate(frames[0]).noise)
    np.testing.assert_allclose(tifffile.imread(results[0]), whole.rate, rtol=1e-4)


def test_an_automatic_model_that_draws_nothing_tells_its_uncertainty_by_repeated_runs(
    tmp_path, write_direct_model, rng, monkeypatch
):
    own = tmp_path / "models"
    own.mkdir()
    monkeypatch.setenv("GANDENOISE_MODELS", str(own))
    write_direct_model(own, "colours", channels=3, intensity="absolute")
    picture = tmp_path / "picture.png"
    imageio.imwrite(picture, rng.integers(90, 110, (24, 24, 3), dtype=np.uint8))
    result = batch(inputs=(str(picture),), output=tmp_path / "out", settings={"model": "auto"}, uncertainty=True)
    assert not result.failures
    [spread] = [read_micrograph(path).pixels for path in result.outputs if "uncertainty" in path.name]
    assert spread.shape == (24, 24)
    assert (spread > 0).any()
