"""The command `train`: Ctrl-C, and the protocol that the Train panel speaks, also as a real process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
import yaml

from napari_gandenoise import cli
from napari_gandenoise.models import load_model_file
from napari_gandenoise.training.checkpoint import Checkpoints


@pytest.fixture
def written(make_config, tmp_path):
    """Write the settings of a run to a file: ``written(steps=9)`` gives the file and the settings."""

    def write(**fields):
        config = make_config(**fields)
        settings = tmp_path / "train.yaml"
        settings.write_text(yaml.safe_dump(config.model_dump(mode="json")))
        return str(settings), config

    return write


@pytest.fixture
def call(written, monkeypatch, capsys):
    """Run the command within this process: ``call(["--events"], steps=9)`` gives code, output, errors and settings."""

    def main(options=(), **fields):
        settings, config = written(**fields)
        monkeypatch.setattr("sys.argv", ["napari-gandenoise", "train", settings, *options])
        monkeypatch.setattr("sys.stdin", io.StringIO())
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        return (code, *capsys.readouterr(), config)

    return main


@pytest.fixture
def start(written):
    """Start the command as a process: ``start(["--events"], steps=9)``; what still runs at the end is killed."""
    runs = []

    def begin(options=(), **fields):
        settings, config = written(**fields)
        command = [sys.executable, "-m", "napari_gandenoise.cli", "train", settings, *options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        run = subprocess.Popen(command, text=True, **pipes, env={**os.environ, "OMP_NUM_THREADS": "1"})
        runs.append(run)
        return run, config

    yield begin
    for run in runs:
        run.kill()
        run.wait()
        for pipe in (run.stdin, run.stdout, run.stderr):
            pipe.close()


def say(run, command):
    run.stdin.write(command + "\n")
    run.stdin.flush()


def read_until(run, step):
    """Read events up to a training step."""
    events = []
    for line in run.stdout:
        events.append(json.loads(line))
        if events[-1]["stage"] == "train" and events[-1]["done"] >= step:
            return events
    raise AssertionError(f"it ended early: {run.stderr.read()}")


def test_events_are_lines_of_json_with_a_preview_on_disk(call):
    code, out, err, config = call(["--events"], steps=6, encoder="samples")
    assert code == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    assert all(event.keys() == {"stage", "done", "total", "values", "preview", "note"} for event in events)
    assert [e["done"] for e in events if e["stage"] == "train"] == [1, 2, 3, 4, 5, 6]
    assert [(e["done"], e["total"]) for e in events if e["stage"] == "encoder"] == [(i, 4) for i in (1, 2, 3, 4)]
    assert {e["preview"] for e in events} == {None, str(config.output / "preview.npz")}
    with np.load(config.output / "preview.npz", allow_pickle=False) as preview:
        assert preview["samples"].shape == preview["real"].shape == (16, 1, 16, 16)
        assert np.abs(preview["real"]).max() > 0.5
    assert load_model_file(config.output / "tiny.safetensors").encoder is not None
    assert "trained; use it with" in err


@pytest.mark.slow  # the Train panel's test of the same is quick
def test_a_run_is_paused_resumed_and_stopped_by_its_stdin(start, call):
    run, config = start(["--events"], steps=100_000, checkpoint_every=50_000, validate_every=50_000)
    last = read_until(run, 5)[-1]["done"]
    lines = queue.Queue()
    reader = threading.Thread(target=lambda: [lines.put(json.loads(line)["done"]) for line in run.stdout])
    reader.start()
    say(run, "pause")
    deadline = time.monotonic() + 60
    with contextlib.suppress(queue.Empty):  # what was on its way has arrived once a second is silent
        while time.monotonic() < deadline:
            last = lines.get(timeout=1)
    assert time.monotonic() < deadline, "it did not pause"
    assert run.poll() is None
    say(run, "resume")
    assert lines.get(timeout=60) == last + 1
    say(run, "stop")
    assert run.wait(timeout=60) == 0
    reader.join()
    last = list(lines.queue)[-1] if lines.queue else last + 1
    err = run.stderr.read()
    assert [path.name for path in Checkpoints(config.output, 9).paths()] == [f"checkpoint-{last:08d}.safetensors"]
    assert "go on with napari-gandenoise train" in err
    code, out, err, _ = call(["--events", "--resume"], steps=last + 2, checkpoint_every=50_000)
    assert code == 0, err
    assert [e["done"] for e in map(json.loads, out.splitlines()) if e["stage"] == "train"] == [last + 1, last + 2]


@pytest.mark.slow
def test_a_paused_run_can_be_stopped(start):
    run, config = start(["--events"], steps=100_000, checkpoint_every=50_000)
    read_until(run, 2)
    say(run, "pause")
    say(run, "stop")
    run.communicate(timeout=60)
    assert run.returncode == 0
    assert len(Checkpoints(config.output, 9).paths()) == 1


@pytest.mark.slow
def test_a_run_that_nobody_reads_writes_a_checkpoint_and_ends(start):
    run, config = start(["--events"], steps=100_000, checkpoint_every=50_000)
    read_until(run, 2)
    run.stdin.close()
    run.stdout.close()
    assert run.wait(timeout=60) == 0
    assert len(Checkpoints(config.output, 9).paths()) == 1


@pytest.fixture
def checkpoints(make_config):
    """List the checkpoints of the run."""
    return Checkpoints(make_config().output, 9).paths


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_writes_a_checkpoint_and_says_where(call, checkpoints, number, code):
    over = threading.Event()

    def interrupt():
        while not checkpoints() and not over.wait(0.01):
            pass
        if not over.is_set():
            os.kill(os.getpid(), number)

    thread, before = threading.Thread(target=interrupt), signal.getsignal(number)
    thread.start()
    try:
        ended, out, err, _ = call([], steps=2000, checkpoint_every=10)
    finally:
        over.set()
        thread.join()
    assert ended == code
    assert signal.getsignal(number) == before
    assert f"{checkpoints()[-1]}: stopped here; go on with" in err
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.slow
def test_a_signal_to_all_processes_of_a_run_lets_it_write_its_checkpoint(start):
    # As timeout and the schedulers of clusters send it.
    run, config = start([], steps=100_000, checkpoint_every=10, workers=2)
    deadline = time.monotonic() + 120
    while not Checkpoints(config.output, 9).paths() and time.monotonic() < deadline:
        time.sleep(0.05)
    main = psutil.Process(run.pid)
    for process in [main, *main.children(recursive=True)]:
        process.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 143
    assert f"{Checkpoints(config.output, 9).paths()[-1]}: stopped here; go on with" in err


def test_what_cannot_work_is_one_sentence(call):
    code, out, err, _ = call(["--events"], held_out=24)
    assert (code, out) == (1, "")
    assert "24 are held out" in err
    assert len(err.splitlines()) == 1
