"""Exit waves: fast electrons through the atoms of many structures at once, slice by slice (multislice)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from napari_gandenoise.simulate.arithmetic import product
from napari_gandenoise.simulate.placing import BAND, fields, kernel_transform, place
from napari_gandenoise.simulate.resampling import resample
from napari_gandenoise.simulate.scattering import wavelength_nm
from napari_gandenoise.simulate.transmission import atom_forms

__all__ = ["SLICE_NM", "STEP_NM", "ExitWaves", "exit_waves"]

SLICE_NM = 0.2
# Pixel size of multislice, nm.  Heavy atoms scatter far, and back again: on the grid of images, 0.018 nm, whose band
# ends at 36 mrad (300 kV), the image of 4 nm of platinum is wrong by a tenth of vacuum.
STEP_NM = 0.011
# Standard deviation of the Gaussian that parts the smooth potential from the cores, pixels: at the end of the band it
# leaves a thousandth of the smooth potential.
SMOOTH = 1.8
# Pixels of all waves that go through their slices together: what a processor's cache holds, what fills a GPU.
PIXELS_AT_ONCE = {"cpu": 2**18, "cuda": 2**24}


class ExitWaves(NamedTuple):
    """Waves behind their structures, on one grid, and the projected potentials that they passed.

    Attributes
    ----------
    waves : torch.Tensor
        ``(N, Y, X)`` complex64; 1 in vacuum.
    projected_potential : torch.Tensor
        ``(N, Y, X)`` float32, V nm, up to the highest frequency that the waves have.
    pixel_size_nm : float
        Pixel size, nm.
    """

    waves: Tensor
    projected_potential: Tensor
    pixel_size_nm: float


def exit_waves(
    structures: Sequence[Any],
    energy_kev: float,
    pixels: int,
    device: torch.device | str = "cpu",
    vibration_nm: float | Mapping[int, float] = 0.0,
    slice_nm: float = SLICE_NM,
    step_nm: float = STEP_NM,
) -> ExitWaves:
    """Send a plane wave through each structure by multislice.

    Slices are counted from the exit surface, each atom scatters in its slice's middle, and vacuum in front of a thin
    structure changes nothing: structures of all thicknesses go together.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        Structures in orthogonal cells ``(side, side, depth)`` (Å) of one side; the beam runs along +z.
    energy_kev : float
        Electron energy, keV.
    pixels : int
        Side of the waves' grid.
    device : torch.device or str
        Where to compute, and where the waves stay.
    vibration_nm : float or mapping of int to float
        Thermal motion, independent and isotropic: root mean square displacement along one axis, nm, of all atoms or of
        each element by its atomic number (others rest).  The potential is that of the mean (Debye-Waller factor).
    slice_nm : float
        Thickness of the slices, nm.
    step_nm : float
        Largest pixel size to propagate on, nm; what is finer than the waves' own grid can hold is cut off at the end.

    Returns
    -------
    ExitWaves
        In the order of the structures.

    Raises
    ------
    ValueError
        If a cell is not orthogonal with a square face, or the faces differ.
    GanDenoiseError
        If an element has no published scattering factor.
    """
    device = torch.device(device)
    side_nm = _side_nm(structures)
    fine = max(pixels, next_fast_len(int(np.ceil(side_nm / step_nm)), real=True))
    medium = _medium(structures, energy_kev, side_nm, fine, vibration_nm, slice_nm, device)
    waves = torch.ones(len(structures), pixels, pixels, dtype=torch.complex64, device=device)
    potentials = torch.zeros(waves.shape, device=device)
    deepest_first = sorted(range(len(structures)), key=lambda i: -float(structures[i].cell[2, 2]))
    together = max(1, PIXELS_AT_ONCE.get(device.type, 2**18) // fine**2)
    for start in range(0, len(structures), together):
        which = deepest_first[start : start + together]
        wave, potential = _through([structures[i] for i in which], medium)
        waves[which], potentials[which] = resample(wave, pixels), resample(potential, pixels)
    return ExitWaves(waves, potentials, side_nm / pixels)


class _Medium(NamedTuple):
    """What all slices have in common.

    Attributes
    ----------
    form_of : dict of int to int
        Where in ``forms`` an element is, by its atomic number.
    forms : torch.Tensor
        ``(elements, 4, Y, X // 2 + 1)``: those of `atom_forms`, divided by that of the kernel and by a pixel's area.
    propagator, last_propagator : torch.Tensor
        ``(Y, X)``: from one slice to the next, and from the last slice's middle to the exit surface.
    """

    form_of: dict[int, int]
    slice_nm: float
    forms: Tensor
    propagator: Tensor
    last_propagator: Tensor


def _medium(
    structures: Sequence[Any],
    energy_kev: float,
    side_nm: float,
    pixels: int,
    vibration_nm: float | Mapping[int, float],
    slice_nm: float,
    device: torch.device,
) -> _Medium:
    size = side_nm / pixels
    elements = sorted({int(number) for atoms in structures for number in np.unique(atoms.numbers)})
    cycles = np.fft.fftfreq(pixels)  # a pixel
    frequencies = np.hypot(cycles[:, None], cycles)
    within = frequencies <= BAND
    half = pixels // 2 + 1
    kernel = kernel_transform(np.asarray(cycles, np.float64))
    spread = torch.from_numpy(within[:, :half] / np.outer(kernel, kernel[:half]) / size**2)
    radial = torch.from_numpy(frequencies[:, :half] / size)
    forms = torch.zeros(len(elements), 4, pixels, half)
    for form, z in zip(forms, elements, strict=True):
        vibration = vibration_nm.get(z, 0.0) if isinstance(vibration_nm, Mapping) else vibration_nm
        form[:] = atom_forms(z, radial, energy_kev, vibration, SMOOTH * size) * spread
    phase = -np.pi * wavelength_nm(energy_kev) * slice_nm * (frequencies / size) ** 2
    whole, last = (
        torch.from_numpy(within * np.exp(1j * part * phase)).to(device, torch.complex64) for part in (1, 0.5)
    )
    return _Medium({z: i for i, z in enumerate(elements)}, slice_nm, forms.to(device), whole, last)


def _side_nm(structures: Sequence[Any]) -> float:
    cells = np.array([atoms.cell[:] for atoms in structures])
    lengths = np.diagonal(cells, axis1=1, axis2=2)
    if not np.allclose(cells, lengths[:, :, None] * np.eye(3)) or not np.allclose(lengths[:, :2], lengths[0, 0]):
        raise ValueError("Multislice needs structures in orthogonal cells with square faces of one size.")
    return float(lengths[0, 0]) / 10


def _through(structures: Sequence[Any], medium: _Medium) -> tuple[Tensor, Tensor]:
    """Waves and projected potentials ``(N, Y, X)`` behind structures, the deepest of which come first."""
    pixels, device = len(medium.propagator), medium.propagator.device
    scatterers = place(structures, medium.form_of, pixels, medium.slice_nm, device)
    waves = torch.ones(len(structures), pixels, pixels, dtype=torch.complex64, device=device)
    for number in reversed(range(scatterers.slices[0])):
        inside = sum(slices > number for slices in scatterers.slices)
        wave = waves[:inside]
        if scatterers.atom_bounds[number] < scatterers.atom_bounds[number + 1]:
            phase, real, imaginary = fields(scatterers, medium.forms[:, 1:], pixels, number, inside)
            cores = torch.complex(1 + real, imaginary)
            wave = product(wave, product(torch.polar(torch.ones_like(phase), phase), cores))
        propagator = medium.propagator if number else medium.last_propagator
        waves[:inside] = torch.fft.ifft2(product(torch.fft.fft2(wave), propagator))
    if not medium.form_of:
        return waves, torch.zeros(waves.shape, device=device)
    at_once = place(structures, medium.form_of, pixels, np.inf, device)
    (potentials,) = fields(at_once, medium.forms[:, :1], pixels, 0, len(structures))
    return waves, potentials
