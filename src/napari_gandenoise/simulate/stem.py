"""Images of a scanning microscope; in dark fields what each atom scatters, convolved with the probe.

At high angles the thermal motion of the atoms and the width of the detector destroy the phases between them, and the
image is, to a good approximation, incoherent: a sum of intensities; see Pennycook and Jesson, "High-resolution
Z-contrast imaging of crystals", Ultramicroscopy 37 (1991) 14, and Kirkland, "Advanced Computing in Electron
Microscopy", 3rd ed. (2020).  Here each atom is a Gaussian of its cross-section into the detector, and the probe that it
meets is that of its own depth.

A beam on a column of heavy atoms is soon scattered away from it.  Of a beam at r, a slice meets what the slices above
have left, ``T(r) = exp(-c ∫ k dz)``, where k is what each would scatter into the detector alone and c the ratio of what
leaves the cone of the probe to what reaches the detector.  Over all positions of the beam, an atom scatters as much
all the same: ``(1 - T) k`` goes to the beams beside it.  Beside multislice (abTEM, frozen phonons) with a
source of 30 pm, images of 2 to 10 nm of SrTiO3 [001] and Au [110] and of MoS2 correlate by 0.985 and more.  Along a
zone axis, where columns keep the beam together at first, they are 1.2 (Au) to 1.8 (SrTiO3) times as bright as here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from napari_gandenoise.simulate.brightfield import bright_field_image
from napari_gandenoise.simulate.probe import ProbeConditions, blur, half_frequencies, probe_transfer, values
from napari_gandenoise.simulate.scattering import BOHR_NM, REST_ENERGY_KEV, wavelength_nm

__all__ = ["cross_section", "stem_images", "z_exponent"]

OVERSAMPLING = 1.5  # of the probe's band limit: cubic splines of atoms are then true where the probe transfers
SLICE_NM = 1.0  # depth within which all atoms meet the same probe
SPREAD_NM = 0.08  # how far beside a column the beams are for which it scatters what it no longer does for those on it
PIXELS_AT_ONCE = 2**25  # of all images that are computed together


class _Atoms(NamedTuple):
    """Atoms of all structures of a batch: number of the structure, place ``(A, 3)`` nm, atomic number."""

    structure: Tensor
    position: Tensor
    number: Tensor


def z_exponent(energy_kev: float, inner_mrad: float) -> float:
    """Say with which power of the atomic number scattering beyond an inner angle grows.

    2 for bare nuclei; electrons around them screen what is scattered to smaller angles (Treacy, "Z dependence of
    electron scattering by single atoms into annular dark-field detectors", Microsc. Microanal. 17 (2011) 847).  Fitted
    to the scattering factors of Lobato and Van Dyck, Acta Cryst. A70 (2014) 636: for 80 to 300 keV and 40 to 100 mrad
    the powers from carbon to gold, 1.72 to 1.93, are met within 0.01.
    """
    exponent: float = 2 - 0.26 * (inner_mrad / 1e4 / wavelength_nm(energy_kev)) ** -0.85
    return exponent


def cross_section(number: Tensor, conditions: ProbeConditions) -> Tensor:
    """Return cross-sections of atoms into the detector, nm².

    Rutherford's, for zinc less what its electrons screen, for other elements by the power of `z_exponent`: within 10 %
    of the integrals of the scattering factors that are named there.
    """
    wavelength = wavelength_nm(conditions.energy_kev)
    gamma = 1 + conditions.energy_kev / REST_ENERGY_KEV
    inner, outer = (angle / 1e3 / wavelength for angle in (conditions.inner_mrad, conditions.outer_mrad))
    bare = torch.pi * (30 * gamma * wavelength / (2 * torch.pi**2 * BOHR_NM)) ** 2 * (inner**-2 - outer**-2)
    screened = bare / (1 + 1.4 * (inner / 10) ** -1.3)
    sections: Tensor = screened * (number / 30) ** z_exponent(conditions.energy_kev, conditions.inner_mrad)
    return sections


def stem_images(
    structures: Sequence[Any], conditions: Sequence[ProbeConditions], pixels: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Simulate clean images of a scanning microscope.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        Structures in orthogonal cells with square faces (Å), beam along +z from z = 0.
    conditions : sequence of ProbeConditions
        One for each structure.  A detector that begins within the cone of the probe sees a bright field, by multislice
        (`bright_field_image`), any other one a dark field, by incoherent convolution.
    pixels : int
        Side of the images, which show the whole face of the cell.
    device : torch.device or str
        Where to compute.

    Returns
    -------
    Tensor
        ``(N, pixels, pixels)`` float32: in dark fields the share of the beam that reaches the detector, in bright
        fields the intensity relative to vacuum.  The centre of the first pixel is at the cell's corner.
    """
    images = torch.empty(len(structures), pixels, pixels, device=device)
    dark = [i for i, given in enumerate(conditions) if given.inner_mrad >= given.convergence_mrad]
    if dark:
        images[dark] = _dark_fields([structures[i] for i in dark], [conditions[i] for i in dark], pixels, device)
    for i in sorted(set(range(len(structures))) - set(dark)):
        images[i] = bright_field_image(structures[i], conditions[i], pixels, device)
    return images


def _dark_fields(
    structures: Sequence[Any], conditions: Sequence[ProbeConditions], pixels: int, device: torch.device | str
) -> Tensor:
    sides = torch.tensor([float(atoms.cell[0, 0]) / 10 for atoms in structures])
    highest = 2e-3 * max(c.convergence_mrad / wavelength_nm(c.energy_kev) for c in conditions)  # 1/nm, of the probe
    factor = max(1, int(np.ceil(float(sides.max()) / pixels * 2 * highest * OVERSAMPLING)))
    at_once = max(1, PIXELS_AT_ONCE // (pixels * factor) ** 2)
    parts = []
    for start in range(0, len(structures), at_once):
        some = slice(start, start + at_once)
        parts.append(_fine_images(structures[some], conditions[some], sides[some], pixels, factor, device))
    return torch.cat(parts)


def _fine_images(
    structures: Sequence[Any],
    conditions: Sequence[ProbeConditions],
    sides: Tensor,
    pixels: int,
    factor: int,
    device: torch.device | str,
) -> Tensor:
    """Sum what is scattered at all depths on a grid ``factor`` times as fine, and take every so many pixels of it."""
    fine = pixels * factor
    atoms = _collect(structures, device)
    sides = sides.to(device)
    scattered = _of_atoms(atoms, conditions)
    leaving = _of_atoms(atoms, [_all_around(given) for given in conditions])
    # How much leaves the beam for what reaches the detector, in the mean over the atoms of a structure.
    totals = torch.zeros(2, len(structures), device=device)
    totals.index_add_(1, atoms.structure, torch.stack([scattered, leaving]))
    loss = (totals[1] / totals[0].clamp(min=1e-30))[:, None, None]
    place = atoms.position[:, :2] / (sides / fine)[atoms.structure, None]
    sliced = (atoms.position[:, 2] / SLICE_NM).long()
    atom = _atom_transfer(conditions, sides, fine)
    left = torch.ones(len(structures), fine, fine, device=device)
    image, displaced = torch.zeros_like(left), torch.zeros_like(left)
    for depth in sliced.unique().tolist():
        here = sliced == depth
        grid = _deposit(atoms.structure[here], place[here], scattered[here], len(structures), fine)
        probe = probe_transfer(conditions, sides, fine, (depth + 0.5) * SLICE_NM)
        single = torch.fft.irfft2(torch.fft.rfft2(grid) * atom * probe, (fine, fine))
        lost = loss * single.clamp(min=0)
        # Within the slice the beam decays, too: the mean of exp(-lost t) over t from 0 to 1.
        seen = left * torch.where(lost > 1e-3, -torch.expm1(-lost) / lost.clamp(min=1e-3), 1 - lost / 2)
        image += seen * single
        displaced += (1 - seen) * single
        left *= torch.exp(-lost)
    spectrum = torch.fft.rfft2(image) + torch.fft.rfft2(displaced) * blur(SPREAD_NM, sides, fine)
    source = blur(values(conditions, "source_nm", sides), sides, fine)
    blurred = torch.fft.irfft2(spectrum * source, (fine, fine))
    # A scan looks at points, not at areas.
    points: Tensor = blurred[:, ::factor, ::factor].clamp(min=0)
    return points


def _of_atoms(atoms: _Atoms, detectors: Sequence[ProbeConditions]) -> Tensor:
    """Return the cross-section of each atom into the detector of its structure's image."""
    counts = torch.bincount(atoms.structure, minlength=len(detectors)).tolist()
    parts = zip(atoms.number.split(counts), detectors, strict=True)
    return torch.cat([cross_section(number, detector) for number, detector in parts])


def _all_around(conditions: ProbeConditions) -> ProbeConditions:
    """Return a detector for all that leaves the cone of the probe."""
    return conditions._replace(inner_mrad=conditions.convergence_mrad, outer_mrad=1e3)


def _collect(structures: Sequence[Any], device: torch.device | str) -> _Atoms:
    owner = np.repeat(np.arange(len(structures)), [len(atoms) for atoms in structures])
    position = np.concatenate([atoms.positions for atoms in structures]) / 10
    number = np.concatenate([atoms.numbers for atoms in structures])
    return _Atoms(
        torch.as_tensor(owner, device=device),
        torch.as_tensor(position, dtype=torch.float32, device=device),
        torch.as_tensor(number, dtype=torch.float32, device=device),
    )


def _deposit(structure: Tensor, place: Tensor, weight: Tensor, count: int, side: int) -> Tensor:
    """Lay atoms onto periodic grids ``(count, side, side)`` as cubic B-splines; places ``(A, 2)``, pixels, x first."""
    grid = torch.zeros(count, side, side, device=place.device)
    base = torch.floor(place)
    weights = _bspline(place - base)
    steps = torch.arange(-1, 3, device=place.device)
    x, y = ((base[:, axis].long()[:, None] + steps) % side for axis in (0, 1))
    index = (structure[:, None, None] * side + y[:, :, None]) * side + x[:, None, :]
    values = weight[:, None, None] * weights[:, 1, :, None] * weights[:, 0, None, :]
    return grid.view(-1).index_add_(0, index.flatten(), values.flatten()).view(count, side, side)


def _bspline(part: Tensor) -> Tensor:
    """Return the four values of cubic B-splines around a point, by its part of a pixel; a new last axis."""
    rest = 1 - part
    values = (rest**3 / 6, 2 / 3 - part**2 * (2 - part) / 2, 2 / 3 - rest**2 * (2 - rest) / 2, part**3 / 6)
    return torch.stack(values, -1)


def _atom_transfer(conditions: Sequence[ProbeConditions], sides: Tensor, pixels: int) -> Tensor:
    """Return the transform of a vibrating atom, 1/nm², less the blur of the splines that atoms were laid down as."""
    kx, ky = half_frequencies(sides, pixels)
    step = (sides / pixels)[:, None, None]
    vibration = blur(values(conditions, "thermal_nm", sides), sides, pixels)
    return vibration / (torch.sinc(kx * step) * torch.sinc(ky * step)) ** 4 / step**2
