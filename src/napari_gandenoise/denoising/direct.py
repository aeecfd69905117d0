"""Denoising by forward passes of a direct denoiser, block by block: one, or the mean over several views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from napari_gandenoise.denoising.views import View
from napari_gandenoise.models import DirectModel
from napari_gandenoise.models.device import ran_out
from napari_gandenoise.models.standard import image_levels
from napari_gandenoise.noise.grain import estimate_grain
from napari_gandenoise.progress import Progress, Steps, relay
from napari_gandenoise.settings.base import Intensity
from napari_gandenoise.tiling import Blocks, Drawn, Frame, Grid, Latents, Place, block_steps, filled_rate, outside

__all__ = ["DirectEngine", "Level", "blocks_of"]

BLOCK, OVERLAP = 384, 64  # grid pixels, of networks that take images of any size
PIXELS_AT_ONCE = 2**17  # a longer forward pass would keep Cancel waiting
# Share of the network's rate itself in what the residual step returns.
# Chosen on simulation seed 3 with the bundled U-Net, at 0.15 to 45 electrons per pixel.
KEPT = 0.6
KEPT_OF_PHOTOGRAPHS = 0.2  # chosen on photographs that are in no table
COARSE = 0.5  # pixels of grain: in photographs, finer grain than that is often texture
LEAST_LEVEL = 1e-5  # of the brightest pixel: what a network takes for one is above zero


def blocks_of(model: DirectModel) -> Blocks:
    """Return the blocks that a model cleans, grid pixels."""
    architecture = model.header.architecture
    if architecture.kind == "autoencoder":
        return Blocks(model.size, model.size // 2, model.size)
    return Blocks(-(-BLOCK // architecture.multiple) * architecture.multiple, OVERLAP, architecture.multiple)


class Level(NamedTuple):
    """Electrons per input pixel that the network sees as zero, and how many more as one."""

    zero: float
    one: float


@dataclass
class DirectEngine:
    """What stays the same from frame to frame.

    Attributes
    ----------
    model : DirectModel
        On the device that computes.
    grid : Grid
        How frames are summed.
    views : sequence of View
        Whose results are averaged; see `napari_gandenoise.denoising.views`.
    strength, grain : float, optional
        What to tell the model of the noise; by default the noise model's strength, unless the model estimates it by
        itself, and the grain of the frame.
    """

    model: DirectModel
    grid: Grid
    views: tuple[View, ...]
    strength: float | None = None
    grain: float | None = None

    def draw(self, frame: Frame, before: Latents | None = None) -> Steps[Drawn]:  # noqa: ARG002 - a pass has no start
        """Clean one frame; see `napari_gandenoise.denoising.engine.Engine`."""
        yield Progress("denoise", 0, 1)
        level = self.level(*frame.sums, frame.white)
        fine = yield from self._looked_at(frame, level, self.grain_of(frame))
        photograph, kept = self._intensity == "absolute", 1.0
        if photograph and self._explained(frame):
            kept = KEPT_OF_PHOTOGRAPHS
        elif self._intensity == "template":
            kept = KEPT
        return Drawn(self.grid.means(fine), fine, kept, photograph)

    def _explained(self, frame: Frame) -> bool:
        """Say whether the noise is what the frame says it is, pixel by pixel: the residual knows no other."""
        if self.strength is not None:  # the user says that it is another
            return False
        return (estimate_grain(outside(frame.counts)) if self.grain is None else self.grain) < COARSE

    @property
    def _intensity(self) -> Intensity:
        return self.model.header.intensity

    def level(self, sums: Tensor, exposure: Tensor, white: float) -> Level:
        """Return what the network takes for zero and for one, for sums ``(C, y, x)`` of ``(y, x)`` input pixels."""
        if self._intensity == "standard":
            centre, scale = image_levels(filled_rate(sums, exposure)[None])
            return Level(float(centre), float(scale))
        return Level(0.0, max(white if self._intensity == "absolute" else _mean_rate(sums, exposure), 1e-12))

    def outside(self, rate: Tensor) -> Tensor:
        """Leave out what no detector gives, where values are electrons: a rate below zero."""
        return rate if self._intensity == "standard" else rate.clamp_(min=0)

    def _looked_at(self, frame: Frame, level: Level, grain: float) -> Steps[Tensor]:
        """Return the mean of what the network makes of all views: ``(C, Y, X)`` on the input's pixels."""
        total: Tensor | None = None
        for number, view in enumerate(self.views):
            noisy = view.turned(self.summed(frame, view))
            strength = self.strength_of(level, view.summed, frame.read_variance) / frame.often**0.5
            clean = self._cleaner(strength, grain, level)
            show = partial(self._shown, frame, view, total, number)
            drawn = yield from relay(block_steps(noisy, blocks_of(self.model), clean, PIXELS_AT_ONCE), show)
            fine = view.fine(view.turned_back(drawn), frame)
            total = fine if total is None else total.add_(fine)
        assert total is not None
        return self.outside(total.div_(len(self.views)))

    def _shown(self, frame: Frame, view: View, total: Tensor | None, number: int, event: Progress) -> Progress:
        """Take the event of a view for one of all views: the preview is the mean of those that are seen."""
        count = len(self.views)
        event = replace(event, done=number * event.total + event.done, total=count * event.total)
        if event.preview is None:
            return event
        fine = view.fine(view.turned_back(event.preview), frame)
        mean = fine if total is None else (total + fine) / (number + 1)
        return replace(event, preview=outside(self.outside(mean)))

    def summed(self, frame: Frame, view: View) -> Tensor:
        """Return the rate ``(C, y, x)`` that a view's counts are, electrons per input pixel."""
        if self._intensity == "absolute" and frame.exposed is None:
            # A photograph is not summed: no copies of it are needed.
            return frame.counts
        sums, exposure = view.sums(frame)
        return filled_rate(sums, exposure)

    def strength_of(self, level: Level, side: int, read_variance: float) -> float:
        """Return the standard deviation of the noise where a photograph is mid-grey or a micrograph average.

        Of sums of squares of so many pixels along a side, with a read noise in electrons² per input pixel; NaN, if the
        model is to estimate it.
        """
        if self.strength is not None:
            return self.strength
        if "estimated" in self.model.header.architecture.conditions:
            return np.nan
        middle, summed = (0.5, 1) if self._intensity == "absolute" else (1.0, side**2)
        mean = max(level.zero, 0.0) if self._intensity == "standard" else middle * level.one
        return float(np.sqrt((mean + read_variance) / summed) / level.one)

    def grain_of(self, frame: Frame) -> float:
        """Return the grain to tell the model of."""
        if self.grain is not None:
            return self.grain
        wanted = "grain" in self.model.header.architecture.conditions
        return estimate_grain(outside(frame.counts)) if wanted else 0.0

    def _cleaner(self, strength: float, grain: float, level: Level) -> Callable[[Tensor, Sequence[Place]], Tensor]:
        def clean(blocks: Tensor, _: Sequence[Place]) -> Tensor:
            told = blocks.new_full((len(blocks), 1, 1, 1), strength)
            seen = (blocks - level.zero) / level.one
            return self._cleaned(seen, told, told.new_full(told.shape, grain)) * level.one + level.zero

        return clean

    def _cleaned(self, seen: Tensor, strength: Tensor, grain: Tensor) -> Tensor:
        """Clean blocks: at once, or in halves, and one that a GPU has no room for on the processor."""
        try:
            return self.model.clean(seen, strength, grain)
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error) or (len(seen) == 1 and seen.device.type == "cpu"):
                raise
        # Only here does nothing hold the tensors of the failed pass any more.
        if len(seen) > 1:
            halves = zip(*(part.chunk(2) for part in (seen, strength, grain)), strict=True)
            return torch.cat([self._cleaned(*half) for half in halves])
        processor = replace(self.model, network=deepcopy(self.model.network).to("cpu"))
        return processor.clean(seen.cpu(), strength.cpu(), grain.cpu()).to(seen.device)


def _mean_rate(sums: Tensor, exposure: Tensor) -> float:
    """Electrons per input pixel that was seen; a little, where there are as many below zero as above."""
    largest = float(sums.abs().max()) / float(exposure.max())
    return max(float(sums.sum() / exposure.sum() / len(sums)), LEAST_LEVEL * largest)
