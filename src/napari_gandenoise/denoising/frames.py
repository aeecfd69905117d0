"""A run: what is known when it begins, and how frame after frame is denoised, whatever the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from napari_gandenoise.denoising.direct import DirectEngine
from napari_gandenoise.denoising.doubt import doubt_steps
from napari_gandenoise.denoising.drift import Way
from napari_gandenoise.denoising.engine import Engine
from napari_gandenoise.denoising.evidence import Evidence, Findings, FirstFrame
from napari_gandenoise.denoising.frame import FrameResult, frame_steps
from napari_gandenoise.denoising.neighbours import Look, Shift, gathered
from napari_gandenoise.denoising.posterior import Draft, sample_steps
from napari_gandenoise.denoising.preparation import white_level
from napari_gandenoise.denoising.scales import Scale, scale_steps
from napari_gandenoise.denoising.uncertainty import uncertainty_steps
from napari_gandenoise.denoising.verdict import UNASKED, Verdict, judge, of_all
from napari_gandenoise.denoising.work import Work
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import AnyModel, DirectModel
from napari_gandenoise.noise.units import Units
from napari_gandenoise.progress import Progress, Steps, drain, relay
from napari_gandenoise.residual import FIT_THRESHOLD
from napari_gandenoise.settings.denoise import DenoiseConfig, SearchSettings
from napari_gandenoise.tiling import Frame, Latents, outside

__all__ = ["Images", "Run", "report_of"]

Result = TypeVar("Result")
COARSEST_STEP = 0.01  # of the contrast of an image: single precision must resolve it


class Images:
    """What is found, frame by frame, in the input's units."""

    def __init__(
        self, micrograph: Micrograph, frames: range, precision: type, *, uncertain: bool, samples: int = 0
    ) -> None:
        shape = (len(frames), *micrograph.pixels.shape[1:]) if micrograph.is_stack else micrograph.pixels.shape
        self.rate = np.empty(shape, precision)
        self.residual = np.empty(shape, np.float32)
        self.fit = np.zeros(self.rate.shape[:2] if micrograph.rgb else self.rate.shape, np.float32)
        self.uncertainty = np.zeros_like(self.fit) if uncertain else None
        self.samples = np.zeros((samples, *shape), np.float32) if samples else None
        self.frames: list[FrameResult] = []
        self.verdicts: dict[int, Verdict] = {}
        self.findings = Findings(len(frames), frames.start)
        self.drifts: dict[int, Shift] = {}  # since the last frame before that says anything


class Glance(NamedTuple):
    """A frame of a movie before it is denoised: what it says, and how it looks, if it says anything."""

    evidence: Evidence
    look: Look | None


