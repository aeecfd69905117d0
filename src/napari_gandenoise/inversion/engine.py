"""The latent search as an engine: what tiles of a GAN's latent space make of a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_gandenoise.inversion.bank import Bank, bank_for, effort_of
from napari_gandenoise.inversion.invert import FrameTiles, Inversion
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.presets import Preset
from napari_gandenoise.inversion.refine import Bounds, projected
from napari_gandenoise.models import Model
from napari_gandenoise.operators import poisson_blend
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.tiling import Drawn, Frame, Grid, Latents, Tiles, blend, outside

__all__ = ["LatentEngine"]


@dataclass
class LatentEngine:
    """What stays the same from frame to frame.

    Attributes
    ----------
    model : Model
        On the device that computes.
    tiles : Tiles
        How frames are cut.
    preset : Preset
        Effort.
    batch : int
        Tiles computed at once; halved when memory runs out.
    generator : torch.Generator
        Source of the random search.
    objective : type of Objective
        What is minimised.
    bounds : Bounds
        What becomes of latents beyond the bounds of a uniform prior.
    finish : callable, optional
        Takes an objective and the latents ``(N, d)`` that were found for it, and returns those that are drawn.
    """

    model: Model
    tiles: Tiles
    preset: Preset
    batch: int
    generator: torch.Generator
    objective: type[Objective] = Objective
    bounds: Bounds = projected
    finish: Callable[[Objective, Tensor], Tensor] | None = None
    bank: Bank | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.bank = bank_for(self.model, self.preset)
        self.preset = effort_of(self.model, self.preset)

    @property
    def grid(self) -> Grid:
        """How frames are summed."""
        return self.tiles.grid

    def draw(self, frame: Frame, before: Latents | None = None) -> Steps[Drawn]:
        """Explain the counts of one frame.

        Parameters
        ----------
        frame : Frame
            The counts.
        before : Latents, optional
            Of the frame before, as further candidates; with them the search is narrower (`Preset.following`) unless it
            depends on random latents or a bank.
        """
        narrow = before is not None and self.model.encoder is not None and self.preset.propose
        effort = self.preset.following() if narrow else self.preset
        search = Inversion(
            evidence=FrameTiles(self.model, frame, self.tiles, self.objective),
            effort=effort,
            bank=None if narrow else self.bank,
            generator=self.generator,
            batch=self.batch,
            bounds=self.bounds,
        )
        search.show = lambda now: self._shown(search, now)
        found, steps = yield from search.run(before)
        self.batch = search.batch
        if self.finish is not None:
            found = self._finished(search, found)
        rates, gains = search.render(found)
        yield Progress("blend", 0, 1)
        drawn = self._whole(blend(self.tiles, rates, found.angles), frame)
        return Drawn(drawn, latents=found, gains=gains, steps=steps)

    def _finished(self, search: Inversion, found: Latents) -> Latents:
        assert self.finish is not None
        parts = torch.arange(len(found.angles), device=found.angles.device).split(self.batch)
        values = [
            self.finish(search.evidence.objective(part, found.angles[part]), found.values[part]) for part in parts
        ]
        return Latents(torch.cat(values), found.spread, found.angles)

    def _whole(self, drawn: Tensor, frame: Frame) -> Tensor:
        """Continue a rate smoothly into the middle of holes, where no tile reaches."""
        if frame.exposed is None:
            return drawn
        image = drawn.permute(1, 2, 0).cpu().numpy()
        smooth = poisson_blend(image, np.zeros_like(image), ~self.tiles.reached())
        return torch.from_numpy(smooth).permute(2, 0, 1).to(drawn.device)

    def _shown(self, search: Inversion, now: Latents) -> NDArray[Any]:
        return outside(self.grid.fine(blend(self.tiles, search.render(now)[0], now.angles)))
