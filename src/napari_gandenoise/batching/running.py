"""A job under way: files are looked at, units given out, and what comes back is written and noted in the ledger."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from napari_gandenoise.batching.failures import details_of, keep_details, reason_of
from napari_gandenoise.batching.inputs import Source, content_hash, open_source, stamp_of
from napari_gandenoise.batching.ledger import WHOLE_FILE, FileState, Ledger, Standing
from napari_gandenoise.batching.outputs import (
    Stack,
    StackKind,
    adapted_path,
    discard,
    is_stack,
    open_stack,
    publish,
    results_of,
    set_aside,
    unfinished_path,
)
from napari_gandenoise.batching.work import Computed, Unit, adapt_movie, survey_movie
from napari_gandenoise.denoising import given_way
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.denoise import DenoiseConfig

__all__ = ["BatchResult", "FileProgress", "Job", "Runner", "threads"]

Runner = Callable[[Iterator[Unit], BatchConfig], Generator[Progress | Computed, None, None]]


@dataclass(frozen=True, slots=True)
class FileProgress(Progress):
    """An event that is about one file of a job.

    Attributes
    ----------
    file : int
        Its number in the ledger.
    standing : Standing
        How far it is.
    part : Progress or None
        What goes on in the frame that is computed; None when frames are done, or the file was only looked at.
    """

    file: int = 0
    standing: Standing = field(default_factory=Standing)
    part: Progress | None = None


@dataclass(frozen=True)
class BatchResult:
    """What a job made.

    Attributes
    ----------
    outputs : list of Path
        Results, in the order of the inputs.
    frames : int
        Frames that they hold, those that failed left out.
    failures : dict
        What failed, "movie.tif" or "movie.tif, frame 7", with the reason.
    """

    outputs: list[Path] = field(default_factory=list)
    frames: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    def summary(self) -> str:
        """One line: what was made, and what failed."""
        failed = f"; {len(self.failures)} failed" if self.failures else ""
        return f"{self.frames} frames in {len(self.outputs)} results{failed}"


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let PyTorch compute with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Job:
    """A job under way."""

    def __init__(self, config: BatchConfig, ledger: Ledger, *, overwrite: bool) -> None:
        self._config, self._ledger, self._overwrite = config, ledger, overwrite
        self._sources = [Source(name, Path(path)) for name, path in ledger.head["files"].items()]
        self._number = {source.name: number for number, source in enumerate(self._sources)}
        self._stacks: dict[str, list[Stack]] = {}
        # Frames that failed before and are tried again.
        self._again: dict[str, set[int]] = {source.name: set() for source in self._sources}
        self._told_of: set[str] = set()
        self._given = ""  # the file of which something was last given out to be computed

    def open_steps(self) -> Steps[None]:
        """Look at every file once: what cannot be read is known before the work, and how much there is to do."""
        for number, source in enumerate(self._sources):
            try:
                note = self._look_at(source)
            except Exception as error:  # a stranger's file can make a library fail in any way
                note = self._fail(source.name, error)
            yield self._event(source.name, "open", number + 1, len(self._sources), note=note)

    def _look_at(self, source: Source) -> str:
        """Find out whether a file is the one it was, and its results where they were; return what is to be said."""
        state = self._ledger.files[source.name]
        if state.whole and not state.failed and not source.path.exists() and self._has_results(source.name, state):
            return ""  # nothing is left to do
        stamp, note = stamp_of(source.path), ""
        if state.frames and (reason := self._outdated(source, state, stamp)):
            note = f"{source.path.name} is computed anew: {reason}."
            self._begin_anew(source.name)
        if state.stamp != stamp or WHOLE_FILE in state.failed:
            frames = state.frames or open_source(source.path, self._config.settings.image).frames
            self._ledger.add(source.name, "opened", frames=frames, size=stamp[0], mtime_ns=stamp[1])
        self._again[source.name] = set(state.failed_frames)
        return note

    def _outdated(self, source: Source, state: FileState, stamp: tuple[int, int]) -> str:
        """Say why what was computed of a file is of no use; nothing if it is."""
        # What is whole is only looked at: to read it all again would take long where there is nothing to do.
        if state.whole and not state.failed_frames and state.stamp == stamp:
            changed = False
        elif state.sha256:
            changed = content_hash(source.path) != state.sha256
        else:
            changed = state.stamp != stamp
        if changed:
            return "it has changed since the job began"
        if state.done and not self._has_results(source.name, state):
            return "its results are not there any more"
        return ""

    def _has_results(self, name: str, state: FileState) -> bool:
        """Whether all results of a file are where they were, under their names or unfinished."""
        if state.whole and not state.failed_frames:
            return all(path.exists() for path in self._of(name))
        shapes = dict(zip(self._of(name), state.shapes, strict=False))
        places = {path: part if (part := unfinished_path(path)).exists() else path for path in shapes}
        return len(shapes) == len(self._config.products) and all(
            is_stack(places[path], self._config.format, state.frames, shape) for path, shape in shapes.items()
        )

    def _begin_anew(self, name: str) -> None:
        """Forget what was done of a file; results that have their names are kept under others."""
        whole = self._ledger.files[name].whole
        self._ledger.add(name, "anew")
        for path in self._of(name):
            discard(unfinished_path(path))
            if whole:
                set_aside(path)

    def _fail(self, name: str, error: Exception) -> str:
        """Write down that a file failed; return why."""
        reason = reason_of(error)
        self._ledger.add(name, "failed", frame=WHOLE_FILE, reason=reason)
        keep_details(self._config.output, name, details_of(error))
        return reason

    def _of(self, name: str) -> list[Path]:
        return list(results_of(self._config, [name]))

    def run_steps(self, runner: Runner) -> Steps[None]:
        """Have units computed, and write what comes back."""
        for source in self._sources:
            self._publish(source.name)
        with closing(runner(self._units(), self._config)) as events:
            for event in events:
                if isinstance(event, Progress):
                    yield self._under_way(event)
                    continue
                refused = self._write(event)
                yield self._told(event, refused)
        for source in self._sources:  # what could not be tried again is as good as it was
            self._again[source.name].clear()
            self._publish(source.name)

    def _counts(self) -> tuple[int, int]:
        states = self._ledger.files.values()
        frames = sum(state.frames for state in states)
        return sum(len(state.done | state.failed_frames) for state in states), frames

    def _under_way(self, event: Progress) -> Progress:
        """Say how far the job is, and what goes on in the file that was last given out."""
        if not self._given:
            return Progress("frames", *self._counts(), note=event.note)
        return self._event(self._given, "frames", *self._counts(), note=event.note, part=replace(event, preview=None))

    def _event(self, name: str, stage: str, done: int, total: int, **more: Any) -> FileProgress:
        standing = self._ledger.files[name].standing()
        number = self._number[name]
        counts = (number, standing.done, standing.frames, standing.failed + standing.broken)
        values: dict[str, float] = dict(zip(("file", "done", "of", "failed"), counts, strict=True))
        return FileProgress(stage, done, total, values=values, file=number, standing=standing, **more)

    def _told(self, computed: Computed, refused: str) -> Progress:
        last = computed.images[max(computed.images)][0] if computed.images else None
        said = [refused] if refused else [*computed.failed.values(), *self._news(computed)]
        note = " ".join(dict.fromkeys(said))
        return self._event(computed.unit.name, "frames", *self._counts(), preview=last, note=note)

    def _news(self, computed: Computed) -> list[str]:
        """Return the warnings of a kind that nobody was told of yet, and of which frame; all are in the ledger."""
        unit, news = computed.unit, []
        place = unit.name if self._ledger.files[unit.name].frames == 1 else f"{unit.name}, frame {unit.first}"
        for sentence in computed.warnings:
            kind = re.sub(r"\d+", "", sentence)
            if kind not in self._told_of:
                news.append(f"{place}: {sentence}")
                self._told_of.add(kind)
        return news

    def _units(self) -> Iterator[Unit]:
        """Yield what is to be done, file after file."""
        for source in self._sources:
            state = self._ledger.files[source.name]
            if not state.frames or WHOLE_FILE in state.failed or (state.whole and not self._again[source.name]):
                continue
            try:
                self._begin(source, state)
            except Exception as error:  # as for frames
                self._fail(source.name, error)
                continue
            for first in range(0, state.frames, self._config.warm_start):
                last = min(first + self._config.warm_start, state.frames)
                # The file may have failed while its frames were computed.
                if WHOLE_FILE not in state.failed and not state.done.issuperset(range(first, last)):
                    self._given = source.name
                    yield Unit(source.name, source.path, first, last, state.noise, state.model)

    def _begin(self, source: Source, state: FileState) -> None:
        """Note which content is computed, and noise and model of all frames of a movie."""
        if state.sha256:
            return
        settings = self._config.settings
        found: dict[str, Any] = {}
        if isinstance(settings, DenoiseConfig) and state.frames > 1:
            given_way(settings, state.frames)  # what is wrong with it is so of all frames
            with threads(self._config.threads):
                movie = open_source(source.path, settings.image)
                noise, model = survey_movie(movie, settings)
                if settings.adapt != "off":
                    file = adapted_path(self._config.output, source.name)
                    model = adapt_movie(movie, settings, noise, model, file, overwrite=True)
            found["model"] = model
            found["noise"] = noise.model_dump(mode="json")
        self._ledger.add(source.name, "begun", sha256=content_hash(source.path), **found)

    def _write(self, computed: Computed) -> str:
        """Put frames on the disk, then into the ledger; return why they were refused, if they were."""
        unit, state = computed.unit, self._ledger.files[computed.unit.name]
        keep_details(self._config.output, unit.name, computed.details)
        try:
            self._check_unchanged(computed, state)
        except GanDenoiseError as error:
            return self._fail(unit.name, error)
        for frame, images in computed.images.items():
            for stack, image in zip(self._stacks_of(computed), images, strict=True):
                stack.write(frame, image)
        for frame, reason in computed.failed.items():
            self._ledger.add(unit.name, "failed", frame=frame, reason=reason)
        if not computed.failed:
            self._ledger.add(unit.name, "done", first=unit.first, last=unit.last, **_about(computed))
        else:
            for frame in computed.images:
                self._ledger.add(unit.name, "done", first=frame, last=frame + 1)
        self._again[unit.name].difference_update(unit.frames)
        self._publish(unit.name)
        return ""

    def _check_unchanged(self, computed: Computed, state: FileState) -> None:
        """Refuse frames of a file that is not there any more, or is not the one that was opened."""
        path = computed.unit.path
        shapes = [[image.shape for image in images] for images in computed.images.values()]
        misfit = any(of_frame != (state.shapes or shapes[0]) for of_frame in shapes)
        # Of a Zarr there may be too many files to look at for each frame.
        if misfit or (not path.is_dir() and stamp_of(path) != state.stamp):
            raise GanDenoiseError(f"{path} has changed while the job ran: resume the job, which begins it anew.")

    def _stacks_of(self, computed: Computed) -> list[Stack]:
        """Open the unfinished results of a file, made to fit the first frame that there is."""
        unit, state = computed.unit, self._ledger.files[computed.unit.name]
        if unit.name not in self._stacks:
            about = {**self._config.provenance(), **(computed.made_by or {}), "source": unit.path.name}
            if state.frames == 1 and computed.verdict:  # of a movie, each frame has its own
                about["verdict"] = computed.verdict
            shapes = [image.shape for image in next(iter(computed.images.values()))]
            stacks: list[Stack] = []
            self._stacks[unit.name] = stacks
            self._make_ready(unit.name, state)
            for path, product, shape in zip(self._of(unit.name), self._config.products, shapes, strict=True):
                kind = StackKind(
                    f"{unit.name} {product}",
                    state.frames,
                    shape,
                    computed.pixel_size_nm,
                    computed.frame_interval_s,
                    {"product": product, **about},
                    computed.aspect,
                )
                stacks.append(open_stack(path, self._config.format, kind))
            if not state.shapes:
                self._ledger.add(unit.name, "made", shapes=shapes)
        return self._stacks[unit.name]

    def _make_ready(self, name: str, state: FileState) -> None:
        """Make room for results that are begun, or open those again that lack frames which failed."""
        if state.whole:
            self._ledger.add(name, "reopened")
        for path in self._of(name):
            part = unfinished_path(path)
            if not state.shapes:
                discard(part)
            elif not part.exists():
                path.replace(part)

    def _publish(self, name: str) -> None:
        """Give the results of a file their names once nothing is missing from them."""
        state = self._ledger.files[name]
        settled = len(state.done | state.failed_frames) == state.frames and not self._again[name]
        if state.whole or not state.done or not settled:
            return
        for stack in self._stacks.pop(name, ()):
            stack.close()
        for path in self._of(name):
            publish(path, self._config.format, missing=sorted(state.failed_frames), overwrite=self._overwrite)
        self._ledger.add(name, "whole")

    def close(self) -> None:
        """Close what is open; unfinished results stay where they are."""
        for stacks in self._stacks.values():
            for stack in stacks:
                stack.close()
        self._stacks.clear()

    def result(self) -> BatchResult:
        """Return what there is now."""
        result = BatchResult()
        frames, failures = 0, {}
        for source in self._sources:
            state = self._ledger.files[source.name]
            frames += len(state.done)
            if state.whole:
                result.outputs.extend(self._of(source.name))
            for frame, reason in state.failed.items():
                single = frame < 0 or state.frames == 1
                failures[str(source.path) if single else f"{source.path}, frame {frame}"] = reason
        return BatchResult(result.outputs, frames, failures)


def _about(computed: Computed) -> dict[str, Any]:
    """Return what the ledger keeps of a unit: figures, warnings and the verdict in short."""
    about: dict[str, Any] = dict(computed.figures or {})
    if computed.warnings:
        about["said"] = list(computed.warnings)
    if computed.verdict and computed.verdict["sentence"]:
        about["verdict"] = {name: computed.verdict[name] for name in ("colour", "sentence")}
    return about
