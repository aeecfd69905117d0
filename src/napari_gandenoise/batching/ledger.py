"""The ledger of a job: a line for all that is done, so that a job can be killed at any moment and goes on later.

Lines of JSON.  The first holds the config and the inputs; then come, in the order of events, the files that were
opened, runs of frames that are on the disk, frames and files that failed, and results that are whole.  A ledger may
come from anywhere: no line is believed before it was checked.  A check of it and of all before ends each line, so that
one that was damaged or lost is found.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from zlib import crc32

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.names import FileName
from napari_gandenoise.settings.noise import AnyNoise
from napari_gandenoise.writing import claim, lock

__all__ = [
    "LEDGER",
    "WHOLE_FILE",
    "FileState",
    "Judged",
    "Ledger",
    "Standing",
    "config_in",
    "has_job",
    "read_ledger",
]

LEDGER = "batch-ledger.jsonl"
VERSION = 2  # of what the lines mean
SEAL = b', "check": '  # follows all else of a line
WHOLE_FILE = -1  # in place of the number of a frame that failed
MOST_FRAMES = 4_000_000  # of a job: their numbers are held in memory
MOST_TOLD = 3  # reasons of a file that are told together
COLOURS = ("grey", "green", "amber", "red")  # of verdicts, the worst last


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True)


class _Head(_Checked):
    ledger: int
    config: dict[str, Any]
    files: dict[FileName, str]
    model_sha256: str = ""
    beside: dict[str, str] = {}
    overwrite: bool = False


class _Line(_Checked):
    file: str


class Opened(_Line):
    """A file was looked at: its frames, its size and when it was changed."""

    event: Literal["opened"]
    frames: int = Field(ge=1)
    size: int
    mtime_ns: int


class Begun(_Line):
    """Work on a file begins: the hash of its content, and what is found once for all frames of a movie."""

    event: Literal["begun"]
    sha256: str
    noise: AnyNoise | None = None
    model: str | None = None


class Made(_Line):
    """Its unfinished results were made, for frames of these shapes."""

    event: Literal["made"]
    shapes: list[tuple[int, ...]] = Field(min_length=1)


class Judged(_Checked):
    """The verdict on frames, in short: its colour and its sentence."""

    colour: Literal["grey", "green", "amber", "red"]
    sentence: str = Field(max_length=2000)


class Done(_Line):
    """Frames ``first`` to ``last - 1`` are on the disk."""

    event: Literal["done"]
    first: int = Field(ge=0)
    last: int
    verdict: Judged | None = None


class Failed(_Line):
    """A frame failed, or the file."""

    event: Literal["failed"]
    frame: int = Field(ge=WHOLE_FILE)
    reason: str


class Mark(_Line):
    """Its results have their names; are opened again, for frames that failed; or are made anew, from the beginning."""

    event: Literal["whole", "reopened", "anew"]


Line = Opened | Begun | Made | Done | Failed | Mark
LINES: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="event")])


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a file is, in short.

    Attributes
    ----------
    frames : int
        Number of frames; 0 until the file was opened.
    done, failed : int
        How many of them are on the disk, and how many failed.
    broken : bool
        Whether the file failed as a whole.
    whole : bool
        Whether its results have their names.
    reasons : tuple of str
        Why something failed, a few sentences.
    verdict : Judged or None
        The worst verdict on its frames; None as long as there is none.
    """

    frames: int = 0
    done: int = 0
    failed: int = 0
    broken: bool = False
    whole: bool = False
    reasons: tuple[str, ...] = ()
    verdict: Judged | None = None

    @property
    def settled(self) -> bool:
        """Whether nothing of it is left to be tried."""
        return self.broken or self.done + self.failed >= self.frames > 0


