"""Doubt: what half of the electrons show and the other half does not bear out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from napari_gandenoise.denoising.direct import DirectEngine
from napari_gandenoise.denoising.engine import Engine
from napari_gandenoise.denoising.shares import Share
from napari_gandenoise.denoising.views import View
from napari_gandenoise.progress import Progress, Steps, instead
from napari_gandenoise.residual import borne_out
from napari_gandenoise.tiling import Frame

__all__ = ["doubt_steps"]

HALF = 0.5


def doubt_steps(engine: Engine, frame: Frame, rate: Tensor, random: np.random.Generator) -> Steps[Tensor]:
    """Denoise either half of a frame's electrons, in one view, and test by the other half what that shows.

    Parameters
    ----------
    engine : Engine
        What denoises.
    frame : Frame
        The counts.
    rate : Tensor
        ``(C, y, x)`` on the grid: what was made of all of them.
    random : numpy.random.Generator
        Divides the electrons.

    Yields
    ------
    Progress
        Stage "doubt", in halves.

    Returns
    -------
    Tensor
        ``(y, x)``, as `napari_gandenoise.residual.borne_out` returns it: the lower of the two halves.
    """
    engine = replace(engine, views=engine.views[:1]) if isinstance(engine, DirectEngine) else engine
    whole = Share.of(frame)
    halves, counted = whole.split(HALF, random), whole.read_variance is None
    # Noise that is no counting noise is divided by more of it, and the rate stays.
    variance = 0.0 if counted else frame.read_variance / HALF + (1 / HALF - 1) * max(float(rate.mean()), 0.0)
    found: list[Tensor] = []
    for number, (seen, other) in enumerate((halves, halves[::-1])):
        half = replace(frame, counts=seen.sums / whole.exposure.clamp(min=1), read_variance=variance)
        drawn = yield from instead(engine.draw(half), Progress("doubt", number, 2))
        rest = other.on(View(frame.grid.summed), frame)
        found.append(borne_out(drawn.rate / (HALF if counted else 1.0), rest.sums, rest.exposure, rate, variance))
    yield Progress("doubt", 2, 2)
    return torch.minimum(*found)
