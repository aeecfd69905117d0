"""Noise without end: kinds, combinations, strengths and grain sizes drawn anew for every image of a batch."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.settings.noise import NoiseKind, NoiseMixture

__all__ = ["Noisy", "sample_mixture"]

MIDDLE = 0.5  # grey, at which the strength is the standard deviation
REACH = 3.0  # standard deviations of the grain's Gaussian


class Noisy(NamedTuple):
    """Noisy images ``(N, C, H, W)``, and the strength and grain of each, ``(N, 1, 1, 1)``."""

    images: Tensor
    strength: Tensor
    grain: Tensor


def sample_mixture(mixture: NoiseMixture, clean: Tensor, generator: torch.Generator) -> Noisy:
    """Expose clean images ``(N, C, H, W)`` within [0, 1], each to noise of its own.

    The result is not cut off at black and white.
    """
    n = len(clean)
    strength, grain = _uniform(mixture.strength, n, generator), _uniform(mixture.grain, n, generator)
    parts = torch.rand(n, len(mixture.kinds), generator=generator, device=generator.device)
    single = functional.one_hot(parts.argmax(dim=1), len(mixture.kinds)).to(parts)
    both = torch.rand(n, 1, generator=generator, device=generator.device) < mixture.combined
    parts = torch.where(both, parts, single)
    parts = (parts / parts.norm(dim=1, keepdim=True)).to(clean.device)
    noisy = clean
    for kind, part in zip(mixture.kinds, parts.unbind(1), strict=True):
        noisy = add_noise(noisy, kind, strength.to(clean) * part.view(-1, 1, 1, 1), grain.to(clean), generator)
    return Noisy(noisy, strength.to(clean), grain.to(clean))


def _uniform(limits: tuple[float, float], count: int, generator: torch.Generator) -> Tensor:
    low, high = limits
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator, device=generator.device)


def add_noise(images: Tensor, kind: NoiseKind, strength: Tensor, grain: Tensor, generator: torch.Generator) -> Tensor:
    """Add one kind of noise to images ``(N, C, H, W)``; strength and grain are ``(N, 1, 1, 1)``."""
    match kind:
        case "gaussian":
            return images + strength * _field(images.shape, grain, generator).to(images)
        case "speckle":
            return images * (1 + strength / MIDDLE * _field(images.shape, grain, generator).to(images))
        case "poisson":
            return _poisson(images, strength, grain, generator)
        case "salt" | "salt-and-pepper":
            return _salt(images, kind, strength, grain, generator)


def _poisson(images: Tensor, strength: Tensor, grain: Tensor, generator: torch.Generator) -> Tensor:
    peak = MIDDLE / strength.square().clamp(min=1e-8)
    expected = images.clamp(min=0)
    fine = torch.poisson((expected * peak).to(generator.device), generator=generator).to(images) / peak
    # Coarse grain: counts that neighbours share are no longer whole numbers.
    coarse = expected + (expected / peak).sqrt() * _field(images.shape, grain, generator).to(images)
    exposed = torch.where(grain > 0, coarse, fine) + images - expected
    return torch.where(strength > 0, exposed, images)


def _salt(images: Tensor, kind: NoiseKind, strength: Tensor, grain: Tensor, generator: torch.Generator) -> Tensor:
    n, _, height, width = images.shape
    share = (strength / MIDDLE).square().clamp(max=1)
    field = _field((n, 1, height, width), grain, generator).to(images)
    hit = torch.special.ndtr(field) < share
    white = torch.ones_like(field)
    if kind == "salt-and-pepper":
        white = (_field(field.shape, grain, generator).to(images) > 0).to(images)
    return torch.where(hit, white, images)


def _field(shape: tuple[int, ...] | torch.Size, grain: Tensor, generator: torch.Generator) -> Tensor:
    """Draw normal noise of variance one, blurred by each image's grain."""
    n, channels, height, width = shape
    reach = ceil(REACH * float(grain.max()))
    size = (n, channels, height + 2 * reach, width + 2 * reach)
    field = torch.randn(size, generator=generator, device=generator.device)
    if not reach:
        return field
    axis = torch.arange(-reach, reach + 1, device=field.device)
    kernels = torch.exp(-0.5 * (axis / grain.view(-1, 1).clamp(min=1e-3).to(field.device)) ** 2)
    kernels = kernels / kernels.norm(dim=1, keepdim=True)  # the sum of squares keeps the variance
    rows = kernels.repeat_interleave(channels, 0)[:, None, None, :]
    field = functional.conv2d(field.flatten(0, 1)[None], rows, groups=n * channels)
    field = functional.conv2d(field, rows.transpose(2, 3), groups=n * channels)
    return field.view(n, channels, height, width)
