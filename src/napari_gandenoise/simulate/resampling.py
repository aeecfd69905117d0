"""Periodic images on another grid: Fourier interpolation is exact for what has no finer detail than the grid."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["crop_to_grid", "resample"]


def resample(images: Tensor, pixels: int) -> Tensor:
    """Bring periodic images or waves to ``pixels`` a side, cutting off what that grid cannot hold.

    Parameters
    ----------
    images : torch.Tensor
        ``(N, Y, X)`` with Y = X, real or complex.
    pixels : int
        New side, pixels.

    Returns
    -------
    torch.Tensor
        ``(N, pixels, pixels)``.
    """
    side = images.shape[-1]
    if pixels == side:
        return images
    # Below the Nyquist frequency of the coarser grid: a grid cannot tell the sign of that one.
    kept = (min(side, pixels) - 1) // 2
    wide = torch.zeros(len(images), pixels, pixels, dtype=torch.complex64, device=images.device)
    spectrum = torch.fft.fft2(images)
    low, high = slice(0, kept + 1), slice(-kept, None)
    for rows in (low, high):
        for columns in (low, high):
            wide[:, rows, columns] = spectrum[:, rows, columns]
    resampled: Tensor = torch.fft.ifft2(wide) * (pixels / side) ** 2
    return resampled if images.is_complex() else resampled.real


def crop_to_grid(images: Tensor, from_nm: float, to_nm: float, shape: int) -> Tensor:
    """Bring periodic images ``(N, Y, X)`` to another pixel size and cut out their centres.

    Parameters
    ----------
    images : torch.Tensor
        ``(N, Y, X)``, intensity.
    from_nm, to_nm : float
        Pixel size before and after, nm.
    shape : int
        Side of what is cut out, pixels.

    Returns
    -------
    torch.Tensor
        ``(N, shape, shape)``; no intensity is negative.
    """
    pixels = round(images.shape[-1] * from_nm / to_nm)
    start = (pixels - shape) // 2
    inside = slice(start, start + shape)
    return resample(images, pixels)[:, inside, inside].clamp(min=0)
