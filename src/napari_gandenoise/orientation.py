"""The orientation beside the latent: templates have their strongest lattice fringe along x, a pose turns them.

A generator that need not spend latents on every in-plane rotation has a much wider range for the same size; the angle
is found from the tile's own spectrum (a pose in the sense of spatial transformers: Jaderberg et al. 2015, section 3.2).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.settings.base import Pose

__all__ = ["disk", "fringe_angles", "tile_mask", "turn"]


# Lattice fringes that can carry an orientation, in model pixels; 0.11-0.44 nm at 0.0244 nm per pixel.
PERIODS = (4.5, 18.0)
SPECTRUM = 256  # zero-padded side: a peak is found to half a cell, which is a degree for a period of 9


@lru_cache(maxsize=8)
def disk(size: int, device: torch.device | None = None) -> Tensor:
    """Soft-edged disk ``(size, size)``: the part of a tile that stays inside it under any rotation."""
    axis = torch.arange(size, device=device) - (size - 1) / 2
    radius = torch.hypot(axis[:, None], axis[None, :])
    return (size / 2 + 0.5 - radius).clamp(0, 1)


def tile_mask(pose: Pose, size: int, device: torch.device | None = None) -> Tensor:
    """Part of a tile ``(size, size)`` that counts: the disk of an oriented tile, all of an upright one."""
    return disk(size, device) if pose == "oriented" else torch.ones(size, size, device=device)


@lru_cache(maxsize=8)
def _frequencies(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    fy = torch.fft.fftfreq(SPECTRUM, device=device)[:, None].expand(SPECTRUM, SPECTRUM // 2 + 1)
    fx = torch.fft.rfftfreq(SPECTRUM, device=device)[None, :].expand(SPECTRUM, SPECTRUM // 2 + 1)
    radius = torch.hypot(fx, fy)
    return fx, fy, (radius > 1 / PERIODS[1]) & (radius < 1 / PERIODS[0])


def fringe_angles(tiles: Tensor, count: int) -> Tensor:
    """Directions of the strongest fringes of each tile.

    Parameters
    ----------
    tiles : Tensor
        ``(N, H, W)``, mean removed.
    count : int
        Peaks wanted; a peak found is blanked (with 8 degrees around it, all radii) before the next.

    Returns
    -------
    Tensor
        ``(N, count)`` angles in radians, strongest first, within (-pi/2, pi/2].
    """
    size = tiles.shape[-1]
    window = torch.hann_window(size, periodic=False, device=tiles.device)
    padded = functional.pad(tiles * window * window[:, None], (0, SPECTRUM - size, 0, SPECTRUM - size))
    power = torch.fft.rfft2(padded).abs().square()
    fx, fy, usable = _frequencies(tiles.device)
    power = power * usable
    direction = torch.atan2(fy, fx)
    found = []
    for _ in range(count):
        peak = power.flatten(1).argmax(dim=1)
        angle = direction.flatten()[peak]
        found.append(angle)
        apart = torch.remainder(direction - angle[:, None, None] + torch.pi / 2, torch.pi) - torch.pi / 2
        power = power * (apart.abs() > torch.pi / 22.5)
    return torch.stack(found, dim=1)


def turn(
    templates: Tensor, angles: Tensor, size: int | None = None, scale: float = 1.0, shift: Tensor | None = None
) -> Tensor:
    """Rotate templates ``(N, C, H, W)`` by angles ``(N,)`` so that fringes along x come to lie along the angle.

    Parameters
    ----------
    size : int, optional
        Side of the output, pixels; the template's own by default.
    scale : float
        Template pixels per output pixel.
    shift : Tensor, optional
        Where the template's centre comes to lie from the output's, ``(N, 2)`` as ``(y, x)`` in output pixels.
    """
    n, channels, height, _ = templates.shape
    out = size or height
    cos, sin = angles.cos(), angles.sin()
    y, x = (shift * (2 / out)).unbind(1) if shift is not None else (torch.zeros_like(cos), torch.zeros_like(cos))
    rows = torch.stack(
        [torch.stack([cos, sin, -cos * x - sin * y], 1), torch.stack([-sin, cos, sin * x - cos * y], 1)], 1
    )
    grid = functional.affine_grid(rows * (out * scale / height), [n, channels, out, out], align_corners=False)
    return functional.grid_sample(templates, grid, mode="bicubic", padding_mode="zeros", align_corners=False)
