"""From a micrograph to a rate with its fit map and report, frame by frame, whatever the engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from napari_gandenoise.denoising.adaptation import Adaptation, adapt_steps, hindrance, representatives
from napari_gandenoise.denoising.choice import Choice, choose_steps
from napari_gandenoise.denoising.direct import DirectEngine
from napari_gandenoise.denoising.engine import Engine
from napari_gandenoise.denoising.evidence import Evidence, Findings, FirstFrame
from napari_gandenoise.denoising.frame import FrameResult, frame_steps
from napari_gandenoise.denoising.preparation import as_micrograph, check_fit, white_level, with_missing
from napari_gandenoise.denoising.result import DenoiseResult
from napari_gandenoise.denoising.uncertainty import uncertainty_steps
from napari_gandenoise.denoising.work import Work, work_of
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.inversion.engine import LatentEngine
from napari_gandenoise.inversion.presets import PRESETS
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import AnyModel, DirectModel, load_model
from napari_gandenoise.models.device import choose_device
from napari_gandenoise.noise.units import Units
from napari_gandenoise.progress import Progress, Steps, drain, relay
from napari_gandenoise.residual import FIT_THRESHOLD
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.denoise import DenoiseConfig, SearchSettings
from napari_gandenoise.settings.shared import AUTO
from napari_gandenoise.tiling import Frame, Latents, outside

__all__ = ["choice_steps", "denoise", "denoise_steps", "engine_of", "run_steps"]

Result = TypeVar("Result")
Missing = NDArray[np.bool_]
COARSEST_STEP = 0.01  # of the contrast of an image: single precision must resolve it


def denoise_steps(
    image: Any, /, config: DenoiseConfig | None = None, *, missing: Missing | None = None, **fields: Any
) -> Steps[DenoiseResult]:
    """Denoise as a generator of events; closing it cancels.

    Parameters
    ----------
    image, config, missing, **fields
        As for `denoise`.

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
    full = yield from run_steps(image, config, engine_of, residual_step=config.residual_step, missing=missing)
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
    """
    started = time.perf_counter()
    yield Progress("calibrate", 0, 1)
    micrograph, device = with_missing(as_micrograph(image, config), missing), choose_device(config.device)
    if config.model != AUTO:  # what it refuses is refused before any work
        check_fit(micrograph, load_model(config.model))
    first = FirstFrame.of(micrograph, config)
    choice = yield from choice_steps(first, config)
    model = load_model(choice.name).to(device)
    yield Progress("calibrate", 1, 1)
    work = work_of(first, model, config)
    if work.tiles is not None:
        holes = first.evidence.missing
        tiles = work.tiles if holes is None else work.tiles.around_holes(holes)
        work = replace(work, tiles=tiles.to(device))
    run = _Run(micrograph, first, model, make_engine(model, work, config), config, residual_step, device)
    adaptation = None
    if isinstance(config, DenoiseConfig) and config.adapt != "off":
        adaptation = yield from run.adapt_steps(config.adapt_steps, needed=config.adapt == "on")
        if isinstance(adaptation, Adaptation):
            run = run.with_model(adaptation.model)
    found = yield from run.steps()
    report = {
        **_report(run, work, found, time.perf_counter() - started),
        "choice": choice.reason,
        "adaptation": {"sentence": adaptation} if isinstance(adaptation, str) else adaptation and adaptation.report(),
    }
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
        missing=found.findings.missing,
        aspect=micrograph.aspect,
    )


def choice_steps(first: FirstFrame, config: SearchSettings) -> Steps[Choice]:
    """Choose the model of a run: the one that is named, or for auto the best of those that are for the image.

    Parameters, events and errors are those of `napari_gandenoise.denoising.choice.choose_steps`.
    """
    if config.model != AUTO:
        return Choice(config.model)
    return (yield from choose_steps(first, config, partial(_drawn_by, config)))


def _drawn_by(config: SearchSettings, image: Micrograph, model: str) -> NDArray[np.float32]:
    """Denoise with a model in one view, without what is the same whatever the model."""
    first_look: dict[str, Any] = {"model": model, "noise": image.noise, "preset": "fast", "replicates": 0}
    if isinstance(config, DenoiseConfig):
        first_look |= {"outliers": False, "adapt": "off"}  # they were left out
    steps = run_steps(image, config.model_copy(update=first_look), engine_of, residual_step=False)
    return drain(steps).rate


class _Images:
    """What is found, frame by frame, in the input's units."""

    def __init__(self, micrograph: Micrograph, uncertain: bool, precision: type) -> None:
        self.rate = np.empty(micrograph.pixels.shape, precision)
        self.residual = np.empty(micrograph.pixels.shape, np.float32)
        self.fit = np.zeros(self.rate.shape[:2] if micrograph.rgb else self.rate.shape, np.float32)
        self.uncertainty = np.zeros_like(self.fit) if uncertain else None
        self.frames: list[FrameResult] = []
        self.findings = Findings(micrograph.frames)


