"""Processes that are killed, folders that are watched, and how much a user may be told."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path

from napari_gandenoise.errors import GanDenoiseError

PATIENCE_S = 10  # for one attack


def digest(folder: Path, leave_out: tuple[str, ...] = ()) -> dict[str, str]:
    """Hash all files below a folder, hidden ones too, but some."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in leave_out)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class TooLong(BaseException):
    """An attack costs the machine more than it may."""


@contextmanager
def one_sentence(seconds: int = PATIENCE_S):
    """Let pass what a user is told in one sentence, in so many seconds; all else fails the test."""

    def over(*_):
        raise TooLong

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    except (GanDenoiseError, FloatingPointError) as error:
        said = str(error)
        assert "\n" not in said
        assert said.endswith(".")
        assert len(said) < 600
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fork(job) -> int:
    """Run a job in a process that has all imports already; its number."""
    child = os.fork()
    if child:
        return child
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(silence, stream)
        job()
        code = 0
    except BaseException:
        code = 1
    os._exit(code)


def killed(job, after_s: float) -> bool:
    """Kill a job without a warning after so many seconds; return whether it was through before."""
    child, stop = fork(job), time.monotonic() + after_s
    while time.monotonic() < stop:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0, "the job itself failed"
            return True
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def length_of(job) -> float:
    """Seconds that a job takes when nobody kills it: among them are the moments to kill it at."""
    began = time.monotonic()
    _, status = os.waitpid(fork(job), 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return time.monotonic() - began
