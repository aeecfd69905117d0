"""The residual step: what the counts prove is added to the generator's rate, what they do not bear out is taken back.

Crystals are sparse in the Fourier transform of a window, the more so the larger the window; edges and defects are
sharp in small ones.

1. *Add*, from large windows to small.  Coefficients of the residual (counts minus rate) whose power exceeds the noise
   that the rate predicts by a factor that noise alone hardly ever reaches are added to the rate.
2. *Weigh*.  The counts are filtered by ``S / (S + N)``, the Wiener filter whose signal spectrum ``S`` is that of the
   rate so far and whose noise ``N`` is Poisson (the empirical Wiener filter: Ghael, Sayeed, Baraniuk 1997; also the
   second stage of BM3D: Dabov et al. 2007, section IV).  A window counts for less the more noise it lets through.
3. A share of the rate itself is kept: it is sharper than the filter at edges.
4. *Compare*.  Patches that look alike are estimated together (`napari_gandenoise.residual.nonlocal_bayes`): what
   repeats from place to place is not limited by the window.

As the dose grows ``N`` vanishes beside the signal, everything is added, every weight tends to one, and the result
tends to the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_gandenoise.progress import Progress, Steps, ticking
from napari_gandenoise.residual.nonlocal_bayes import Patches, similar_patches
from napari_gandenoise.shrinkage import Weigh, filter_strips, proven, wiener

__all__ = ["COLOURS", "LIGHT", "THOROUGH", "Effort", "correct_channels", "residual_step"]

WINDOWS = (128, 64, 32)  # grid pixels; 128 are about 3 nm; the largest that fits weighs

FAINTEST = 0.05  # of the mean rate: below that the noise of dark places is not believed


@dataclass(frozen=True)
class Effort:
    """How hard the residual step looks.

    Attributes
    ----------
    overlap : int
        Windows begin at every so-manieth part of their side; 0 for no windows.
    kept : float
        Share of the rate itself beside what windows leave of the counts.
    patches : Patches
        Which are compared.
    """

    overlap: int
    kept: float
    patches: Patches


# Patches of about 0.4 nm, one to two atom columns.  After a generator, whose rate lacks much: chosen on simulated
# frames that are in no table.
THOROUGH = Effort(overlap=8, kept=0.25, patches=Patches(side=17, reach=20, step=5))
# After a direct denoiser, which knows the noise better than windows do.
LIGHT = Effort(overlap=0, kept=1.0, patches=Patches(side=17, reach=20, step=10, every=2))
# Photographs repeat in little patches only, as in the paper on them; chosen on photographs that are in no table.
COLOURS = Effort(overlap=0, kept=1.0, patches=Patches(side=5, reach=10, step=4))


def correct_channels(
    grid: Tensor, exposure: Tensor, drawn: Tensor, read_variance: float, effort: Effort
) -> Steps[Tensor]:
    """Take the residual step in rates ``(C, Y, X)``; see `residual_step`.  Windows look at each channel for itself."""
    if not effort.overlap:
        return (yield from _compared(_exposed(grid, exposure, drawn), exposure, drawn, read_variance, effort))
    channels = []
    for counts, rate in zip(grid, drawn, strict=True):
        corrected = yield from residual_step(counts, exposure, rate, read_variance, effort)
        channels.append(corrected)
    return torch.stack(channels)


def _exposed(counts: Tensor, exposure: Tensor, rate: Tensor) -> Tensor:
    """Return counts per exposed input pixel; where nothing was exposed the rate stands in for them."""
    return torch.where(exposure > 0, counts / exposure.clamp(min=1), rate)


def _compared(
    data: Tensor, exposure: Tensor, rate: Tensor, read_variance: float, effort: Effort, done: int = 0
) -> Steps[Tensor]:
    """Estimate similar patches of rates ``(C, Y, X)`` together, after so many parts of the step."""
    variance = (rate.clamp(min=FAINTEST * float(rate.mean())) + read_variance) / exposure.clamp(min=1)
    for better in similar_patches(data, rate, variance, effort.patches):
        rate = better
        yield Progress("residual", done, done + 1)
    yield Progress("residual", done + 1, done + 1)
    return rate.clamp(min=0)


def residual_step(
    counts: Tensor, exposure: Tensor, rate: Tensor, read_variance: float, effort: Effort = THOROUGH
) -> Steps[Tensor]:
    """Correct a rate by the counts.

    Parameters
    ----------
    counts, exposure : Tensor
        ``(Y, X)``: electrons and input pixels of each grid pixel.
    rate : Tensor
        ``(Y, X)``, electrons per input pixel.
    read_variance : float
        Electrons² per input pixel.
    effort : Effort
        How much there is to find.

    Yields
    ------
    Progress
        Stage "residual"; often enough to cancel.

    Returns
    -------
    Tensor
        ``(Y, X)``, electrons per input pixel, not negative.
    """
    seen, data = exposure.clamp(min=1), _exposed(counts, exposure, rate)
    # Beyond its edges the frame is mirrored, which a window larger than the frame would not survive.
    windows = [side for side in WINDOWS if side <= min(data.shape)] if effort.overlap else []
    filters = len(windows) + bool(windows)
    parts = filters + 1

    def filtered(image: Tensor, side: int, weigh: Weigh, done: int) -> Steps[Tensor]:
        variance = (rate.clamp(min=0) + read_variance) / seen
        strips = filter_strips(
            image[None], (rate - rate.mean())[None], variance[None], side, effort.overlap, weigh, twice=False
        )
        found = yield from ticking(strips, Progress("residual", done, parts))
        return found[0]

    for done, side in enumerate(windows):
        rate = rate + (yield from filtered(data - rate, side, proven, done))
    if windows:
        middle = rate.mean()
        weighed = yield from filtered(data - middle, windows[0], wiener, filters - 1)
        rate = effort.kept * rate + (1 - effort.kept) * (middle + weighed)
    compared = yield from _compared(data[None], exposure, rate[None], read_variance, effort, filters)
    return compared[0]
