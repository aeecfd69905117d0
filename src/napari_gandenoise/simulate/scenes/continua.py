"""Scenes without objects: grains, pores, bend contours, gradients, textures."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_gandenoise.noise.chance import Chance
from napari_gandenoise.simulate.scenes.fields import palette, power_field, ramp
from napari_gandenoise.simulate.scenes.objects import nearest

__all__ = ["contours", "grains", "gradients", "layers", "pores", "textures"]

FAR = 1e6  # pixels: seeds that an image does not have


def grains(chance: Chance, n: int, side: int, channels: int) -> Tensor:
    """Draw a polycrystal, ``(n, channels, side, side)``: Voronoi cells with a grey of their own.

    Some grains stand in a Bragg condition and show fringes, or twin lamellae; boundaries are lines, or bare.
    """
    most = 48
    counts = chance.log_uniform(4, most, n)
    y, x = chance.uniform(-0.1, 1.1, 2, n, most) * side
    seed_y = torch.where(torch.arange(most, device=chance.device) < counts[:, None], y, FAR)
    line = torch.arange(side, device=chance.device, dtype=torch.float32)
    size = side / counts.view(-1, 1, 1).sqrt()
    bow = chance.uniform(0, 0.15, n, 1, 1) * size
    at_y = line[:, None] + bow * power_field(chance, chance.uniform(4.5, 7, n), side, size.flatten())
    at_x = line + bow * power_field(chance, chance.uniform(4.5, 7, n), side, size.flatten())
    flat = chance.log_uniform(0.6, 1.7, n, 1, 1)  # rolled metals have flat grains
    which, first, second = nearest(seed_y * flat[:, 0], x, at_y * flat, at_x)
    which = which + most * torch.arange(n, device=chance.device).view(-1, 1, 1)
    total = n * most
    image = torch.arange(n, device=chance.device).repeat_interleave(most)
    phase = chance.uniform(0, 2 * torch.pi, total)
    dy, dx = line[:, None] - y.flatten()[which], line - x.flatten()[which]
    run = phase.cos()[which] * dx + phase.sin()[which] * dy
    shade = _each(chance, 0.01, 0.15, image, n)[which] * run / size
    pitch = chance.log_uniform(3, 25, n)[image] * chance.uniform(0.8, 1.3, total)
    wave = (2 * torch.pi * run / pitch[which]).sin()
    twinned = chance.happens(0.4, n)[image]
    wave = torch.where(twinned[which], (wave - 0.3).sign(), wave)
    lined = chance.happens(0.5, n)[image] & chance.happens(0.3, total)
    shade = shade + (_each(chance, 0.05, 0.3, image, n) * lined)[which] * wave
    texture = power_field(chance, chance.uniform(1, 3, n), side, longest=chance.log_uniform(6, side / 2, n))
    shade = shade + _each(chance, 0.005, 0.1, image, n)[which] * texture
    gap = (second.sqrt() - first.sqrt()) / chance.log_uniform(1, 4, n, 1, 1)
    edge = chance.uniform(-0.6, 0.4, n, 1, 1) * chance.happens(0.7, n, 1, 1) * (-(gap**2)).exp()
    colour = palette(chance, image, n, channels)[which]
    return _laid(colour, shade, edge)


def _laid(colour: Tensor, shade: Tensor, lines: Tensor) -> Tensor:
    """Shade colours ``(N, S, S, C)`` and lay lines over them, ``(N, C, S, S)``."""
    shade, lines = shade[..., None], lines[..., None]
    return (colour * (1 + shade) + 0.25 * shade + lines).movedim(-1, 1)


def _each(chance: Chance, least: float, most: float, image: Tensor, n: int) -> Tensor:
    strengths: Tensor = chance.log_uniform(least, most, n)[image] * chance.normal(len(image))
    return strengths


def pores(chance: Chance, n: int, side: int) -> Tensor:
    """Draw a porous body or a two-phase mixture, ``(n, side, side)``: a random field cut at a level."""
    longest = chance.log_uniform(side / 25, side / 3, n)
    field = power_field(chance, chance.uniform(6, 14, n), side, longest, stretch=2.0)
    depth = field - chance.uniform(-1.2, 1.2, n, 1, 1)
    steep = longest.view(-1, 1, 1) / (2 * torch.pi)  # pixels in which the field changes by about one
    body = torch.sigmoid(depth * steep / chance.log_uniform(0.3, 1.5, n, 1, 1))
    rim = chance.uniform(-0.1, 0.5, n, 1, 1) * (-((depth * steep / chance.log_uniform(0.7, 4, n, 1, 1)) ** 2)).exp()
    inside = 0.5 * chance.uniform(0, 1, n, 1, 1) * torch.tanh(-depth)
    skin = chance.log_uniform(0.01, 0.1, n, 1, 1) * power_field(chance, chance.uniform(1, 3, n), side)
    return (
        body * (0.7 + chance.uniform(-0.2, 0.2, n, 1, 1) * depth + skin) + (1 - body) * (0.3 - inside + skin / 2) + rim
    )


def contours(chance: Chance, n: int, side: int) -> Tensor:
    """Draw a bent foil in bright field, ``(n, side, side)``: bend contours, thickness fringes and a hole.

    Intensity falls where planes pass through their Bragg angle, by a rocking curve ``sin²(s)/s²`` of the local tilt.
    """
    tilt = chance.uniform(0, 3, n, 1, 1) * ramp(chance, n, side) + _smooth(chance, n, side)
    scene = 1 + 0.1 * power_field(chance, chance.uniform(3, 4, n), side)
    for number in range(7):
        width = chance.log_uniform(0.015, 0.15, n, 1, 1)
        depth = chance.uniform(0.05, 0.6, n, 1, 1) * chance.happens(1.0 if number < 2 else 0.5, n, 1, 1)
        scene = scene * (1 - depth * torch.sinc((tilt - chance.uniform(-2, 2, n, 1, 1)) / width / torch.pi) ** 2)
    thickness = chance.uniform(0.3, 2, n, 1, 1) + ramp(chance, n, side) + 0.2 * _smooth(chance, n, side)
    extinction = chance.log_uniform(0.1, 0.6, n, 1, 1)
    fringes = (2 * torch.pi * thickness / extinction).cos() * (-thickness.clamp(min=0) / (3 * extinction)).exp()
    scene = scene * (-0.4 * thickness.clamp(min=0)).exp() * (1 - 0.35 * chance.happens(0.6, n, 1, 1) * fringes)
    grain = chance.log_uniform(0.003, 0.05, n, 1, 1) * power_field(chance, chance.uniform(0, 2, n), side)
    return torch.where(thickness > 0, scene + grain, 1.1 + chance.uniform(0, 0.3, n, 1, 1))


def _smooth(chance: Chance, n: int, side: int) -> Tensor:
    """Draw fields without any roughness: bent foils, boundaries."""
    longest = chance.log_uniform(side / 3, 2 * side, n)
    return power_field(chance, chance.uniform(6, 10, n), side, longest, coarse=2)


def layers(chance: Chance, n: int, side: int, channels: int) -> Tensor:
    """Draw cross-sections of layered films, ``(n, channels, side, side)``: interfaces smooth, rough or with teeth."""
    most = 12
    counts = chance.log_uniform(3, most, n)
    line = torch.linspace(-0.5, 0.5, side, device=chance.device)
    angle = chance.normal(n, 1, 1) * 0.1 + torch.pi / 2 * chance.integers(0, 4, n, 1, 1)
    angle = torch.where(chance.happens(0.4, n, 1, 1), chance.uniform(0, 2 * torch.pi, n, 1, 1), angle)
    depth, along = (
        angle.cos() * line[:, None] + angle.sin() * line,
        angle.cos() * line - angle.sin() * line[:, None],
    )
    place = (chance.uniform(-0.6, 0.6, n, most)).sort(dim=1).values
    place = torch.where(torch.arange(most, device=chance.device) < counts[:, None], place, FAR)
    rough = [
        power_field(chance, chance.uniform(3, 6, n), side, chance.log_uniform(side / 20, side, n)) for _ in range(2)
    ]
    roughness = chance.log_uniform(0.0005, 0.03, n, 1, 1)
    pitch = chance.log_uniform(0.05, 0.4, n, 1, 1)
    teeth = torch.sigmoid(((2 * torch.pi * along / pitch).cos() - chance.uniform(-0.6, 0.6, n, 1, 1)) * 20)
    teeth = teeth * chance.uniform(0.02, 0.25, n, 1, 1) * chance.happens(0.3, n, 1, 1)
    toothed = chance.integers(0, most, n)
    which = torch.zeros(n, side, side, dtype=torch.long, device=chance.device)
    line_at = torch.zeros(n, side, side, device=chance.device)
    width = chance.log_uniform(0.8, 4, n, 1, 1) / side
    for number in range(most):
        level = place[:, number, None, None] + roughness * rough[number % 2] * (0.5 + (number % 3) / 2)
        gap = depth - level - teeth * (toothed == number).view(-1, 1, 1)
        which += gap > 0
        line_at = torch.maximum(line_at, (-((gap / width) ** 2)).exp())
    image = torch.arange(n, device=chance.device).repeat_interleave(most + 1)
    which = which + (most + 1) * torch.arange(n, device=chance.device).view(-1, 1, 1)
    texture = power_field(chance, chance.uniform(1, 3, n), side, chance.log_uniform(6, side / 2, n), stretch=3.0)
    shade = _each(chance, 0.005, 0.12, image, n)[which] * texture
    line_at = line_at * chance.uniform(-0.5, 0.5, n, 1, 1) * chance.happens(0.5, n, 1, 1)
    colour = palette(chance, image, n, channels)[which]
    return _laid(colour, shade, line_at)


def gradients(chance: Chance, n: int, side: int, channels: int) -> Tensor:
    """Draw smooth changes, ``(n, channels, side, side)``."""
    parts = []
    for share in (1.0, 0.4, 0.4)[:channels]:
        longest = chance.log_uniform(side / 6, side * 2, n)
        slow = power_field(chance, chance.uniform(3.5, 6, n), side, longest, coarse=2)
        parts.append(share * (ramp(chance, n, side) + chance.uniform(0, 1, n, 1, 1) * slow))
    return _opponent(torch.stack(parts, dim=1))


def textures(chance: Chance, n: int, side: int, channels: int) -> Tensor:
    """Draw fields with power-law spectra, ``(n, channels, side, side)``: as they are, or bent into ridges and cells."""
    parts = []
    for share in (1.0, 0.3, 0.2)[:channels]:
        field = power_field(chance, chance.uniform(1.2, 4, n), side, chance.log_uniform(10, 2 * side, n), stretch=5.0)
        cells = torch.tanh(2 * field + chance.normal(n, 1, 1))
        bent = torch.stack([field, (0.6 * field).exp(), -field.abs(), cells, field.abs().sqrt()])
        parts.append(share * bent[chance.integers(0, len(bent), n), torch.arange(n, device=chance.device)])
    return _opponent(torch.stack(parts, dim=1))


def _opponent(parts: Tensor) -> Tensor:
    """Turn brightness and two differences of colour ``(N, 3, S, S)`` into red, green and blue; grey stays."""
    if parts.shape[1] == 1:
        return parts
    light, warm, green = parts.unbind(1)
    return torch.stack([light + warm - green / 2, light + green, light - warm - green / 2], dim=1)
