"""The residual step: structure that the counts prove beyond noise is added back to what the generator could show.

The residual is cut into overlapping windows and each Fourier coefficient is shrunk by ``S / (S + N)``: ``N`` is the Poisson
noise that the rate predicts there, ``S`` what the residual's own power exceeds it by (averaged over neighbouring
windows), plus a small share of the rate's power, since the generator errs most where it draws most.  As the dose grows
``N`` vanishes beside ``S`` and the result tends to the data.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["residual_step"]

WINDOW = 32  # grid pixels: about 0.8 nm
STEP = 8
SHARE = 0.1  # of the rate's power that the generator is expected to miss
EXCESS = 1.5  # how many times the noise the residual's power must exceed before it counts as structure


def residual_step(counts: Tensor, exposure: Tensor, rate: Tensor, read_variance: float) -> Tensor:
    """Return the rate with proven structure added.

    Parameters
    ----------
    counts, exposure : Tensor
        ``(Y, X)``: electrons and input pixels of each grid pixel.
    rate : Tensor
        ``(Y, X)``, electrons per input pixel.
    read_variance : float
        Electrons² per input pixel.

    Returns
    -------
    Tensor
        ``(Y, X)``, electrons per input pixel, not negative.
    """
    seen = exposure.clamp(min=1)
    residual = (counts - exposure * rate) / seen
    variance = (rate.clamp(min=0) + read_variance) / seen
    taper = torch.sin(torch.pi * (torch.arange(WINDOW, device=rate.device) + 0.5) / WINDOW)
    window = taper[:, None] * taper
    spectrum = torch.fft.rfft2(_windows(residual) * window)
    drawn = _windows(rate)
    drawn = torch.fft.rfft2((drawn - drawn.mean(dim=(-2, -1), keepdim=True)) * window).abs().square()
    noise = (_windows(variance) * window.square()).sum(dim=(-2, -1))[..., None, None]
    power = spectrum.abs().square()
    structure = (_neighbourhood(power) - EXCESS * noise).clamp(min=0) + SHARE * drawn
    shrunk = torch.fft.irfft2(spectrum * structure / (structure + noise).clamp(min=1e-30), s=(WINDOW, WINDOW))
    added = _overlap_add(shrunk * window, rate.shape) / _overlap_add(window.square().expand_as(shrunk), rate.shape)
    return (rate + added * (exposure > 0)).clamp(min=0)


def _padding(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    height, width = shape
    return (WINDOW, WINDOW + -width % STEP, WINDOW, WINDOW + -height % STEP)


def _windows(image: Tensor) -> Tensor:
    """Overlapping windows ``(rows, columns, WINDOW, WINDOW)`` of an image ``(Y, X)``."""
    padded = functional.pad(image[None, None], _padding(tuple(image.shape)), mode="replicate")[0, 0]
    return padded.unfold(0, WINDOW, STEP).unfold(1, WINDOW, STEP)


def _neighbourhood(power: Tensor) -> Tensor:
    """Mean over the 3x3 neighbouring windows, frequency by frequency."""
    rows, columns, height, width = power.shape
    maps = power.permute(2, 3, 0, 1).reshape(1, height * width, rows, columns)
    smooth = functional.avg_pool2d(functional.pad(maps, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return smooth.reshape(height, width, rows, columns).permute(2, 3, 0, 1)


def _overlap_add(windows: Tensor, shape: tuple[int, ...]) -> Tensor:
    rows, columns = windows.shape[:2]
    size = ((rows - 1) * STEP + WINDOW, (columns - 1) * STEP + WINDOW)
    patches = windows.reshape(1, rows * columns, WINDOW**2).transpose(1, 2)
    total = functional.fold(patches, size, WINDOW, stride=STEP)[0, 0]
    return total[WINDOW : WINDOW + shape[0], WINDOW : WINDOW + shape[1]]