@dataclass(frozen=True)
class Run:
    """A run with all that is known when it begins."""

    micrograph: Micrograph
    first: FirstFrame
    model: AnyModel
    engine: Engine
    config: SearchSettings
    residual_step: bool
    device: torch.device
    way: Way | None = None  # where the specimen lies in each frame, if somebody knows
    only: range | None = None  # frames; by default all
    attended: Callable[[], int] | None = None  # the frame that somebody looks at

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

    @property
    def frames(self) -> range:
        """Numbers of the frames that are denoised."""
        return range(self.micrograph.frames) if self.only is None else self.only

    @property
    def sampled(self) -> int:
        """How many samples are drawn of each frame."""
        return self.config.samples if isinstance(self.config, DenoiseConfig) else 0

    @property
    def reach(self) -> int:
        """How many frames before and after may have a say."""
        wanted = self.config.neighbours if isinstance(self.config, DenoiseConfig) else 0
        return wanted if self.micrograph.frames > 1 and isinstance(self.engine, DirectEngine) else 0

    def steps(self) -> Steps[Images]:
        """Denoise the frames."""
        uncertain, alone = bool(self.config.replicates or self.sampled), self.micrograph.frames == 1
        kept = self.sampled if alone else 0  # samples of a movie are many movies
        images = Images(self.micrograph, self.frames, self.precision, uncertain=uncertain, samples=kept)
        before: Latents | None = None
        glances: dict[int, Glance] = {}
        left = list(self.frames)
        while left:
            index = self._next(left)
            left.remove(index)
            before = yield from self._frame(index, images, before, glances)
        return images

    def _next(self, left: list[int]) -> int:
        """Choose the frame to do: the one that is looked at and those after it first, if no frame builds on another."""
        if self.attended is None or not isinstance(self.engine, DirectEngine):
            return left[0]
        at = self.attended()
        return next((index for index in left if index >= at), left[0])

    def _frame(
        self, index: int, images: Images, before: Latents | None, glances: dict[int, Glance]
    ) -> Steps[Latents | None]:
        """Denoise one frame; return what was found in it for the next one."""
        where = (index - self.frames.start,) if self.micrograph.is_stack else ()
        evidence = glances[index].evidence if index in glances else self.evidence(index)
        images.findings.add(index, evidence, self.micrograph.noise)
        pixels = evidence.pixels
        if evidence.silent(self.micrograph.noise):
            images.rate[where], images.residual[where] = pixels, 0
            yield self.event(Progress("blend", 1, 1, pixels.astype(np.float32)), Units(), index)
            return before
        own, units = self.counted(evidence)
        frame = (yield from self._gathered(index, units, glances, images)) if self.reach else own
        steps = frame_steps(self.engine, frame, self.residual_step, before, own)
        found = yield from self.in_units(steps, units, index)
        rate = outside(found.rate)
        if images.uncertainty is not None:
            images.uncertainty[where] = yield from self._uncertain(index, frame, found, images, units)
        images.rate[where], images.fit[where] = units.from_electrons(rate), found.fit_map.cpu().numpy()
        images.residual[where] = np.asarray(pixels, np.float64) - images.rate[where]
        evidence.label(images.rate[where])
        evidence.label(images.residual[where], 0.0)
        images.verdicts[index] = yield from self._judged(index, frame, found, units)
        images.frames.append(found.without_images())
        yield self.event(Progress("blend", 1, 1, rate), units, index)
        return found.drawn.latents

    def _uncertain(
        self, index: int, frame: Frame, found: FrameResult, images: Images, units: Units
    ) -> Steps[NDArray[np.float32]]:
        """Return the standard error of a frame, by samples or else by repeated runs; keep the samples of an image."""
        if not self.sampled:
            random = np.random.default_rng((self.config.seed, index))
            rate = outside(found.rate)
            again = uncertainty_steps(self.engine, frame, rate, self.config.replicates, random, self.residual_step)
            error = yield from self.in_units(again, units, index)
            return error * np.float32(units.gain * self.model.header.uncertainty_factor)
        assert isinstance(self.config, DenoiseConfig)
        assert isinstance(self.engine, DirectEngine)
        draft = Draft(self.sampled, self.config.best_of, self.config.refine)
        generator = torch.Generator().manual_seed(self.config.seed + index)
        steps = sample_steps(self.engine, frame, found.rate_on_grid, draft, generator)
        drawn = yield from self.in_units(steps, units, index)
        if images.samples is not None:
            for number, change in enumerate(drawn):
                images.samples[number][...] = units.from_electrons(outside(self.engine.outside(found.rate + change)))
        # Not about their mean: where that is off the rate, the rate is off.
        spread: NDArray[np.float32] = drawn.square().mean(dim=(0, 1)).sqrt().cpu().numpy()
        return spread * np.float32(units.gain)

    def _judged(self, index: int, frame: Frame, found: FrameResult, units: Units) -> Steps[Verdict]:
        """Ask the counts what they say of the result of a frame."""
        sharing, doubt = self.first.sharing if self.first.shared() else "", None
        if isinstance(self.config, DenoiseConfig) and self.config.doubt and not sharing:
            random = np.random.default_rng((self.config.seed, index, 2))
            steps = doubt_steps(self.engine, frame, found.rate_on_grid, random)
            doubt = (yield from self.in_units(steps, units, index)).cpu().numpy()
        summed = frame.grid.summed
        mean = summed**2 * (float(found.rate_on_grid.mean()) + frame.read_variance)
        scale = (yield from self._scale(index, frame, units)) if index == 0 and not sharing else None
        return judge(
            index,
            summed,
            found.deviance,
            mean,
            found.support,
            doubt,
            scale=scale,
            size_nm=self.micrograph.pixel_size_nm,
            sharing=sharing,
        )

    def _scale(self, index: int, frame: Frame, units: Units) -> Steps[Scale | None]:
        """Ask the counts of the first frame whether the pixel size is right; None if the model does not care."""
        if self.model.pixel_size_nm is None or not isinstance(self.engine, DirectEngine):
            return None
        random = np.random.default_rng((self.config.seed, index, 3))
        return (yield from self.in_units(scale_steps(self.engine, frame, random), units, index))

    def _gathered(self, index: int, units: Units, glances: dict[int, Glance], images: Images) -> Steps[Frame]:
        """Take the counts of neighbouring frames where they show the same."""
        near = range(max(0, index - self.reach), min(self.micrograph.frames, index + self.reach + 1))
        for number in set(glances) - set(near):
            del glances[number]
        for number in near:
            if number not in glances:
                glances[number] = yield from self.in_units(self.glance(number), units, index)
        own = glances[index].look
        assert own is not None  # a frame that says nothing is not denoised
        others = {number: look for number in near if number != index and (look := glances[number].look) is not None}
        assert isinstance(self.config, DenoiseConfig)
        given = None if self.way is None else [self._between(self.way, index, number) for number in others]
        frame, drifts = gathered(own, list(others.values()), given, align=self.config.align)
        # Where the frame before lies is where this one has come from.
        before = max((number for number in others if number < index), default=None)
        down, right = (0, 0) if before is None else dict(zip(others, drifts, strict=True))[before]
        images.drifts[index] = (-down, -right)
        return frame

    @staticmethod
    def _between(way: Way, frame: int, other: int) -> Shift:
        down, right = (way[other] - way[frame]).tolist()
        return down, right

    def drift(self, found: Mapping[int, Shift]) -> list[list[int]]:
        """Return by how much the specimen lies further down and right in each frame than in the one before.

        Parameters
        ----------
        found : mapping
            What was found of each frame that says anything; none if each was taken for itself.

        Returns
        -------
        list of list of int
            One for each frame that is denoised, input pixels; none if each was taken for itself.
        """
        if self.way is not None and self.reach:
            steps: list[list[int]] = np.diff(self.way, axis=0, prepend=self.way[:1])[self.frames].tolist()
            return steps
        return [list(found.get(index, (0, 0))) for index in self.frames] if found else []

    def glance(self, index: int) -> Steps[Glance]:
        """Clean a frame in one view, by itself, if it says anything."""
        evidence = self.evidence(index)
        if evidence.silent(self.micrograph.noise):
            return Glance(evidence, None)
        frame = self.counted(evidence)[0]
        assert isinstance(self.engine, DirectEngine)
        once = replace(self.engine, views=self.engine.views[:1])
        drawn = yield from relay(once.draw(frame), lambda event: replace(event, stage="look", preview=None))
        return Glance(evidence, Look(frame, self.engine.grid.fine(drawn.rate) if drawn.fine is None else drawn.fine))

    def drawn(self) -> NDArray[np.float32]:
        """Draw the first frame that says something in one view, and nothing else; return its rate in its units."""
        glance = drain(self.glance(self.first.index))
        if glance.look is None:
            return glance.evidence.pixels.astype(np.float32)
        units = self.counted(glance.evidence)[1]
        return np.asarray(units.from_electrons(outside(glance.look.rate)), np.float32)

    def counted(self, evidence: Evidence) -> tuple[Frame, Units]:
        """Turn what a frame says into electrons; all frames that have a say in each other's alike."""
        units = Units.of(self.first.noise, self.first.evidence.pixels if self.reach else evidence.pixels)
        # What the image says of its noise explains its pixels, what the user says may not.
        counted = self.micrograph.noise is not None and self.model.header.intensity != "standard"
        electrons = units.to_electrons(evidence.pixels, self.micrograph.name, counted=counted)
        missing = evidence.missing
        exposed = None if missing is None else torch.from_numpy(~missing).float().to(self.device)
        white = units.electrons(self.white)
        return Frame.of(electrons, self.engine.grid, self.device, units.read_variance, white, exposed), units

    def evidence(self, index: int) -> Evidence:
        """Say what a frame says."""
        known = index == self.first.index
        return self.first.evidence if known else Evidence.of(self.micrograph.frame(index), self.config)

    def electrons_of(self, index: int) -> Frame | None:
        """Turn a frame into electrons; None if there is nothing to take away from it."""
        evidence = self.evidence(index)
        return None if evidence.silent(self.micrograph.noise) else self.counted(evidence)[0]

    def with_model(self, model: DirectModel) -> Run:
        """Return the run with another model."""
        assert isinstance(self.engine, DirectEngine)
        return replace(self, model=model, engine=replace(self.engine, model=model))

    def in_units(self, steps: Steps[Result], units: Units, index: int) -> Steps[Result]:
        """Show what is going on in a frame in the input's units."""
        return relay(steps, lambda event: self.event(event, units, index))

    def event(self, event: Progress, units: Units, index: int) -> Progress:
        """Show a preview in the input's units and, for a movie, name the frame in the stage."""
        stage = f"frame {index + 1}/{self.micrograph.frames}: " if self.micrograph.frames > 1 else ""
        preview = None if event.preview is None else units.from_electrons(event.preview)
        return replace(event, stage=stage + event.stage, preview=preview)


