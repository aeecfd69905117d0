"""A run for another program: events as lines of JSON, commands as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from typing import TextIO

import numpy as np

from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.training.programme import TrainPreview
from napari_gandenoise.writing import written_whole

__all__ = ["serve"]


def serve(steps: Steps[Path], stop: Event, folder: Path, commands: Iterable[str], events: TextIO) -> Path:
    """Drain a training run, write its events and obey commands.

    Parameters
    ----------
    steps : Steps
        The run.
    stop : threading.Event
        The one that the run was given.
    folder : Path
        Where ``preview.npz`` is put, with the arrays ``samples`` and ``real``.
    commands : iterable of str
        Lines ``pause``, ``resume`` and ``stop``; read in a thread.  Other lines are passed over.
    events : TextIO
        Takes a JSON object a line: stage, done, total, values, note, and preview, the path of the file or null.  Once
        nobody reads it any more, the run is stopped.

    Returns
    -------
    Path
        What the run returns.
    """
    going = Event()
    going.set()
    Thread(target=_obey, args=(commands, going, stop), daemon=True).start()
    with closing(steps):
        while True:
            going.wait()
            try:
                event = next(steps)
            except StopIteration as end:
                path: Path = end.value
                return path
            try:
                events.write(_line(event, folder))
                events.flush()
            except BrokenPipeError:
                stop.set()
                going.set()


def _obey(commands: Iterable[str], going: Event, stop: Event) -> None:
    for command in commands:
        match command.strip():
            case "pause":
                going.clear()
            case "resume":
                going.set()
            case "stop":
                stop.set()
                going.set()
    # Nobody can say "resume" any more.
    going.set()


def _line(event: Progress, folder: Path) -> str:
    shown = None
    if isinstance(event.preview, TrainPreview):
        shown = folder / "preview.npz"
        with written_whole(shown) as temporary, temporary.open("wb") as file:
            np.savez(file, samples=event.preview.samples, real=event.preview.real)
    line = {
        "stage": event.stage,
        "done": event.done,
        "total": event.total,
        "values": event.values,
        "preview": shown and str(shown),
        "note": event.note,
    }
    return json.dumps(line) + "\n"
