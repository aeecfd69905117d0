"""A cluster of two hosts, each a network namespace of this machine with an address of its own, of which one is lost."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from napari_gandenoise.batching import batch, batch_steps

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"), reason="namespaces need root on Linux"
    ),
]
NET, HERE = "10.213.77", "10.213.77.1"
HOSTS = ("gandenoise-a", "gandenoise-b")
FAST = {"preset": "fast", "model": "tiny"}
MISSED_AFTER = "40s"  # five minutes by default; a worker is silent for some seconds while it imports


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def running(command, log):
    """Run a process of the cluster in a session of its own; what it prints goes into a file."""
    environment = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": MISSED_AFTER}
    with log.open("w") as file:
        process = subprocess.Popen(command, stderr=file, start_new_session=True, env=environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait()


def wait_for(log, pattern: str) -> str:
    for _ in range(1200):
        if found := re.search(pattern, log.read_text()):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture
def network():
    """A switch with two hosts at it, and this machine."""
    ip("link", "add", "gandenoise", "type", "bridge")
    try:
        ip("addr", "add", f"{HERE}/24", "dev", "gandenoise")
        ip("link", "set", "gandenoise", "up")
        for number, host in enumerate(HOSTS):
            ip("netns", "add", host)
            ip("link", "add", f"gand-{number}", "type", "veth", "peer", "name", "eth0", "netns", host)
            ip("link", "set", f"gand-{number}", "master", "gandenoise", "up")
            ip("-n", host, "addr", "add", f"{NET}.{number + 2}/24", "dev", "eth0")
            ip("-n", host, "link", "set", "eth0", "up")
            ip("-n", host, "link", "set", "lo", "up")
        yield
    finally:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "del", host], check=False)
        subprocess.run(["ip", "link", "del", "gandenoise"], check=False)


def dask(part: str, *words: str) -> list[str]:
    return [sys.executable, "-m", f"distributed.cli.dask_{part}", *words]


def test_a_host_that_is_lost_in_the_middle_costs_nothing(
    tmp_path, network, frames, write_movie, digests, computed_frames
):
    pytest.importorskip("distributed")
    movie = write_movie(tmp_path / "movie.tif", np.concatenate([frames] * 4))
    batch(inputs=movie, output=tmp_path / "here", settings=FAST)
    logs = [tmp_path / f"{name}.log" for name in ("scheduler", *HOSTS)]
    with running(dask("scheduler", "--host", HERE, "--port", "0", "--no-dashboard"), logs[0]):
        address = wait_for(logs[0], r"Scheduler at:\s+(tcp://\S+)")
        hosts = [
            ["ip", "netns", "exec", host, *dask("worker", address, "--host", f"{NET}.{number + 2}", "--nthreads", "1")]
            for number, host in enumerate(HOSTS)
        ]
        with running(hosts[0], logs[1]) as lost, running(hosts[1], logs[2]) as kept:
            for log in logs[1:]:
                wait_for(log, r"(Registered to)")
            done = 0
            for event in batch_steps(inputs=movie, output=tmp_path / "there", settings=FAST, scheduler=address):
                done += event.preview is not None
                if done == 3 and lost.poll() is None:
                    ip("link", "del", "gand-0")  # the plug first, so that nobody is told
                    os.killpg(lost.pid, 9)
                    lost.wait()
            assert lost.poll() is not None
            assert kept.poll() is None
    assert digests(tmp_path / "there") == digests(tmp_path / "here")
    assert sorted(computed_frames(tmp_path / "there")) == [("movie", index) for index in range(len(frames) * 4)]
