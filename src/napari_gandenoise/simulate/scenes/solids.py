"""Scenes of objects: dead leaves, particles, fibres."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_gandenoise.noise.chance import Chance
from napari_gandenoise.simulate.scenes.fields import blur, palette, power_field, ramp
from napari_gandenoise.simulate.scenes.objects import (
    ELLIPSE,
    HEXAGON,
    RECTANGLE,
    Objects,
    covering,
    heap,
    local,
    objects_of,
)

__all__ = ["fibres", "leaves", "particles"]

LAYERS = 4.0  # leaves over each point in the mean: one in fifty is left bare
MOST_LEAVES = 4000
BEYOND = 0.15  # of the side: objects lie that far outside too
SIZES = 3.0  # exponent of the density of radii that makes images scale-invariant


def leaves(chance: Chance, n: int, side: int, channels: int) -> Tensor:
    """Draw dead leaves: opaque shapes over each other whose radii follow ``r^-3``.

    Such images have the scale invariance, edges and occlusions of natural ones (Lee, Mumford and Huang, International
    Journal of Computer Vision 41, 35 (2001)).  Here leaves have shading, texture and stripes as well.

    Parameters
    ----------
    chance : Chance
        Where they come from.
    n, side, channels : int
        How many images, of how many pixels, in grey (1) or colour (3).

    Returns
    -------
    Tensor
        ``(n, channels, side, side)``.
    """
    smallest, largest = chance.log_uniform(2, 12, n), chance.uniform(0.15, 0.6, n) * side
    area = 2 * torch.pi * (largest / smallest).log() / (smallest**-2 - largest**-2)
    counts = (LAYERS * (side * (1 + 2 * BEYOND)) ** 2 / area).clamp(20, MOST_LEAVES).long()
    image = torch.arange(n, device=chance.device).repeat_interleave(counts)
    radius = chance.power_law(smallest[image], largest[image], SIZES)
    objects = _scattered(chance, image, radius, side, n)
    return _painted(chance, objects, covering(objects, n, side), palette(chance, image, n, channels))


def _scattered(chance: Chance, image: Tensor, radius: Tensor, side: int, n: int, stretch: float = 2.5) -> Objects:
    count = len(image)
    place = chance.uniform(-BEYOND, 1 + BEYOND, 2, count) * side
    most = chance.log_uniform(1, stretch, n)[image]
    aspect = most ** chance.uniform(-1, 1, count)
    common = chance.integers(ELLIPSE, HEXAGON + 1, n)[image]
    shape = torch.where(chance.happens(0.5, n)[image], common, chance.integers(ELLIPSE, RECTANGLE + 1, count))
    return objects_of(image, place, radius, aspect, chance.uniform(0, torch.pi, count), shape)


def _painted(chance: Chance, objects: Objects, top: Tensor, colour: Tensor) -> Tensor:
    """Give visible objects their colour, shading, bulge, texture and stripes."""
    count, (n, side, _) = len(objects.y), top.shape
    at = (top - 1).clamp(min=0)
    seen = Objects(*(field[at] for field in objects))
    line = torch.arange(side, device=top.device)
    dy, dx = line[:, None] - seen.y, line - seen.x
    out = local(seen, dy, dx)[2].clamp(max=1)

    def varied(least: float, most: float) -> Tensor:
        """Draw a strength for each image, and about it for each object."""
        return chance.log_uniform(least, most, n)[objects.image] * chance.normal(count)

    shade = varied(0.01, 0.3)[at] * (0.5 - out**2)
    slope = varied(0.02, 0.3) / objects.radius
    shade = shade + _run(chance, slope, at, dy, dx).clamp(-0.5, 0.5)
    texture = power_field(chance, chance.uniform(1, 3, n), side, longest=chance.log_uniform(6, side, n)).flatten()
    pixel = torch.arange(n * side * side, device=top.device).view(n, side, side)
    other = (pixel + chance.integers(0, side * side, count)[at]) % len(texture)  # each has its own piece of texture
    shade = shade + varied(0.01, 0.15)[at] * texture[other]
    frequency = 2 * torch.pi / chance.log_uniform(3, 20, count)
    striped = varied(0.05, 0.3) * chance.happens(0.1, count)
    shade = shade + striped[at] * _run(chance, frequency, at, dy, dx).sin()
    return (colour[at] * (1 + shade[..., None]) + 0.2 * shade[..., None]).movedim(-1, 1)


def _run(chance: Chance, slope: Tensor, at: Tensor, dy: Tensor, dx: Tensor) -> Tensor:
    """Draw a direction for each object, and return what rises along it by ``slope`` a pixel."""
    turn = chance.uniform(0, 2 * torch.pi, len(slope))
    return (slope * turn.sin())[at] * dy + (slope * turn.cos())[at] * dx


def particles(chance: Chance, n: int, side: int) -> Tensor:
    """Draw particles on a film, ``(n, side, side)``: as an SEM sees them, in bright field or in dark field.

    Secondary electrons leave slopes more easily: rims are bright, and gaps are in shadow.  Transmission projects the
    thickness; diffraction makes some particles darker than others.
    """
    counts = chance.log_uniform(4, 400, n)
    typical = side * (chance.uniform(0.05, 0.7, n) / (torch.pi * counts)).sqrt()
    image = torch.arange(n, device=chance.device).repeat_interleave(counts.long())
    spread = chance.uniform(0.05, 0.6, n)[image]
    radius = (typical[image] * (spread * chance.normal(len(image))).exp()).clamp(1.2, side / 2)
    objects = _clustered(chance, _scattered(chance, image, radius, side, n, stretch=2.0), n, side)
    top = covering(objects, n, side)
    at = (top - 1).clamp(min=0)
    covered = (top > 0).float()
    line = torch.arange(side, device=chance.device)
    seen = Objects(*(field[at] for field in objects))
    dy, dx = line[:, None] - seen.y, line - seen.x
    out = local(seen, dy, dx)[2].clamp(max=1)
    film = _film(chance, n, side)
    grey = chance.uniform(0.3, 0.6, n, 1, 1) + (0.12 * chance.normal(len(image)))[at]
    light = chance.uniform(0, 2 * torch.pi, n, 1, 1)
    slope = 1 / ((1 - out**2).clamp(min=0).sqrt() + chance.uniform(0.2, 0.6, n, 1, 1)) - 1
    lit = (light.cos() * dx + light.sin() * dy) / seen.radius
    surface = grey + chance.uniform(0.05, 0.4, n, 1, 1) * slope + chance.uniform(0, 0.2, n, 1, 1) * lit
    surface = surface + chance.log_uniform(0.005, 0.06, n, 1, 1) * power_field(
        chance, chance.uniform(0.5, 2.5, n), side
    )
    shadow = chance.uniform(0.1, 0.8, n, 1, 1) * blur(covered, typical * chance.uniform(0.2, 1.0, n))
    secondary = torch.where(top > 0, surface, (0.3 + 0.4 * film) * (1 - shadow))
    height = objects.radius / typical[image] * (0.4 * chance.normal(len(image))).exp()
    thickness = heap(objects, height, n, side)
    rim = chance.uniform(-0.6, 0.6, n, 1, 1) * (covered - blur(covered, chance.uniform(0.8, 2.5, n)))
    bright = (-chance.log_uniform(0.15, 1.5, n, 1, 1) * thickness).exp() * (1 + 0.25 * film) + rim * 0.3
    dark = thickness + chance.log_uniform(0.02, 0.5, n, 1, 1) * film
    views = torch.stack([secondary, bright, dark])
    view = (chance.integers(0, 4, n) - 1).clamp(min=0)  # every other image is of secondary electrons
    return views[view, torch.arange(n, device=chance.device)]


def _clustered(chance: Chance, objects: Objects, n: int, side: int) -> Objects:
    """Draw the objects of some images together into a few heaps."""
    heaps, count = 5, len(objects.y)
    centre = chance.uniform(0, side, 2, n, heaps)[:, objects.image, chance.integers(0, heaps, count)]
    width = chance.uniform(0.05, 0.2, n)[objects.image] * side
    y, x = centre + width * chance.normal(2, count)
    together = (chance.happens(0.3, n)[objects.image]) & chance.happens(0.8, count)
    return objects._replace(y=torch.where(together, y, objects.y), x=torch.where(together, x, objects.x))


def _film(chance: Chance, n: int, side: int) -> Tensor:
    """Draw a carbon film: grainy, with a slow change of thickness."""
    grain = power_field(chance, chance.uniform(1, 3, n), side, longest=chance.log_uniform(5, 80, n))
    slow = power_field(chance, chance.uniform(3, 4, n), side) + ramp(chance, n, side)
    return chance.log_uniform(0.01, 0.15, n, 1, 1) * grain + chance.uniform(0, 0.2, n, 1, 1) * slow


def fibres(chance: Chance, n: int, side: int) -> Tensor:
    """Draw curved fibres over each other, ``(n, side, side)``, with rims as an SEM shows them or as ribbons."""
    most = 28
    counts = chance.log_uniform(3, most, n)
    line = torch.arange(side, device=chance.device) - side / 2
    y, x = line[None, :, None], line[None, None, :]
    scene = 0.25 + 0.5 * _film(chance, n, side)
    width = chance.log_uniform(1.2, side / 10, n, 1, 1)
    mean, spread = chance.uniform(0, torch.pi, n, 1, 1), chance.uniform(0.05, 2, n, 1, 1)
    hollow, deep = chance.uniform(0, 0.6, n, 1, 1), chance.uniform(0.1, 0.7, n, 1, 1)
    for number in range(most):
        angle = mean + spread * chance.normal(n, 1, 1)
        along, across = angle.cos() * x + angle.sin() * y, angle.cos() * y - angle.sin() * x
        wave = chance.log_uniform(0.7, 4, n, 1, 1) * side
        phase = 2 * torch.pi * (along / wave + chance.uniform(0, 1, n, 1, 1))
        bend = chance.uniform(0, 0.12, n, 1, 1) * side * phase.sin()
        own = width * (0.3 * chance.normal(n, 1, 1)).exp()
        out = (across + bend - chance.uniform(-0.7, 0.7, n, 1, 1) * side) / own
        round_ = (1 - out**2).clamp(min=0).sqrt()
        lit = chance.uniform(0.4, 0.8, n, 1, 1) + hollow * (1 / (round_ + 0.3) - 1.3) + 0.1 * out
        there = number < counts.view(-1, 1, 1)
        shaded = scene * (1 - there * deep * (-((out.abs() - 1).clamp(min=0) * 2)).exp())
        covered = ((1 - out.abs()) * own + 0.5).clamp(0, 1) * there  # part of the pixel
        scene = shaded + covered * (lit - shaded)
    return scene
