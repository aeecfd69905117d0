"""Attacks: files and values that are wrong in thousands of ways give a right result or one sentence, and cost little.

``GANDENOISE_ATTACKS`` says how many there are of each kind: 10,000 are a full attack, 300 those of ``make test-slow``.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from napari_gandenoise.errors import LONGEST, GanDenoiseError

ATTACKS = int(os.environ.get("GANDENOISE_ATTACKS", "300"))
PATIENCE_S = 10
CHANGES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree"}
STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect"}

seen: list[str] = []
watching = False


def watch(event: str, args: tuple) -> None:
    """Note what is written, and what is started, while a stranger's file is read."""
    if not watching:
        return
    wrote = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if (wrote and "__pycache__" not in str(args[0])) or event in CHANGES | STARTS:
        seen.append(f"{event} {args}")


sys.addaudithook(watch)


@pytest.fixture
def attacks():
    return ATTACKS


@pytest.fixture
def trial():
    """Do something with a stranger's file: ``with trial(what): …``; a sentence ends it, anything else is a fault."""

    class TooLong(BaseException):  # which nobody takes for a damaged file
        pass

    def give_up(*_):
        raise TooLong

    before = signal.signal(signal.SIGALRM, give_up)

    @contextmanager
    def run(what: str):
        global watching
        seen.clear()
        signal.alarm(PATIENCE_S)
        faulthandler.dump_traceback_later(6 * PATIENCE_S, exit=True)  # a library that loops hears no alarm
        watching = True
        try:
            with suppress(FloatingPointError):  # a result that is no number: the doors say it as they do sentences
                yield
        except GanDenoiseError as error:
            sentence = str(error)
            assert sentence, what
            assert "\n" not in sentence, what
            assert len(sentence) <= LONGEST + 1, what
        except BaseException as error:
            error.add_note(what)
            raise
        finally:
            watching = False
            signal.alarm(0)
            faulthandler.cancel_dump_traceback_later()
        assert not seen, what

    yield run
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def rng():
    return np.random.default_rng(int(os.environ.get("GANDENOISE_ATTACK_SEED", "20260101")))
