"""A run without a window: started when napari closes, found again by the folder that it works in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import yaml

from napari_gandenoise.settings.train import AnyTrainConfig

__all__ = ["NICE", "find_background", "give_way", "start_background"]

NICE = 15  # where there is no Windows
MARK, LOG = "background.json", "background.log"  # in the run's folder
SETTINGS = "config.yaml"
LARGEST_MARK = 4096  # bytes
SAME = 2.0  # seconds between two readings of when a process has begun


def give_way(process: psutil.Process) -> None:
    """Have a process leave the processor to the viewer, and to whatever else the user does."""
    process.nice(getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", NICE))


def start_background(command: list[str], config: AnyTrainConfig) -> int:
    """Go on with the run in a folder, by a process that outlives this one.

    Parameters
    ----------
    command : list of str
        What trains.
    config : TrainConfig or DirectTrainConfig
        The run; its folder gets ``background.log`` with what the process says.

    Returns
    -------
    int
        The number of the process.

    Raises
    ------
    OSError
        If it cannot be started, or the folder cannot be written.
    """
    folder = config.output
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / SETTINGS
    if not settings.exists():  # it was stopped before it had written them
        settings.write_text(yaml.safe_dump(config.model_dump(mode="json"), allow_unicode=True), encoding="utf-8")
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            [*command, "train", str(settings), "--resume"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=os.name == "posix",  # the terminal that napari was started from may be closed
            creationflags=flags,
        )
    # It is waited for by nobody: Python would warn of that.
    process.returncode = 0
    with suppress(psutil.Error):
        begun = psutil.Process(process.pid)
        give_way(begun)
        mark = {"process": process.pid, "begun": begun.create_time()}
        (folder / MARK).write_text(json.dumps(mark), encoding="utf-8")
    return process.pid


def find_background(folder: Path) -> psutil.Process | None:
    """Find the process that goes on with the run in a folder.

    A folder may be a stranger's: a process is taken for the run only if it does train what is in this folder.
    """
    mark = folder / MARK
    try:
        if not mark.is_file() or mark.stat().st_size > LARGEST_MARK:
            return None
        told = json.loads(mark.read_text(encoding="utf-8"))
        process = psutil.Process(int(told["process"]))
        same = abs(process.create_time() - float(told["begun"])) < SAME
        words, settings = process.cmdline(), (folder / SETTINGS).resolve()
        trains = {"train", "--resume"} <= set(words) and any(Path(word).resolve() == settings for word in words)
        alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, TypeError, KeyError, OverflowError, psutil.Error, RecursionError):
        return None
    return process if same and trains and alive else None
