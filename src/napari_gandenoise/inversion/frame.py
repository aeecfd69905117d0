"""One frame: search, brief, refine and blend, as events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_gandenoise.inversion.bank import Bank, bank_for
from napari_gandenoise.inversion.holes import reached
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.presets import Preset
from napari_gandenoise.inversion.recovery import sharpened
from napari_gandenoise.inversion.refine import Refined, refine
from napari_gandenoise.inversion.search import Candidates, find_angles, propose
from napari_gandenoise.models import Model
from napari_gandenoise.operators import poisson_blend
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.residual import correct_channels, fit_map, reduced_deviance
from napari_gandenoise.settings.recover import Clipping, ObjectiveName
from napari_gandenoise.tiling import Layout, bin_tiles, blend, grid_counts, upsample, upsample_channels

__all__ = ["Engine", "FrameResult", "Inverter", "Latents"]

PREVIEW_SECONDS = 1.5


@dataclass(frozen=True)
class Latents:
    """What was found for each tile: ``(N, d)`` latents, their spread, and ``(N,)`` angles in radians."""

    values: Tensor
    spread: Tensor
    angles: Tensor


@dataclass(frozen=True)
class FrameResult:
    """One denoised frame.

    Attributes
    ----------
    rate : ndarray
        ``(Y, X)`` or ``(Y, X, C)`` on the input grid, electrons per input pixel.
    fit_map : ndarray
        ``(Y, X)``, standard deviations of counting noise.
    latents : Latents
        Of all tiles.
    gains : ndarray
        Log-likelihood gained over flat tiles, ``(N,)``, nats.
    deviance : float
        Reduced deviance of the whole frame.
    residual_share : float
        Standard deviation of what the residual step added over that of the result.
    tile_steps : int
        Gradient steps summed over tiles.
    sharpness_level : float or None
        Mean noise level of the tiles, at which the sharpness attribute was applied; None if it was not.
    """

    rate: NDArray[np.float32]
    fit_map: NDArray[np.float32]
    latents: Latents
    gains: NDArray[np.float32]
    deviance: float
    residual_share: float
    tile_steps: int
    sharpness_level: float | None = None


class Engine(Protocol):
    """What denoises frames of one layout, one after the other."""

    @property
    def layout(self) -> Layout: ...  # noqa: D102
    @property
    def read_variance(self) -> float: ...  # noqa: D102

    def run(self, electrons: NDArray[np.float32], start: Latents | None = None) -> Steps[FrameResult]:
        """Denoise one frame ``(Y, X)`` or ``(Y, X, C)``, electrons per input pixel."""


@dataclass
class Inverter:
    """What stays the same from frame to frame.

    Attributes
    ----------
    model : Model
        On the device that computes.
    layout : Layout
        How frames are cut.
    preset : Preset
        Effort.
    read_variance : float
        Electrons² per input pixel.
    residual_step : bool
        Whether to add back what the residual proves.
    batch : int
        Tiles computed at once; halved when memory runs out.
    generator : torch.Generator
        Source of the random search, and of what stochastic clipping draws again.
    white : float
        Electrons per input pixel of white, for models of absolute intensities.
    exposed : Tensor, optional
        ``(Y, X)``: zero where pixels are missing, else one.
    objective : {"likelihood", "squared"}
        What is minimised.
    clipping : {"projected", "stochastic", "none"}
        What becomes of latents beyond the bounds of a uniform prior.
    sharpness : bool
        Whether to add the model's sharpness attribute to the latents that were found.
    """

    model: Model
    layout: Layout
    preset: Preset
    read_variance: float
    residual_step: bool
    batch: int
    generator: torch.Generator
    white: float = 0.0
    exposed: Tensor | None = None
    objective: ObjectiveName = "likelihood"
    clipping: Clipping = "projected"
    sharpness: bool = False
    bank: Bank | None = field(default=None, init=False)
    effort: Preset = field(init=False)

    def __post_init__(self) -> None:
        self.bank = bank_for(self.model, self.preset)
        self.effort = self.preset

    def run(self, electrons: NDArray[np.float32], start: Latents | None = None) -> Steps[FrameResult]:
        """Denoise one frame.

        Parameters
        ----------
        electrons : ndarray
            ``(Y, X)`` or ``(Y, X, C)``, electrons per input pixel.
        start : Latents, optional
            Of the frame before, as further candidates; with them the search is narrower (`Preset.following`) unless it
            depends on random latents or a bank.
        """
        proposes = self.model.encoder is not None and self.preset.propose
        self.effort = self.preset.following() if start is not None and proposes else self.preset
        channels = np.ascontiguousarray(np.moveaxis(np.atleast_3d(electrons), -1, 0))
        counts = torch.from_numpy(channels).to(self.layout.centres.device)
        grid, exposure = grid_counts(counts, self.layout.summed, self.exposed)
        candidates = yield from self._search(counts, start)
        best = yield from self._brief(counts, candidates)
        found, rates, gains, level, steps = yield from self._refine(counts, best)
        yield Progress("blend", 0, 1)
        drawn = self._whole(blend(self.layout, rates, found.angles))
        rate = drawn
        if self.residual_step:
            yield Progress("residual", 0, 1, upsample_channels(drawn, self.layout))
            rate = yield from correct_channels(grid, exposure, drawn, self.read_variance)
        share = float((rate - drawn).std() / rate.std().clamp(min=1e-12))
        seen = (grid.cpu().numpy(), exposure.cpu().numpy(), rate.cpu().numpy(), self.read_variance)
        result = FrameResult(
            upsample_channels(rate, self.layout),
            upsample(fit_map(*seen), self.layout.summed, self.layout.shape),
            found,
            gains.cpu().numpy(),
            reduced_deviance(*seen),
            share,
            steps,
            level,
        )
        yield Progress("blend", 1, 1, result.rate)
        return result

    def _whole(self, drawn: Tensor) -> Tensor:
        """Continue a rate smoothly into the middle of holes, where no tile reaches."""
        if self.exposed is None:
            return drawn
        image = drawn.permute(1, 2, 0).cpu().numpy()
        smooth = poisson_blend(image, np.zeros_like(image), ~reached(self.layout))
        return torch.from_numpy(smooth).permute(2, 0, 1).to(drawn.device)

    def _objective(self, counts: Tensor, tiles: Tensor, angles: Tensor) -> Objective:
        binned = bin_tiles(counts, self.layout, tiles, angles, self.exposed)
        return Objective.of(self.model, binned, self.read_variance, self.white, self.objective)

    def _search(self, counts: Tensor, start: Latents | None) -> Steps[Candidates]:
        """Candidates of every tile at its likeliest orientations."""
        tiles, started = len(self.layout.centres), time.perf_counter()
        found: list[Candidates] = []
        angles_each = 1 if self.layout.pose == "upright" else self.effort.angles
        total = tiles * angles_each
        for part in torch.arange(tiles, device=counts.device).split(self.batch):
            done = int(part[0]) * angles_each
            yield Progress("search", done, total)
            angles = find_angles(counts, self.layout, part, self.effort.angles, self.read_variance, self.exposed)
            candidates = None
            for angle in angles.unbind(1):
                yield Progress("search", done, total)
                proposed = self._propose(counts, part, angle)
                candidates = candidates.merge(proposed) if candidates else proposed
                done += len(part)
            if start is not None and candidates is not None:
                candidates = candidates.merge(self._continue(counts, part, start))
            if candidates is not None:
                found.append(candidates.keep(self.effort.keep))
        slow = time.perf_counter() - started > PREVIEW_SECONDS
        yield Progress("search", total, total, self._preview(counts, found) if slow else None)
        return _join(found)

    def _propose(self, counts: Tensor, part: Tensor, angle: Tensor) -> Candidates:
        random = None
        if self.effort.random:
            random = self.model.draw_latents((len(part), self.effort.random), self.generator).to(counts.device)
        objective = self._objective(counts, part, angle)
        bank = self.bank if self.effort is self.preset else None
        return propose(objective, bank, angle, random, encode=self.effort.propose)

    @torch.no_grad()
    def _continue(self, counts: Tensor, part: Tensor, start: Latents) -> Candidates:
        """Score the latents of the frame before on this one."""
        angle = start.angles[part]
        values = self._objective(counts, part, angle)(start.values[part])
        return Candidates(start.values[part][:, None], start.spread[part][:, None], angle[:, None], values[:, None])

    def _brief(self, counts: Tensor, candidates: Candidates) -> Steps[Latents]:
        """Follow several candidates of each tile for a few steps; the best goes on."""
        tiles, kept = candidates.values.shape
        if kept == 1 or not self.effort.brief:
            return Latents(candidates.latents[:, 0], candidates.spread[:, 0], candidates.angles[:, 0])
        flat = Latents(candidates.latents.flatten(0, 1), candidates.spread.flatten(0, 1), candidates.angles.flatten())
        index = torch.arange(tiles, device=counts.device).repeat_interleave(kept)
        latents, values, _ = yield from self._descend("brief", counts, index, flat, self.effort.brief, 0.0)
        winner = values.view(tiles, kept).argmin(dim=1) + kept * torch.arange(tiles, device=counts.device)
        return Latents(latents[winner], flat.spread[winner], flat.angles[winner])

    def _refine(self, counts: Tensor, best: Latents) -> Steps[tuple[Latents, Tensor, Tensor, float | None, int]]:
        """Follow the best candidate to the end; return latents, rates, gains, level of sharpness and steps."""
        index = torch.arange(len(best.angles), device=counts.device)
        latents, _, steps = yield from self._descend(
            "refine", counts, index, best, self.effort.refine, self.effort.gain
        )
        found = Latents(latents, best.spread, best.angles)
        found, level = self._sharpen(counts, found) if self.sharpness else (found, None)
        rates, gains = self._render(counts, found)
        return found, rates, gains, level, steps

    def _sharpen(self, counts: Tensor, found: Latents) -> tuple[Latents, float]:
        """Add the sharpness attribute at each tile's own noise level; return the mean level too."""
        parts = torch.arange(len(found.angles), device=counts.device).split(self.batch)
        level = torch.cat([self._objective(counts, part, found.angles[part]).noise_level() for part in parts])
        return replace(found, values=sharpened(self.model, found.values, level, self.clipping)), float(level.mean())

    def _descend(
        self, stage: str, counts: Tensor, index: Tensor, start: Latents, steps: int, gain: float
    ) -> Steps[tuple[Tensor, Tensor, int]]:
        """Refine latents batch by batch; a batch that does not fit into memory is halved and begun again."""
        latents, values = start.values.clone(), torch.empty(len(index), device=counts.device)
        taken, first, shown = 0, 0, time.perf_counter()
        while first < len(index):
            part = slice(first, min(first + self.batch, len(index)))
            size = part.stop - first
            try:
                for state in self._follow(counts, index[part], start, part, steps, gain):
                    preview = None
                    if time.perf_counter() - shown > PREVIEW_SECONDS:
                        latents[part] = state.latents
                        preview = upsample_channels(self._blend_now(counts, index, latents, start.angles), self.layout)
                        shown = time.perf_counter()
                    yield Progress(stage, first * steps + state.steps * size, len(index) * steps, preview)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _is_memory(error) or size == 1:
                    raise
                self.batch = max(1, size // 2)
                continue
            latents[part], values[part] = state.latents, state.values
            taken += state.tile_steps
            first = part.stop
        return latents, values, taken

    def _follow(
        self, counts: Tensor, index: Tensor, start: Latents, part: slice, steps: int, gain: float
    ) -> Iterator[Refined]:
        objective = self._objective(counts, index, start.angles[part])
        latents, spread = start.values[part], start.spread[part]
        return refine(objective, latents, spread, steps, self.effort.rate, gain, self.clipping, self.generator)

    @torch.no_grad()
    def _render(self, counts: Tensor, found: Latents) -> tuple[Tensor, Tensor]:
        rates, gains = [], []
        for part in torch.arange(len(found.angles), device=counts.device).split(self.batch):
            objective = self._objective(counts, part, found.angles[part])
            rate = objective.rate(found.values[part])
            rates.append(rate)
            gains.append(objective.gain(rate))
        return torch.cat(rates), torch.cat(gains)

    def _blend_now(self, counts: Tensor, index: Tensor, latents: Tensor, angles: Tensor) -> Tensor:
        """Blend the first candidate of every tile as it stands."""
        once = torch.cat([torch.tensor([True], device=index.device), index[1:] != index[:-1]])
        now = Latents(latents[once], latents[once], angles[once])
        return blend(self.layout, self._render(counts, now)[0], now.angles)

    def _preview(self, counts: Tensor, found: list[Candidates]) -> NDArray[np.float32]:
        best = _join(found).keep(1)
        now = Latents(best.latents[:, 0], best.spread[:, 0], best.angles[:, 0])
        return upsample_channels(blend(self.layout, self._render(counts, now)[0], now.angles), self.layout)


def _join(parts: list[Candidates]) -> Candidates:
    names = ("latents", "spread", "angles", "values")
    return Candidates(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def _is_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; on CPUs torch says so in a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error)
