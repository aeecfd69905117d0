"""The job: units of work are given out, what comes back is written, and the ledger says how far it is."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from napari_gandenoise.batching.inputs import Source, find_sources, open_source
from napari_gandenoise.batching.ledger import LEDGER, WHOLE_FILE, FileState, Ledger, read_ledger
from napari_gandenoise.batching.outputs import (
    Stack,
    StackKind,
    discard_unfinished,
    open_stack,
    product_path,
    publish,
    unfinished_path,
)
from napari_gandenoise.batching.work import Computed, Unit, compute_steps, survey_movie
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import list_models, load_model
from napari_gandenoise.progress import Progress, Steps, drain
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.noise import AnyNoise
from napari_gandenoise.settings.shared import AUTO

__all__ = ["BatchResult", "batch", "batch_steps"]

Runner = Callable[[Iterator[Unit], BatchConfig], Generator[Progress | Computed, None, None]]


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


def batch(
    config: BatchConfig | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 0,
    scheduler: str | None = None,
    **fields: Any,
) -> BatchResult:
    """Denoise or restore many images and movies, frame by frame.

    Results lie in the output folder under ``NAME-denoised.ome.tif`` and appear there when they are whole.  Each frame
    is computed for itself unless the config says otherwise, so that its bytes depend neither on the number of workers
    nor on where the job was interrupted.

    Parameters
    ----------
    config : BatchConfig, optional
        The job; ``**fields`` are laid over it: ``batch(inputs="data/*.tif", output="denoised")``.
    resume : bool
        Go on with the job in the output folder.  Its own config is used; what is given here may not contradict it.
    overwrite : bool
        Start anew, and replace results of the same names.
    workers : int
        Processes to start for the job, one frame each at a time; 0 computes in this process.
    scheduler : str, optional
        Address of a Dask cluster to use instead, such as ``tcp://10.0.0.1:8786``.

    Returns
    -------
    BatchResult
        Where the results are, and what failed.

    Raises
    ------
    GanDenoiseError
        If the job cannot begin, or cannot go on, as with a full disk; one frame or file that fails does not stop it.
    """
    steps = batch_steps(config, resume=resume, overwrite=overwrite, workers=workers, scheduler=scheduler, **fields)
    return drain(steps)


def batch_steps(
    config: BatchConfig | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 0,
    scheduler: str | None = None,
    **fields: Any,
) -> Steps[BatchResult]:
    """Run a batch job as a generator of events; closing it stops the job, which can be resumed.

    Parameters
    ----------
    config, resume, overwrite, workers, scheduler, **fields
        As for `batch`.

    Yields
    ------
    Progress
        Stage "open" counts files, stage "frames" frames of all files.  When frames are done, the preview is the last of
        them, and the values are "file", the number of its file in the ledger, "done", "of" and "failed", the frames of
        that file; the note says why a frame failed.

    Returns
    -------
    BatchResult
        What `batch` returns.
    """
    if resume and config is None and fields.keys() == {"output"}:
        config = _config_of(Path(fields["output"]))
    else:
        config = configure(BatchConfig, config, fields)
    if workers and scheduler:
        raise GanDenoiseError("Give either a number of workers or the address of a scheduler.")
    with _ledger_of(config, resume, overwrite) as ledger:
        config = _config_in(ledger.head).model_copy(update={"output": config.output})
        job = _Job(config, ledger, overwrite=bool(ledger.head["overwrite"]))
        with closing(job):
            yield from job.open_steps()
            yield from job.run_steps(_runner(workers, scheduler))
        return job.result()


def _runner(workers: int, scheduler: str | None) -> Runner:
    if not workers and scheduler is None:
        return _one_by_one
    try:
        from napari_gandenoise.batching.cluster import on_cluster
    except ImportError as error:
        raise GanDenoiseError("Workers need dask.distributed: pip install 'napari-gandenoise[distributed]'.") from error
    return lambda units, config: on_cluster(units, config, workers, scheduler)


# --- beginning and resuming -----------------------------------------------------------------------------------------


@contextmanager
def _ledger_of(config: BatchConfig, resume: bool, overwrite: bool) -> Iterator[Ledger]:
    """Open the ledger of a new job, or of the one to resume."""
    folder = config.output
    if resume and overwrite:
        raise GanDenoiseError("A job is either resumed or started anew: leave out resume or overwrite.")
    if resume:
        _check_same(read_ledger(folder)[0], config)
        ledger = Ledger(folder)
    else:
        if (folder / LEDGER).exists() and not overwrite:
            raise GanDenoiseError(
                f"{folder} holds a job already: resume it, allow overwriting, or choose another folder."
            )
        head = _head(config, overwrite)
        folder.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(folder, head)
        discard_unfinished(folder)
    try:
        yield ledger
    finally:
        ledger.close()


def _head(config: BatchConfig, overwrite: bool) -> dict[str, Any]:
    """Write the first line of a ledger, and refuse a job that could not end well."""
    sources = find_sources(config.inputs, config.output)
    head = {
        "config": config.model_dump(mode="json"),
        "model_sha256": _model_digest(config.settings.model),
        "versions": {name: version(name) for name in ("napari-gandenoise", "torch", "numpy")},
        "overwrite": overwrite,
        "files": {source.name: str(source.path) for source in sources},
    }
    taken = [path for path in _paths(config, head["files"]) if path.exists()]
    if taken and not overwrite:
        raise GanDenoiseError(f"{taken[0]} exists already: allow overwriting, or choose another folder.")
    return head


def _paths(config: BatchConfig, names: Any) -> Iterator[Path]:
    """Yield all results of a job."""
    for name in names:
        for product in config.products:
            yield product_path(config.output, name, product, config.format)


def _config_of(output: Path) -> BatchConfig:
    """Return the config of the job in a folder, which may have moved."""
    return _config_in(read_ledger(output)[0]).model_copy(update={"output": output})


def _config_in(head: dict[str, Any]) -> BatchConfig:
    return BatchConfig.model_validate(head["config"])


def _check_same(head: dict[str, Any], config: BatchConfig) -> None:
    """Refuse to go on with other settings than a job began with."""
    before, now = (_flat(one.provenance()) for one in (_config_in(head), config))
    for name in before | now:
        if before.get(name) != now.get(name):
            raise GanDenoiseError(
                f"The job in {config.output} began with {name} {before.get(name)}, not {now.get(name)}: resume it with "
                "its own settings, or start anew with overwrite."
            )
    if _model_digest(config.settings.model) != head["model_sha256"]:
        raise GanDenoiseError(f"The model {config.settings.model} is another than when the job began: start anew.")


def _model_digest(model: str) -> str:
    """Return the hash of a model; for auto one of all that may be chosen."""
    if model != AUTO:
        return load_model(model).sha256
    return sha256("".join(card.sha256 for card in list_models()).encode()).hexdigest()


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Lay the settings beside the other fields."""
    return {**fields, **fields["settings"], "settings": None}