@dataclass
class FileState:
    """How far a file is.

    Attributes
    ----------
    frames : int
        Number of frames; 0 until the file was opened.
    stamp : tuple of int
        Its size in bytes, and when it was changed.
    sha256 : str
        Hash of its content, once work on it has begun.
    noise : noise model or None
        Calibrated for all frames of a movie.
    model : str or None
        Model chosen for all frames of a movie.
    shapes : list of tuple
        Shape of a frame of each of its results.
    done : set of int
        Frames whose results are on the disk.
    failed : dict
        Frames that failed, with the reason; -1 stands for the file.
    whole : bool
        Whether its results have their names.
    verdict : Judged or None
        The worst verdict on its frames; of a movie, its sentence names the frame.
    """

    frames: int = 0
    stamp: tuple[int, int] = (0, 0)
    sha256: str = ""
    noise: AnyNoise | None = None
    model: str | None = None
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    done: set[int] = field(default_factory=set)
    failed: dict[int, str] = field(default_factory=dict)
    whole: bool = False
    verdict: Judged | None = None

    @property
    def failed_frames(self) -> set[int]:
        """Frames that failed, without what stands for the file."""
        return self.failed.keys() - {WHOLE_FILE}

    def standing(self) -> Standing:
        """Return how far it is, in short."""
        reasons = tuple(dict.fromkeys(self.failed.values()))[:MOST_TOLD]
        broken = WHOLE_FILE in self.failed
        failed = len(self.failed) - broken
        return Standing(self.frames, len(self.done), failed, broken, self.whole, reasons, self.verdict)

    def take(self, line: Line) -> None:
        """Take in one line of the ledger."""
        match line:
            case Opened():
                self.frames, self.stamp = line.frames, (line.size, line.mtime_ns)
                self.failed.pop(WHOLE_FILE, None)
            case Begun():
                self.sha256, self.noise, self.model = line.sha256, line.noise, line.model
            case Made():
                self.shapes = line.shapes
            case Done():
                self.done.update(range(line.first, line.last))
                for frame in range(line.first, line.last):
                    self.failed.pop(frame, None)
                self._judge(line)
            case Failed():
                self.failed[line.frame] = line.reason
            case Mark(event="anew"):
                vars(self).update(vars(FileState()))
            case Mark():
                self.whole = line.event == "whole"

    def _judge(self, line: Done) -> None:
        """Keep the worst verdict, and say on which frames of a movie it is."""
        verdict = line.verdict
        if verdict is None:
            return
        if self.verdict is None or COLOURS.index(verdict.colour) > COLOURS.index(self.verdict.colour):
            several = line.last - line.first > 1
            where = f"frames {line.first + 1} to {line.last}: " if several else f"frame {line.first + 1}: "
            named = self.frames > 1 and verdict.colour != "green"
            self.verdict = Judged(colour=verdict.colour, sentence=(where if named else "") + verdict.sentence)


class Files(dict[str, FileState]):
    """How far each file is, and how many frames all of them have: a job may have a million files."""

    frames = 0


