"""One unit of work, done in this process or in a worker: a run of frames goes in, their results come out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.batching.failures import details_of, reason_of
from napari_gandenoise.batching.inputs import open_source, read_frame
from napari_gandenoise.denoising import (
    DenoiseResult,
    FirstFrame,
    adapt,
    as_micrograph,
    choice_steps,
    denoise_steps,
    given_way,
    repeated_if_nothing_draws,
    uncertain,
    white_level,
)
from napari_gandenoise.denoising.work import BYTES_A_TILE, LARGEST_BATCH
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import load_model
from napari_gandenoise.progress import Steps, drain
from napari_gandenoise.restoration import restore_steps
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.noise import AnyNoise, Gaussian, Poisson, PoissonGaussian
from napari_gandenoise.settings.restore import RestoreConfig
from napari_gandenoise.settings.shared import AUTO

__all__ = ["Computed", "ADAPTED", "Unit", "adapt_movie", "compute_steps", "failed_unit", "survey_movie"]

# Sums of other batches round differently, so the batch may not depend on what memory happens to be free.
BATCH_GB = LARGEST_BATCH * BYTES_A_TILE / 1e9
ADAPTED = "-model.safetensors"  # ends the name of the file of a model that was adapted to a movie
MADE_BY = ("model", "model_sha256", "pixel_size_nm", "noise", "gain", "white", "versions")
IN_SINGLE = "The values are so large that single precision, which is written, loses detail: subtract their offset."


@dataclass(frozen=True)
class Unit:
    """Frames ``first`` to ``last - 1`` of the source ``name``, which are computed together."""

    name: str
    path: Path
    first: int
    last: int
    noise: AnyNoise | None = None
    model: str | None = None

    @property
    def adapted(self) -> str:
        """Path of the model, if that is one adapted to the movie."""
        return self.model if self.model and self.model.endswith(ADAPTED) else ""

    @property
    def frames(self) -> range:
        """Numbers of the frames."""
        return range(self.first, self.last)


@dataclass(frozen=True)
class Computed:
    """What became of a unit.

    Attributes
    ----------
    unit : Unit
        What was to be done.
    images : dict
        For each frame that was computed its images, float32, in the order of the config's products.
    failed : dict
        For each other frame the reason.
    pixel_size_nm, frame_interval_s : float or None
        Of the results.
    made_by : dict
        What else they depend on: model, noise, versions.
    figures : dict
        Numbers for the ledger.
    warnings : tuple of str
        A sentence each.
    details : str
        For a report of what nobody has foreseen.
    aspect : float
        Height of a pixel of the results over its width.
    verdict : dict or None
        What the counts say of the result, as in a report; None of what is not judged.
    """

    unit: Unit
    images: dict[int, tuple[NDArray[np.float32], ...]]
    failed: dict[int, str]
    pixel_size_nm: float | None = None
    frame_interval_s: float | None = None
    made_by: dict[str, Any] | None = None
    figures: dict[str, float] | None = None
    warnings: tuple[str, ...] = ()
    details: str = ""
    aspect: float = 1.0
    verdict: dict[str, Any] | None = None


class _Result(Protocol):
    """What results of all jobs have."""

    @property
    def report(self) -> dict[str, Any]: ...
    @property
    def pixel_size_nm(self) -> float | None: ...
    @property
    def aspect(self) -> float: ...


def survey_movie(micrograph: Micrograph, config: DenoiseConfig) -> tuple[AnyNoise, str]:
    """Estimate the noise of a movie and choose its model, by its first frame that can be used.

    Raises
    ------
    GanDenoiseError
        If no frame can be used: why not the first one.
    """
    refused: GanDenoiseError | None = None
    found: FirstFrame | None = None
    for index in range(micrograph.frames):
        try:
            frame = as_micrograph(replace(micrograph, pixels=read_frame(micrograph, index)), config)
            first = FirstFrame.of(frame, config)
            found = first if found is None or not first.silent else found
        except GanDenoiseError as error:
            refused = refused or error
        if found is not None and not found.silent:
            break
    if found is None:
        raise refused or GanDenoiseError(f"{micrograph.name} has no frames.")
    return found.noise, drain(choice_steps(found, config)).name


def adapt_movie(
    micrograph: Micrograph, config: DenoiseConfig, noise: AnyNoise, model: str, file: Path, *, overwrite: bool
) -> str:
    """Adapt the model of a movie to frames that stand for all of it.

    Parameters
    ----------
    micrograph : Micrograph
        The movie.
    config : DenoiseConfig
        How it is to be denoised; with adapt "auto" it keeps the model where that cannot be adapted.
    noise, model : noise model, str
        What was found for all frames.
    file : Path
        Where to keep the adapted model.
    overwrite : bool
        Whether a file there may be replaced.

    Returns
    -------
    str
        The model for all frames: the adapted one, or the one that there was.
    """
    try:
        adaptation = adapt(micrograph, config.model_copy(update={"noise": noise, "model": model}))
    except GanDenoiseError:
        if config.adapt == "on":
            raise
        return model
    return str(adaptation.save(file, overwrite=overwrite).absolute()) if adaptation.kept else model


def compute_steps(unit: Unit, config: BatchConfig) -> Steps[Computed]:
    """Compute a unit; what is wrong with a frame is part of the result.

    Frames of a run that fails as a whole are tried one by one, each for itself.

    Yields
    ------
    Progress
        Those of the job.
    """
    try:
        micrograph = open_source(unit.path, config.settings.image)
        return (yield from _run_steps(unit, micrograph, config))
    except Exception as error:  # a stranger's file can make a library fail in any way, and the others shall go on
        if len(unit.frames) == 1:
            return failed_unit(unit, error)
    alone = []
    for frame in unit.frames:
        alone.append((yield from compute_steps(replace(unit, first=frame, last=frame + 1), config)))  # noqa: PERF401
    good = next((computed for computed in alone if computed.images), alone[0])
    images = {frame: image for computed in alone for frame, image in computed.images.items()}
    failed = {frame: reason for computed in alone for frame, reason in computed.failed.items()}
    details = "".join(computed.details for computed in alone)
    return replace(good, unit=unit, images=images, failed=failed, details=details)


def failed_unit(unit: Unit, error: Exception) -> Computed:
    """Return what became of a unit that failed as a whole."""
    return Computed(unit, {}, dict.fromkeys(unit.frames, reason_of(error)), details=details_of(error))


def _run_steps(unit: Unit, micrograph: Micrograph, config: BatchConfig) -> Steps[Computed]:
    """Compute the frames of a unit together."""
    seen_frames = _with_margins(unit.frames, micrograph.frames, config)
    evidence = [_evidence_of(unit, micrograph, frame, config) for frame in seen_frames]
    for frame, seen in zip(seen_frames, evidence, strict=True):
        if frame in unit.frames and not np.isfinite(seen).any():
            raise GanDenoiseError(f"Frame {frame} has no pixel with a value.")
    pixels = np.stack(evidence) if len(evidence) > 1 else evidence[0]
    part = replace(micrograph, pixels=pixels, frame_interval_s=None)
    result: _Result
    stacks: list[NDArray[np.float32] | None]
    if isinstance(config.settings, RestoreConfig):
        restored = yield from restore_steps(part, config.settings, mask=config.mask)
        result, stacks = restored, [restored.image, restored.drawn if config.drawn else None]
    else:
        denoised = yield from _denoised_steps(unit, micrograph, part, seen_frames, config)
        maps = (denoised.fit_map if config.fit_map else None, denoised.uncertainty if config.uncertainty else None)
        result, stacks = denoised, [denoised.rate.astype(np.float32), *maps]
        if denoised.rate.dtype != np.float32:
            denoised.report["warnings"].append(IN_SINGLE)
    wanted = [stack for stack in stacks if stack is not None]
    several = len(evidence) > 1
    images = {
        frame: tuple(stack[frame - unit.first] if several else stack for stack in wanted) for frame in unit.frames
    }
    report = result.report
    return Computed(
        unit,
        images,
        {},
        result.pixel_size_nm,
        micrograph.frame_interval_s,
        {name: report[name] for name in MADE_BY if name in report},
        {name: report[name] for name in ("deviance", "residual_share", "loss", "seconds") if name in report},
        tuple(report["warnings"]),
        aspect=result.aspect,
        verdict=report.get("verdict"),
    )


def _denoised_steps(
    unit: Unit, micrograph: Micrograph, part: Micrograph, seen_frames: range, config: BatchConfig
) -> Steps[DenoiseResult]:
    """Denoise the frames of a unit, given with those that have a say in them, as all of the movie asks for."""
    settings = uncertain(config.denoising()) if config.uncertainty else config.denoising()
    if unit.model is not None and settings.model == AUTO:
        settings = repeated_if_nothing_draws(settings, load_model(unit.model))
    averaged = min(config.average, micrograph.frames)
    update: dict[str, Any] = {"max_memory_gb": settings.max_memory_gb or BATCH_GB}
    if unit.noise is not None:
        update["noise"] = of_mean(unit.noise, averaged)
    if unit.model is not None:
        update |= {"model": unit.model, "adapt": "off"}  # the movie's model is adapted already
    if averaged > 1:  # means are no integers, whose largest would be white
        update["white"] = white_level(micrograph, settings)
        update["neighbours"] = 0
    way = given_way(settings, micrograph.frames)
    if way is not None:  # the table is that of the whole movie
        way, update["drift"] = way[seen_frames], None
    only = None
    if len(seen_frames) > len(unit.frames):
        start = unit.first - seen_frames.start
        only = range(start, start + len(unit.frames))
    return (yield from denoise_steps(part, settings.model_copy(update=update), way=way, only=only))


def _evidence_of(unit: Unit, micrograph: Micrograph, frame: int, config: BatchConfig) -> NDArray[Any]:
    """Read a frame; a neighbour that cannot be read has no say."""
    try:
        return _evidence(micrograph, frame, config.average)
    except Exception:
        if frame in unit.frames:
            raise
        return np.full(micrograph.pixels.shape[1:], np.nan, np.float32)


def _with_margins(frames: range, count: int, config: BatchConfig) -> range:
    """Return the frames of a unit and those that have a say in them: whatever the units are, results are the same."""
    settings = config.settings
    reach = settings.neighbours if isinstance(settings, DenoiseConfig) and config.average == 1 else 0
    return range(max(0, frames.start - reach), min(count, frames.stop + reach))


def _evidence(micrograph: Micrograph, index: int, average: int) -> NDArray[Any]:
    """Read a frame, or the mean of ``average`` frames around it; at the ends of a movie the window does not shrink."""
    if average == 1:
        return read_frame(micrograph, index)
    window = min(average, micrograph.frames)
    first = min(max(index - window // 2, 0), micrograph.frames - window)
    total = sum(read_frame(micrograph, frame).astype(np.float64) for frame in range(first, first + window))
    return np.asarray(total / window, np.float32)


def of_mean(noise: AnyNoise, frames: int) -> AnyNoise:
    """Return the noise model of the mean of several frames.

    A sum of Poisson counts is one of the summed rate, so that a mean counts in smaller units: with gain / n.
    """
    match noise:
        case Gaussian():
            return Gaussian(sigma=noise.sigma / math.sqrt(frames))
        case Poisson():
            return noise.model_copy(update={"gain": noise.gain / frames})
        case PoissonGaussian():
            read_noise = noise.read_noise / math.sqrt(frames)
            return noise.model_copy(update={"gain": noise.gain / frames, "read_noise": read_noise})
