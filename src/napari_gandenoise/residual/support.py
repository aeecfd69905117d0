"""Support: whether the counts bear out the structure that a rate shows, place by place.

Where a rate shows structure, its difference s to what is around, the counts must show as much of it.  The score test of
that (Rao 1948; Cox and Hinkley, "Theoretical statistics" (1974), section 9.3) is a matched filter with the structure
itself as its template: the sum of s (y - e) / e under a window, over its standard deviation.  Far below zero the rate
shows what the counts do not: it was put in.  Far above it the counts show more: it was left out.  With the rate itself
as template the same filter finds what is too bright or too dark: a column, or a row of them, on a lattice that is
there.  A lattice that the rate lacks altogether shows as a peak in the spectrum of the residual, which else is flat.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, inf, log, log10, pi

import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.residual.fitmap import blurred

__all__ = ["CELL", "Support", "borne_out", "support_of"]

AROUND = 8.0  # grid pixels: what is smoother than this is no structure
CELL = 2  # grid pixels along a side over which scores are added up before windows are laid
# Standard deviations of the windows in cells, along and across, and their directions: a column, some, a row of them.
WINDOWS = ((1.5, 1.5, 1), (4.0, 4.0, 1), (8.0, 1.0, 16))
BLOCK = 208  # cells along a side that windows are laid around at once: with what is around them, a power of two
FAINT = 0.02  # of the usual information of a window: less says nothing
# What a good rate keeps of the noise of its own counts looks like structure that they have more of: a score a pixel,
# and more of it a decade of electrons.  From results of the bundled U-Net on simulation seed 3, at 1.4 to 70 electrons.
OWN, OWN_A_DECADE = 0.015, 0.017
STRAIGHT = 1e-2  # skewness: less changes nothing, but for digits
SKEWED = 1.0  # more is that of single counts, which no formula makes normal
NONE = 1e-6  # of the counts that are expected: as few as that are none
LEAST = 0.5  # electrons expected in a pixel: fewer make single counts loud in a spectrum
FADED = 0.1  # share of an image's side over which its edges fade before its spectrum is taken
ORIGIN = 3  # frequencies around zero that tell of shading, not of a lattice


@dataclass(frozen=True)
class Support:
    """What the counts of a frame say of a rate's structure.

    Attributes
    ----------
    contrast, contrast_error : float
        How much more contrast than the rate the counts show in all, as a share of it, beyond what a good rate's own
        noise explains; and its standard error.
    misfit : Tensor
        ``(y, x)``, in cells of `CELL` grid pixels: standard deviations by which the counts show more (above zero) or
        less structure, or brightness, than the rate; of all windows the one that says most.
    peak : float
        Highest peak of the residual's spectrum over what noise would reach in one frame of ten, in its mean power.
    """

    contrast: float
    contrast_error: float
    misfit: Tensor
    peak: float


def support_of(sums: Tensor, exposure: Tensor, rate: Tensor, read_variance: float) -> Support:
    """Test the structure of a rate by its counts.

    Parameters
    ----------
    sums, rate : Tensor
        ``(C, y, x)``: electrons and rate (electrons per input pixel) of each grid pixel.  Channels are pooled.
    exposure : Tensor
        ``(y, x)``: input pixels of each grid pixel.
    read_variance : float
        Electrons² per input pixel.
    """
    expected, shift = _expected(exposure, rate, read_variance), exposure * read_variance
    residual = (sums + shift - expected) * (exposure > 0)
    structure = exposure * (rate - _around(rate, exposure))
    scores = _in_cells((structure * residual / expected).sum(dim=0))
    information = _in_cells((structure.square() / expected).sum(dim=0))
    own = _own_score(float(expected.mean())) * int((exposure > 0).sum()) / scores.numel()
    total, score = float(information.sum()), float(scores.sum())
    score = max(score - own * scores.numel(), 0.0) + min(score, 0.0)
    contrast, error = (score / total, total**-0.5) if total > 0 else (0.0, inf)
    peak = max(map(_peak, residual / expected.clamp(min=LEAST).sqrt()))
    seen = exposure > 0
    counted = (expected - shift).clamp(min=0) * seen  # only what was counted is skewed, and not what was read
    brightness, spread, skewed = (_in_cells(part.sum(dim=0)) for part in (residual, expected * seen, counted))
    level = _misfit(brightness, spread, skewed)
    third = _in_cells(((structure / expected) ** 3 * counted).sum(dim=0))
    misfit = _misfit(scores, information, third, own)
    return Support(contrast, error, torch.where(level.abs() > misfit.abs(), level, misfit), peak)


def borne_out(shown: Tensor, sums: Tensor, exposure: Tensor, rate: Tensor, read_variance: float) -> Tensor:
    """Test whether counts bear out at least half of the structure that a rate shows which was made without them.

    Parameters
    ----------
    shown : Tensor
        ``(C, y, x)``: the rate, electrons per input pixel.
    sums, exposure, rate, read_variance
        As for `support_of`, the rate being the best one there is.

    Returns
    -------
    Tensor
        ``(y, x)``, in cells: standard deviations by which they bear out more, or below zero less than half of it.
    """
    expected, shift = _expected(exposure, rate, read_variance), exposure * read_variance
    plain = exposure * _around(rate, exposure) + shift
    structure = exposure * (shown - _around(shown, exposure))
    scores = structure * ((sums + shift - plain) * (exposure > 0) - structure / 2) / expected
    third = (structure / expected) ** 3 * (expected - shift).clamp(min=0)
    found, information, skewed = (_in_cells(part.sum(dim=0)) for part in (scores, structure.square() / expected, third))
    return _misfit(found, information, skewed)


def _expected(exposure: Tensor, rate: Tensor, read_variance: float) -> Tensor:
    return (exposure * (rate + read_variance)).clamp(min=1e-6)


def _around(rate: Tensor, exposure: Tensor) -> Tensor:
    """Return the mean around each pixel, of those that were seen."""
    seen = (exposure > 0).to(rate)
    weighed = blurred(torch.cat([rate * seen, seen[None]]), AROUND)
    return weighed[:-1] / weighed[-1:].clamp(min=1e-6)


def _in_cells(image: Tensor) -> Tensor:
    height, width = image.shape
    whole = functional.pad(image[None, None], (0, -width % CELL, 0, -height % CELL))
    return functional.avg_pool2d(whole, CELL)[0, 0] * CELL**2


def _own_score(mean: float) -> float:
    return max(0.0, OWN + OWN_A_DECADE * log10(max(mean, 1e-6)))


def _misfit(scores: Tensor, information: Tensor, third: Tensor, own: float = 0.0) -> Tensor:
    """Return the score of the window that says most around each cell, in standard deviations of a normal number.

    Information and ``third`` are variance and third cumulant of the scores of cells.  A score above zero counts as far
    as it is above ``own``, that of a cell.
    """
    cumulants = torch.stack([scores, information, third])
    usual, found = float(information.mean()), torch.empty_like(scores)
    reach, (height, width) = _reach(), scores.shape
    padded = functional.pad(cumulants, (reach, reach + BLOCK, reach, reach + BLOCK))
    for top in range(0, height, BLOCK):
        for left in range(0, width, BLOCK):
            part = padded[:, top : top + BLOCK + 2 * reach, left : left + BLOCK + 2 * reach]
            told = _told_most(part, usual, own)
            found[top : top + BLOCK, left : left + BLOCK] = told[: height - top, : width - left]
    return found


def _told_most(cumulants: Tensor, usual: float, own: float) -> Tensor:
    """Lay all windows around the cells of a block ``(3, n, n)`` that have room for them."""
    transforms = torch.fft.rfft2(cumulants)
    spectra = _spectra(cumulants.shape[-1], cumulants.device)
    most = least = cumulants.new_zeros((BLOCK, BLOCK))
    for window, spectrum in zip(_windows(), spectra, strict=True):
        laid = torch.fft.irfft2(transforms * spectrum, s=cumulants.shape[1:])
        score, variance, skewed = laid[:, :BLOCK, :BLOCK]  # of windows whose corners lie there
        faint = FAINT * usual * float(window.square().sum())
        deviation = (variance.clamp(min=0) + faint).sqrt().clamp(min=1e-12)
        skewness = skewed / deviation**3
        most = torch.maximum(most, _normal((score - own * float(window.sum())) / deviation, skewness))
        least = torch.minimum(least, _normal(score / deviation, skewness))
    return torch.where(most > -least, most, least)


def _normal(deviations: Tensor, skewness: Tensor) -> Tensor:
    """Bring skewed numbers of mean 0 and variance 1 to about normal ones (Wilson and Hilferty 1931).

    Sums of few counts are skewed: far above their mean more of them lie than far below.
    """
    skewness = torch.where(skewness.abs() < STRAIGHT, STRAIGHT, skewness.clamp(-SKEWED, SKEWED))
    root = (1 + skewness * deviations / 2).clamp(min=NONE) ** (1 / 3)
    return 6 / skewness * (root - 1) + skewness / 6


def _reach() -> int:
    return ceil(3 * max(along for along, _, _ in WINDOWS))


@lru_cache(maxsize=1)
def _windows() -> list[Tensor]:
    reach = _reach()
    axis = torch.arange(-reach, reach + 1, dtype=torch.float64)
    windows = []
    for along, across, directions in WINDOWS:
        for number in range(directions):
            angle = torch.tensor(pi * number / directions, dtype=torch.float64)
            u = axis * angle.cos() + axis[:, None] * angle.sin()
            v = axis[:, None] * angle.cos() - axis * angle.sin()
            windows.append(torch.exp(-0.5 * ((u / along) ** 2 + (v / across) ** 2)).float())
    return windows


@lru_cache(maxsize=2)
def _spectra(side: int, device: torch.device) -> list[Tensor]:
    """Return the spectra ``(3, side, side // 2 + 1)`` of the windows, their squares and their cubes."""
    powers = [torch.stack([window, window**2, window**3]).to(device) for window in _windows()]
    # Conjugates, since windows are correlated with and not convolved.
    return [torch.fft.rfft2(power, s=(side, side)).conj() for power in powers]


def _peak(residual: Tensor) -> float:
    """Return how far the highest peak of a residual's spectrum is beyond what noise reaches, in its mean power.

    The power of noise has an exponential distribution, whose largest of N is the logarithm of N and a few more.
    """
    height, width = residual.shape
    faded = residual * _fading(height).to(residual)[:, None] * _fading(width).to(residual)
    power = torch.fft.rfft2(faded).abs().square()
    rows = torch.fft.fftfreq(height, 1 / height, device=residual.device)[:, None]
    columns = torch.arange(power.shape[1], device=residual.device)
    power = power[(rows.square() + columns.square()) > ORIGIN**2]
    if len(power) == 0 or not float(power.mean()) > 0:
        return 0.0
    return float(power.max() / power.mean()) - log(len(power) / 0.1)


def _fading(side: int) -> Tensor:
    edge = max(1, round(FADED * side))
    rise = 0.5 - 0.5 * torch.cos(pi * (torch.arange(edge) + 0.5) / edge)
    window = torch.ones(side)
    window[:edge], window[side - edge :] = rise[: min(edge, side)], rise.flip(0)[: min(edge, side)]
    return window