def has_job(folder: Path) -> bool:
    """Whether a job has begun in a folder: its ledger has a first line."""
    path = folder / LEDGER
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline().endswith(b"\n")


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
        If there is no ledger, it is damaged or of another version.
    """
    path = folder / LEDGER
    if not has_job(folder):
        raise GanDenoiseError(f"There is no job to resume in {folder}: it has no {LEDGER}, or none that was begun.")
    return _read(path)[:2]


def _read(path: Path) -> tuple[dict[str, Any], Files, int]:
    """Read a ledger; return also the check of its last line."""
    whole = path.read_bytes().split(b"\n")[:-1]  # a line without an end was being written when the job was killed
    try:
        head = _head(whole[0])
        if head.ledger != VERSION:
            raise GanDenoiseError(
                f"{path} was written by another version of this package: start the job anew with overwrite."
            )
        states = Files((name, FileState()) for name in head.files)
        lines, check = _unsealed(whole)
        for line in lines[1:]:
            _take(states, LINES.validate_json(line))
    except (ValueError, KeyError) as error:
        if isinstance(error, GanDenoiseError):
            raise
        raise GanDenoiseError(f"{path} is damaged: start the job anew with overwrite.") from error
    return head.model_dump(), states, check


def _head(line: bytes) -> _Head:
    """Check the first line; of another version all but its number may be different."""
    try:
        return _Head.model_validate_json(line)
    except ValidationError:
        found = from_json(line)  # which knows a bound to what is nested
        version = found.get("ledger", 1) if isinstance(found, dict) and "config" in found else VERSION
        if version == VERSION:
            raise
        return _Head(ledger=-1, config={}, files={})


def _take(states: Files, line: Line) -> None:
    """Take in a line, if it follows from those before."""
    state = states[line.file]
    if isinstance(line, Done) and not line.first < line.last <= state.frames:
        raise ValueError("there are no such frames")
    if isinstance(line, Failed) and line.frame >= state.frames:
        raise ValueError("there is no such frame")
    before = state.frames
    state.take(line)
    states.frames += state.frames - before
    if states.frames > MOST_FRAMES:
        raise ValueError("too many frames")


def config_in(head: dict[str, Any], folder: Path) -> BatchConfig:
    """Return the config in the first line of a ledger; the folder may have moved.

    Raises
    ------
    GanDenoiseError
        If it is none.
    """
    try:
        return BatchConfig.model_validate({**head["config"], "output": folder})
    except ValidationError as error:
        raise GanDenoiseError(
            f"{folder / LEDGER} has settings that cannot be used: start the job anew with overwrite."
        ) from error


def _sealed(line: Mapping[str, Any], before: int) -> tuple[bytes, int]:
    """Write a line with a check of it and of all lines before, and return that, too."""
    text = json.dumps(line).encode()
    check = crc32(text, before)
    return text[:-1] + SEAL + b"%d}\n" % check, check


def _unsealed(lines: Iterable[bytes]) -> tuple[list[bytes], int]:
    """Return lines without their checks, which must be right, and the last of these."""
    texts, before = [], 0
    for line in lines:
        text, _, check = line.rpartition(SEAL)
        texts.append(text + b"}")
        before = crc32(texts[-1], before)
        if check != b"%d}" % before:
            raise ValueError("a line was changed")
    return texts, before


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
        If another process works in this folder, there is nothing to continue, or the first line cannot be written.
    """

    def __init__(self, folder: Path, head: dict[str, Any] | None = None) -> None:
        self.path = folder / LEDGER
        self._check = 0
        if head is None:
            read_ledger(folder)  # says what is wrong with it before it is touched
        self._file = claim(self.path)
        try:
            if head is not None:
                self._begin({"ledger": VERSION, **head})
            else:
                # What follows the last whole line was being written when the job was killed.
                os.ftruncate(self._file, self.path.read_bytes().rfind(b"\n") + 1)
            self.head, self.files, self._check = _read(self.path)
        except BaseException:
            self.close()
            raise

    def _begin(self, head: dict[str, Any]) -> None:
        """Put a new ledger in the place of the one that was claimed, whole or not at all."""
        if sys.platform == "win32":  # where a file that is open cannot be replaced
            os.ftruncate(self._file, 0)
            self._append(head, "start the job again")
            return
        new = self.path.with_name(f".{LEDGER}.part")
        new.unlink(missing_ok=True)
        begun = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        before, self._file = self._file, begun
        try:
            self._append(head, "start the job again")
            lock(begun, self.path.parent)
            new.replace(self.path)
        except BaseException:
            new.unlink(missing_ok=True)
            if not os.fstat(before).st_size:  # it was made to be claimed
                self.path.unlink(missing_ok=True)
            raise
        finally:
            os.close(before)

    def add(self, name: str, event: str, **fields: Any) -> None:
        """Add a line, and do not return before it is on the disk.

        Raises
        ------
        GanDenoiseError
            If it cannot be written, or there are more frames than a job can have.
        """
        line = {"file": name, "event": event, **fields}
        if event == "opened" and self.files.frames + fields["frames"] - self.files[name].frames > MOST_FRAMES:
            raise GanDenoiseError(f"A job can have {MOST_FRAMES} frames, and with {name} there are more: run two jobs.")
        self._append(line, "resume the job")
        _take(self.files, LINES.validate_json(json.dumps(line)))

    def _append(self, line: dict[str, Any], then: str) -> None:
        data, check = _sealed(line, self._check)
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, data) < len(data):
                raise OSError(0, "the disk is full")
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, size)
            raise GanDenoiseError(
                f"{self.path} could not be written: {error.strerror}; put that right and {then}."
            ) from error
        self._check = check

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._file)
