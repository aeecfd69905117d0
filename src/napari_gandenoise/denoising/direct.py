"""Denoising by a single forward pass of a direct denoiser, block by block."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_gandenoise.inversion.frame import FrameResult, Latents
from napari_gandenoise.models import DirectModel
from napari_gandenoise.noise.grain import estimate_grain
from napari_gandenoise.progress import Progress, Steps, relay
from napari_gandenoise.residual import correct_channels, fit_map, reduced_deviance
from napari_gandenoise.tiling import Blocks, Layout, block_steps, grid_counts, upsample, upsample_channels

__all__ = ["DirectEngine", "blocks_of", "seconds_per_pixel"]

BLOCK, OVERLAP = 384, 64  # grid pixels, of networks that take images of any size
PIXELS_AT_ONCE = 2**17  # a longer forward pass would keep Cancel waiting
MEASURED = 128  # side of the image whose pass is timed


def blocks_of(model: DirectModel) -> Blocks:
    """Return the blocks that a model cleans, grid pixels."""
    architecture = model.header.architecture
    if architecture.kind == "autoencoder":
        return Blocks(model.size, model.size // 2, model.size)
    return Blocks(-(-BLOCK // architecture.multiple) * architecture.multiple, OVERLAP, architecture.multiple)


def seconds_per_pixel(model: DirectModel) -> float:
    """Seconds that a pass takes for each pixel of a block on this machine, measured once."""
    return _measure(model, torch.get_num_threads())


@lru_cache(maxsize=8)
def _measure(model: DirectModel, threads: int) -> float:  # noqa: ARG001 - other threads, another cache entry
    device = next(model.network.parameters()).device
    count = max(1, (MEASURED // model.size) ** 2)
    side = model.size if count > 1 else MEASURED
    noisy = torch.rand(count, model.channels, side, side, device=device)
    strength = torch.full((count, 1, 1, 1), 0.1, device=device)
    for _ in range(2):  # the first warms up
        started = time.perf_counter()
        model.clean(noisy, strength, torch.zeros_like(strength))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    return (time.perf_counter() - started) / (count * side**2)


@dataclass
class DirectEngine:
    """What stays the same from frame to frame.

    Attributes
    ----------
    model : DirectModel
        On the device that computes.
    layout : Layout
        How frames are summed.
    read_variance : float
        Electrons² per input pixel.
    residual_step : bool
        Whether to add back what the residual proves, in micrographs.
    white : float
        Electrons per input pixel of white, for models of photographs.
    exposed : Tensor, optional
        ``(Y, X)``: zero where pixels are missing, else one.
    strength, grain : float, optional
        What to tell the model of the noise; by default the noise model's strength, and the grain of the frame.
    """

    model: DirectModel
    layout: Layout
    read_variance: float
    residual_step: bool
    white: float = 0.0
    exposed: Tensor | None = None
    strength: float | None = None
    grain: float | None = None

    def run(self, electrons: NDArray[np.float32], start: Latents | None = None) -> Steps[FrameResult]:  # noqa: ARG002
        """Denoise one frame.

        Parameters
        ----------
        electrons : ndarray
            ``(Y, X)`` or ``(Y, X, C)``, electrons per input pixel.
        start : Latents, optional
            Not used: a pass has no start.
        """
        yield Progress("denoise", 0, 1)
        counts = torch.from_numpy(np.moveaxis(np.atleast_3d(electrons), -1, 0)).to(self.layout.centres.device)
        absolute = self.model.header.intensity == "absolute"
        # A photograph is neither summed nor exposed unevenly: no copies of it are needed.
        grid, exposure = (counts, counts.new_ones(()).expand_as(counts[0])) if absolute else self._summed(counts)
        level = self.white if absolute else float(grid.sum() / exposure.sum() / len(grid))
        level = max(level, 1e-12)
        clean = self._cleaner(self._strength(level, 0.5 if absolute else 1.0), self._grain(electrons), level)
        noisy = grid if absolute else grid / exposure.clamp(min=1e-12)
        drawn = yield from relay(block_steps(noisy, blocks_of(self.model), clean, PIXELS_AT_ONCE), self._shown)
        drawn = drawn.clamp_(min=0)
        rate = drawn
        if self.residual_step and not absolute:
            rate = yield from correct_channels(grid, exposure, drawn, self.read_variance)
        share = float((rate - drawn).std() / rate.std().clamp(min=1e-12)) if rate is not drawn else 0.0
        seen = (grid.cpu().numpy(), exposure.cpu().numpy(), rate.cpu().numpy(), self.read_variance)
        nothing = torch.empty(0, 0)
        return FrameResult(
            upsample_channels(rate, self.layout),
            upsample(fit_map(*seen), self.layout.summed, self.layout.shape),
            Latents(nothing, nothing, torch.empty(0)),
            np.empty(0, np.float32),
            reduced_deviance(*seen),
            share,
            0,
        )

    def _shown(self, event: Progress) -> Progress:
        if event.preview is None:
            return event
        return replace(event, preview=upsample_channels(event.preview.clamp(min=0), self.layout))

    def _summed(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        return grid_counts(counts, self.layout.summed, self.exposed)

    def _strength(self, level: float, middle: float) -> float:
        """Return the standard deviation of the noise where a photograph is mid-grey or a micrograph average."""
        if self.strength is not None:
            return self.strength
        summed = self.layout.summed**2 if self.model.header.intensity == "template" else 1
        return float(np.sqrt((middle * level + self.read_variance) / summed) / level)

    def _grain(self, electrons: NDArray[np.float32]) -> float:
        if self.grain is not None:
            return self.grain
        return estimate_grain(electrons) if "grain" in self.model.header.architecture.conditions else 0.0

    def _cleaner(self, strength: float, grain: float, level: float) -> Callable[[Tensor], Tensor]:
        def clean(blocks: Tensor) -> Tensor:
            told = blocks.new_full((len(blocks), 1, 1, 1), strength)
            return self.model.clean(blocks / level, told, torch.full_like(told, grain)) * level

        return clean
