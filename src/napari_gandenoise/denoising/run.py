"""From a micrograph to a rate with its fit map and report, frame by frame, whatever the engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from napari_gandenoise.denoising.adaptation import Adaptation, adaptation_steps, hindrance
from napari_gandenoise.denoising.choice import Choice, choose_steps
from napari_gandenoise.denoising.direct import DirectEngine
from napari_gandenoise.denoising.drift import Way, given_way
from napari_gandenoise.denoising.engine import Engine
from napari_gandenoise.denoising.evidence import FirstFrame
from napari_gandenoise.denoising.frames import Run, report_of
from napari_gandenoise.denoising.posterior import repeated_if_nothing_draws
from napari_gandenoise.denoising.preparation import as_micrograph, check_fit, with_missing
from napari_gandenoise.denoising.result import DenoiseResult
from napari_gandenoise.denoising.verdict import of_all
from napari_gandenoise.denoising.work import Work, work_of
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.inversion.engine import LatentEngine
from napari_gandenoise.inversion.presets import PRESETS
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import AnyModel, DirectModel, load_model
from napari_gandenoise.models.device import choose_device
from napari_gandenoise.progress import Progress, Steps, drain
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.denoise import DenoiseConfig, SearchSettings
from napari_gandenoise.settings.shared import AUTO

__all__ = ["adapt", "adapt_steps", "choice_steps", "denoise", "denoise_steps", "engine_of", "run_steps"]

Missing = NDArray[np.bool_]


def denoise_steps(
    image: Any,
    /,
    config: DenoiseConfig | None = None,
    *,
    missing: Missing | None = None,
    way: Way | None = None,
    only: range | None = None,
    attended: Callable[[], int] | None = None,
    **fields: Any,
) -> Steps[DenoiseResult]:
    """Denoise as a generator of events; closing it cancels.

    Parameters
    ----------
    image, config, missing, **fields
        As for `denoise`.
    way : ndarray of int, optional
        ``(T, 2)``: where the specimen lies in each frame, pixels down and right, of an image that is part of a longer
        movie; else the config's table tells.
    only : range, optional
        Frames of a movie that are wanted; the others have a say in these.
    attended : callable, optional
        Says which frame of a movie somebody looks at: direct denoisers do that and those after it first.

    Yields
    ------
    Progress
        Stages "calibrate", "search", "brief", "refine", "blend", "residual" (of each frame of a movie), or "calibrate",
        "denoise", "residual" for direct denoisers; the preview is the image so far, float32, of one frame's shape, in
        the input's units.

    Returns
    -------
    DenoiseResult
        What `denoise` returns.
    """
    config = configure(DenoiseConfig, config, fields)
    full = yield from run_steps(
        image,
        config,
        engine_of,
        residual_step=config.residual_step,
        missing=missing,
        way=way,
        only=only,
        attended=attended,
    )
    return full if config.intensity == 1 else full.at_intensity(config.intensity)


def engine_of(model: AnyModel, work: Work, config: SearchSettings) -> Engine:
    """Make what draws frames: a model is what it is, and that decides how."""
    if isinstance(model, DirectModel):
        told = (config.strength, config.grain) if isinstance(config, DenoiseConfig) else (None, None)
        return DirectEngine(model, work.grid, work.views, *told)
    assert work.tiles is not None
    generator = torch.Generator().manual_seed(config.seed)
    return LatentEngine(model, work.tiles, PRESETS[config.preset], work.batch, generator)


def run_steps(
    image: Any,
    config: SearchSettings,
    make_engine: Callable[[AnyModel, Work, Any], Engine],
    *,
    residual_step: bool,
    missing: Missing | None = None,
    way: Way | None = None,
    only: range | None = None,
    attended: Callable[[], int] | None = None,
) -> Steps[DenoiseResult]:
    """Denoise with any engine.

    Parameters
    ----------
    image, missing
        As for `denoise`.
    config : SearchSettings
        What all engines are told.
    make_engine : callable
        Makes the engine of a model on its device, the work, and the config.
    residual_step : bool
        Whether to add back what the residual proves.
    way, only, attended : optional
        As for `denoise_steps`.
    """
    started = time.perf_counter()
    begun = yield from _begin_steps(image, config, make_engine, residual_step, missing, way)
    run, adaptation = replace(begun.run, only=only, attended=attended), None
    if isinstance(config, DenoiseConfig) and config.adapt != "off":
        adaptation = yield from _adapted_steps(run, config)
        run = run.with_model(adaptation.model) if isinstance(adaptation, Adaptation) else run
    found = yield from run.steps()
    report = {
        **report_of(run, begun.work, found, time.perf_counter() - started),
        "choice": begun.choice.reason,
        "adaptation": adaptation.report() if isinstance(adaptation, Adaptation) else adaptation,
    }
    micrograph = run.micrograph
    return DenoiseResult(
        rate=found.rate,
        fit_map=found.fit,
        residual=found.residual,
        latents=[f.drawn.latents.values.cpu().numpy() for f in found.frames if f.drawn.latents is not None],
        tile_log_likelihood=np.array([f.drawn.gains.cpu().numpy() for f in found.frames if f.drawn.gains is not None]),
        report=report,
        pixel_size_nm=micrograph.pixel_size_nm,
        name=micrograph.name,
        uncertainty=found.uncertainty,
        samples=found.samples,
        missing=found.findings.missing,
        aspect=micrograph.aspect,
        verdict=of_all(found.verdicts),
        adaptation=adaptation if isinstance(adaptation, Adaptation) else None,
    )


class _Begun(NamedTuple):
    run: Run
    work: Work
    choice: Choice


def _begin_steps(
    image: Any,
    config: SearchSettings,
    make_engine: Callable[[AnyModel, Work, Any], Engine],
    residual_step: bool,
    missing: Missing | None,
    way: Way | None = None,
) -> Steps[_Begun]:
    """Find out all that must be known before the first frame."""
    yield Progress("calibrate", 0, 1)
    micrograph, device = with_missing(as_micrograph(image, config), missing), choose_device(config.device)
    if config.model != AUTO:  # what it refuses is refused before any work
        check_fit(micrograph, load_model(config.model))
    way = given_way(config, micrograph.frames) if way is None else way
    first = FirstFrame.of(micrograph, config)
    choice = yield from choice_steps(first, config)
    model = load_model(choice.name).to(device)
    yield Progress("calibrate", 1, 1)
    asked, config = config, repeated_if_nothing_draws(config, model) if config.model == AUTO else config
    work = work_of(first, model, config)
    if config != asked:
        repeated = f"The model {model.name} draws no samples: repeated runs tell the uncertainty."
        work = replace(work, warnings=(*work.warnings, repeated))
    if work.tiles is not None:
        holes = first.evidence.missing
        tiles = work.tiles if holes is None else work.tiles.around_holes(holes)
        work = replace(work, tiles=tiles.to(device))
    run = Run(micrograph, first, model, make_engine(model, work, config), config, residual_step, device, way)
    return _Begun(run, work, choice)


def _adapted_steps(run: Run, config: DenoiseConfig) -> Steps[Adaptation | dict[str, str]]:
    """Adapt the model of a run, or say why not."""
    if not (reason := hindrance(run)):
        return (yield from adaptation_steps([run], config.adapt_steps, shown=True))
    if config.adapt == "on":
        raise GanDenoiseError(f"{reason.rstrip('.')}: denoise without adapt, or with another model.")
    return {"sentence": f"not adapted. {reason}".rstrip(".")}


def adapt_steps(images: Any, /, config: DenoiseConfig | None = None, **fields: Any) -> Steps[Adaptation]:
    """Adapt a model as a generator of events; closing it cancels.

    Parameters
    ----------
    images, config, **fields
        As for `adapt`.

    Yields
    ------
    Progress
        Stages "calibrate" and "adapt".

    Returns
    -------
    Adaptation
        What `adapt` returns.
    """
    # The drift is that of one movie, and says nothing of the noise.
    config = configure(DenoiseConfig, config, fields).model_copy(update={"drift": None})
    several = images if isinstance(images, list | tuple) else [images]
    if not several:
        raise GanDenoiseError("There is no image to adapt a model to: give at least one.")
    runs: list[Run] = []
    for image in several:
        named = config.model_copy(update={"model": runs[0].model.path or config.model}) if runs else config
        begun = yield from _begin_steps(image, named, engine_of, config.residual_step, None)
        if reason := hindrance(begun.run):
            name = f"{begun.run.micrograph.name}: " if begun.run.micrograph.name else ""
            raise GanDenoiseError(f"{name}{reason}")
        runs.append(begun.run)
    return (yield from adaptation_steps(runs, config.adapt_steps))


def adapt(images: Any, /, config: DenoiseConfig | None = None, **fields: Any) -> Adaptation:
    """Adapt a direct denoiser to a micrograph, a movie or several images, to denoise more of their kind with it.

    Parameters
    ----------
    images : array, dask array, napari layer, path or Micrograph, or a list of them
        ``(Y, X)`` or ``(T, Y, X)``; of movies and of several images frames are chosen that stand for all.
    config : DenoiseConfig, optional
        How they will be denoised; ``**fields`` are laid over it, for instance ``adapt(movie, adapt_steps=60)``.

    Returns
    -------
    Adaptation
        The model, and what adapting it has brought; its ``save`` writes a file that can be named as a model.

    Raises
    ------
    GanDenoiseError
        If an image or the settings do not fit, or an image says nothing to adapt a model by, in one sentence.
    """
    return drain(adapt_steps(images, config, **fields))


def choice_steps(first: FirstFrame, config: SearchSettings) -> Steps[Choice]:
    """Choose the model of a run: the one that is named, or for auto the best of those that are for the image.

    Parameters, events and errors are those of `napari_gandenoise.denoising.choice.choose_steps`.
    """
    if config.model != AUTO:
        return Choice(config.model)
    return (yield from choose_steps(first, config, partial(_drawn_by, config)))


def _drawn_by(config: SearchSettings, image: Micrograph, model: str) -> NDArray[np.float32]:
    """Draw an image by a model in one view, and ask nothing else of it."""
    first_look: dict[str, Any] = {"model": model, "noise": image.noise, "preset": "fast", "replicates": 0}
    if isinstance(config, DenoiseConfig):
        first_look |= {"outliers": False, "samples": 0}  # outliers were left out
    begun = drain(_begin_steps(image, config.model_copy(update=first_look), engine_of, False, None))
    return begun.run.drawn()


def denoise(
    image: Any, /, config: DenoiseConfig | None = None, *, missing: Missing | None = None, **fields: Any
) -> DenoiseResult:
    """Denoise a micrograph or a movie, in the latent space of a GAN or by a direct denoiser.

    Parameters
    ----------
    image : array, dask array, napari layer, path or Micrograph
        ``(Y, X)`` or ``(T, Y, X)``.
    config : DenoiseConfig, optional
        Settings; ``**fields`` are laid over it, for instance ``denoise(image, pixel_size_nm=0.0061, preset="fast")``.
    missing : array_like of bool, optional
        ``(Y, X)``, or for a movie ``(T, Y, X)``: true where a pixel says nothing; the rate is drawn there all the same,
        as it is where defects are found.  The mask of a masked array counts, too.

    Returns
    -------
    DenoiseResult
        The rate in the input's units, its fit map, and the report.

    Raises
    ------
    GanDenoiseError
        If the image or the settings do not fit, in one sentence.
    """
    return drain(denoise_steps(image, config, missing=missing, **fields))
