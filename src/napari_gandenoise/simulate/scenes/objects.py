"""Objects on the plane: stamped into images one window a piece, so that thousands of small ones cost little."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["ELLIPSE", "HEXAGON", "RECTANGLE", "Objects", "Stamp", "covering", "heap", "local", "nearest", "stamps"]

ELLIPSE, RECTANGLE, HEXAGON = 0, 1, 2
REACHES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)  # half windows, pixels
AT_ONCE = 2**21  # pixels of all windows
SIXTY_SINE = 3**0.5 / 2


class Objects(NamedTuple):
    """Shapes in a batch of images, later ones over earlier ones; all ``(L,)``."""

    image: Tensor
    y: Tensor
    x: Tensor
    radius: Tensor
    aspect: Tensor  #: of the two half axes, whose product is the radius squared
    angle: Tensor
    shape: Tensor


class Stamp(NamedTuple):
    """Windows about objects ``which``, ``(L,)``; all else is ``(L, K)``."""

    which: Tensor
    pixel: Tensor  #: place in the flattened batch; 0 outside
    inside: Tensor  #: whether the pixel is in the image
    dy: Tensor  #: pixels from the object
    dx: Tensor


def stamps(image: Tensor, y: Tensor, x: Tensor, reach: Tensor, side: int) -> Iterator[Stamp]:
    """Lay windows about points of a batch of images ``(N, side, side)``, those of like size together.

    Parameters
    ----------
    image, y, x : Tensor
        ``(L,)``, image and place in pixels.
    reach : Tensor
        ``(L,)``, pixels that a window must have to each side.
    side : int
        Pixels.
    """
    limits = torch.tensor(REACHES, device=reach.device, dtype=reach.dtype)
    classes = torch.bucketize(reach.clamp(max=REACHES[-1]), limits)
    for number, half in enumerate(REACHES):
        members = (classes == number).nonzero().flatten()
        if not len(members):
            continue
        axis = torch.arange(-half, half + 1, device=reach.device)
        oy, ox = (offset.flatten() for offset in torch.meshgrid(axis, axis, indexing="ij"))
        for which in members.split(max(1, AT_ONCE // len(oy))):
            row, column = y[which].round(), x[which].round()
            py, px = row[:, None].long() + oy, column[:, None].long() + ox
            inside = (py >= 0) & (py < side) & (px >= 0) & (px < side)
            pixel = torch.where(inside, (image[which][:, None] * side + py) * side + px, 0)
            dy, dx = oy + (row - y[which])[:, None], ox + (column - x[which])[:, None]
            yield Stamp(which, pixel, inside, dy, dx)


def local(objects: Objects, dy: Tensor, dx: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return coordinates along both half axes, in half axes, and how far out a point lies: 1 on the rim."""
    along, athwart = objects.radius * objects.aspect.sqrt(), objects.radius / objects.aspect.sqrt()
    u = (objects.angle.cos() * dx + objects.angle.sin() * dy) / along
    v = (objects.angle.cos() * dy - objects.angle.sin() * dx) / athwart
    au, av = u.abs(), v.abs()
    hexagon = torch.maximum(au, au / 2 + av * SIXTY_SINE)
    out = torch.where(objects.shape == RECTANGLE, torch.maximum(au, av), (u * u + v * v).sqrt())
    return u, v, torch.where(objects.shape == HEXAGON, hexagon, out)


def _broad(objects: Objects, which: Tensor) -> Objects:
    return Objects(*(field[which][:, None] for field in objects))


def _reach(objects: Objects) -> Tensor:
    ratio = torch.maximum(objects.aspect, 1 / objects.aspect).sqrt()
    corner = torch.where(objects.shape == ELLIPSE, 1.0, 2**0.5)
    return objects.radius * ratio * corner + 1


def covering(objects: Objects, images: int, side: int) -> Tensor:
    """Find the uppermost object at each pixel: its number from 1, or 0 where there is none, ``(N, side, side)``."""
    top = torch.zeros(images * side * side, dtype=torch.long, device=objects.y.device)
    for stamp in stamps(objects.image, objects.y, objects.x, _reach(objects), side):
        hit = (local(_broad(objects, stamp.which), stamp.dy, stamp.dx)[2] < 1) & stamp.inside
        number = (stamp.which + 1)[:, None].expand_as(hit)[hit]
        top.scatter_reduce_(0, stamp.pixel[hit], number, "amax")
    return top.view(images, side, side)


def heap(objects: Objects, height: Tensor, images: int, side: int) -> Tensor:
    """Add up the thickness of round objects of heights ``(L,)`` along the beam, ``(N, side, side)``."""
    total = torch.zeros(images * side * side, device=objects.y.device)
    for stamp in stamps(objects.image, objects.y, objects.x, _reach(objects), side):
        out = local(_broad(objects, stamp.which), stamp.dy, stamp.dx)[2]
        thickness = height[stamp.which][:, None] * (1 - out**2).clamp(min=0).sqrt() * stamp.inside
        total.scatter_add_(0, stamp.pixel.flatten(), thickness.flatten())
    return total.view(images, side, side)


def nearest(y: Tensor, x: Tensor, at_y: Tensor, at_x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the nearest of seeds.

    Parameters
    ----------
    y, x : Tensor
        ``(N, K)``, seeds.
    at_y, at_x : Tensor
        ``(N, S, S)``, points.

    Returns
    -------
    which, first, second : Tensor
        ``(N, S, S)``: its number, and the squared distances of it and of the next one.
    """
    which = torch.zeros_like(at_y, dtype=torch.long)
    first, second = torch.full_like(at_y, torch.inf), torch.full_like(at_y, torch.inf)
    for k in range(y.shape[1]):
        distance = (at_y - y[:, k, None, None]) ** 2 + (at_x - x[:, k, None, None]) ** 2
        second = torch.minimum(second, torch.maximum(first, distance))
        which.masked_fill_(distance < first, k)
        first = torch.minimum(first, distance)
    return which, first, second
