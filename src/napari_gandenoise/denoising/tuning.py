"""A direct denoiser is tuned to the very frames that it is to clean, without any clean image.

Only the gains and biases of its normalisation move, some thousand numbers beside millions of weights, so that there is
little to overfit with: Mohan et al., "Adaptive denoising via GainTuning", NeurIPS 2021.  What it learns from is the
image's own evidence, divided afresh at each step: the network sees most of it, and the likelihood of the rest is the
loss.  The gains then go most of the way only: what is learnt of the specimen is gained early on that way, what is
learnt of the noise is lost at its end.  Further evidence, or whole frames, are held out from all of that; if the tuned
network explains them worse than the one that came, by more than chance, that is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from napari_gandenoise.denoising.direct import DirectEngine, Level, blocks_of
from napari_gandenoise.denoising.shares import Share
from napari_gandenoise.denoising.views import View
from napari_gandenoise.models import DirectModel
from napari_gandenoise.models.denoisers import gains_of
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.tiling import Frame

__all__ = ["TILE", "TILES", "Seen", "Tuned", "tune_steps"]

RATE = 4e-3  # of Adam; chosen on simulation seed 3, as are the next five
TAKEN = 0.75  # of the way from the gains that came to those that the steps lead to
TILE, TILES = 128, 2  # side of a tile, grid pixels, and how many are looked at in a step
SEEN = 0.8  # share of the evidence that the network sees in a step
HELD = 0.2  # share that no step sees, where there is no other frame to judge by
JUDGED_TILE, JUDGED_TILES = 256, 16  # of a frame that is judged
BLOCK = 32  # grid pixels along a side: how much blocks differ says how sure a judgement is
SURE = 1.0  # standard errors


class Seen(NamedTuple):
    """A frame, the engine that would denoise it, and what else there is of it.

    Attributes
    ----------
    engine : DirectEngine
        Whose model is tuned.
    frame : Frame
        The counts.
    again : Frame, optional
        Other counts of the same, of a frame beside: of a camera whose pixels share their noise, which no division makes
        independent.
    """

    engine: DirectEngine
    frame: Frame
    again: Frame | None = None

    def divided(self, share: float, random: np.random.Generator) -> tuple[Share, Share]:
        """Divide the evidence into a share and the rest; another frame is the rest where there is one."""
        whole = Share.of(self.frame)
        return whole.split(share, random) if self.again is None else (whole, Share.of(self.again))


@dataclass(frozen=True)
class Tuned:
    """A tuned model, and what evidence says of it that it has not seen.

    Attributes
    ----------
    model : DirectModel
        With the tuned gains, in no file.
    change : float
        Of the squared error, as a share of it; below zero is better.
    error : float
        Standard error of that.
    """

    model: DirectModel
    change: float
    error: float

    @property
    def worse(self) -> bool:
        """Whether the evidence is against it: on one frame it is too weak to ask that it be for it."""
        return self.change > SURE * self.error


def tune_steps(learnt: Sequence[Seen], judges: Sequence[Seen], steps: int, seed: int) -> Steps[Tuned]:
    """Tune the gains of a model to frames.

    Parameters
    ----------
    learnt, judges : sequence of Seen
        What it learns from, and by what it is judged; without any of these, by a fifth of the others' evidence.  All
        engines have the same model.
    steps : int
        Steps of Adam.
    seed : int
        Of the divisions, and of what is looked at.

    Yields
    ------
    Progress
        Stage "adapt", in steps.
    """
    random, model = np.random.default_rng((seed, steps)), learnt[0].engine.model
    held = 1 - SEEN if judges else HELD
    divided = [(one, *one.divided(1 - held, random)) for one in judges or learnt]
    trials = [
        _Trial(
            _sight(one.engine, one.engine.views[0], one.frame, seen),
            _on(one, rest, one.engine.views[0]),
            one.again is not None,
        )
        for one, seen, rest in divided
    ]
    whole = [(one, Share.of(one.frame)) for one in learnt] if judges else [(one, seen) for one, seen, _ in divided]
    lessons = [_lesson(one, view, share, random) for one, share in whole for view in _grids(one.engine)]
    network = deepcopy(model.network)
    yield from _tune(network, lessons, _tile(model, TILE), steps, random)
    yield Progress("adapt", steps, steps)
    change, error = _judge(trials, model.network, network, _tile(model, JUDGED_TILE))
    return Tuned(replace(model, network=network, sha256="", path=None), change, error)


class _Sight(NamedTuple):
    """Evidence on the grid of a view, and what to tell a network of it."""

    share: Share
    level: Level
    strength: float
    grain: float

    def clean(self, network: nn.Module, rates: Tensor) -> Tensor:
        """Clean rates ``(N, C, h, w)``, electrons per input pixel."""
        told = rates.new_full((len(rates), 1, 1, 1), self.strength)
        seen = (rates - self.level.zero) / self.level.one
        cleaned: Tensor = network(seen, told, torch.full_like(told, self.grain))
        return cleaned.float() * self.level.one + self.level.zero


class _Lesson(NamedTuple):
    """What a network is shown, and what is asked of it; without another frame a share of the same."""

    sight: _Sight
    again: Share | None

    def part(self, tile: tuple[int, int], random: np.random.Generator) -> tuple[Share, Share]:
        """Cut a tile anywhere, turned and mirrored in any way: what is seen, and what it is held against."""
        cut = _anywhere(self.sight.share, tile, random)
        seen = cut(self.sight.share)
        return seen.split(SEEN, random) if self.again is None else (seen, cut(self.again))


class _Trial(NamedTuple):
    """What networks are shown, and what they are judged by."""

    seen: _Sight
    held: Share
    again: bool  # whether that is another frame of as much noise


def _sight(
    engine: DirectEngine, view: View, frame: Frame, share: Share, random: np.random.Generator | None = None
) -> _Sight:
    """Look at a share of a frame; with chance, as it is once it is divided."""
    share = share.on(view, frame)
    shown = share if random is None else share.split(SEEN, random)[0]
    level = engine.level(shown.sums, shown.exposure, frame.white)
    strength = engine.strength_of(level, view.summed, frame.read_variance) / shown.whole**0.5
    return _Sight(share, level, strength, engine.grain_of(frame))


def _lesson(one: Seen, view: View, share: Share, random: np.random.Generator) -> _Lesson:
    """Make a lesson of a share of a frame."""
    if one.again is None:
        return _Lesson(_sight(one.engine, view, one.frame, share, random), None)
    return _Lesson(_sight(one.engine, view, one.frame, share), Share.of(one.again).on(view, one.again))


def _on(one: Seen, rest: Share, view: View) -> Share:
    """Return what a frame was not seen of, on the grid of a view."""
    return rest.on(view, one.frame if one.again is None else one.again)


def _grids(engine: DirectEngine) -> list[View]:
    """List the views that differ by more than a turn."""
    return list(dict.fromkeys(replace(view, turns=0, mirrored=False) for view in engine.views))


def _tile(model: DirectModel, wanted: int) -> tuple[int, int]:
    """Return the largest side of a tile, grid pixels, and what it must be a multiple of."""
    blocks = blocks_of(model)
    return (blocks.side if blocks.side == blocks.multiple else min(wanted, blocks.side)), blocks.multiple


def _tune(
    network: nn.Module, lessons: Sequence[_Lesson], tile: tuple[int, int], steps: int, random: np.random.Generator
) -> Steps[None]:
    """Move the gains of a network."""
    gains = gains_of(network)
    begun = [weights.detach().clone() for weights in gains]
    for weights in gains:
        weights.requires_grad_(True)
    optimiser = torch.optim.Adam(gains, lr=RATE)
    for step in range(steps):
        yield Progress("adapt", step, steps)
        lesson = lessons[int(random.integers(len(lessons)))]
        parts = [lesson.part(tile, random) for _ in range(TILES)]
        cleaned = lesson.sight.clean(network, torch.stack([seen.rate for seen, _ in parts]))
        costs = [rest.cost(rate).mean() for (_, rest), rate in zip(parts, cleaned, strict=True)]
        optimiser.zero_grad()
        torch.stack(costs).mean().backward()
        optimiser.step()
    for weights, first in zip(gains, begun, strict=True):
        weights.requires_grad_(False).copy_(first.lerp(weights, TAKEN))


def _anywhere(share: Share, tile: tuple[int, int], random: np.random.Generator) -> Callable[[Share], Share]:
    """Choose where a tile is cut, and how it is turned and mirrored."""
    height, width = (_side(extent, tile) for extent in share.exposure.shape)
    top, left = (
        int(random.integers(max(1, extent - side + 1)))
        for extent, side in zip(share.exposure.shape, (height, width), strict=True)
    )
    turns, mirrored = int(random.integers(4)), bool(random.integers(2))
    return lambda share: share.cut(top, left, height, width).turned(turns, mirrored)


def _side(extent: int, tile: tuple[int, int]) -> int:
    """Return the side of a tile along an axis: as wanted, or as large a multiple as there is room for."""
    side, multiple = tile
    return min(side, max(multiple, extent // multiple * multiple))


@torch.no_grad()
def _judge(trials: Sequence[_Trial], before: nn.Module, after: nn.Module, tile: tuple[int, int]) -> tuple[float, float]:
    """Return the change of the squared error, as a share of it, and its standard error.

    The squared distance to held-out evidence is that to the truth plus the evidence's own variance, which two rates
    share: Pang et al., CVPR 2021, or for counts Mohan et al. 2021.
    """
    changes: list[float] = []
    errors: list[float] = []
    for trial in trials:
        for top, left, height, width in _tiles_of(trial.held, tile):
            seen, held = trial.seen.share.cut(top, left, height, width), trial.held.cut(top, left, height, width)
            rates = [trial.seen.clean(network, seen.rate[None])[0] for network in (before, after)]
            exposed = held.exposure > 0
            found = torch.where(exposed, held.sums / held.exposure.clamp(min=1e-12), 0.0)
            variance = held.variance() / held.exposure.clamp(min=1e-12).square()
            if trial.again:  # noise that pixels share has another variance than its detector says
                variance = (seen.rate - found).square() / 2
            worse = (rates[1] - rates[0]) * (rates[1] + rates[0] - 2 * found) * exposed
            changes += _block_means(worse)
            errors += _block_means(torch.where(exposed, (rates[0] - found).square() - variance, 0.0))
    # An error that is lost in the evidence's own is at most as large as what is uncertain of it.
    unit = max(float(np.mean(errors)), _standard_error(errors), 1e-30)
    return float(np.mean(changes)) / unit, _standard_error(changes) / unit


def _standard_error(values: list[float]) -> float:
    return float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("inf")


def _tiles_of(share: Share, tile: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Yield where tiles are that a frame is judged by: top, left, height and width."""
    (height, width), (tall, wide) = share.exposure.shape, (_side(extent, tile) for extent in share.exposure.shape)
    corners = [
        (top, left)
        for top in range(0, max(1, height - tall + 1), tall)
        for left in range(0, max(1, width - wide + 1), wide)
    ]
    for top, left in corners[:: -(-len(corners) // JUDGED_TILES)]:
        yield top, left, tall, wide


def _block_means(image: Tensor) -> list[float]:
    means: list[float] = [
        float(block.mean()) for rows in image.split(BLOCK, dim=1) for block in rows.split(BLOCK, dim=2)
    ]
    return means
