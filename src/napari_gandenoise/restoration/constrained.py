"""Constrained generation: latents whose images, measured as the one at hand was, are like it.

Yeh et al., "Image restoration with deep generative models" (ICASSP 2018), section 2.  Tiles are independent of each
other in data and latents; what has not been seen of a tile is asked to be like what its neighbours draw there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.models import Model
from napari_gandenoise.operators import Mask, Operator
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.tiling import Grid, TileCounts, Tiles, blend, lay_out

__all__ = ["Constraint", "Drawn", "Extra", "Restorer", "cut", "lay_out_restored"]

Extra = Callable[[Tensor], Tensor]
RANGE = 2.0  # the paper's images go from -1 to 1, the operators' from 0 to 1
DOSE = 200.0  # electrons per pixel of white, from which the encoder proposes: as if the noise were about 5 %
RATE = 0.1  # of Adam, falls along a cosine
BRIEF = 10  # of the steps, one in so many for all restarts
AGREE_EVERY = 5  # steps between looks at the neighbours
PIXELS = (1, 2, 3)
PREVIEW_SECONDS = 1.5
BATCH_PIXELS = 2**18  # of tiles computed at once


@dataclass(frozen=True)
class Constraint:
    """The objective of a batch of tiles.

    Attributes
    ----------
    model : Model
        Of absolute intensities.
    operator : Operator
        What was done to the image.
    seen : Tensor
        ``(N, C', H', W')``, from black 0 to white 1.
    inside : Tensor
        ``(N, 1, H', W')``: one where a tile lies within the image, else zero.
    norm, prior : float
        Power of the data term; weight of the latents' negative log prior.
    extra : callable, optional
        What else an image shall be good for: images ``(N, C, H, W)`` within [-1, 1] in, values ``(N,)`` out, small is
        good.
    """

    model: Model
    operator: Operator
    seen: Tensor
    inside: Tensor
    norm: float
    prior: float
    extra: Extra | None = None

    def image(self, latents: Tensor) -> Tensor:
        """Draw ``(N, C, H, W)`` of latents ``(N, d)``."""
        return (1 + self.model.render(latents)) / 2

    def __call__(self, latents: Tensor, expected: Tensor | None = None, trust: Tensor | None = None) -> Tensor:
        """Value of latents ``(N, d)``: ``(N,)``, small is good.

        Parameters
        ----------
        expected, trust : Tensor, optional
            ``(N, C, H, W)`` and ``(N, 1, H, W)``: what the neighbours draw, and the weight of its pixels.
        """
        image = self.image(latents)
        value = self._distance(self.operator.misfit(image, self.seen) * self.inside)
        if self.prior > 0:
            value = value + self.prior * self.model.prior_cost(latents)
        if self.extra is not None:
            value = value + self.extra(2 * image - 1)
        if expected is not None and trust is not None:
            value = value + self._distance((image - expected) * trust)
        return value

    def _distance(self, misfit: Tensor) -> Tensor:
        """Sum of the misfits' powers; a sum, so that its weight does not depend on how much was seen."""
        size = (RANGE * misfit).abs()
        return (size if self.norm == 1 else size.pow(self.norm)).sum(PIXELS)


@dataclass(frozen=True)
class Drawn:
    """What was found.

    Attributes
    ----------
    image : Tensor
        ``(C, Y, X)``, tiles blended, from 0 to 1; what was seen where no tile lies.
    latents : Tensor
        ``(tiles, d)``.
    loss : float
        Mean value of the tiles, without what the neighbours ask for.
    tile_steps : int
        Gradient steps, summed over tiles.
    """

    image: Tensor
    latents: Tensor
    loss: float
    tile_steps: int


def lay_out_restored(shape: tuple[int, int], size: int, factor: int = 1) -> Tiles:
    """Cover the restored image with upright tiles that begin on whole pixels of the input.

    Parameters
    ----------
    shape : tuple of int
        Input ``(Y, X)``.
    size : int
        Tile side, pixels of the restored image.
    factor : int
        Pixels of the restored image for one of the input, along a side.
    """
    side = size // factor
    coarse = lay_out(Grid(shape), side, side // 2, "upright")
    corners = (coarse.centres - (side - 1) / 2) * factor
    fine = Grid((factor * shape[0], factor * shape[1]))
    return Tiles(fine, size, corners + (size - 1) / 2, "upright")


def cut(frame: Tensor, corners: Tensor, side: int) -> Tensor:
    """Cut squares ``(N, C, side, side)`` at corners ``(N, 2)`` from a frame ``(C, Y, X)``; zero outside of it."""
    height, width = frame.shape[1:]
    along = torch.arange(side, device=frame.device)
    rows, columns = (corners[:, axis, None].long() + along for axis in (0, 1))
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    held = frame[:, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]]
    return held.transpose(0, 1) * inside[:, None]


@dataclass
class Restorer:
    """One image to be restored.

    Attributes
    ----------
    model : Model
        Of absolute intensities, on the device that computes.
    layout : Tiles
        From `lay_out_restored`; with a mask, tiles that need not be drawn may be left out.
    operator : Operator
        Of the whole image.
    seen : Tensor
        ``(C', Y', X')``, from 0 to 1.
    norm, prior, extra
        As in `Constraint`.
    agreement : float
        Weight of what neighbours draw, a pixel; what was seen of a pixel has the weight one.
    restarts, steps : int
        Starts of each tile, gradient steps of the best.
    generator : torch.Generator
        Source of random starts.
    """

    model: Model
    layout: Tiles
    operator: Operator
    seen: Tensor
    norm: float
    prior: float
    agreement: float
    restarts: int
    steps: int
    generator: torch.Generator
    extra: Extra | None = None
    tile_steps: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.factor = self.layout.grid.shape[0] // self.seen.shape[1]
        self.batch = max(1, BATCH_PIXELS // self.model.size**2)
        self.corners = (self.layout.centres - (self.layout.size - 1) / 2).round().long()
        self.frame = torch.ones_like(self.seen[:1])
        self.guess = self.operator.guess(self.seen[None])[0].clamp(0, 1)
        self.upright = torch.zeros(len(self.corners), device=self.seen.device)
        ones = torch.ones(len(self.corners), 1, self.layout.size, self.layout.size, device=self.seen.device)
        self.covered = blend(self.layout, ones, self.upright) > 0.5

    def run(self) -> Steps[Drawn]:
        """Restore; previews are ``(C, Y, X)``, from 0 to 1."""
        tiles = torch.arange(len(self.corners), device=self.seen.device)
        starts = yield from self._starts(tiles)
        index = tiles.repeat_interleave(self.restarts)
        latents = starts.flatten(0, 1)
        if self.restarts > 1:
            latents, values = yield from self._descend("brief", index, latents, max(1, self.steps // BRIEF), False)
            best = values.view(len(tiles), self.restarts).argmin(dim=1)
            latents = latents.view(len(tiles), self.restarts, -1)[tiles, best]
        latents, values = yield from self._descend("refine", tiles, latents, self.steps, True)
        return Drawn(self._blend(latents), latents, float(values.mean()), self.tile_steps)

    def constraint(self, tiles: Tensor) -> Constraint:
        """Return the objective of some tiles."""
        coarse, side = self.corners[tiles] // self.factor, self.layout.size // self.factor
        operator: Operator = self.operator
        if isinstance(operator, Mask):
            operator = Mask(cut(operator.known[0], coarse, side))
        inside = cut(self.frame, coarse, side)
        seen = cut(self.seen, coarse, side)
        return Constraint(self.model, operator, seen, inside, self.norm, self.prior, self.extra)

    def _starts(self, tiles: Tensor) -> Steps[Tensor]:
        """Return starts ``(N, R, d)``: what the encoder proposes, if there is one, the others from the prior."""
        starts = self.model.draw_latents((len(tiles), self.restarts), self.generator).to(tiles.device)
        for part in tiles.split(self.batch):
            yield Progress("start", int(part[0]), len(tiles))
            proposed = self._propose(part)
            if proposed is not None:
                starts[part, 0] = proposed
        return starts

    @torch.no_grad()
    def _propose(self, part: Tensor) -> Tensor | None:
        """Latents ``(N, d)`` that the encoder proposes; None without one."""
        if self.model.encoder is None:
            return None
        constraint = self.constraint(part)
        exposure = self._inside(constraint)
        counts = DOSE * cut(self.guess, self.corners[part], self.layout.size) * exposure
        proposal = Objective.of(self.model, TileCounts(counts, exposure), 0.0, DOSE).encode()
        return None if proposal is None else proposal[0]

    def _descend(
        self, stage: str, index: Tensor, start: Tensor, steps: int, agree: bool
    ) -> Steps[tuple[Tensor, Tensor]]:
        """Take Adam steps for tiles ``index``; return latents ``(N, d)`` and their values ``(N,)``."""
        latents = start.clone().requires_grad_(True)
        adam = torch.optim.Adam([latents], lr=RATE)
        parts = [slice(first, first + self.batch) for first in range(0, len(index), self.batch)]
        whole: Tensor | None = None
        agree = agree and self.agreement > 0 and len(self.corners) > 1
        shown = time.perf_counter()
        for step in range(steps):
            adam.param_groups[0]["lr"] = RATE * (0.5 + 0.5 * math.cos(math.pi * step / steps))
            preview = None
            if agree and step % AGREE_EVERY == 0:
                whole = self._blend(latents.detach())
                if time.perf_counter() - shown > PREVIEW_SECONDS:
                    preview, shown = whole, time.perf_counter()
            adam.zero_grad()
            total = 0.0
            for part in parts:
                constraint = self.constraint(index[part])
                neighbours = () if whole is None else self._expected(whole, index[part], constraint)
                value = constraint(latents[part], *neighbours)
                value.sum().backward()
                total += float(value.detach().sum())
                done = step * len(index) + min(part.stop, len(index))
                mean = {"loss": total / (done - step * len(index))}
                yield Progress(stage, done, steps * len(index), preview, mean)
                preview = None
            latents.grad = torch.nan_to_num(latents.grad) if latents.grad is not None else None
            adam.step()
            latents.data = self.model.within_prior(latents.data)
        self.tile_steps += steps * len(index)
        found = latents.detach()
        with torch.no_grad():
            values = [self.constraint(index[part])(found[part]) for part in parts]
        return found, torch.cat(values)

    def _expected(self, whole: Tensor, tiles: Tensor, constraint: Constraint) -> tuple[Tensor, Tensor]:
        """Return what the neighbours draw, and its weight: with a mask only where nothing was seen."""
        inside = self._inside(constraint)
        if isinstance(constraint.operator, Mask):
            inside = inside * (1 - constraint.operator.known)
        return cut(whole, self.corners[tiles], self.layout.size), self.agreement * inside

    def _inside(self, constraint: Constraint) -> Tensor:
        """Where tiles lie within the restored image, ``(N, 1, H, W)``."""
        return functional.interpolate(constraint.inside, scale_factor=self.factor)

    @torch.no_grad()
    def _blend(self, latents: Tensor) -> Tensor:
        images = [(1 + self.model.render(part)) / 2 for part in latents.split(self.batch)]
        image = blend(self.layout, torch.cat(images), self.upright)
        # Tiles are left out only where everything was seen.
        return torch.where(self.covered, image, self.seen) if isinstance(self.operator, Mask) else image