@dataclass(frozen=True)
class _Run:
    """A run with all that is known when it begins."""

    micrograph: Micrograph
    first: FirstFrame
    model: AnyModel
    engine: Engine
    config: SearchSettings
    residual_step: bool
    device: torch.device

    @property
    def precision(self) -> type:
        """Type of the rate: double precision where single precision would lose single electrons."""
        values = np.asarray(self.first.micrograph.pixels, np.float64)
        coarse = float(np.spacing(np.float32(np.abs(values).max())))
        return np.float64 if coarse > COARSEST_STEP * float(values.std()) > 0 else np.float32

    @property
    def white(self) -> float:
        """Value of white, in the input's units."""
        return white_level(self.micrograph, self.config)

    def steps(self) -> Steps[_Images]:
        """Denoise all frames."""
        images, before = _Images(self.micrograph, bool(self.config.replicates), self.precision), None
        for index in range(self.micrograph.frames):
            before = yield from self._frame(index, images, before)
        return images

    def _frame(self, index: int, images: _Images, before: Latents | None) -> Steps[Latents | None]:
        """Denoise one frame; return what was found in it for the next one."""
        where = (index,) if self.micrograph.is_stack else ()
        evidence = Evidence.of(self.micrograph.frame(index), self.config)
        images.findings.add(index, evidence, self.micrograph.noise)
        pixels = evidence.pixels
        if evidence.silent(self.micrograph.noise):
            images.rate[where], images.residual[where] = pixels, 0
            yield self._event(Progress("blend", 1, 1, pixels.astype(np.float32)), Units(), index)
            return before
        frame, units = self._counted(evidence)
        steps = frame_steps(self.engine, frame, self.residual_step, before)
        found = yield from self._in_units(steps, units, index)
        rate = outside(found.rate)
        if images.uncertainty is not None:
            random = np.random.default_rng((self.config.seed, index))
            again = uncertainty_steps(self.engine, frame, rate, self.config.replicates, random, self.residual_step)
            error = yield from self._in_units(again, units, index)
            images.uncertainty[where] = error * units.gain * self.model.header.uncertainty_factor
        images.rate[where], images.fit[where] = units.from_electrons(rate), found.fit_map.cpu().numpy()
        images.residual[where] = np.asarray(pixels, np.float64) - images.rate[where]
        images.frames.append(replace(found, rate=frame.counts.new_empty(0), fit_map=frame.counts.new_empty(0)))
        yield self._event(Progress("blend", 1, 1, rate), units, index)
        return found.drawn.latents

    def _counted(self, evidence: Evidence) -> tuple[Frame, Units]:
        """Turn what a frame says into electrons."""
        units = Units.of(self.first.noise, evidence.pixels)
        # What the image says of its noise explains its pixels, what the user says may not.
        counted = self.micrograph.noise is not None and self.model.header.intensity != "standard"
        electrons = units.to_electrons(evidence.pixels, self.micrograph.name, counted=counted)
        missing = evidence.missing
        exposed = None if missing is None else torch.from_numpy(~missing).float().to(self.device)
        white = units.electrons(self.white)
        return Frame.of(electrons, self.engine.grid, self.device, units.read_variance, white, exposed), units

    def adapt_steps(self, steps: int, *, needed: bool) -> Steps[Adaptation | str]:
        """Adapt the model, or say why not; a single image is first shown as the model cleans it without."""
        reason = hindrance(self.model, self.first)
        if reason and needed:
            raise GanDenoiseError(f"{reason.rstrip('.')}: denoise without adapt, or with another model.")
        if reason:
            return reason
        assert isinstance(self.engine, DirectEngine)
        if self.micrograph.frames == 1:
            frame, units = self._counted(self.first.evidence)
            shown = yield from self._in_units(frame_steps(self.engine, frame, self.residual_step), units, 0)
            yield self._event(Progress("adapt", 0, steps, outside(shown.rate)), units, 0)
        learnt, judges = (list(map(self._frame_of, indices)) for indices in representatives(self.micrograph.frames))
        seen = [frame for frame in learnt if frame is not None]
        if not seen:
            seen = [self._counted(self.first.evidence)[0]]
        others = [frame for frame in judges if frame is not None]
        return (yield from adapt_steps(self.engine, seen, others, steps, self.config.seed))

    def _frame_of(self, index: int) -> Frame | None:
        evidence = Evidence.of(self.micrograph.frame(index), self.config)
        return None if evidence.silent(self.micrograph.noise) else self._counted(evidence)[0]

    def with_model(self, model: DirectModel) -> _Run:
        """Return the run with another model."""
        assert isinstance(self.engine, DirectEngine)
        return replace(self, model=model, engine=replace(self.engine, model=model))

    def _in_units(self, steps: Steps[Result], units: Units, index: int) -> Steps[Result]:
        return relay(steps, lambda event: self._event(event, units, index))

    def _event(self, event: Progress, units: Units, index: int) -> Progress:
        """Show a preview in the input's units and, for a movie, name the frame in the stage."""
        stage = f"frame {index + 1}/{self.micrograph.frames}: " if self.micrograph.frames > 1 else ""
        preview = None if event.preview is None else units.from_electrons(event.preview)
        return replace(event, stage=stage + event.stage, preview=preview)


