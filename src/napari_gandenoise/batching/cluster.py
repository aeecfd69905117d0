"""The same units on dask.distributed: processes of this computer, or a cluster's."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import dask.config
import torch
from distributed import Client, Future, KilledWorker, LocalCluster, Worker, WorkerPlugin, get_worker, wait

from napari_gandenoise.batching.work import Computed, Unit, compute_steps, failed_unit
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import load_model, user_folder
from napari_gandenoise.models.bundled import PLACE, SUFFIX
from napari_gandenoise.progress import Progress, drain
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.shared import AUTO

__all__ = ["on_cluster"]

AHEAD = 2  # units a thread of a worker: one that it computes, one that waits
PATIENCE_S = 0.3  # between two looks, for a Cancel that comes meanwhile
CONNECT_S = 10
LOOPBACK = "127.0.0.1"
MODELS = "napari-gandenoise-models"
TRIM = "MALLOC_TRIM_THRESHOLD_"


def on_cluster(
    units: Iterator[Unit], config: BatchConfig, workers: int, scheduler: str | None
) -> Generator[Progress | Computed, None, None]:
    """Compute units on workers, a few ahead, so that nothing piles up anywhere.

    Parameters
    ----------
    units : iterator of Unit
        What is to be done.
    config : BatchConfig
        The job.
    workers : int
        Processes to start.
    scheduler : str or None
        Address of a cluster to use instead.

    Yields
    ------
    Progress or Computed
        A sign of life now and then; what the workers return, in the order in which they are done.
    """
    files = _model_files(config.settings.model)
    with _client(workers, scheduler) as client:
        yield Progress("frames", 0, 1, note=f"Dashboard of the workers: {client.dashboard_link}")
        client.register_plugin(_ModelsOnWorker(files, config.settings.model == AUTO))
        under_way: dict[Future, Unit] = {}
        while True:
            for unit in islice(units, max(0, AHEAD * _threads_of(client) - len(under_way))):
                if unit.adapted and Path(unit.adapted).name not in files:
                    files |= _model_files(unit.adapted)
                    client.register_plugin(_ModelsOnWorker(files, config.settings.model == AUTO))
                under_way[client.submit(_compute, unit, config, pure=False, retries=2)] = unit
            if not under_way:
                return
            try:
                with client.as_current():
                    done = wait(list(under_way), timeout=PATIENCE_S, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                yield Progress("frames", 0, 1)
                continue
            for future in done:
                yield _outcome(future, under_way.pop(future))


def _model_files(model: str) -> dict[str, bytes]:
    """Read the file of a model; for auto those of all the user's own, since the others are on the workers."""
    if model == AUTO:
        return {path.name: path.read_bytes() for path in sorted(user_folder().glob(f"*{SUFFIX}"))}
    path = load_model(model).path
    if path is None:
        raise GanDenoiseError("A model that is no file cannot be sent to workers: save it first.")
    return {path.name: path.read_bytes()}


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Client]:
    """Connect to a cluster, or start one; its processes end with the job."""
    with ExitStack() as stack:
        if scheduler is None:
            with _memory_kept():
                # Whoever reaches scheduler or dashboard can run code here, so that nobody elsewhere does.  On a free
                # port: there may be another cluster on this computer.
                local = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    host=LOOPBACK,
                    dashboard_address=f"{LOOPBACK}:0",
                    silence_logs=logging.ERROR,
                )
            scheduler = stack.enter_context(local).scheduler_address
        try:
            yield stack.enter_context(Client(scheduler, timeout=CONNECT_S, set_as_default=False))
        except OSError as error:
            raise GanDenoiseError(
                f"There is no Dask scheduler at {scheduler}: start it, or check the address."
            ) from error


@contextmanager
def _memory_kept() -> Iterator[None]:
    """Start workers that keep the memory they free.

    Dask has them give every freed array back to the system at once; new arrays then come page by page, and a frame
    takes much longer.
    """
    setting = f"distributed.nanny.pre-spawn-environ.{TRIM}"
    if os.environ.get(TRIM) == str(dask.config.get(setting)):
        del os.environ[TRIM]  # left behind by another cluster of this process
    with dask.config.set({setting: None}):
        yield


def _threads_of(client: Client) -> int:
    """Count the threads of all workers there are; workers may come and go."""
    threads: dict[str, int] = client.nthreads()
    return max(1, sum(threads.values()))


def _outcome(future: Future, unit: Unit) -> Computed:
    try:
        computed: Computed = future.result()
    except KilledWorker:
        reason = "The workers that computed this died, one after the other; they may have too little memory."
        return Computed(unit, {}, dict.fromkeys(unit.frames, reason))
    except Exception as error:  # what a worker raises may be anything, and the others shall go on
        return failed_unit(unit, error)
    finally:
        future.release()
    return computed


# --- on a worker ----------------------------------------------------------------------------------------------------


@dataclass
class _ModelsOnWorker(WorkerPlugin):  # type: ignore[misc] # the base class is not typed
    """Model files that every worker gets once, however many frames it computes and whenever it joins.

    To choose among, they are in the place of the worker's own models; else there is the one of the job.
    """

    files: dict[str, bytes]
    choose: bool
    name = MODELS

    def setup(self, worker: Worker) -> None:
        folder = Path(worker.local_directory) / MODELS
        folder.mkdir(exist_ok=True)
        for file, content in self.files.items():
            (folder / file).write_bytes(content)
            load_model(folder / file)
        if self.choose:
            os.environ[PLACE] = str(folder)
        worker.gandenoise_folder = folder
        worker.gandenoise_model = AUTO if self.choose else str(folder / next(iter(self.files)))


def _compute(unit: Unit, config: BatchConfig) -> Computed:
    """Compute a unit with the models that this worker was sent."""
    torch.set_num_threads(config.threads)
    worker = get_worker()
    changes: dict[str, Any] = {"model": worker.gandenoise_model}
    if unit.adapted:
        unit = replace(unit, model=str(worker.gandenoise_folder / Path(unit.adapted).name))
    there = config.model_copy(update={"settings": config.settings.model_copy(update=changes)})
    chosen = unit.adapted or changes["model"] == AUTO
    return drain(compute_steps(unit if chosen else replace(unit, model=None), there))
