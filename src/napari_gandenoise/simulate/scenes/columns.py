"""Scenes of atom columns without an atomic structure: any plane lattice, any decoration, defects, edges, contrast."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from napari_gandenoise.noise.chance import Chance
from napari_gandenoise.simulate.scenes.fields import blur, filtered, frequencies, power_field, ramp, scaled
from napari_gandenoise.simulate.scenes.objects import stamps

__all__ = ["columns", "fringes"]

CRYSTALS = 2  # in an image at most
SITES = 4  # columns of a unit cell at most
# Positions that symmetry favours, in parts of the lattice vectors.
SPECIAL = ((1 / 2, 1 / 2), (1 / 2, 0.0), (0.0, 1 / 2), (1 / 3, 2 / 3), (2 / 3, 1 / 3), (1 / 4, 1 / 4), (3 / 4, 3 / 4))
CLOSEST = 0.22  # of the period: columns nearer to each other than the two of a dumbbell do not occur
SHARPEST = 0.5  # pixels, standard deviation of a column
REACH = 3.3  # standard deviations of a column that are drawn


class _Cells(NamedTuple):
    """Unit cells: the two lattice vectors and what is in them, of each crystal of each image."""

    period: Tensor  #: ``(N,)``, shortest lattice vector of an image, pixels
    vectors: Tensor  #: ``(N, CRYSTALS, 2, 2)``: vector, then down and across
    sites: Tensor  #: ``(N, SITES, 2)``, parts of the vectors
    light: Tensor  #: ``(N, SITES)``, 0 where there is no column
    width: Tensor  #: ``(N, SITES)``, pixels


def columns(chance: Chance, n: int, side: int, period: tuple[float, float]) -> Tensor:
    """Draw columns as an annular dark-field detector sees them, ``(n, side, side)``.

    Peaks stand on the tails of the probe and on a background that follows the thickness; species differ in brightness.
    """
    cells = _cells(chance, n, period)
    support, thickness = _support(chance, n, side)
    peaks = _drawn(chance, cells, support, thickness)
    tails = chance.uniform(0, 0.5, n, 1, 1)
    image = (1 - tails) * peaks + tails * blur(peaks, cells.period * chance.uniform(0.3, 1.2, n))
    strongest = image.flatten(1).amax(dim=1).view(-1, 1, 1).clamp(min=1e-6)
    ground = blur(support, chance.log_uniform(0.5, 3, n)) * thickness * chance.uniform(0, 0.6, n, 1, 1)
    film = power_field(chance, chance.uniform(1, 3, n), side, longest=chance.log_uniform(5, 80, n))
    film = chance.log_uniform(0.003, 0.08, n, 1, 1) * film + chance.uniform(0, 0.15, n, 1, 1) * ramp(chance, n, side)
    return image / strongest + ground + film


def fringes(chance: Chance, n: int, side: int, period: tuple[float, float]) -> Tensor:
    """Draw columns and amorphous matter in phase contrast, ``(n, side, side)``.

    A weak phase object through a lens: the projected potential is multiplied by ``sin χ`` in Fourier space, with a
    defocus that puts its first zero near the lattice's frequencies (Spence, High-Resolution Electron Microscopy, 4th
    edition, section 4.3).  Atoms come out black or white, fringes run out over edges, amorphous films show grain.
    """
    cells = _cells(chance, n, period)
    support, thickness = _support(chance, n, side)
    peaks = _drawn(chance, cells, support, thickness)
    crystal = scaled(peaks) + chance.uniform(0, 2, n, 1, 1) * blur(support, cells.period / 4) * thickness
    film = torch.where(chance.happens(0.5, n, 1, 1), support, torch.ones_like(support))
    amorphous = chance.log_uniform(0.05, 1.5, n, 1, 1) * film * chance.normal(n, side, side)
    down, across = frequencies(side, chance.device)
    squared = down**2 + across**2
    zero = chance.log_uniform(0.6, 3, n, 1, 1) / cells.period.view(-1, 1, 1)
    limit = torch.maximum(chance.log_uniform(1.2, 3, n, 1, 1) / cells.period.view(-1, 1, 1), zero).clamp(max=0.4)
    phase = torch.pi * squared / zero**2 + chance.uniform(0.05, 0.4, n, 1, 1)  # the constant is amplitude contrast
    envelope = (-((squared / limit**2) ** 2)).exp()
    slow = 0.3 * chance.uniform(0, 1, n, 1, 1) * power_field(chance, chance.uniform(3, 4, n), side, coarse=2)
    return scaled(filtered(crystal + amorphous, phase.sin() * envelope)) + slow


def _cells(chance: Chance, n: int, period: tuple[float, float]) -> _Cells:
    """Draw lattices of the five Bravais types of the plane and decorate them."""
    length = chance.log_uniform(*period, n)
    kind = chance.integers(0, 5, n)  # square, hexagonal, rectangular, oblique, centred rectangular
    ratio = torch.where(kind < 2, 1.0, chance.uniform(1, 1.9, n))
    between = torch.tensor([90.0, 60.0, 90.0, 0.0, 90.0], device=chance.device)[kind]
    between = torch.where(kind == 3, chance.uniform(62, 118, n), between).deg2rad()
    turn = chance.uniform(0, torch.pi, n, CRYSTALS)
    turn = torch.where(chance.happens(0.3, n, 1), turn[:, :1] + 0.2 * turn, turn)  # boundaries of small angle
    turn = torch.where(chance.happens(0.25, n, 1), 0.02 * (turn - torch.pi / 2), turn)  # aligned with the scan
    first = length.view(-1, 1, 1) * torch.stack([turn.sin(), turn.cos()], dim=-1)
    second = (length * ratio).view(-1, 1, 1) * torch.stack(
        [(turn + between[:, None]).sin(), (turn + between[:, None]).cos()], dim=-1
    )
    sites = torch.tensor(SPECIAL, device=chance.device)[chance.integers(0, len(SPECIAL), n, SITES)]
    sites = torch.where(chance.happens(0.25, n, SITES, 1), chance.uniform(0, 1, n, SITES, 2), sites)
    sites[:, 0] = 0
    sites[:, 1] = torch.where((kind == 4)[:, None], 0.5, sites[:, 1])
    pair = chance.uniform(0.2, 0.35, n, 1) * torch.tensor([1.0, 0.0], device=chance.device)
    sites[:, 2] = torch.where(chance.happens(0.2, n, 1), pair, sites[:, 2])  # a dumbbell
    present = torch.arange(SITES, device=chance.device) < chance.integers(1, SITES + 1, n, 1)
    present[:, 1] |= kind == 4
    present &= _apart(sites, torch.stack([first[:, 0], second[:, 0]], dim=1), length, present)
    light = torch.where(chance.happens(0.4, n, 1), 1.0, chance.log_uniform(0.08, 1, n, SITES)) * present
    light[:, 1] = torch.where(kind == 4, light[:, 0], light[:, 1])
    width = length[:, None] * chance.log_uniform(0.07, 0.24, n, 1) * chance.uniform(0.85, 1.2, n, SITES)
    return _Cells(length, torch.stack([first, second], dim=2), sites, light, width.clamp(min=SHARPEST))


def _apart(sites: Tensor, vectors: Tensor, length: Tensor, present: Tensor) -> Tensor:
    """Tell which sites keep their distance to all earlier ones and their images in neighbouring cells."""
    keep = present.clone()
    for late in range(1, SITES):
        for early in range(late):
            gap = sites[:, late] - sites[:, early]
            gap = gap - gap.round()
            steps = torch.tensor([[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1)], device=sites.device)
            distance = ((gap[:, None] + steps) @ vectors).norm(dim=-1).amin(dim=1)
            keep[:, late] &= ~keep[:, early] | (distance > CLOSEST * length * 0.9)
    return keep


def _support(chance: Chance, n: int, side: int) -> tuple[Tensor, Tensor]:
    """Draw where the crystal is, within edges that are straight, ragged or round, and its relative thickness."""
    line = torch.linspace(-1, 1, side, device=chance.device)
    y, x = line[:, None] - chance.uniform(-0.5, 0.5, n, 1, 1), line - chance.uniform(-0.5, 0.5, n, 1, 1)
    slope = power_field(chance, chance.uniform(3.5, 6, n), side, coarse=2)
    edge = ramp(chance, n, side) + chance.uniform(-0.2, 0.9, n, 1, 1) + chance.uniform(0, 0.15, n, 1, 1) * slope
    angle = torch.atan2(y, x)
    facets = chance.integers(3, 9, n, 1, 1)
    facet = (angle + chance.uniform(0, 6, n, 1, 1)).remainder(2 * torch.pi / facets) - torch.pi / facets
    out = (y**2 + x**2).sqrt() * torch.where(chance.happens(0.7, n, 1, 1), facet.cos(), 1.0)
    grain = chance.uniform(0.3, 0.9, n, 1, 1) - out + chance.uniform(0, 0.05, n, 1, 1) * slope
    kind = chance.uniform(0, 1, n, 1, 1)
    inner = torch.where(kind < 0.5, torch.ones_like(edge), torch.where(kind < 0.75, edge, grain))
    wedge = 1 + chance.uniform(0, 0.4, n, 1, 1) * ramp(chance, n, side)
    wedge = wedge + chance.uniform(0, 0.25, n, 1, 1) * power_field(chance, chance.uniform(3, 5, n), side, coarse=4)
    thinning = (inner / chance.log_uniform(0.05, 2, n, 1, 1)).clamp(0, 1) ** 0.5
    return (inner > 0).float(), wedge.clamp(min=0.15) * torch.where(kind < 0.5, 1.0, thinning)


def _drawn(chance: Chance, cells: _Cells, support: Tensor, thickness: Tensor) -> Tensor:
    """Stamp all columns of all crystals, with strain, vacancies, other species and thickness."""
    n, side, _ = support.shape
    image, site, y, x = _places(chance, cells, side)
    row, column = y.round().long().clamp(0, side - 1), x.round().long().clamp(0, side - 1)
    here = (image * side + row) * side + column
    strain = (chance.uniform(0, 0.08, n) * chance.happens(0.6, n) * cells.period)[image]
    random = (chance.uniform(0, 0.03, n) * cells.period)[image]
    fields = [power_field(chance, chance.uniform(3.5, 5, n), side, coarse=4).flatten()[here] for _ in range(2)]
    y, x = (at + strain * field + random * chance.normal(len(y)) for at, field in zip((y, x), fields, strict=True))
    vacant = chance.uniform(0, 1, len(y)) < (chance.uniform(0, 0.04, n) * chance.happens(0.4, n))[image]
    foreign = chance.uniform(0, 1, len(y)) < (chance.uniform(0, 0.06, n) * chance.happens(0.4, n))[image]
    light = cells.light[image, site] * thickness.flatten()[here] * support.flatten()[here] * ~vacant
    light = torch.where(foreign, light * chance.log_uniform(0.4, 2.5, n)[image], light)
    light = light * (1 + chance.uniform(0, 0.12, n)[image] * chance.normal(len(y))).clamp(min=0)
    ring = chance.uniform(0, 1, n) * chance.happens(0.1, n)  # columns that are dark in their middle
    width = cells.width[image, site]
    total = torch.zeros(n * side * side, device=chance.device)
    for stamp in stamps(image, y, x, REACH * width, side):
        sharp = (0.5**0.5 / width[stamp.which]).view(-1, 1, 1)
        down, across = (stamp.dy * sharp) ** 2, (stamp.dx * sharp) ** 2
        rows = (-down).exp() * stamp.in_y * light[stamp.which].view(-1, 1, 1)
        profile = rows * ((-across).exp() * stamp.in_x)
        if ring.any():
            profile = profile * (1 - ring[image[stamp.which]].view(-1, 1, 1) * (1 - down - across).clamp(min=0))
        total.scatter_add_(0, stamp.pixel.flatten(), profile.flatten())
    return total.view(n, side, side)


def _places(chance: Chance, cells: _Cells, side: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """List the columns within the images: image, site and place, each ``(L,)``."""
    n = len(cells.period)
    across = float(1 / (cells.period.min() * 0.85))  # the shortest distance of lattice lines: sin 60° of a period
    most = int(0.75 * side * across) + 2
    steps = torch.arange(-most, most + 1, device=chance.device, dtype=torch.float32)
    nodes = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1).view(-1, 2)
    origin = side / 2 + cells.period.view(-1, 1, 1, 1) * chance.uniform(-0.5, 0.5, n, CRYSTALS, 1, 2)
    places = nodes @ cells.vectors + origin
    reach = 2 * cells.period.view(-1, 1, 1)
    within = ((places > -reach[..., None]) & (places < side + reach[..., None])).all(dim=-1)
    image, crystal, node = within.nonzero(as_tuple=True)
    cell = places[image, crystal, node]
    image, crystal, cell = (value.repeat_interleave(SITES, 0) for value in (image, crystal, cell))
    site = torch.arange(SITES, device=chance.device).repeat(len(node))
    place = cell + (cells.sites[image, site][:, None] @ cells.vectors[image, crystal])[:, 0]
    boundary = ramp(chance, n, side) + 0.3 * chance.uniform(0, 1, n, 1, 1) * power_field(
        chance, chance.uniform(3, 4, n), side, coarse=2
    )
    second = boundary > torch.where(chance.happens(0.3, n, 1, 1), chance.uniform(-0.6, 0.6, n, 1, 1), torch.inf)
    row, column = place.round().long().clamp(0, side - 1).unbind(1)
    kept = (second[image, row, column].long() == crystal) & (cells.light[image, site] > 0)
    return image[kept], site[kept], place[kept, 0], place[kept, 1]
