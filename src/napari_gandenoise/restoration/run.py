"""Restore an image: by counts what is a micrograph, by constrained generation what is a photograph."""

from __future__ import annotations

import time
from typing import Any

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import load_latent_model
from napari_gandenoise.models.device import choose_device
from napari_gandenoise.progress import Progress, Steps, drain
from napari_gandenoise.restoration.given import as_image, missing_pixels
from napari_gandenoise.restoration.micrographs import restore_micrograph_steps
from napari_gandenoise.restoration.photographs import draws_photographs, restore_photograph_steps
from napari_gandenoise.restoration.result import RestoreResult
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.restore import RestoreConfig

__all__ = ["restore", "restore_steps"]


def restore_steps(
    image: Any, /, config: RestoreConfig | None = None, *, mask: Any = None, **fields: Any
) -> Steps[RestoreResult]:
    """Restore as a generator of events; closing it cancels.

    Parameters
    ----------
    image, config, mask, **fields
        As for `restore`.

    Yields
    ------
    Progress
        Stages "start", "brief", "refine" and "blend"; the preview is the image so far, float32, of the result's shape,
        in the input's units.  Micrographs: the stages of `denoise_steps`.

    Returns
    -------
    RestoreResult
        What `restore` returns.
    """
    config = configure(RestoreConfig, config, fields)
    started = time.perf_counter()
    yield Progress("start", 0, 1)
    model = load_latent_model(config.model)
    micrograph = as_image(image, config, model)
    missing = missing_pixels(mask, micrograph, config.task)
    if draws_photographs(model):
        model = model.to(choose_device(config.device))
        result = yield from restore_photograph_steps(micrograph, missing, config, model)
        result.report["warnings"][:0] = micrograph.notes
    elif config.task in ("inpaint", "denoise"):
        result = yield from restore_micrograph_steps(micrograph, missing, config)
    else:
        raise GanDenoiseError(
            f"The model {model.name} is for micrographs, which can be inpainted and denoised: to {config.task}, choose "
            "a model of photographs."
        )
    result.report["seconds"] = round(time.perf_counter() - started, 3)
    return result


def restore(image: Any, /, config: RestoreConfig | None = None, *, mask: Any = None, **fields: Any) -> RestoreResult:
    """Restore an image: fill holes, add colours, pixels or grey levels, take noise away.

    Parameters
    ----------
    image : array, dask array, napari layer, path or Micrograph
        ``(Y, X)``, or ``(Y, X, C)`` for a model of colours.
    config : RestoreConfig, optional
        Settings; ``**fields`` are laid over it, for instance ``restore(image, task="inpaint", mask=mask)``.
    mask : array, path or napari layer, optional
        ``(Y, X)``, for inpaint: what is not zero is missing and will be drawn.

    Returns
    -------
    RestoreResult
        The restored image in the input's units, and the report.

    Raises
    ------
    GanDenoiseError
        If the image, the mask or the settings do not fit, in one sentence.
    """
    return drain(restore_steps(image, config, mask=mask, **fields))
