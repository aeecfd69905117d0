"""The ledger of a job: a line for all that is done, so that a job can be killed at any moment and goes on later.

Lines of JSON.  The first holds the config and the inputs; then come, in the order of events, the files that were
opened, runs of frames that are on the disk, frames and files that failed, and results that are whole.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_gandenoise.errors import GanDenoiseError

if sys.platform != "win32":  # where nothing keeps two jobs out of one folder
    import fcntl

__all__ = ["LEDGER", "WHOLE_FILE", "FileState", "Ledger", "read_ledger"]

LEDGER = "batch-ledger.jsonl"
WHOLE_FILE = -1  # in place of the number of a frame that failed


@dataclass
class FileState:
    """How far a file is.

    Attributes
    ----------
    frames : int
        Number of frames; 0 until the file was opened.
    noise : dict or None
        Noise model calibrated for all frames of a movie.
    model : str or None
        Model chosen for all frames of a movie.
    done : set of int
        Frames whose results are on the disk.
    failed : dict
        Frames that failed, with the reason; -1 stands for the file.
    whole : bool
        Whether its results have their names.
    """

    frames: int = 0
    noise: dict[str, Any] | None = None
    model: str | None = None
    done: set[int] = field(default_factory=set)
    failed: dict[int, str] = field(default_factory=dict)
    whole: bool = False

    def take(self, line: dict[str, Any]) -> None:
        """Take in one line of the ledger."""
        match line["event"]:
            case "opened":
                self.frames, self.noise, self.model = line["frames"], line["noise"], line.get("model")
                self.failed.pop(WHOLE_FILE, None)
            case "done":
                self.done.update(range(line["first"], line["last"]))
                for frame in range(line["first"], line["last"]):
                    self.failed.pop(frame, None)
            case "failed":
                self.failed[line["frame"]] = line["reason"]
            case "whole":
                self.whole = True


def read_ledger(folder: Path) -> tuple[dict[str, Any], dict[str, FileState]]:
    """Read a job's ledger, whether or not the job is running.

    Parameters
    ----------
    folder : Path
        Output folder of the job.

    Returns
    -------
    tuple
        The first line, with "config" and "files", and how far each file is.

    Raises
    ------
    GanDenoiseError
        If there is no ledger or it is damaged.
    """
    path = folder / LEDGER
    if not path.is_file():
        raise GanDenoiseError(f"There is no job to resume in {folder}: it has no {LEDGER}.")
    lines = path.read_bytes().split(b"\n")[:-1]  # a line without an end was being written when the job was killed
    try:
        head, *events = (json.loads(line) for line in lines)
        states = {name: FileState() for name in head["files"]}
        for event in events:
            states[event["file"]].take(event)
    except (ValueError, KeyError) as error:
        raise GanDenoiseError(f"{path} is damaged: start the job anew with overwrite.") from error
    return head, states


class Ledger:
    """A ledger that is open for writing: by one job at a time.

    Parameters
    ----------
    folder : Path
        Output folder.
    head : dict, optional
        First line of a new ledger; without it, that of an earlier job is continued.

    Raises
    ------
    GanDenoiseError
        If another process works in this folder, or there is nothing to continue.
    """

    def __init__(self, folder: Path, head: dict[str, Any] | None = None) -> None:
        self.path = folder / LEDGER
        if head is None and not self.path.is_file():
            read_ledger(folder)  # says that there is none
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            self._lock(folder)
            if head is not None:
                os.ftruncate(self._file, 0)
                self._append(head)
            else:
                # What follows the last whole line was being written when the job was killed.
                os.ftruncate(self._file, self.path.read_bytes().rfind(b"\n") + 1)
            self.head, self.files = read_ledger(folder)
        except BaseException:
            self.close()
            raise

    def _lock(self, folder: Path) -> None:
        if sys.platform == "win32":
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise GanDenoiseError(
                f"Another process works in {folder}: wait for it, or choose another folder."
            ) from None

    def add(self, name: str, event: str, **fields: Any) -> None:
        """Add a line, and do not return before it is on the disk."""
        line = {"file": name, "event": event, **fields}
        self._append(line)
        self.files[name].take(line)

    def _append(self, line: dict[str, Any]) -> None:
        data = json.dumps(line).encode() + b"\n"
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, data) < len(data):
                raise OSError(0, "the disk is full")
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, size)
            raise GanDenoiseError(
                f"{self.path} could not be written: {error.strerror}; put that right and resume the job."
            ) from error

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._file)
