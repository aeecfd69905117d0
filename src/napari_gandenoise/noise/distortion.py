"""What a scan does to an image: lines that shift, a frame that drifts, a beam that settles after flying back.

A scanned image is taken point by point, so whatever moves the beam or the specimen meanwhile moves its pixels, slowly
along the columns and fast along the lines (Jones and Nellist, "Identifying and correcting scan noise and drift in the
scanning transmission electron microscope", Microsc. Microanal. 19 (2013) 1050).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from napari_gandenoise.noise.chance import Chance

__all__ = ["ScanMotion", "Scanned", "Shifts", "displacements", "hum", "random_walk", "resample"]

ACROSS = 1 / 3  # jitter across lines beside that along them
SETTLING = (2.0, 24.0)  # pixels in which the beam settles after flying back
MAINS = (0.02, 1.2)  # cycles a line of the 50 or 60 Hz that the scan coils pick up
WANDER = 6.0  # lines: a wander slower than that looks like the specimen's own shape


class ScanMotion(NamedTuple):
    """How far scans are off, each ``(N,)``, in pixels."""

    jitter: Tensor  #: standard deviation of lines along themselves
    drift: Tensor  #: length of the drift in one frame
    flyback: Tensor  #: shift where lines begin


class Shifts(NamedTuple):
    """Where the beam was instead, in pixels: a scan is at one height all along a line."""

    down: Tensor  #: ``(N, H)``
    across: Tensor  #: ``(N, H, W)``


class Scanned(NamedTuple):
    """How a scan was off."""

    all: Shifts  #: with everything
    lasting: Shifts  #: drift, flying back and slow wander: what no single image betrays


def random_walk(chance: Chance, memory: Tensor, steps: int) -> Tensor:
    """Draw stationary first-order processes of variance one.

    Parameters
    ----------
    chance : Chance
        Where they come from.
    memory : Tensor
        ``(N,)``, correlation of neighbours, 0 for white noise, below 1.
    steps : int
        Length.

    Returns
    -------
    Tensor
        ``(N, steps)``.
    """
    kicks = chance.normal(len(memory), steps)
    lags = torch.arange(steps, device=chance.device)
    ages = (lags[:, None] - lags[None, :]).clamp(min=0)
    past = (lags[:, None] >= lags[None, :]).to(kicks)
    # The first kick stands for all that came before: it keeps its full weight.
    weights = torch.where(lags[None, :] > 0, (1 - memory[:, None, None] ** 2).clamp(min=0).sqrt(), 1.0)
    filters = memory[:, None, None] ** ages * past * weights
    return torch.einsum("nij,nj->ni", filters, kicks)


def displacements(chance: Chance, motion: ScanMotion, height: int, width: int) -> Scanned:
    """Draw where the beam of a scan really was.

    Lines jitter, partly from line to line, partly slowly, and sway with the mains while they run; the specimen drifts
    at an even speed, which shears and stretches the frame, and the beam comes late where lines begin.  The jitter from
    line to line can be seen in the image and undone; a frame that is sheared as a whole looks like another specimen.

    Parameters
    ----------
    chance : Chance
        Where jitter and directions come from.
    motion : ScanMotion
        How much of each.
    height, width : int
        Size of the frames; rows are the fast axis.

    Returns
    -------
    Scanned
    """
    n = len(motion.jitter)
    jitter = motion.jitter.view(-1, 1, 1)
    down = ACROSS * jitter[..., 0] * _jitter(chance, n, height, 1)[..., 0]
    across = jitter * _jitter(chance, n, height, width)
    angle = chance.uniform(0, 2 * torch.pi, n, 1)
    time = torch.arange(height, device=chance.device) / max(height - 1, 1) - 0.5
    drift = motion.drift[:, None] * time
    columns = torch.arange(width, device=chance.device)
    late = -motion.flyback[:, None] * (-columns / chance.uniform(*SETTLING, n, 1)).exp()
    steady = (drift * angle.cos())[:, :, None] + late[:, None, :]
    fast = Shifts(drift * angle.sin() + down, steady + across)
    slow = Shifts(drift * angle.sin() + _slow(down[..., None])[..., 0], steady + _slow(across))
    return Scanned(fast, slow)


def _jitter(chance: Chance, n: int, lines: int, width: int) -> Tensor:
    """Draw shifts ``(n, lines, width)`` of variance one."""
    slow, fast = random_walk(chance, chance.uniform(0.0, 0.95, n), lines), chance.normal(n, lines)
    mains = hum(chance, n, lines, width)
    shares = chance.uniform(0, 1, 3, n, 1)
    shares = shares / shares.norm(dim=0)  # so that the variance stays one
    jitter: Tensor = (shares[0] * slow + shares[1] * fast)[:, :, None] + shares[2][:, :, None] * mains
    return jitter


def hum(chance: Chance, n: int, lines: int, width: int) -> Tensor:
    """Draw how the mains sway the beam of ``n`` scans: ``(n, lines, width)``, sines of time, of mean square one."""
    cycles, phase = chance.uniform(*MAINS, n, 1, 1), chance.uniform(0, 1, n, 1, 1)
    line, column = (torch.arange(size, device=chance.device) for size in (lines, width))
    time = line[:, None] + column / width
    sway: Tensor = (2 * torch.pi * (cycles * time + phase)).sin() * 2**0.5
    return sway


def _slow(shifts: Tensor) -> Tensor:
    """Leave of shifts ``(N, H, W)`` what changes slowly from line to line."""
    lines = torch.arange(shifts.shape[1], device=shifts.device)
    weights = (-0.5 * ((lines[:, None] - lines[None, :]) / WANDER) ** 2).exp()
    slow: Tensor = (weights / weights.sum(dim=0)).mT @ shifts
    return slow


def resample(images: Tensor, shifts: Shifts) -> Tensor:
    """Look up images at shifted positions by cubic convolution, which is exact for parabolas; borders repeat outwards.

    The kernel is that of Keys, IEEE Transactions on Acoustics, Speech, and Signal Processing 29, 1153 (1981).

    Parameters
    ----------
    images : Tensor
        ``(N, C, H, W)``.
    shifts : Shifts
        The result at ``(y, x)`` is the image at ``(y + down, x + across)``.

    Returns
    -------
    Tensor
        ``(N, C, H, W)``.
    """
    n, channels, height, width = images.shape
    rows = torch.arange(height, device=images.device) + shifts.down
    columns = torch.arange(width, device=images.device) + shifts.across
    lines = torch.zeros_like(images)
    for tap, weight in _taps(rows):
        row = tap.clamp(0, height - 1).view(n, 1, height, 1).expand(n, channels, height, width)
        lines += weight.view(n, 1, height, 1) * images.gather(2, row)
    result = torch.zeros_like(images)
    for tap, weight in _taps(columns):
        column = tap.clamp(0, width - 1)[:, None].expand(n, channels, height, width)
        result += weight[:, None] * lines.gather(3, column)
    return result


def _taps(places: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield four neighbours of each place, and their weights."""
    first = places.floor()
    t = places - first
    weights = (
        t * (-0.5 + t * (1 - 0.5 * t)),
        1 + t * t * (1.5 * t - 2.5),
        t * (0.5 + t * (2 - 1.5 * t)),
        t * t * (0.5 * t - 0.5),
    )
    for offset, weight in enumerate(weights, start=-1):
        yield first.long() + offset, weight