def report_of(run: Run, work: Work, images: Images, seconds: float) -> dict[str, Any]:
    """Say what was done, ready for JSON."""
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
        "frames": len(run.frames),
        "tiles": work.pieces if work.tiles is None else len(work.tiles.centres),
        "summed": work.grid.summed,
        "views": max(1, len(work.views)),
        "steps": sum(frame.drawn.steps for frame in frames),
        "seconds": round(seconds, 3),
        "deviance": float(np.mean([frame.deviance for frame in frames])) if frames else 1.0,
        "residual_share": float(np.mean([frame.residual_share for frame in frames])) if frames else 0.0,
        "drift": run.drift(images.drifts),
        "colours": [images.verdicts.get(index, UNASKED).colour for index in run.frames],
        "verdict": of_all(images.verdicts).report(),
        "defects": images.findings.counts(),
        "correlated": bool(run.first.shared()),
        "fit_threshold": FIT_THRESHOLD,
        "uncertainty_factor": run.model.header.uncertainty_factor
        if run.config.replicates and not run.sampled
        else None,
        "seed": run.config.seed,
        "intensity": 1.0,
        "warnings": [*run.micrograph.warnings, *images.findings.sentences(), *run.first.shared(), *work.warnings],
        "versions": {name: version(name) for name in ("napari-gandenoise", "torch", "numpy")},
    }