def _report(run: _Run, work: Work, images: _Images, seconds: float) -> dict[str, Any]:
    noise, frames = run.first.noise, images.frames
    return {
        "config": run.config.model_dump(mode="json"),
        "model": run.model.name,
        "model_sha256": run.model.sha256,
        "pixel_size_nm": run.micrograph.pixel_size_nm,
        "assumed_pixel_size_nm": None if work.assumed is None else work.assumed.pixel_size_nm,
        "noise": noise.model_dump(mode="json"),
        "gain": noise.gain,
        "white": run.white,
        "dose": float(images.rate.mean() - noise.offset) / noise.gain,
        "frames": run.micrograph.frames,
        "tiles": work.pieces if work.tiles is None else len(work.tiles.centres),
        "summed": work.grid.summed,
        "views": max(1, len(work.views)),
        "steps": sum(frame.drawn.steps for frame in frames),
        "seconds": round(seconds, 3),
        "deviance": float(np.mean([frame.deviance for frame in frames])) if frames else 1.0,
        "residual_share": float(np.mean([frame.residual_share for frame in frames])) if frames else 0.0,
        "defects": images.findings.counts(),
        "correlated": bool(run.first.shared()),
        "fit_threshold": FIT_THRESHOLD,
        "uncertainty_factor": run.model.header.uncertainty_factor if run.config.replicates else None,
        "seed": run.config.seed,
        "intensity": 1.0,
        "warnings": [*run.micrograph.warnings, *images.findings.sentences(), *run.first.shared(), *work.warnings],
        "versions": {name: version(name) for name in ("napari-gandenoise", "torch", "numpy")},
    }


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
