"""Inversion: the latents of many tiles by search, brief descent of several candidates, and refinement of the best."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_gandenoise.inversion.bank import Bank
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.presets import Preset
from napari_gandenoise.inversion.refine import Bounds, Refined, projected, refine
from napari_gandenoise.inversion.search import Candidates, find_angles, propose
from napari_gandenoise.models import Model
from napari_gandenoise.models.device import ran_out
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.tiling import Frame, Latents, Tiles, bin_tiles

__all__ = ["Evidence", "FrameTiles", "Inversion", "UprightTiles"]

PREVIEW_SECONDS = 1.5


class Evidence(Protocol):
    """What there is to know of tiles, some at a time."""

    @property
    def count(self) -> int:
        """Number of tiles."""

    @property
    def model(self) -> Model:
        """What draws them, on the device that computes."""

    def angles(self, part: Tensor, count: int) -> Tensor:
        """Likeliest orientations ``(N, count)`` of tiles ``(N,)``; of upright ones there is one."""

    def objective(self, part: Tensor, angles: Tensor) -> Objective:
        """Return what is to be minimised for tiles ``(N,)`` at angles ``(N,)``."""


@dataclass(frozen=True)
class FrameTiles:
    """The tiles of a frame, binned when they are asked for."""

    model: Model
    frame: Frame
    tiles: Tiles
    kind: type[Objective] = Objective

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self.tiles.centres)

    def angles(self, part: Tensor, count: int) -> Tensor:
        """Find fringes in the spectra of tiles."""
        return find_angles(self.frame, self.tiles, part, count)

    def objective(self, part: Tensor, angles: Tensor) -> Objective:
        """Bin tiles."""
        binned = bin_tiles(self.frame, self.tiles, part, angles)
        return self.kind.of(self.model, binned, self.frame.read_variance, self.frame.white)


@dataclass(frozen=True)
class UprightTiles:
    """Tiles that are at hand and lie as they lie, such as generated ones, whose latents are known."""

    whole: Objective

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self.whole.mean)

    @property
    def model(self) -> Model:
        """What draws them."""
        return self.whole.model

    def angles(self, part: Tensor, count: int) -> Tensor:  # noqa: ARG002 - whatever is asked for, there is one
        """Return none but zero."""
        return torch.zeros(len(part), 1, device=part.device)

    def objective(self, part: Tensor, angles: Tensor) -> Objective:  # noqa: ARG002
        """Take some of the tiles."""
        return self.whole if len(part) == self.count else self.whole.select(part)


@dataclass
class Inversion:
    """One search for the latents of all tiles.

    Attributes
    ----------
    evidence : Evidence
        The tiles.
    effort : Preset
        How hard to look.
    bank : Bank or None
        Templates that are tried as well.
    generator : torch.Generator
        Source of random candidates, on the CPU.
    batch : int
        Tiles computed at once; halved when memory runs out.
    bounds : Bounds
        What becomes of latents beyond the bounds of a uniform prior.
    show : callable, optional
        Draws an image of the tiles' latents as they stand.
    """

    evidence: Evidence
    effort: Preset
    bank: Bank | None
    generator: torch.Generator
    batch: int
    bounds: Bounds = projected
    show: Callable[[Latents], NDArray[Any]] | None = None

    def run(self, start: Latents | None = None) -> Steps[tuple[Latents, int]]:
        """Search and refine.

        Parameters
        ----------
        start : Latents, optional
            Further candidates, such as those of the frame before.

        Yields
        ------
        Progress
            Stages "search", "brief" and "refine".

        Returns
        -------
        Latents
            The best of each tile.
        int
            Gradient steps of the refinement, summed over tiles.
        """
        candidates = yield from self._search(start)
        best = yield from self._brief(candidates)
        latents, _, steps = yield from self._descend("refine", self._all(), best, self.effort.refine, self.effort.gain)
        return Latents(latents, best.spread, best.angles), steps

    @torch.no_grad()
    def render(self, found: Latents) -> tuple[Tensor, Tensor]:
        """Draw tiles; return rates ``(N, C, H, W)`` and the nats that each gains over a flat one, ``(N,)``."""
        rates, gains = [], []
        for part in self._all().split(self.batch):
            objective = self.evidence.objective(part, found.angles[part])
            rates.append(objective.rate(found.values[part]))
            gains.append(objective.gain(rates[-1]))
        return torch.cat(rates), torch.cat(gains)

    def _all(self) -> Tensor:
        device = next(self.evidence.model.generator.parameters()).device
        return torch.arange(self.evidence.count, device=device)

    def _search(self, start: Latents | None) -> Steps[Candidates]:
        """Candidates of every tile at its likeliest orientations."""
        started, found = time.perf_counter(), list[Candidates]()
        done, each, tiles = 0, self.effort.angles, self.evidence.count
        for part in self._all().split(self.batch):
            yield Progress("search", done, tiles * each)
            angles = self.evidence.angles(part, each)
            each = angles.shape[1]
            candidates: Candidates | None = None
            for angle in angles.unbind(1):
                yield Progress("search", done, tiles * each)
                proposed = self._propose(part, angle)
                candidates = candidates.merge(proposed) if candidates else proposed
                done += len(part)
            assert candidates is not None
            if start is not None:
                candidates = candidates.merge(self._continue(part, start))
            found.append(candidates.keep(self.effort.keep))
        candidates = _join(found)
        slow = time.perf_counter() - started > PREVIEW_SECONDS
        yield Progress("search", tiles * each, tiles * each, self._preview(candidates.best()) if slow else None)
        return candidates

    def _propose(self, part: Tensor, angle: Tensor) -> Candidates:
        random = None
        if self.effort.random:
            model = self.evidence.model
            random = model.draw_latents((len(part), self.effort.random), self.generator).to(part.device)
        return propose(self.evidence.objective(part, angle), self.bank, angle, random, encode=self.effort.propose)

    @torch.no_grad()
    def _continue(self, part: Tensor, start: Latents) -> Candidates:
        """Score the latents of the frame before on this one."""
        angle = start.angles[part]
        values = self.evidence.objective(part, angle)(start.values[part])
        return Candidates(start.values[part][:, None], start.spread[part][:, None], angle[:, None], values[:, None])

    def _brief(self, candidates: Candidates) -> Steps[Latents]:
        """Follow several candidates of each tile for a few steps; the best goes on."""
        tiles, kept = candidates.values.shape
        if kept == 1 or not self.effort.brief:
            return candidates.best()
        flat = Latents(candidates.latents.flatten(0, 1), candidates.spread.flatten(0, 1), candidates.angles.flatten())
        index = self._all().repeat_interleave(kept)
        latents, values, _ = yield from self._descend("brief", index, flat, self.effort.brief, 0.0)
        winner = values.view(tiles, kept).argmin(dim=1) + kept * self._all()
        return Latents(latents[winner], flat.spread[winner], flat.angles[winner])

    def _descend(
        self, stage: str, index: Tensor, start: Latents, steps: int, gain: float
    ) -> Steps[tuple[Tensor, Tensor, int]]:
        """Refine latents batch by batch; a batch that does not fit into memory is halved and begun again."""
        latents, values = start.values.clone(), torch.empty(len(index), device=index.device)
        taken, first, shown = 0, 0, time.perf_counter()
        while first < len(index):
            part = slice(first, min(first + self.batch, len(index)))
            size = part.stop - first
            try:
                for state in self._follow(index[part], start, part, steps, gain):
                    preview = None
                    if self.show is not None and time.perf_counter() - shown > PREVIEW_SECONDS:
                        latents[part] = state.latents
                        preview = self._preview(_first_of_each(index, latents, start.angles))
                        shown = time.perf_counter()
                    yield Progress(stage, first * steps + state.steps * size, len(index) * steps, preview)
            except (MemoryError, RuntimeError) as error:
                if not ran_out(error) or size == 1:
                    raise
                self.batch = max(1, size // 2)
                continue
            latents[part], values[part] = state.latents, state.values
            taken += state.tile_steps
            first = part.stop
        return latents, values, taken

    def _follow(self, index: Tensor, start: Latents, part: slice, steps: int, gain: float) -> Iterator[Refined]:
        objective = self.evidence.objective(index, start.angles[part])
        latents, spread = start.values[part], start.spread[part]
        return refine(objective, latents, spread, steps, self.effort.rate, gain, self.bounds)

    def _preview(self, now: Latents) -> NDArray[Any] | None:
        return None if self.show is None else self.show(now)


def _first_of_each(index: Tensor, latents: Tensor, angles: Tensor) -> Latents:
    """Take the first candidate of every tile as it stands."""
    once = torch.cat([torch.tensor([True], device=index.device), index[1:] != index[:-1]])
    return Latents(latents[once], latents[once], angles[once])


def _join(parts: list[Candidates]) -> Candidates:
    names = ("latents", "spread", "angles", "values")
    return Candidates(*(torch.cat([getattr(part, name) for part in parts]) for name in names))
