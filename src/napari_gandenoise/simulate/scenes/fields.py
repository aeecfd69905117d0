"""What scenes are made of: random fields, blur and palettes, for a batch at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.noise.chance import Chance

__all__ = ["blur", "filtered", "frequencies", "palette", "power_field", "ramp", "scaled"]

# Ohta, Kanade and Sakai, Computer Graphics and Image Processing 13, 222 (1980): the principal axes of colour in
# natural images are nearly brightness, red against blue, and green against magenta, with variances that fall steeply.
OPPONENT = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (-0.5, 1.0, -0.5))
FINEST = 0.8  # pixels, standard deviation of the blur that every field has


def frequencies(side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the frequencies down ``(side, 1)`` and across ``(1, side // 2 + 1)`` of a real Fourier transform."""
    return torch.fft.fftfreq(side, device=device)[:, None], torch.fft.rfftfreq(side, device=device)[None, :]


def filtered(images: Tensor, transfer: Tensor) -> Tensor:
    """Multiply the spectra of images ``(..., S, S)`` by a transfer ``(..., S, S // 2 + 1)``; borders wrap."""
    result: Tensor = torch.fft.irfft2(torch.fft.rfft2(images) * transfer, s=images.shape[-2:])
    return result


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur images ``(N, S, S)`` by Gaussians of standard deviations ``(N,)`` in pixels."""
    down, across = frequencies(images.shape[-1], images.device)
    return filtered(images, (-2 * (torch.pi * sigma.view(-1, 1, 1)) ** 2 * (down**2 + across**2)).exp())


def power_field(
    chance: Chance,
    slope: Tensor,
    side: int,
    longest: Tensor | None = None,
    *,
    stretch: float = 1.0,
    coarse: int = 1,
) -> Tensor:
    """Draw Gaussian random fields whose power falls as a power of the frequency.

    Parameters
    ----------
    chance : Chance
        Where they come from.
    slope : Tensor
        ``(N,)``: the power falls as ``f^-slope``.
    side : int
        Pixels.
    longest : Tensor, optional
        ``(N,)``, wavelength in pixels above which the power is flat; the side by default.
    stretch : float
        Largest ratio of wavelengths along two axes, which lie anywhere.
    coarse : int
        Pixels that share a value before it is smoothed out: saves time where there is no detail.

    Returns
    -------
    Tensor
        ``(N, side, side)``, each of mean 0 and variance 1.
    """
    longest = torch.full_like(slope, side) if longest is None else longest
    if coarse > 1:
        field = power_field(chance, slope, -(-side // coarse), longest / coarse, stretch=stretch)
        return functional.interpolate(field[:, None], (side, side), mode="bicubic", align_corners=True)[:, 0]
    n = len(slope)
    down, across = frequencies(side, chance.device)
    angle, ratio = chance.uniform(0, torch.pi, n, 1, 1), chance.log_uniform(1, stretch, n, 1, 1)
    along, athwart = angle.cos() * down + angle.sin() * across, angle.cos() * across - angle.sin() * down
    floor = 1 / longest.view(-1, 1, 1)
    power = along**2 * ratio + athwart**2 / ratio + floor**2
    # Nothing real is white up to the last pixel; what is would teach a network to keep noise.
    finest = (-2 * (torch.pi * FINEST) ** 2 * (down**2 + across**2)).exp()
    amplitude = power ** (-slope.view(-1, 1, 1) / 4) * finest
    amplitude[:, 0, 0] = 0
    waves = torch.view_as_complex(chance.normal(*amplitude.shape, 2)) * amplitude
    return scaled(torch.fft.irfft2(waves, s=(side, side)))


def scaled(fields: Tensor) -> Tensor:
    """Bring fields ``(N, ...)`` to mean 0 and variance 1, each."""
    flat = fields.flatten(1)
    flat = flat - flat.mean(dim=1, keepdim=True)
    return (flat * flat.square().mean(dim=1, keepdim=True).clamp(min=1e-18).rsqrt()).view(fields.shape)


def ramp(chance: Chance, n: int, side: int) -> Tensor:
    """Draw planes ``(N, side, side)`` that rise from about -1 to 1 in any direction."""
    line = torch.linspace(-1, 1, side, device=chance.device)
    angle = chance.uniform(0, 2 * torch.pi, n, 1, 1)
    return angle.sin() * line[:, None] + angle.cos() * line


def palette(chance: Chance, image: Tensor, images: int, channels: int) -> Tensor:
    """Draw a colour for each object.

    The objects of an image share a tint and a range of greys; their saturations have a long tail.

    Parameters
    ----------
    chance : Chance
        Where they come from.
    image : Tensor
        ``(L,)``, which image an object is in.
    images : int
        How many there are.
    channels : int
        1 or 3.

    Returns
    -------
    Tensor
        ``(L, channels)``, about within [0, 1].
    """
    few = chance.integers(2, 12, images)  # greys of images with few phases
    grey = chance.uniform(0, 1, len(image))
    steps = ((grey * few[image]).floor() + 0.5) / few[image] + 0.03 * chance.normal(len(image))
    grey = torch.where(chance.happens(0.4, images)[image], steps, grey)
    if channels == 1:
        return grey[:, None]
    axes = torch.tensor(OPPONENT, device=chance.device)
    spread = torch.tensor((0.10, 0.05), device=chance.device)
    vividness = chance.log_uniform(0.1, 2.5, images, 1)[image] * chance.log_uniform(0.3, 3, len(image), 1)
    tint = chance.normal(images, 2)[image] * spread * chance.uniform(0, 1, images, 1)[image]
    chroma = tint + spread * vividness * chance.normal(len(image), 2)
    return grey[:, None] * axes[0] + (0.3 + grey[:, None]) * (chroma @ axes[1:])
