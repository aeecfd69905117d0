"""Scale: whether the electrons speak for pixels of another size than the one that is stated.

A network that works at one pixel size draws something at any: of the stated size the counts of a lattice that is seen
too large or too small are explained, only worse.  Half of the electrons, drawn at the stated and at other sizes, say by
the likelihood of the other half which is better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from napari_gandenoise.denoising.direct import DirectEngine
from napari_gandenoise.denoising.shares import Share
from napari_gandenoise.denoising.views import View
from napari_gandenoise.progress import Progress, Steps, instead
from napari_gandenoise.tiling import Frame, Grid

__all__ = ["Scale", "scale_steps"]

HALF = 0.5
# Of the pixels that are summed along a side, and by how many standard deviations another size must be better: on
# simulation seed 3, whole frames and pieces, half and twice of a right size reach 1.9.  A network may well draw a
# lattice better that it sees a little larger: 0.7 of a right size reaches 3.7.
FACTORS = {0.5: 3.0, 0.7: 6.0, 2.0: 3.0}
SIDE = 224  # grid pixels along a side of the part that is looked at


@dataclass(frozen=True)
class Scale:
    """The other pixel size that explains the counts best.

    Attributes
    ----------
    factor : float
        It over the stated one.
    deviations : float
        By how many standard deviations it explains them better; below zero, worse.
    limit : float
        How many would say that the stated one is wrong.
    """

    factor: float
    deviations: float
    limit: float

    @property
    def is_better(self) -> bool:
        """Whether the stated size is wrong."""
        return self.deviations > self.limit


def scale_steps(engine: DirectEngine, frame: Frame, random: np.random.Generator) -> Steps[Scale | None]:
    """Ask half of a frame's electrons whether the other half was drawn at the right scale.

    Parameters
    ----------
    engine : DirectEngine
        What denoises; it looks at the middle of the frame in one view.
    frame : Frame
        The counts.
    random : numpy.random.Generator
        Divides the electrons.

    Yields
    ------
    Progress
        Stage "doubt".

    Returns
    -------
    Scale or None
        None if no other size can be tried.
    """
    summed = frame.grid.summed
    # Of factors that come to the same sum, the first one's limit holds.
    others = {max(1, round(summed * factor)): limit for factor, limit in reversed(FACTORS.items())}
    others.pop(summed, None)
    frame = _middle(frame, summed, _sides(frame, summed))  # more than that is never looked at
    whole = Share.of(frame)
    seen, rest = whole.split(HALF, random)
    counted = whole.read_variance is None
    variance = 0.0 if counted else frame.read_variance / HALF + (1 / HALF - 1) * max(float(frame.counts.mean()), 0.0)
    part = replace(frame, counts=seen.sums / whole.exposure.clamp(min=1), read_variance=variance)
    stated = yield from _drawn(engine, part, summed, _sides(frame, summed))
    found: list[Scale] = []
    for other, limit in others.items():
        sides = _sides(frame, min(other, summed))
        tried = yield from _drawn(engine, part, other, sides)
        held = rest.cut(*_corner(frame.counts, sides), *sides)
        worse, better = (held.cost(_centre(rate, sides) / (HALF if counted else 1.0)) for rate in (stated, tried))
        gain = (worse - better).double()
        error = float(gain.std()) * gain.numel() ** 0.5
        found.append(Scale(summed / other, float(gain.sum()) / max(error, 1e-12), limit))
    return max(found, key=lambda scale: scale.deviations - scale.limit) if found else None


def _sides(frame: Frame, summed: int) -> tuple[int, int]:
    """Return height and width of the part that is looked at, in input pixels."""
    height, width = (min(length, summed * SIDE) for length in frame.counts.shape[-2:])
    return height, width


def _drawn(engine: DirectEngine, frame: Frame, summed: int, sides: tuple[int, int]) -> Steps[Tensor]:
    """Draw the middle of a frame at some scale; return ``(C, Y, X)`` on the input's pixels."""
    part = _middle(frame, summed, sides)
    once = replace(engine, grid=part.grid, views=(View(summed),))
    drawn = yield from instead(once.draw(part), Progress("doubt", 0, 1))
    return part.grid.fine(drawn.rate) if drawn.fine is None else drawn.fine


def _middle(frame: Frame, summed: int, sides: tuple[int, int]) -> Frame:
    """Cut out the middle of a frame, summed as said."""
    exposed = None if frame.exposed is None else _centre(frame.exposed, sides)
    return replace(frame, counts=_centre(frame.counts, sides), exposed=exposed, grid=Grid(sides, float(summed)))


def _corner(image: Tensor, sides: tuple[int, int]) -> tuple[int, int]:
    return (image.shape[-2] - sides[0]) // 2, (image.shape[-1] - sides[1]) // 2


def _centre(image: Tensor, sides: tuple[int, int]) -> Tensor:
    top, left = _corner(image, sides)
    return image[..., top : top + sides[0], left : left + sides[1]]
