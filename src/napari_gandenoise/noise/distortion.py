"""What a scan does to an image: lines that shift, a frame that drifts, a beam that settles after flying back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.noise.chance import Chance

__all__ = ["ScanMotion", "Shifts", "displacements", "random_walk", "resample"]

ACROSS = 1 / 3  # jitter across lines beside that along them
SETTLING = (2.0, 24.0)  # pixels in which the beam settles after flying back
MAINS = (0.02, 0.5)  # cycles a line of the 50 or 60 Hz that the scan coils pick up
WANDER = 6.0  # lines: a wander slower than that looks like the specimen's own shape


class ScanMotion(NamedTuple):
    """How far scans are off, each ``(N,)``, in pixels."""

    jitter: Tensor  #: standard deviation of lines along themselves
    drift: Tensor  #: length of the drift in one frame
    flyback: Tensor  #: shift where lines begin


class Shifts(NamedTuple):
    """Where the beam was, ``(N, 2, H, W)``, down and across in pixels."""

    all: Tensor  #: with everything
    lasting: Tensor  #: drift, flying back and slow wander: what no single image betrays


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


def displacements(chance: Chance, motion: ScanMotion, height: int, width: int) -> Shifts:
    """Draw where the beam of a scan really was.

    Lines jitter (partly from line to line, partly slowly, partly with the mains), the specimen drifts at an even
    speed, which shears and stretches the frame, and the beam comes late where lines begin.  The jitter from line to
    line can be seen in the image and undone; a frame that is sheared as a whole looks like another specimen.

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
    Shifts
        Two fields of ``(N, 2, height, width)``.
    """
    n = len(motion.jitter)
    jitter = torch.stack([_jitter(chance, n, height) * ACROSS, _jitter(chance, n, height)], dim=1)
    jitter = motion.jitter.view(-1, 1, 1) * jitter
    angle = chance.uniform(0, 2 * torch.pi, n)
    direction = motion.drift[:, None] * torch.stack([angle.sin(), angle.cos()], dim=1)
    time = torch.arange(height, device=chance.device) / max(height - 1, 1) - 0.5
    drift = direction[:, :, None] * time
    columns = torch.arange(width, device=chance.device)
    late = -motion.flyback[:, None] * (-columns / chance.uniform(*SETTLING, n, 1)).exp()
    late = torch.stack([torch.zeros_like(late), late], dim=1)[:, :, None, :]
    return Shifts((drift + jitter)[..., None] + late, (drift + _slow(jitter))[..., None] + late)


def _jitter(chance: Chance, n: int, lines: int) -> Tensor:
    slow, fast = random_walk(chance, chance.uniform(0.0, 0.95, n), lines), chance.normal(n, lines)
    cycles, phase = chance.uniform(*MAINS, n, 1), chance.uniform(0, 1, n, 1)
    mains = (2 * torch.pi * (cycles * torch.arange(lines, device=chance.device) + phase)).sin() * 2**0.5
    shares = chance.uniform(0, 1, 3, n, 1)
    shares = shares / shares.norm(dim=0)  # so that the variance stays one
    return shares[0] * slow + shares[1] * fast + shares[2] * mains


def _slow(jitter: Tensor) -> Tensor:
    lines = torch.arange(jitter.shape[-1], device=jitter.device)
    weights = (-0.5 * ((lines[:, None] - lines[None, :]) / WANDER) ** 2).exp()
    return jitter @ (weights / weights.sum(dim=0))


def resample(images: Tensor, shifts: Tensor) -> Tensor:
    """Look up images at shifted positions, by cubic convolution; the border repeats outwards.

    Parameters
    ----------
    images : Tensor
        ``(N, C, H, W)``.
    shifts : Tensor
        ``(N, 2, H, W)``, down and across in pixels: the result at ``(y, x)`` is the image at
        ``(y + shifts[0], x + shifts[1])``.

    Returns
    -------
    Tensor
        ``(N, C, H, W)``.
    """
    height, width = images.shape[-2:]
    y = torch.arange(height, device=images.device)[:, None] + shifts[:, 0]
    x = torch.arange(width, device=images.device) + shifts[:, 1]
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], dim=-1)
    return functional.grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=True)
