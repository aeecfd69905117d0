"""What a network of any micrograph sees: an image without its units, so that a gain and an offset change nothing."""

from __future__ import annotations

from math import ceil, gcd

import torch
from torch import Tensor

__all__ = ["image_levels"]

TAILS = 0.005  # share of the darkest and of the brightest pixels that count as no further out than the others
LOOKED_AT = 2**16  # pixels that the tails are found from


def image_levels(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of images whose tails are drawn in, each by itself.

    Winsorised (Tukey, "The future of data analysis" (1962), section 14), since a spike must not decide on what the
    rest of an image looks like; plain where that leaves no deviation, as in frames with a count here and there.

    Parameters
    ----------
    images : Tensor
        ``(N, C, H, W)``, in any units.

    Returns
    -------
    centre, scale : Tensor
        ``(N, 1, 1, 1)``; the scale is above 0, and 1 of a constant image.
    """
    values = images.float().flatten(1)
    # A step that shares no factor with the width walks over all columns.
    step = ceil(values.shape[1] / LOOKED_AT)
    while gcd(step, images.shape[-1]) > 1:
        step += 1
    low, high = torch.quantile(values[:, ::step], torch.tensor([TAILS, 1 - TAILS], device=values.device), dim=1)
    drawn_in = values.clamp(low[:, None], high[:, None])
    scale = drawn_in.std(dim=1)
    plain = values.std(dim=1)
    sparse = scale < 1e-6 * plain
    centre = torch.where(sparse, values.mean(dim=1), drawn_in.mean(dim=1))
    scale = torch.where(sparse, plain, scale)
    # What rounding alone leaves of a constant image is no deviation.
    scale = torch.where(scale > 1e-6 * centre.abs(), scale, torch.ones_like(scale))
    return centre.view(-1, 1, 1, 1), scale.view(-1, 1, 1, 1)
