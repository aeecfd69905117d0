"""One frame: an engine draws it; the residual step, the fit map and the uncertainty are the same for all engines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_gandenoise.denoising.engine import Engine
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.residual import (
    COLOURS,
    LIGHT,
    THOROUGH,
    Support,
    correct_channels,
    fit_map,
    reduced_deviance,
    support_of,
)
from napari_gandenoise.tiling import Drawn, Frame, Latents, outside

__all__ = ["FrameResult", "frame_steps"]


@dataclass(frozen=True)
class FrameResult:
    """One denoised frame, on the device that has computed it.

    Attributes
    ----------
    rate : Tensor
        ``(C, Y, X)`` on the input's pixels, electrons per pixel.
    fit_map : Tensor
        ``(Y, X)``, standard deviations of counting noise.
    deviance : float
        Reduced deviance of the whole frame.
    residual_share : float
        Standard deviation of what the residual step added over that of the result.
    drawn : Drawn
        What the engine made of it.
    rate_on_grid : Tensor
        ``(C, y, x)``: the rate on the grid, electrons per input pixel.
    support : Support
        What the counts say of its structure.
    """

    rate: Tensor
    fit_map: Tensor
    deviance: float
    residual_share: float
    drawn: Drawn
    rate_on_grid: Tensor
    support: Support

    def without_images(self) -> FrameResult:
        """Return the figures: of a movie nobody holds all images on a device."""
        none = self.rate.new_empty(0)
        support = replace(self.support, misfit=none)
        return replace(self, rate=none, fit_map=none, rate_on_grid=none, support=support)


def frame_steps(
    engine: Engine, frame: Frame, residual_step: bool, before: Latents | None = None, own: Frame | None = None
) -> Steps[FrameResult]:
    """Denoise one frame.

    Parameters
    ----------
    engine : Engine
        Draws the rate.
    frame : Frame
        The counts.
    residual_step : bool
        Whether to add back what the residual proves.
    before : Latents, optional
        What was found in the frame before.
    own : Frame, optional
        The counts that judge the result, where ``frame`` has more than these.

    Yields
    ------
    Progress
        Those of the engine, then stage "residual".
    """
    drawn = yield from engine.draw(frame, before)
    rate, share = drawn.rate, 0.0
    change: Tensor | None = None
    if residual_step and drawn.kept < 1:
        yield Progress("residual", 0, 1, outside(_fine(frame, drawn, None)))
        sums, exposure = frame.sums
        effort = COLOURS if drawn.photograph else LIGHT if drawn.kept else THOROUGH
        corrected = yield from correct_channels(sums, exposure, rate, frame.read_variance, effort)
        change = (1 - drawn.kept) * (corrected - rate)
        rate = rate + change
        share = float(change.std() / rate.std().clamp(min=1e-12))
    fine = _fine(frame, drawn, change)
    judge = own or frame
    fit = judge.grid.fine(fit_map(*judge.sums, rate, judge.read_variance)[None])[0]
    deviance = reduced_deviance(*judge.sums, rate, judge.read_variance)
    support = support_of(*judge.sums, rate, judge.read_variance)
    return FrameResult(fine, fit, deviance, share, drawn, rate, support)


def _fine(frame: Frame, drawn: Drawn, change: Tensor | None) -> Tensor:
    """Bring what was drawn, and what was added to it on the grid, to the input's pixels."""
    if drawn.fine is None:
        return frame.grid.fine(drawn.rate if change is None else drawn.rate + change)
    if change is None:
        return drawn.fine
    return torch.clamp(drawn.fine + frame.grid.fine_means(change), min=0)
