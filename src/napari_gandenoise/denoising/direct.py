"""Denoising by forward passes of a direct denoiser, block by block: one, or the mean over several views."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_gandenoise.denoising.views import View, views_of
from napari_gandenoise.inversion.frame import FrameResult, Latents
from napari_gandenoise.models import DirectModel
from napari_gandenoise.noise.grain import estimate_grain
from napari_gandenoise.progress import Progress, Steps, relay
from napari_gandenoise.residual import correct_channels, fit_map, reduced_deviance
from napari_gandenoise.tiling import Blocks, Layout, block_steps, grid_counts, refine_grid, upsample

__all__ = ["DirectEngine", "blocks_of", "seconds_per_pixel"]

BLOCK, OVERLAP = 384, 64  # grid pixels, of networks that take images of any size
PIXELS_AT_ONCE = 2**17  # a longer forward pass would keep Cancel waiting
MEASURED = 128  # side of the image whose pass is timed
# Share of the network's rate itself in what the residual step returns: it knows the noise better than the step does.
# Chosen on simulation seed 3 with the bundled U-Net, at 0.15 to 45 electrons per pixel.
KEPT = 0.8


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
    views : int
        How many views of a frame are averaged; see `napari_gandenoise.denoising.views`.
    """

    model: DirectModel
    layout: Layout
    read_variance: float
    residual_step: bool
    white: float = 0.0
    exposed: Tensor | None = None
    strength: float | None = None
    grain: float | None = None
    views: int = 1

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
        grid, exposure = self._summed(counts, View(self.layout.summed))
        level = self.white if self._absolute else float(grid.sum() / exposure.sum() / len(grid))
        drawn = yield from self._looked_at(counts, max(level, 1e-12), self._grain(electrons))
        rate = self._on_grid(drawn)
        share = 0.0
        if self.residual_step and not self._absolute:
            corrected = yield from correct_channels(grid, exposure, rate, self.read_variance)
            change = (1 - KEPT) * (corrected - rate)
            rate = rate + change
            share = float(change.std() / rate.std().clamp(min=1e-12))
            drawn = (drawn + self._refined(change, View(self.layout.summed))).clamp_(min=0)
        seen = (grid.cpu().numpy(), exposure.cpu().numpy(), rate.cpu().numpy(), self.read_variance)
        nothing = torch.empty(0, 0)
        return FrameResult(
            _outside(drawn),
            upsample(fit_map(*seen), self.layout.summed, self.layout.shape),
            Latents(nothing, nothing, torch.empty(0)),
            np.empty(0, np.float32),
            reduced_deviance(*seen),
            share,
            0,
        )

    @property
    def _absolute(self) -> bool:
        return self.model.header.intensity == "absolute"

    def _looked_at(self, counts: Tensor, level: float, grain: float) -> Steps[Tensor]:
        """Return the mean of what the network makes of all views: ``(C, Y, X)`` on the input grid, not negative."""
        views = views_of(self.model, self.layout, self.views)
        total: Tensor | None = None
        for number, view in enumerate(views):
            sums, exposure = self._summed(counts, view)
            noisy = view.turned(sums if self._absolute else sums / exposure.clamp(min=1e-12))
            strength = self._strength(level, 0.5 if self._absolute else 1.0, view.summed)
            clean = self._cleaner(strength, grain, level)
            show = partial(self._shown, view, total, number, len(views))
            drawn = yield from relay(block_steps(noisy, blocks_of(self.model), clean, PIXELS_AT_ONCE), show)
            fine = self._refined(view.turned_back(drawn), view)
            total = fine if total is None else total.add_(fine)
        assert total is not None
        return total.div_(len(views)).clamp_(min=0)

    def _shown(self, view: View, total: Tensor | None, number: int, count: int, event: Progress) -> Progress:
        """Take the event of a view for one of all views: the preview is the mean of those that are seen."""
        event = replace(event, done=number * event.total + event.done, total=count * event.total)
        if event.preview is None:
            return event
        fine = self._refined(view.turned_back(event.preview), view)
        mean = fine if total is None else (total + fine) / (number + 1)
        return replace(event, preview=_outside(mean.clamp(min=0)))

    def _summed(self, counts: Tensor, view: View) -> tuple[Tensor, Tensor]:
        if self._absolute:
            # A photograph is neither summed nor exposed unevenly: no copies of it are needed.
            return counts, counts.new_ones(()).expand_as(counts[0])
        return view.sums(counts, self.exposed)

    def _refined(self, image: Tensor, view: View) -> Tensor:
        """Bring an image ``(C, y, x)`` from a view's grid to the input grid."""
        if view.summed == 1:
            return image
        (down, right), (height, width) = view.shift, self.layout.shape
        fine = [refine_grid(channel, view.summed) for channel in image.cpu().numpy()]
        return torch.from_numpy(np.stack(fine)[:, down : down + height, right : right + width]).to(image.device)

    def _on_grid(self, fine: Tensor) -> Tensor:
        """Return the means of a rate on the input grid over the pixels of the summed grid."""
        if self.layout.summed == 1:
            return fine
        sums, pixels = grid_counts(fine, self.layout.summed)
        return sums / pixels

    def _strength(self, level: float, middle: float, side: int) -> float:
        """Return the standard deviation of the noise where a photograph is mid-grey or a micrograph average."""
        if self.strength is not None:
            return self.strength
        summed = side**2 if self.model.header.intensity == "template" else 1
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


def _outside(image: Tensor) -> NDArray[np.float32]:
    """Take an image ``(C, Y, X)`` to the outside: ``(Y, X)``, or ``(Y, X, C)`` if there are colours."""
    pixels: NDArray[np.float32] = image.cpu().numpy()
    return pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)
