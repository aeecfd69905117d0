"""Samples: what an image could be, given its counts, drawn by the branch beside a U-Net, all over a frame.

Draws of exact samples need no more than that.  Those of a network can be held against the counts once more, as the
microscopy study searches a latent space: of several draws of a tile the one is taken that explains its counts best, and
noise can be refined by gradient steps.  Both pull samples towards what is likeliest, so that their spread tells less;
`benchmarks.samples` says what they bring.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.denoising.direct import DirectEngine, blocks_of
from napari_gandenoise.models import AnyModel, DirectModel, load_model
from napari_gandenoise.models.denoisers import Code, UNet
from napari_gandenoise.models.precision import half_precision
from napari_gandenoise.models.sampler import Sampler
from napari_gandenoise.progress import Progress, Steps, relay
from napari_gandenoise.settings.denoise import REPLICATES, SAMPLES, DenoiseConfig, SearchSettings
from napari_gandenoise.settings.shared import AUTO
from napari_gandenoise.tiling import Frame, Place, block_steps

__all__ = ["Draft", "log_likelihood", "repeated_if_nothing_draws", "sample_steps", "uncertain"]

NOISE_BYTES = 2**28  # of all draws that are made together: a frame that needs more is coded several times
PIXELS_AT_ONCE = 2**17  # as for a direct denoiser
TILE = 48  # grid pixels along the side of a tile of which the best draw is taken: two or three unit cells
RATE = 0.03  # of Adam, on noise of deviation one
LEAST_RATE = 1e-3  # of the mean: what a likelihood takes the logarithm of at least


@dataclass(frozen=True)
class Draft:
    """How samples are drawn.

    Attributes
    ----------
    count : int
        How many.
    best_of : int
        Draws of each tile of which the one is taken that explains the counts best.
    refine : int
        Gradient steps on the noise of each draw.
    """

    count: int
    best_of: int = 1
    refine: int = 0

    @property
    def plain(self) -> bool:
        """Whether samples are as they are drawn."""
        return self.best_of == 1 and self.refine == 0


def uncertain(config: DenoiseConfig) -> DenoiseConfig:
    """Ask for the uncertainty: by as many samples as are usual, or by repeated runs of a model that draws none."""
    if config.samples or config.replicates:
        return config
    draws = config.model == AUTO or _draws(load_model(config.model))
    return config.model_copy(update={"samples": SAMPLES} if draws else {"replicates": REPLICATES})


ConfigT = TypeVar("ConfigT", bound=SearchSettings)


def repeated_if_nothing_draws(config: ConfigT, model: AnyModel) -> ConfigT:
    """Have runs repeated in place of samples, if a model that nobody has named draws none."""
    if not isinstance(config, DenoiseConfig) or not config.samples or _draws(model):
        return config
    return config.model_copy(update={"samples": 0, "replicates": config.replicates or REPLICATES})


def _draws(model: AnyModel) -> bool:
    return isinstance(model, DirectModel) and model.draws


def sample_steps(
    engine: DirectEngine, frame: Frame, rate: Tensor, draft: Draft, generator: torch.Generator
) -> Steps[Tensor]:
    """Draw by how much an image could be another than the one that was cleaned.

    Parameters
    ----------
    engine : DirectEngine
        Its model has a sampler.
    frame : Frame
        The counts.
    rate : Tensor
        ``(C, y, x)`` on the grid: what they were cleaned to, electrons per input pixel.
    draft : Draft
        How many samples, and how they are chosen.
    generator : torch.Generator
        Source of the noise, on the CPU.

    Yields
    ------
    Progress
        Stage "samples", in percent.

    Returns
    -------
    Tensor
        ``(n, C, Y, X)`` on the input's pixels, electrons per input pixel, to be added to the rate.
    """
    assert engine.model.sampler is not None
    total, made = draft.count * draft.best_of, []
    for first, count in _groups(total, draft.best_of, engine.model.sampler, frame.grid.sides):
        drawing = _Drawing(engine, frame, rate, draft.refine, count, generator)

        def show(event: Progress, first: int = first, count: int = count) -> Progress:
            share = (first + count * event.done / event.total) / total
            return Progress("samples", round(100 * share), 100)

        drawn = (yield from relay(drawing.steps(), show)).unflatten(0, (-1, draft.best_of))
        made += [_best(tries, rate, frame) for tries in drawn]
    apart, one = _about_nothing(torch.stack(made)) if draft.plain else torch.stack(made), drawing.level.one
    assert engine.model.header.samples is not None
    apart = one * engine.model.header.samples.apply(apart / one, rate / one, drawing.strength)
    return torch.stack([engine.views[0].fine(one, frame) for one in apart])


def _about_nothing(drawn: Tensor) -> Tensor:
    """Take the mean of draws away, and give back the spread that this costs.

    The mean of what an image could be is what it was cleaned to: in several views, which is better than that of the
    draws, who see it in one.
    """
    count = len(drawn)
    return (drawn - drawn.mean(dim=0)) * math.sqrt(count / (count - 1)) if count > 1 else drawn


def _groups(total: int, best_of: int, sampler: Sampler, sides: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Split draws into groups whose noise fits into memory, the best of some of them always within one."""
    bytes_a_draw = 4 * sum(map(math.prod, sampler.shapes(*sides)))
    size = best_of * max(1, NOISE_BYTES // (bytes_a_draw * best_of))
    for first in range(0, total, size):
        yield first, min(size, total - first)


class _Drawing:
    """Some draws of a frame: a field of noise for each, of which every block of the frame takes its part."""

    def __init__(
        self, engine: DirectEngine, frame: Frame, rate: Tensor, refine: int, count: int, generator: torch.Generator
    ) -> None:
        self.engine, self.refine, self.count = engine, refine, count
        assert isinstance(engine.model.network, UNet)
        assert engine.model.sampler is not None
        self.network, self.sampler = engine.model.network, engine.model.sampler
        self.noisy = engine.summed(frame, engine.views[0])
        self.level = engine.level(*frame.sums, frame.white)
        self.strength = engine.strength_of(self.level, frame.grid.summed, frame.read_variance) / frame.often**0.5
        self.grain = engine.grain_of(frame)
        self.blocks = replace(blocks_of(engine.model), aligned=True)
        filled = self.blocks.filled(frame.grid.sides)
        device = self.noisy.device
        self.field = [
            torch.randn(count, *shape, generator=generator).to(device) for shape in self.sampler.shapes(*filled)
        ]
        beyond = (0, filled[1] - frame.grid.sides[1], 0, filled[0] - frame.grid.sides[0])
        sums, exposure = frame.sums
        # What was not seen has no say.
        self.counted = [functional.pad(part, beyond) for part in (sums, exposure, rate)]
        self.read_variance = frame.read_variance

    def steps(self) -> Steps[Tensor]:
        """Draw; returns ``(n, C, y, x)`` on the grid, electrons per input pixel."""
        drawn = yield from block_steps(self.noisy, self.blocks, self._drawn, 1)
        apart: Tensor = drawn.unflatten(0, (self.count, -1))
        return apart

    def _drawn(self, blocks: Tensor, places: Sequence[Place]) -> Tensor:
        """Draw for one block."""
        told = blocks.new_full((1, 1, 1, 1), self.strength)
        seen = (blocks - self.level.zero) / self.level.one
        with torch.no_grad(), half_precision(blocks.device):
            code, _ = self.network.encode(seen, told, told.new_full(told.shape, self.grain))
            made = self.network.decode(code)
        at_once = max(1, PIXELS_AT_ONCE // blocks[0, 0].numel())
        drawn = []
        for first in range(0, self.count, at_once):
            noise = self._noise(slice(first, first + at_once), places[0], blocks.shape[2:])
            if self.refine:
                noise = self._refined(noise, code, made, places[0])
            with torch.no_grad(), half_precision(blocks.device):
                drawn.append(self.sampler(self.network, code, *made, noise).float())
        return torch.cat(drawn).flatten(0, 1)[None] * self.level.one

    def _noise(self, draws: slice, place: Place, sides: torch.Size) -> list[Tensor]:
        """Cut a block's part of the field."""
        parts = []
        for field, (_, high, wide) in zip(self.field, self.sampler.shapes(*sides), strict=True):
            top, left = (at * high // sides[0] for at in place)
            parts.append(field[draws, :, top : top + high, left : left + wide])
        return parts

    def _refined(self, noise: list[Tensor], code: Code, made: tuple[Tensor, Tensor], place: Place) -> list[Tensor]:
        """Move the noise of draws to where these explain the counts better."""
        (top, left), (high, wide) = place, made[0].shape[2:]
        sums, exposure, rate = (part[..., top : top + high, left : left + wide] for part in self.counted)
        moved = [part.clone().requires_grad_(True) for part in noise]
        adam = torch.optim.Adam(moved, lr=RATE)
        with torch.enable_grad():
            for _ in range(self.refine):
                drawn = rate + self.level.one * self.sampler(self.network, code, *made, moved).float()
                loss = -log_likelihood(sums, exposure, drawn, self.read_variance).sum()
                adam.zero_grad()
                loss.backward()
                adam.step()
        return [part.detach() for part in moved]


def log_likelihood(sums: Tensor, exposure: Tensor, rate: Tensor, read_variance: float) -> Tensor:
    """Log-likelihood of each grid pixel's counts, nats, up to what does not depend on the rate.

    Read noise is taken for as many further electrons as its variance has (Snyder, Hammoud, White, "Image recovery from
    data acquired with a charge-coupled-device camera" (1993), section 3).
    """
    expected = exposure * (rate.clamp(min=0) + read_variance)
    least = LEAST_RATE * expected.mean().clamp(min=1e-12)
    counted = (sums + exposure * read_variance).clamp(min=0)
    usual = counted.mean().clamp(min=1e-12)  # draws of a bright camera's counts differ in the last digits else
    return counted * (expected.clamp(min=least) / usual).log() - (expected - usual)


def _best(tries: Tensor, rate: Tensor, frame: Frame) -> Tensor:
    """Take in each tile the one of draws ``(n, C, y, x)`` that explains its counts best; tiles fade into each other."""
    if len(tries) == 1:
        return tries[0]
    nats = log_likelihood(*frame.sums, rate + tries, frame.read_variance).sum(dim=1, keepdim=True)
    sides, stride = nats.shape[2:], TILE // 2
    # Windows that fall to their rim, at every half of their side, add up to one all over.
    places = [range(-stride, side, stride) for side in sides]
    total, weight = torch.zeros_like(tries[0]), torch.zeros_like(rate[:1])
    for top in places[0]:
        for left in places[1]:
            rows, columns = slice(max(top, 0), top + TILE), slice(max(left, 0), left + TILE)
            down, across = (
                torch.sin(torch.pi * (torch.arange(part.start, min(part.stop, side)) - at + 0.5) / TILE).to(nats) ** 2
                for part, at, side in ((rows, top, sides[0]), (columns, left, sides[1]))
            )
            window = down[:, None] * across
            chosen = int((nats[:, 0, rows, columns] * window).sum(dim=(1, 2)).argmax())
            total[:, rows, columns] += window * tries[chosen, :, rows, columns]
            weight[:, rows, columns] += window
    return total / weight.clamp(min=1e-6)
