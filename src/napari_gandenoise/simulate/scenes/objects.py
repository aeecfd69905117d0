"""Objects on the plane: stamped into images one window a piece, so that thousands of small ones cost little."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "ELLIPSE",
    "HEXAGON",
    "RECTANGLE",
    "Objects",
    "Stamp",
    "covering",
    "heap",
    "local",
    "nearest",
    "objects_of",
    "stamps",
]

SHAPES = ELLIPSE, RECTANGLE, HEXAGON = 0, 1, 2
REACHES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)  # half windows, pixels
AT_ONCE = 2**21  # pixels of all windows
SINE_60 = 3**0.5 / 2


class Objects(NamedTuple):
    """Shapes in a batch of images, later ones over earlier ones; all ``(L,)``."""

    image: Tensor
    y: Tensor
    x: Tensor
    radius: Tensor  #: geometric mean of the half axes
    reach: Tensor  #: pixels from the middle to the farthest point
    shape: Tensor
    u_y: Tensor  #: how the two coordinates in half axes follow from pixels
    u_x: Tensor
    v_y: Tensor
    v_x: Tensor


def objects_of(image: Tensor, place: Tensor, radius: Tensor, aspect: Tensor, angle: Tensor, shape: Tensor) -> Objects:
    """Make objects of ``place`` ``(2, L)``, down and across; ``aspect`` is that of their half axes."""
    along, athwart = radius * aspect.sqrt(), radius / aspect.sqrt()
    corner = torch.where(shape == ELLIPSE, 1.0, 2**0.5)
    cosine, sine = angle.cos(), angle.sin()
    farthest = torch.maximum(along, athwart) * corner + 0.5
    y, x = place
    return Objects(
        image, y, x, radius, farthest, shape, sine / along, cosine / along, cosine / athwart, -sine / athwart
    )


class Stamp(NamedTuple):
    """Windows about points ``which``, ``(L,)``."""

    which: Tensor
    pixel: Tensor  #: ``(L, K, K)``, place in the flattened batch; some border pixel of the image where it is outside
    in_y: Tensor  #: ``(L, K, 1)``, whether the row is in the image
    in_x: Tensor  #: ``(L, 1, K)``, whether the column is
    dy: Tensor  #: ``(L, K, 1)``, pixels from the point
    dx: Tensor  #: ``(L, 1, K)``


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
        for which in members.split(max(1, AT_ONCE // len(axis) ** 2)):
            row, column = y[which].round(), x[which].round()
            rows, columns = row.long()[:, None, None] + axis[:, None], column.long()[:, None, None] + axis
            down, across = rows.clamp(0, side - 1), columns.clamp(0, side - 1)
            pixel = (image[which].view(-1, 1, 1) * side + down) * side + across
            dy, dx = rows - y[which].view(-1, 1, 1), columns - x[which].view(-1, 1, 1)
            yield Stamp(which, pixel, rows == down, columns == across, dy, dx)


def _outwards(u: Tensor, v: Tensor, shape: int) -> Tensor:
    """Tell how far out a point lies: 1 on the rim."""
    if shape == ELLIPSE:
        return (u * u + v * v).sqrt()
    if shape == RECTANGLE:
        return torch.maximum(u.abs(), v.abs())
    return torch.maximum(u.abs(), u.abs() / 2 + v.abs() * SINE_60)


def local(objects: Objects, dy: Tensor, dx: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return coordinates along both half axes, in half axes, and how far out a point lies: 1 on the rim."""
    u, v = objects.u_y * dy + objects.u_x * dx, objects.v_y * dy + objects.v_x * dx
    ellipse, rectangle, hexagon = (_outwards(u, v, shape) for shape in SHAPES)
    out = torch.where(objects.shape == RECTANGLE, rectangle, ellipse)
    return u, v, torch.where(objects.shape == HEXAGON, hexagon, out)


def _stamped(objects: Objects, side: int) -> Iterator[tuple[Stamp, Tensor]]:
    """Yield windows of all objects, with how far out in its object each pixel lies."""
    for shape in SHAPES:
        members = (objects.shape == shape).nonzero().flatten()
        same = Objects(*(field[members] for field in objects))
        for stamp in stamps(same.image, same.y, same.x, same.reach, side):
            u_y, u_x, v_y, v_x = (field[stamp.which].view(-1, 1, 1) for field in same[-4:])
            out = _outwards(u_y * stamp.dy + u_x * stamp.dx, v_y * stamp.dy + v_x * stamp.dx, shape)
            yield stamp._replace(which=members[stamp.which]), out


def covering(objects: Objects, images: int, side: int) -> Tensor:
    """Find the uppermost object at each pixel: its number from 1, or 0 where there is none, ``(N, side, side)``."""
    top = torch.zeros(images * side * side, dtype=torch.long, device=objects.y.device)
    for stamp, out in _stamped(objects, side):
        hit = (out < 1) & stamp.in_y & stamp.in_x
        number = torch.where(hit, (stamp.which + 1).view(-1, 1, 1), 0)
        top.scatter_reduce_(0, stamp.pixel.flatten(), number.flatten(), "amax")
    return top.view(images, side, side)


def heap(objects: Objects, height: Tensor, images: int, side: int) -> Tensor:
    """Add up the thickness of objects of heights ``(L,)`` along the beam, ``(N, side, side)``: round ones are domes."""
    total = torch.zeros(images * side * side, device=objects.y.device)
    for stamp, out in _stamped(objects, side):
        thickness = (1 - out**2).clamp(min=0).sqrt() * stamp.in_y * stamp.in_x
        total.scatter_add_(0, stamp.pixel.flatten(), (height[stamp.which].view(-1, 1, 1) * thickness).flatten())
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
