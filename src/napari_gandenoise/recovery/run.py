"""Recover latents as the literature does: its objective, clipping and sharpness, or a discriminator's word."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from napari_gandenoise.denoising import DenoiseResult
from napari_gandenoise.denoising.run import engine_of, run_steps
from napari_gandenoise.denoising.work import Work
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.inversion.engine import LatentEngine
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.models import AnyModel, Model, load_latent_model
from napari_gandenoise.progress import Steps, drain
from napari_gandenoise.recovery.clipping import bounds_of
from napari_gandenoise.recovery.latents import sharpened
from napari_gandenoise.recovery.objective import KINDS
from napari_gandenoise.recovery.realism import restore_with_discriminator
from napari_gandenoise.restoration import RestoreResult
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.recover import RecoverConfig

__all__ = ["recover", "recover_steps"]

MEASURED_WITH = ("preset", "objective", "clipping")  # what a sharpness attribute depends on


def recover_steps(
    image: Any, /, config: RecoverConfig | None = None, *, mask: Any = None, **fields: Any
) -> Steps[DenoiseResult | RestoreResult]:
    """Recover latents as a generator of events; closing it cancels.

    Parameters
    ----------
    image, config, mask, **fields
        As for `recover`.

    Yields
    ------
    Progress
        As `denoise_steps`, or for constrained generation `restore_steps`.

    Returns
    -------
    DenoiseResult or RestoreResult
        What `recover` returns.
    """
    config = configure(RecoverConfig, config, fields)
    model = load_latent_model(config.model)
    if config.constrained:
        return (yield from restore_with_discriminator(image, config, mask))
    if mask is not None:
        raise GanDenoiseError("A mask says where to inpaint, but the task is denoise: leave one of them out.")
    sharpen = _Sharpen(model, config) if config.sharpness else None

    def make_engine(model: AnyModel, work: Work, config: RecoverConfig) -> LatentEngine:
        engine = engine_of(model, work, config)
        assert isinstance(engine, LatentEngine)
        engine.objective, engine.finish = KINDS[config.objective], sharpen
        engine.bounds = bounds_of(config.clipping, engine.generator)
        return engine

    result = yield from run_steps(image, config, make_engine, residual_step=config.residual_step)
    result.report["sharpness_level"] = None if sharpen is None else sharpen.mean_level()
    result.report["warnings"] += _warnings(model, config)
    return result


def recover(
    image: Any, /, config: RecoverConfig | None = None, *, mask: Any = None, **fields: Any
) -> DenoiseResult | RestoreResult:
    """Denoise or restore by the published recovery of latent vectors.

    Parameters
    ----------
    image : array, dask array, napari layer, path or Micrograph
        ``(Y, X)``, ``(T, Y, X)``, or ``(Y, X, C)`` for a model of colours.
    config : RecoverConfig, optional
        Settings; ``**fields`` are laid over it, for instance ``recover(image, clipping="stochastic")``.
    mask : array, path or napari layer, optional
        ``(Y, X)``, for inpaint: what is not zero is missing and will be drawn.

    Returns
    -------
    DenoiseResult or RestoreResult
        The latter of constrained generation: of another task than denoise, or with a discriminator's word.

    Raises
    ------
    GanDenoiseError
        If the image, the mask or the settings do not fit, in one sentence.
    """
    return drain(recover_steps(image, config, mask=mask, **fields))


class _Sharpen:
    """Adds the sharpness attribute at each tile's own noise level, and remembers these levels."""

    def __init__(self, model: Model, config: RecoverConfig) -> None:
        if model.sharpness is None:
            raise GanDenoiseError(
                f"The model {model.name} has no sharpness attribute: measure it with napari-gandenoise sharpness, "
                "or set sharpness to false."
            )
        self._bounded = config.clipping != "none"
        self._levels: list[Tensor] = []

    def __call__(self, objective: Objective, latents: Tensor) -> Tensor:
        level = objective.noise_level()
        self._levels.append(level.cpu())
        return sharpened(objective.model, latents, level, bounded=self._bounded)

    def mean_level(self) -> float:
        """Return the mean noise level of all tiles."""
        return float(torch.cat(self._levels).mean())


def _warnings(model: Model, config: RecoverConfig) -> list[str]:
    warnings = []
    usual = RecoverConfig.model_fields["clipping"].default
    if config.clipping != usual and model.header.prior == "normal":
        warnings.append(
            f"Clipping {config.clipping} changes nothing: the model {model.name} has a normal prior, without bounds."
        )
    if config.sharpness and model.header.sharpness is not None:
        measured = model.header.sharpness.settings
        other = [f"{n} {measured[n]}" for n in MEASURED_WITH if n in measured and measured[n] != getattr(config, n)]
        if other:
            warnings.append(f"The sharpness attribute was measured with {' and '.join(other)}: recover with the same.")
    return warnings
