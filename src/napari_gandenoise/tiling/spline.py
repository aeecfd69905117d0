"""Cubic splines on a grid that is a whole number of times as fine, on the device where the image is.

Rates may be interpolated, counts may not.  The filters that find a spline's coefficients are recursive by definition;
cut off where they have died away they are convolutions, which any device computes at once (Unser, "Splines: a perfect
fit for signal and image processing" (1999)).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.shrinkage import mirrored

__all__ = ["through_means", "through_values"]

REACH = 20  # taps of a filter on each side: the slowest pole, 0.36, has fallen to 1e-9
STRIP = 64  # rows that are drawn at once: more do not stay near the processor
SAMPLED = {3: (1 / 6, 4 / 6, 1 / 6), 4: (1 / 384, 76 / 384, 230 / 384, 76 / 384, 1 / 384)}  # B-splines at the pixels


def through_values(image: Tensor, factor: int) -> Tensor:
    """Interpolate values at the centres of pixels ``(C, y, x)`` on a grid ``factor`` times as fine.

    Beyond its edges the image goes on as it ends.
    """
    if factor == 1:
        return image
    return _finer(image, factor, order=3, mirror=False)


def through_means(image: Tensor, factor: int) -> Tensor:
    """Interpolate means over pixels ``(C, y, x)`` on a grid ``factor`` times as fine, by the spline that has them.

    `through_values` takes them for values at the pixels' centres, which dampens what is fine.  The mean of a cubic
    B-spline over a pixel is a value of the quartic one: the spline's coefficients are found with that, and drawn with
    the cubic.  It brings out noise that is left, too.
    """
    if factor == 1:
        return image
    return _finer(image, factor, order=4, mirror=True)


def _finer(image: Tensor, factor: int, order: int, mirror: bool) -> Tensor:
    """Filter and draw along x, then along y."""
    for _ in range(2):
        image = _finer_rows(image, factor, order, mirror)
    return image


def _finer_rows(image: Tensor, factor: int, order: int, mirror: bool) -> Tensor:
    """Draw rows on the finer grid; they are columns then: ``(C, factor · x, y)``."""
    channels, height, width = image.shape
    turned = image.new_empty(channels, factor * width, height)
    for top in range(0, height, STRIP):
        rows = image[:, top : top + STRIP]
        drawn = _drawn(rows.reshape(-1, 1, width), factor, order, mirror).unflatten(0, rows.shape[:2])
        turned[:, :, top : top + STRIP] = drawn.permute(0, 3, 2, 1).flatten(1, 2)
    return turned


def _drawn(rows: Tensor, factor: int, order: int, mirror: bool) -> Tensor:
    """Draw rows ``(N, 1, x)``: ``(N, factor, x)``, the fine pixels of each pixel."""
    if mirror:
        around = rows[..., mirrored(rows.shape[-1], REACH, REACH, rows.device)]
    else:
        around = functional.pad(rows, (REACH + 2, REACH + 2), mode="replicate")
    coefficients = functional.conv1d(around, _filter(order).to(rows)[None, None])
    if mirror:
        coefficients = functional.pad(coefficients, (2, 2), mode="replicate")
    return functional.conv1d(coefficients, _taps(factor).to(rows)[:, None])


@lru_cache(maxsize=4)
def _filter(order: int) -> Tensor:
    """Return the filter ``(2 REACH + 1,)`` that turns values into coefficients of B-splines that have them."""
    sampled = np.zeros(256)
    half = len(SAMPLED[order]) // 2
    for place, value in enumerate(SAMPLED[order], -half):
        sampled[place] = value
    inverse = np.fft.ifft(1 / np.fft.fft(sampled)).real
    return torch.from_numpy(np.roll(inverse, REACH)[: 2 * REACH + 1].copy())


@lru_cache(maxsize=16)
def _taps(factor: int) -> Tensor:
    """Return the weights ``(factor, 5)`` of five coefficients around a pixel in each of its fine pixels."""
    shift = (torch.arange(factor, dtype=torch.float64) + 0.5) / factor - 0.5
    distance = (shift[:, None] - torch.arange(-2, 3)).abs()
    near = 2 / 3 - distance.square() * (1 - distance / 2)
    far = (2 - distance).clamp(min=0) ** 3 / 6
    return torch.where(distance < 1, near, far)
