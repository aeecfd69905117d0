"""The residual step: what the counts prove is added to the generator's rate, what they do not bear out is taken back.

Crystals are sparse in the Fourier transform of a window, the more so the larger the window; edges and defects are
sharp in small ones.

1. *Add*, from large windows to small.  Coefficients of the residual (counts minus rate) whose power exceeds the noise
   that the rate predicts by a factor that noise alone hardly ever reaches are added to the rate.
2. *Weigh*.  The counts are filtered by ``S / (S + N)``, the Wiener filter whose signal spectrum ``S`` is that of the
   rate so far and whose noise ``N`` is Poisson (the empirical Wiener filter: Ghael, Sayeed, Baraniuk 1997; also the
   second stage of BM3D: Dabov et al. 2007, section IV).  A window counts for less the more noise it lets through.
3. A share of the rate itself is kept: it is sharper than the filter at edges.
4. *Compare*.  Patches that look alike are estimated together (`napari_gandenoise.residual.nonlocal_bayes`): what repeats from
   place to place is not limited by the window.

As the dose grows ``N`` vanishes beside the signal, everything is added, every weight tends to one, and the result
tends to the data.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.residual.nonlocal_bayes import similar_patches
from napari_gandenoise.shrinkage import Weigh, added_up, proven, sine_window, weighed, wiener

__all__ = ["correct_channels", "residual_step"]

WINDOWS = (128, 64, 32)  # grid pixels; 128 are about 3 nm; the largest that fits weighs
KEPT = 0.25  # share of the rate itself; chosen on simulated frames that are in no table
OVERLAP = 8  # windows start at every eighth of their side

FAINTEST = 0.05  # of the mean rate: below that the noise of dark places is not believed


def correct_channels(grid: Tensor, exposure: Tensor, drawn: Tensor, read_variance: float) -> Steps[Tensor]:
    """Take the residual step in each channel of rates ``(C, Y, X)``; see `residual_step`."""
    channels = []
    for counts, rate in zip(grid, drawn, strict=True):
        corrected = yield from residual_step(counts, exposure, rate, read_variance)
        channels.append(corrected)
    return torch.stack(channels)


def residual_step(counts: Tensor, exposure: Tensor, rate: Tensor, read_variance: float) -> Steps[Tensor]:
    """Correct a rate by the counts.

    Parameters
    ----------
    counts, exposure : Tensor
        ``(Y, X)``: electrons and input pixels of each grid pixel.
    rate : Tensor
        ``(Y, X)``, electrons per input pixel.
    read_variance : float
        Electrons² per input pixel.

    Yields
    ------
    Progress
        Stage "residual"; often enough to cancel.

    Returns
    -------
    Tensor
        ``(Y, X)``, electrons per input pixel, not negative.
    """
    seen = exposure.clamp(min=1)
    # Where nothing was exposed the rate stands in for the counts.
    data = torch.where(exposure > 0, counts / seen, rate)
    # Beyond its edges the frame is mirrored, which a window larger than the frame would not survive.
    windows = [side for side in WINDOWS if side <= min(data.shape)]
    parts = len(windows) + 2
    for done, side in enumerate(windows):
        added = yield from _filtered(data - rate, rate, seen, read_variance, side, proven, (done, parts))
        rate = rate + added
    if windows:
        middle = rate.mean()
        weighed = yield from _filtered(data - middle, rate, seen, read_variance, windows[0], wiener, (parts - 2, parts))
        rate = KEPT * rate + (1 - KEPT) * (middle + weighed)
    variance = (rate.clamp(min=FAINTEST * float(rate.mean())) + read_variance) / seen
    for better in similar_patches(data, rate, variance):
        rate = better
        yield Progress("residual", parts - 1, parts)
    yield Progress("residual", parts, parts)
    return rate.clamp(min=0)


def _filtered(
    image: Tensor,
    rate: Tensor,
    seen: Tensor,
    read_variance: float,
    side: int,
    weigh: Weigh,
    progress: tuple[int, int],
) -> Steps[Tensor]:
    """Weigh an image's coefficients in overlapping windows, one row of windows at a time (memory stays bounded)."""
    step = max(1, side // OVERLAP)
    window = sine_window(side, rate.device)
    height, width = image.shape
    variance = (rate.clamp(min=0) + read_variance) / seen
    padding = (side - step, side - step + -width % step, side - step, side - step + -height % step)
    usual = (variance.mean() * window.square().sum()).clamp(min=1e-30)
    planes = torch.stack([image, rate - rate.mean(), variance])
    planes = functional.pad(planes[None], padding, mode="reflect")[0]
    total = torch.zeros(2, *planes.shape[1:], device=rate.device)
    for top in range(0, planes.shape[1] - side + 1, step):
        strip = planes[:, top : top + side].unfold(2, side, step).transpose(1, 2)
        noise = (strip[2] * window.square()).sum(dim=(-2, -1))[:, None, None]
        kept, passed = weighed(strip[:2], noise, window, weigh)
        # Noise that the window lets through, relative to the frame's noise.
        total[:, top : top + side] += added_up(kept, passed * noise / usual, window, (side, planes.shape[2]), step)
        yield Progress("residual", *progress)
    left, above = padding[0], padding[2]
    total = total[:, above : above + height, left : left + width]
    return total[0] / total[1].clamp(min=1e-9)
