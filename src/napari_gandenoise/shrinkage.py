"""Fourier shrinkage in windows: crystals are sparse in the Fourier transform of a window.

The residual step weighs counts in this way, under the noise of each place; `shrunken` makes whole images, under white
noise, as features for a network, since small convolutions learn this slowly and never beyond their sight.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.progress import drain

__all__ = ["Weigh", "filter_strips", "mirrored", "proven", "shrunken", "wiener"]

PROOF = 9.0  # power over noise; pure noise exceeds it once in e^9 coefficients
OVERLAP = 2  # windows start at every half of their side
LEAST_POWER = 1e-12  # of noise in a coefficient: without any, all coefficients stay
LEAST_NOISE = 1e-3  # of the image's noise: a window that lets nothing through has no more trust than this gives

Weigh = Callable[[Tensor, Tensor, Tensor], Tensor]


def proven(spectrum: Tensor, _: Tensor, noise: Tensor) -> Tensor:
    """Weigh by one the coefficients that noise alone hardly ever reaches, by zero all others."""
    return (spectrum.abs().square() > PROOF * noise).to(noise.dtype)


def wiener(_: Tensor, drawn: Tensor, noise: Tensor) -> Tensor:
    """Weigh coefficients by the share of the drawn power in drawn power plus noise."""
    signal = drawn.abs().square()
    return signal / (signal + noise).clamp(min=1e-30)


def sine_window(side: int, device: torch.device) -> Tensor:
    """Return a window ``(side, side)`` that falls to the rim."""
    taper = torch.sin(torch.pi * (torch.arange(side, device=device) + 0.5) / side)
    return taper[:, None] * taper


def weighed(cut: Tensor, noise: Tensor, window: Tensor, weigh: Weigh) -> tuple[Tensor, Tensor]:
    """Weigh the coefficients of windows.

    Parameters
    ----------
    cut : Tensor
        ``(2, ..., side, side)``: windows of the image, and of what its signal is taken to be.
    noise : Tensor
        Power of the noise in a coefficient of the image, for each window.
    window : Tensor
        ``(side, side)``, from `sine_window`.
    weigh : callable
        `proven` or `wiener`.

    Returns
    -------
    kept : Tensor
        ``(..., side, side)``: what is left of the image, under the window.
    passed : Tensor
        ``(..., 1, 1)``: share of white noise that is left.
    """
    # One after the other: the copies under the window are large.
    spectrum, drawn = (torch.fft.rfft2(part * window) for part in cut)
    weights = weigh(spectrum, drawn, noise)
    kept = torch.fft.irfft2(spectrum * weights, s=(len(window), len(window))) * window
    return kept, weights.square().mean(dim=(-2, -1), keepdim=True)


def added_up(kept: Tensor, noise: Tensor, window: Tensor, extent: tuple[int, int], step: int) -> Tensor:
    """Put windows back where they were cut; those with much noise count for less.

    Parameters
    ----------
    kept : Tensor
        ``(..., windows, side, side)``, from `weighed`.
    noise : Tensor
        ``(..., windows, 1, 1)``: what of the noise is left in each, relative to the image's.
    window : Tensor
        ``(side, side)``, from `sine_window`.
    extent : tuple of int
        Height and width that the windows cover.
    step : int
        Pixels from window to window.

    Returns
    -------
    Tensor
        ``(2, ..., *extent)``: the sum, and the weight that it is to be divided by.
    """
    trust = 1 / (noise + LEAST_NOISE)
    sums = []
    for part in (kept * trust, window.square() * trust):
        columns = part.reshape(-1, part.shape[-3], window.numel()).transpose(1, 2)
        sums.append(functional.fold(columns, extent, len(window), stride=step).view(*part.shape[:-3], *extent))
    return torch.stack(sums)


def filter_strips(
    image: Tensor, drawn: Tensor, variance: Tensor, side: int, overlap: int, weigh: Weigh, *, twice: bool = True
) -> Generator[None, None, Tensor]:
    """Weigh the coefficients of images in overlapping windows, a row of windows at a time, so that memory is bounded.

    Parameters
    ----------
    image, drawn : Tensor
        ``(N, H, W)``: what is filtered, and what its signal is taken to be.
    variance : Tensor
        ``(N, H, W)``, or ``(N, 1, 1)`` of white noise.
    side : int
        Of a window.
    overlap : int
        A window begins at every so-manieth part of a side.
    weigh : callable
        `proven` or `wiener`.
    twice : bool
        How images go on beyond their edges: see `mirrored`.

    Yields
    ------
    None
        After each row of windows.

    Returns
    -------
    Tensor
        ``(N, H, W)``; a window counts for less the more noise it lets through.
    """
    step, window = max(1, side // overlap), sine_window(side, image.device)
    height, width = image.shape[1:]
    first = side - step
    rows, columns = (mirrored(n, first, first + -n % step, image.device, twice=twice) for n in (height, width))
    planes = torch.stack([image, drawn, variance.expand_as(image)])[:, :, rows][:, :, :, columns]
    usual = (variance.mean(dim=(1, 2)) * window.square().sum()).clamp(min=LEAST_POWER).view(-1, 1, 1, 1)
    total = image.new_zeros(2, *planes.shape[1:])
    for top in range(0, len(rows) - side + 1, step):
        strip = planes[:, :, top : top + side].unfold(3, side, step).transpose(2, 3)
        noise = (strip[2] * window.square()).sum(dim=(-2, -1), keepdim=True).clamp(min=LEAST_POWER)
        kept, passed = weighed(strip[:2], noise, window, weigh)
        # Noise that the window lets through, relative to the image's noise.
        total[:, :, top : top + side] += added_up(kept, passed * noise / usual, window, (side, len(columns)), step)
        yield None
    total = total[:, :, first : first + height, first : first + width]
    blended: Tensor = total[0] / total[1].clamp(min=1e-9)
    return blended


def mirrored(extent: int, before: int, after: int, device: torch.device, *, twice: bool = True) -> Tensor:
    """Return indices that continue an axis by its mirror image at both ends, as often as need be.

    With ``twice`` the mirror lies on the edge of the last pixel, which comes twice then, else on its centre.
    """
    once = 0 if twice else 1
    period = max(1, 2 * (extent - once))
    place = torch.arange(-before, extent + after, device=device) % period
    return torch.minimum(place, (period - 1 + once - place) % period)


@torch.no_grad()
def shrunken(noisy: Tensor, strength: Tensor, windows: tuple[int, ...]) -> list[Tensor]:
    """Estimate images by Fourier shrinkage in overlapping windows.

    From large windows to small, coefficients of what is left that exceed the noise are added (hard thresholding); a
    Wiener filter whose signal is that estimate follows (Ghael, Sayeed, Baraniuk 1997; Dabov et al. 2007, section IV).

    Parameters
    ----------
    noisy : Tensor
        ``(N, C, H, W)``.
    strength : Tensor
        ``(N, 1, 1, 1)``, standard deviation of white noise.
    windows : tuple of int
        Sides, the largest first.

    Returns
    -------
    list of Tensor
        The thresholded estimate after each window, then the Wiener estimate.
    """
    count, channels, height, width = noisy.shape
    data = noisy.float().reshape(count * channels, height, width)
    middle = data.mean(dim=(1, 2), keepdim=True)
    variance = strength.square().expand(-1, channels, 1, 1).reshape(-1, 1, 1)
    estimate, found = torch.zeros_like(data), []
    for side in windows:
        estimate = estimate + _filtered(data - middle - estimate, estimate, variance, side, proven)
        found.append(estimate)
    found.append(_filtered(data - middle, estimate, variance, windows[0], wiener))
    return [(part + middle).view_as(noisy) for part in found]


def _filtered(image: Tensor, drawn: Tensor, variance: Tensor, side: int, weigh: Weigh) -> Tensor:
    return drain(filter_strips(image, drawn, variance, side, OVERLAP, weigh))