# --- running --------------------------------------------------------------------------------------------------------


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _one_by_one(units: Iterator[Unit], config: BatchConfig) -> Generator[Progress | Computed, None, None]:
    """Compute in this process."""
    for unit in units:
        with _threads(config.threads):
            yield (yield from compute_steps(unit, config))


class _Job:
    """A job under way."""

    def __init__(self, config: BatchConfig, ledger: Ledger, *, overwrite: bool) -> None:
        self._config, self._ledger, self._overwrite = config, ledger, overwrite
        self._sources = [Source(name, Path(path)) for name, path in ledger.head["files"].items()]
        self._number = {source.name: number for number, source in enumerate(self._sources)}
        self._stacks: dict[str, list[Stack]] = {}
        self._told_of: set[str] = set()

    def open_steps(self) -> Steps[None]:
        """Open every file once: what cannot be read is known before the work, and how much there is to do."""
        for number, source in enumerate(self._sources):
            state = self._ledger.files[source.name]
            note = ""
            if not state.frames:
                try:
                    frames = open_source(source.path).frames
                    self._ledger.add(source.name, "opened", frames=frames, noise=None)
                except GanDenoiseError as error:
                    self._ledger.add(source.name, "failed", frame=WHOLE_FILE, reason=str(error))
                    note = str(error)
            elif not state.whole:
                self._forget_lost(source.name, state)
            yield Progress("open", number + 1, len(self._sources), values=self._values(source.name), note=note)

    def _forget_lost(self, name: str, state: FileState) -> None:
        """Begin a file anew whose unfinished results are gone."""
        if state.done and not all(unfinished_path(path).exists() or path.exists() for path in self._of(name)):
            state.done.clear()

    def _of(self, name: str) -> list[Path]:
        return list(_paths(self._config, [name]))

    def run_steps(self, runner: Runner) -> Steps[None]:
        """Have units computed, and write what comes back."""
        for source in self._sources:
            self._publish(source.name)
        with closing(runner(self._units(), self._config)) as events:
            for event in events:
                if isinstance(event, Progress):
                    yield Progress("frames", *self._counts(), note=event.note)
                    continue
                self._write(event)
                yield self._told(event)

    def _counts(self) -> tuple[int, int]:
        states = self._ledger.files.values()
        frames = sum(state.frames for state in states)
        return sum(len(state.done | state.failed.keys() - {WHOLE_FILE}) for state in states), frames

    def _values(self, name: str) -> dict[str, float]:
        state = self._ledger.files[name]
        numbers = (self._number[name], len(state.done), state.frames, len(state.failed))
        return dict(zip(("file", "done", "of", "failed"), numbers, strict=True))

    def _told(self, computed: Computed) -> Progress:
        last = computed.images[max(computed.images)][0] if computed.images else None
        news = [text for text in (*computed.failed.values(), *computed.warnings) if text not in self._told_of]
        self._told_of.update(computed.warnings)
        note = " ".join(dict.fromkeys(news))
        return Progress("frames", *self._counts(), preview=last, values=self._values(computed.unit.name), note=note)

    def _units(self) -> Iterator[Unit]:
        """Yield what is to be done, file after file."""
        for source in self._sources:
            state = self._ledger.files[source.name]
            if state.whole or not state.frames:
                continue
            try:
                noise, model = self._surveyed(source, state)
            except GanDenoiseError as error:
                self._ledger.add(source.name, "failed", frame=WHOLE_FILE, reason=str(error))
                continue
            for first in range(0, state.frames, self._config.warm_start):
                last = min(first + self._config.warm_start, state.frames)
                if not state.done.issuperset(range(first, last)):
                    yield Unit(source.name, source.path, first, last, noise, model)

    def _surveyed(self, source: Source, state: FileState) -> tuple[AnyNoise | None, str | None]:
        """Return noise and model of all frames of a movie; None where each image is looked at for itself."""
        settings = self._config.settings
        if not isinstance(settings, DenoiseConfig) or state.frames == 1:
            return None, None
        if state.noise is None:
            with _threads(self._config.threads):
                noise, model = survey_movie(open_source(source.path), settings)
            found = {"noise": noise.model_dump(mode="json"), "model": model}
            self._ledger.add(source.name, "opened", frames=state.frames, **found)
        known: AnyNoise = TypeAdapter(AnyNoise).validate_python(state.noise)
        return known, state.model

    def _write(self, computed: Computed) -> None:
        """Put frames on the disk, then into the ledger."""
        unit = computed.unit
        for frame, images in computed.images.items():
            for stack, image in zip(self._stacks_of(computed), images, strict=True):
                stack.write(frame, image)
        for frame, reason in computed.failed.items():
            self._ledger.add(unit.name, "failed", frame=frame, reason=reason)
        if not computed.failed:
            self._ledger.add(unit.name, "done", first=unit.first, last=unit.last, **(computed.figures or {}))
        else:
            for frame in computed.images:
                self._ledger.add(unit.name, "done", first=frame, last=frame + 1)
        self._publish(unit.name)

    def _stacks_of(self, computed: Computed) -> list[Stack]:
        """Open the unfinished results of a file, made to fit the first frame that there is."""
        unit = computed.unit
        if unit.name not in self._stacks:
            about = {**self._config.provenance(), **(computed.made_by or {}), "source": unit.path.name}
            shapes = [image.shape for image in next(iter(computed.images.values()))]
            stacks: list[Stack] = []
            self._stacks[unit.name] = stacks
            for path, product, shape in zip(self._of(unit.name), self._config.products, shapes, strict=True):
                kind = StackKind(
                    f"{unit.name} {product}",
                    self._ledger.files[unit.name].frames,
                    shape,
                    computed.pixel_size_nm,
                    computed.frame_interval_s,
                    {"product": product, **about},
                )
                stacks.append(open_stack(path, self._config.format, kind))
        return self._stacks[unit.name]

    def _publish(self, name: str) -> None:
        """Give the results of a file their names once nothing is missing from them."""
        state = self._ledger.files[name]
        if state.whole or not state.done or len(state.done | state.failed.keys() - {WHOLE_FILE}) < state.frames:
            return
        for stack in self._stacks.pop(name, ()):
            stack.close()
        for path in self._of(name):
            publish(path, self._config.format, missing=sorted(state.failed), overwrite=self._overwrite)
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
