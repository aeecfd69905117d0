"""A training run as every door starts it: a CIF is laid out first, and what was trained on one is compared."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from threading import Event
from typing import Any

from napari_gandenoise.finetuning.comparison import compare_steps, is_compared, is_of_cif, is_tested, keep
from napari_gandenoise.finetuning.layout import lay_out
from napari_gandenoise.progress import Progress, Steps, drain
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.cif import CifTrainConfig
from napari_gandenoise.settings.train import AnyTrainConfig, DirectTrainConfig
from napari_gandenoise.training import train_steps
from napari_gandenoise.training.distributed import Ranks

__all__ = ["run_steps", "train_cif", "train_cif_steps"]


def run_steps(config: AnyTrainConfig | CifTrainConfig, resume: bool = False, stop: Event | None = None) -> Steps[Path]:
    """Train any model; one of a CIF is compared at the end with the model that it began with and with BM3D.

    Parameters, events, result and errors are those of `train_steps` and `train_cif_steps`.
    """
    run = lay_out(config) if isinstance(config, CifTrainConfig) else config
    stop = stop or Event()
    path = run.output / f"{run.name}.safetensors"
    # A run whose time was over when it was stopped need not make its images again.
    timed = isinstance(run, DirectTrainConfig) and run.seconds is not None
    if not (resume and timed and path.exists() and is_tested(path)):
        reached = yield from train_steps(run, resume, stop)
        if reached != path:
            return reached
    if not isinstance(run, DirectTrainConfig) or not is_of_cif(run) or not Ranks.from_environment().first:
        return path
    if not is_compared(path):
        compared = yield from _until(stop, compare_steps(run, path))
        if compared is None:
            return run.output
        keep(compared, path)
    return path


def train_cif_steps(config: CifTrainConfig, resume: bool = False, stop: Event | None = None) -> Steps[Path]:
    """Make a model for the material of a CIF file, as a generator of events; closing it cancels.

    Images of crystals of the material are simulated while the nearest bundled model learns them; then it is compared,
    on structures that it has not seen, with the model that it began with and with BM3D at its best bin factor.  The
    figures are kept in the model's file, the whole table in ``comparison.md`` beside it.

    Parameters
    ----------
    config : CifTrainConfig
        What is known of the micrographs.
    resume : bool
        Go on with the run in the output folder.
    stop : threading.Event, optional
        As for `train_steps`.

    Yields
    ------
    Progress
        Those of `train_steps`, then stage "compare".

    Returns
    -------
    pathlib.Path
        As of `train_steps`; of a run that was stopped while it was compared ``config.output``.

    Raises
    ------
    GanDenoiseError
        If a CIF file cannot be read or holds no atoms, ASE is not installed, or as of `train_steps`.
    """
    return (yield from run_steps(config, resume, stop))


def train_cif(cif: str | PathLike[str] | tuple[str, ...], *, resume: bool = False, **fields: Any) -> Path:
    """Make a model for the material of a CIF file.

    Parameters
    ----------
    cif : path or tuple of paths
        The file.
    resume : bool
        Go on with the run in the output folder.
    **fields
        Other fields of `CifTrainConfig`: ``mode="haadf", pixel_size_nm=0.015, dose=(10, 100), minutes=30``.

    Returns
    -------
    pathlib.Path
        The model file.

    Raises
    ------
    GanDenoiseError
        As of `train_cif_steps`, or if a field is not allowed.
    """
    return drain(train_cif_steps(configure(CifTrainConfig, None, {"cif": cif, **fields}), resume))


def _until(stop: Event, steps: Steps[Any]) -> Steps[Any]:
    """Pass on events of a job until it is to stop; then return None."""
    try:
        while not stop.is_set():
            try:
                event: Progress = next(steps)
            except StopIteration as end:
                return end.value
            yield event
    finally:
        steps.close()
    return None
