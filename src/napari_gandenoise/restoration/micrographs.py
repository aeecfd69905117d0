"""Micrographs: what is missing is drawn from the Poisson likelihood of the counts that there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.denoising import denoise_steps
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.progress import Steps
from napari_gandenoise.restoration.given import count_missing, denoising_settings
from napari_gandenoise.restoration.result import RestoreResult
from napari_gandenoise.settings.restore import RestoreConfig

__all__ = ["restore_micrograph_steps"]


def restore_micrograph_steps(
    micrograph: Micrograph, missing: NDArray[np.bool_] | None, config: RestoreConfig
) -> Steps[RestoreResult]:
    """Restore a micrograph as a generator of events, those of `denoise_steps`.

    Parameters
    ----------
    micrograph : Micrograph
        From `as_image`.
    missing : ndarray or None
        ``(Y, X)``, from `missing_pixels`; None to denoise.
    config : RestoreConfig
        Its task is inpaint or denoise.

    Returns
    -------
    RestoreResult
        What was counted, and the rate where nothing was; the rate alone if nothing is missing.
    """
    found = yield from denoise_steps(micrograph, denoising_settings(config), missing=missing)
    image, outcome = found.rate, found.summary()
    if missing is not None:
        counted = np.asarray(micrograph.pixels)
        missing = missing | ~np.isfinite(counted)
        image = np.where(missing, found.rate, counted).astype(np.float32)
        outcome = f"{count_missing(missing)}; {outcome}"
    own = {"config": config.model_dump(mode="json"), "factor": 1, "outcome": outcome}
    # A frame that was left as it is has none.
    latents = np.concatenate(found.latents) if found.latents else np.empty((0, 0), np.float32)
    colours = found.axes == "YXS"
    report, size = {**found.report, **own}, found.pixel_size_nm
    return RestoreResult(image, found.rate, latents, report, size, found.name, colours, found.aspect)
