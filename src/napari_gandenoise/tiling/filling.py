"""Rates where nothing was counted: from what was counted around, near first."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["filled_rate"]


def filled_rate(sums: Tensor, exposure: Tensor) -> Tensor:
    """Divide sums by their exposure, and fill where there is none from coarser and coarser sums around.

    Parameters
    ----------
    sums : Tensor
        ``(C, y, x)``, electrons.
    exposure : Tensor
        ``(y, x)``, input pixels that were counted in; somewhere above zero.

    Returns
    -------
    Tensor
        ``(C, y, x)``, electrons per input pixel.
    """
    rate = sums / exposure.clamp(min=1e-12)
    if bool((exposure > 0).all()) or max(exposure.shape) == 1:
        return rate
    height, width = exposure.shape
    stacked = functional.pad(torch.cat([sums, exposure[None]]), (0, width % 2, 0, height % 2))
    coarse = functional.avg_pool2d(stacked[None], 2)[0] * 4
    around = filled_rate(coarse[:-1], coarse[-1])
    smooth = functional.interpolate(around[None], scale_factor=2, mode="bilinear", align_corners=False)[0]
    return torch.where(exposure > 0, rate, smooth[:, :height, :width])
