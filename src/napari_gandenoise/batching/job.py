"""The doors of batch jobs."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

from napari_gandenoise.batching.beginning import ledger_of
from napari_gandenoise.batching.ledger import config_in, read_ledger
from napari_gandenoise.batching.running import BatchResult, Job, Runner, threads
from napari_gandenoise.batching.work import Computed, Unit, compute_steps
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress, Steps, drain
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.batch import BatchConfig

__all__ = ["BatchResult", "batch", "batch_steps"]


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
        that file; the note says why a frame failed.  Events about one file are `FileProgress`, with how far it is.

    Returns
    -------
    BatchResult
        What `batch` returns.
    """
    if resume and config is None and fields.keys() == {"output"}:
        output = configure(BatchConfig, None, {"inputs": ".", **fields}).output
        config = config_in(read_ledger(output)[0], output)  # the folder may have moved
    else:
        config = configure(BatchConfig, config, fields)
    if workers and scheduler:
        raise GanDenoiseError("Give either a number of workers or the address of a scheduler.")
    with ledger_of(config, resume, overwrite) as ledger:
        config = config_in(ledger.head, config.output)
        job = Job(config, ledger, overwrite=bool(ledger.head["overwrite"]))
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


def _one_by_one(units: Iterator[Unit], config: BatchConfig) -> Generator[Progress | Computed, None, None]:
    """Compute in this process."""
    for unit in units:
        with threads(config.threads):
            yield (yield from compute_steps(unit, config))
