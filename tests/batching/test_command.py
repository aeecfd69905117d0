"""The command line, the plugin commands, a process that is killed, a disk that is full, workers that die."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import tifffile
import yaml
from npe2 import PluginManager

from napari_gandenoise import cli
from napari_gandenoise import manifest as commands
from napari_gandenoise.batching import LEDGER, batch, batch_steps
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.denoise import DenoiseConfig

FAST = {"preset": "fast", "model": "tiny"}
CHOSEN = ("--preset", "fast", "--model", "tiny")
COMMAND = [sys.executable, "-m", "napari_gandenoise.cli", "batch"]


def run(*arguments, threads: str = "1", **options):
    """Run the command line in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, **options)


@pytest.fixture
def call(monkeypatch, capsys):
    """Call the console script's own entry point: ``call(*arguments)`` gives code, output and errors."""

    def main(*arguments):
        monkeypatch.setattr("sys.argv", ["napari-gandenoise", "batch", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    return main


@pytest.fixture
def bundled_reference(tmp_path, movie, digests):
    """Digests of an uninterrupted job on the movie with the bundled model, which takes its time for each frame."""
    batch(inputs=movie, output=tmp_path / "reference", settings={"preset": "fast"})
    return digests(tmp_path / "reference")


@pytest.mark.slow
def test_another_process_gives_the_same_bytes(tmp_path, movie, reference, digests):
    # With another number of threads in its environment: the job sets its own.
    told = run(movie, "--output", tmp_path / "cli", *CHOSEN, threads="2")
    assert told.returncode == 0, told.stderr
    assert digests(tmp_path / "cli") == reference


def test_the_command_line_and_the_plugin_command_give_the_same_bytes(tmp_path, movie, reference, digests, call):
    code, output, errors = call(movie, "--output", tmp_path / "cli", *CHOSEN)
    assert code == 0, errors
    assert output == f"{tmp_path / 'cli'}: 5 frames in 1 results\n"
    assert digests(tmp_path / "cli") == reference
    manager = PluginManager.instance()
    if "napari-gandenoise" not in manager:
        manager.discover()
    arguments = {"inputs": movie, "output": tmp_path / "npe2", "config": {"settings": FAST}}
    result = manager.commands.execute("napari-gandenoise.batch_denoise", kwargs=arguments)
    assert result.frames == 5
    assert digests(tmp_path / "npe2") == reference


def test_a_job_from_a_file_with_options_over_it(tmp_path, movie, reference, digests, call):
    job, panel = tmp_path / "job.yaml", tmp_path / "panel.yaml"
    job.write_text(yaml.safe_dump({"settings": {"preset": "thorough", "seed": 4}, "inputs": "nowhere.tif"}))
    panel.write_text(yaml.safe_dump(DenoiseConfig(preset="balanced").model_dump(mode="json")))
    code, _, errors = call(job, movie, "--settings", panel, *CHOSEN, "--output", tmp_path / "out")
    assert code == 0, errors
    assert digests(tmp_path / "out") == reference


def test_the_exit_code_says_that_a_file_failed(tmp_path, movie, call):
    (tmp_path / "broken.tif").write_bytes(b"II*\0 nothing")
    code, output, errors = call(tmp_path / "broken.tif", movie, "--output", tmp_path / "out", *CHOSEN)
    assert code == 3
    assert "broken.tif cannot be read" in errors
    assert output.endswith("5 frames in 1 results; 1 failed\n")
    assert (tmp_path / "out" / "movie-denoised.ome.tif").is_file()


def test_mistakes_on_the_command_line_are_one_sentence(tmp_path, movie, call):
    for arguments, sentence in (
        ((movie,), "with --output"),
        (("a.yaml", "b.yaml", "--output", "x"), "one job at a time"),
        ((movie, "--output", tmp_path / "out", "--preset", "quick"), "--preset: input should be"),
        (
            (movie, "--output", tmp_path / "out", "--task", "inpaint", "--average", 3),
            "average is for jobs that denoise",
        ),
        (("--resume", "--output", tmp_path), "no job to resume"),
    ):
        code, _, errors = call(*arguments)
        assert code == 1
        assert sentence in errors
        assert errors.count("\n") == 1


@pytest.mark.parametrize("command", [commands.batch_denoise, commands.batch_restore])
def test_bare_commands_without_a_viewer_say_what_to_do(command):
    with pytest.raises(GanDenoiseError, match="no napari viewer is open"):
        command()
    with pytest.raises(GanDenoiseError, match="no inputs"):
        command(resume=True)


def test_the_plugin_commands_take_configs_of_either_job(tmp_path, movie, reference, digests):
    commands.batch_denoise(str(movie), tmp_path / "out", DenoiseConfig(**FAST))
    assert digests(tmp_path / "out") == reference
    assert commands.batch_denoise(output=tmp_path / "out", resume=True).frames == 5
    with pytest.raises(GanDenoiseError, match="settings"):
        commands.batch_restore(str(movie), tmp_path / "other", DenoiseConfig(**FAST))


def _killed_when(command, ready, deadline_s: float = 60):
    """Start a job, wait until it is ready, and kill it without a warning."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    job = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stop = time.monotonic() + deadline_s
    while job.poll() is None and not ready() and time.monotonic() < stop:
        time.sleep(0.002)
    if job.poll() is None:
        job.send_signal(signal.SIGKILL)
    job.wait()


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--format", "zarr"), ("--warm-start", "2", "--fit-map")])
def test_killed_at_random_moments_a_job_ends_with_the_same_bytes(
    tmp_path, write_movie, frames, digests, computed_frames, options
):
    movie = write_movie(tmp_path / "movie.tif", np.concatenate([frames, frames[::-1], frames]))
    whole = run(movie, "--output", tmp_path / "whole", "--preset", "fast", *options)
    assert whole.returncode == 0, whole.stderr
    out, rng = tmp_path / "out", random.Random(5)
    ledger = out / LEDGER
    for attempt in range(10):  # runs of two frames are through after seven
        # At least one frame more than before, and then any moment of the next one.
        before = len(computed_frames(out)) if ledger.exists() else 0
        delay = rng.uniform(0, 0.6)
        seen: list[float] = []

        def ready(before=before, delay=delay, seen=seen) -> bool:
            if not seen and ledger.exists() and len(ledger.read_bytes().splitlines()) > 1 + before:
                seen.append(time.monotonic() + delay)
            return bool(seen) and time.monotonic() > seen[0]

        arguments = ["--resume"] if ledger.exists() else [str(movie), "--preset", "fast", *options]
        _killed_when([*COMMAND, *arguments, "--output", str(out)], ready)
        assert ledger.exists(), attempt
    told = run("--resume", "--output", out)
    assert told.returncode == 0, told.stderr
    assert digests(out) == digests(tmp_path / "whole")
    assert computed_frames(out) == [("movie", index) for index in range(15)]


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 128 kB: room for the ledger and the first frames."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="needs tmpfs")
@pytest.mark.parametrize("form", ["tiff", "zarr"])
def test_a_full_disk_stops_the_job_and_it_goes_on_when_there_is_room(
    tmp_path, small_disk, movie, digests, computed_frames, form
):
    batch(inputs=movie, output=tmp_path / "whole", settings=FAST, format=form)
    out = small_disk / "out"
    # All of the room that a TIFF takes is looked for at once; what a Zarr takes shows as it is compressed.
    with pytest.raises(
        GanDenoiseError, match={"tiff": "to be written to .*resume", "zarr": "No space left.*resume"}[form]
    ):
        batch(inputs=movie, output=out, settings=FAST, format=form)
    assert (len(computed_frames(out)) > 0) == (form == "zarr")
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    batch(output=out, resume=True)
    assert digests(out) == digests(tmp_path / "whole")
    assert computed_frames(out) == [("movie", index) for index in range(5)]
    shutil.rmtree(out)


def test_a_scheduler_that_is_not_there_is_named(tmp_path, movie, monkeypatch):
    pytest.importorskip("distributed")
    from napari_gandenoise.batching import cluster

    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    with pytest.raises(GanDenoiseError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"):
        batch(inputs=movie, output=tmp_path / "out", settings=FAST, scheduler="tcp://127.0.0.1:9")


@pytest.mark.slow
def test_workers_give_the_same_bytes_and_one_may_die(tmp_path, movie, bundled_reference, digests, computed_frames):
    pytest.importorskip("distributed")
    steps = batch_steps(inputs=movie, output=tmp_path / "out", settings={"preset": "fast"}, workers=2)
    notes, killed = [], False
    for event in steps:
        notes.append(event.note)
        if event.preview is not None and not killed:
            workers = [
                process
                for process in psutil.Process().children(recursive=True)
                if process.is_running() and "spawn_main" in " ".join(process.cmdline())
            ]
            workers[0].kill()
            killed = True
    assert killed
    assert any(note.startswith("Dashboard of the workers: http://") for note in notes)
    assert digests(tmp_path / "out") == bundled_reference
    assert sorted(computed_frames(tmp_path / "out")) == [("movie", index) for index in range(5)]


@pytest.mark.slow
def test_a_scheduler_elsewhere_serves_a_job_of_the_command_line(
    tmp_path, movie, frames, digests, write_photograph_model
):
    distributed = pytest.importorskip("distributed")
    import imageio.v3 as imageio

    imageio.imwrite(tmp_path / "image.png", np.full((40, 36, 3), 90, np.uint8))
    model = write_photograph_model(tmp_path)
    job = {"task": "denoise", "model": str(model), "steps": 2}
    batch(job="restore", inputs=tmp_path / "image.png", output=tmp_path / "here", settings=job)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as there:
        address = there.scheduler_address
        settings = tmp_path / "settings.yaml"
        settings.write_text(yaml.safe_dump(job))
        arguments = (tmp_path / "image.png", "--settings", settings, "--output", tmp_path / "there")
        told = run(*arguments, "--scheduler", address)
    assert told.returncode == 0, told.stderr
    assert "Dashboard of the workers" in told.stderr
    assert digests(tmp_path / "there") == digests(tmp_path / "here")
    assert tifffile.imread(tmp_path / "there" / "image-denoised.ome.tif").shape == (40, 36, 3)
