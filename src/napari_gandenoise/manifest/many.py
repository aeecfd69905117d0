"""Commands for folders and stacks."""

from __future__ import annotations

from os import PathLike
from typing import Any

from napari_gandenoise.manifest._palette import called_bare
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.restore import RestoreConfig

__all__ = ["batch_denoise", "batch_restore"]


def batch_denoise(
    inputs: Any = None,
    output: str | PathLike[str] | None = None,
    config: Any = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 0,
    scheduler: str | None = None,
) -> Any:
    """Denoise many images and movies; called bare, as from the command palette, open the Batch panel.

    Parameters
    ----------
    inputs : path, pattern, folder or sequence of them, optional
        What to denoise; not needed to resume.
    output : path, optional
        Folder for the results and the ledger.
    config : BatchConfig, DenoiseConfig or mapping, optional
        Settings of the job, or of denoising alone: ``{"settings": {"preset": "fast"}, "fit_map": True}``.
    resume, overwrite, workers, scheduler
        As for `napari_gandenoise.batch`.

    Returns
    -------
    BatchResult or None
        None if the panel was opened instead.

    Raises
    ------
    GanDenoiseError
        If the inputs, the settings or the output cannot be used, or nothing is given and there is no viewer.
    """
    options = {"resume": resume, "overwrite": overwrite, "workers": workers, "scheduler": scheduler}
    return _batch("denoise", inputs, output, config, options)


def batch_restore(
    inputs: Any = None,
    output: str | PathLike[str] | None = None,
    config: Any = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 0,
    scheduler: str | None = None,
) -> Any:
    """Restore many images and movies; called bare, as from the command palette, open the Batch panel.

    Parameters
    ----------
    inputs, output, resume, overwrite, workers, scheduler
        As for `batch_denoise`.
    config : BatchConfig, RestoreConfig or mapping, optional
        Settings of the job, or of restoration alone: ``{"settings": {"task": "inpaint"}, "mask": "mask.tif"}``.

    Returns
    -------
    BatchResult or None
        None if the panel was opened instead.

    Raises
    ------
    GanDenoiseError
        If the inputs, the settings or the output cannot be used, or nothing is given and there is no viewer.
    """
    options = {"resume": resume, "overwrite": overwrite, "workers": workers, "scheduler": scheduler}
    return _batch("restore", inputs, output, config, options)


def _batch(job: str, inputs: Any, output: Any, config: Any, options: dict[str, Any]) -> Any:
    given = {"inputs": inputs, "output": output}
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if called_bare("Batch", "inputs", fields or config, *options.values()):
        return None
    from napari_gandenoise import batching

    if not (options["resume"] and fields.keys() == {"output"} and config is None):
        if isinstance(config, DenoiseConfig | RestoreConfig):
            config = {"settings": config}
        elif isinstance(config, BatchConfig):
            config = config.model_dump()
        fields = {"job": job, **(config or {}), **fields}
    return batching.batch(**options, **fields)
