"""Atoms on a grid, at their places to a small part of a pixel: a non-uniform fast Fourier transform.

Each atom is spread over a few pixels by a kernel whose Fourier transform is divided out again (A. H. Barnett, J.
Magland and L. af Klinteberg, SIAM J. Sci. Comput. 41 (2019) C479).  The kernel need be good only below `BAND`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["BAND", "Scatterers", "fields", "kernel_transform", "place"]

# Cycles a pixel, two thirds of the Nyquist frequency: the product of a wave and a slice stays free of aliases below it
# (E. J. Kirkland, Advanced Computing in Electron Microscopy, 3rd ed., 2020, ch. 6).
BAND = 1 / 3
KERNEL = 6  # pixels that an atom is spread over, in each direction
# Shape of the kernel exp(β (√(1 - (2x/w)²) - 1)) for frequencies up to BAND; the factor 0.98 is the paper's.
KERNEL_BETA = 0.98 * np.pi * KERNEL * (1 - BAND)


class Scatterers(NamedTuple):
    """Atoms of some structures, spread over pixels, slice by slice.

    Atoms of one element in one slice of one structure are a group.

    Attributes
    ----------
    slices : list of int
        Number of slices of each structure.
    atom_bounds, group_bounds : numpy.ndarray
        ``(max(slices) + 1,)``: slice s, counted from the exit surface, has atoms (or groups) ``bounds[s]`` up to and
        without ``bounds[s + 1]``.
    rows, columns : torch.Tensor
        ``(atoms, KERNEL)``: pixels along y and x; rows are counted through all groups of a slice.
    row_weights, column_weights : torch.Tensor
        ``(atoms, KERNEL)``: the kernel there.
    group_structure, group_form : torch.Tensor
        ``(groups,)``: structure of a group, and which form its element has.
    """

    slices: list[int]
    atom_bounds: NDArray[np.intp]
    group_bounds: NDArray[np.intp]
    rows: Tensor
    columns: Tensor
    row_weights: Tensor
    column_weights: Tensor
    group_structure: Tensor
    group_form: Tensor


def place(
    structures: Sequence[Any],
    form_of: Mapping[int, int],
    pixels: int,
    slice_nm: float,
    device: torch.device,
) -> Scatterers:
    """Sort the atoms of structures into slices, and spread them over the pixels of a grid.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        In cells ``(side, side, depth)``, Å.
    form_of : mapping of int to int
        Which form an element has, by its atomic number.
    pixels : int
        Side of the grid, which the cells repeat themselves on.
    slice_nm : float
        Thickness of a slice, nm, counted from the exit surface; infinite for one slice.
    device : torch.device
        Where the result goes.
    """
    depths = np.array([float(atoms.cell[2, 2]) / 10 for atoms in structures])
    slices = np.maximum(np.ceil(depths / slice_nm - 1e-6), 1).astype(np.intp)
    positions = np.concatenate([atoms.positions for atoms in structures]) / 10
    numbers = np.concatenate([atoms.numbers for atoms in structures])
    forms = np.array([form_of[number] for number in numbers.tolist()], np.intp)
    owners = np.repeat(np.arange(len(structures)), [len(atoms) for atoms in structures])
    slice_of = np.floor((depths[owners] - positions[:, 2]) / slice_nm).astype(np.intp)
    slice_of = np.clip(slice_of, 0, slices[owners] - 1)
    key = (slice_of * len(structures) + owners) * max(len(form_of), 1) + forms
    order = np.argsort(key, kind="stable")
    _, first, group = np.unique(key[order], return_index=True, return_inverse=True)
    edges = np.arange(slices.max() + 1)
    group_bounds = np.searchsorted(slice_of[order][first], edges)
    per_pixel = pixels / (float(structures[0].cell[0, 0]) / 10)
    rows, row_weights = _spread(positions[order, 1] * per_pixel, pixels)
    columns, column_weights = _spread(positions[order, 0] * per_pixel, pixels)
    rows += (pixels * (group - group_bounds[slice_of[order]]))[:, None]

    def there(*arrays: NDArray[Any]) -> list[Tensor]:
        return [torch.from_numpy(array).to(device) for array in arrays]

    return Scatterers(
        slices.tolist(),
        np.searchsorted(slice_of[order], edges),
        group_bounds,
        *there(rows, columns, row_weights, column_weights, owners[order][first], forms[order][first]),
    )


def _spread(coordinates: NDArray[np.float64], pixels: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Pixels ``(atoms, KERNEL)`` around coordinates, on an axis that repeats itself, and the kernel there."""
    reached = np.ceil(coordinates - KERNEL / 2)[:, None] + np.arange(KERNEL)
    weights = _kernel(reached - coordinates[:, None]).astype(np.float32)
    return np.mod(reached, pixels).astype(np.intp), weights


def _kernel(offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.maximum(1 - (2 * offsets / KERNEL) ** 2, 0)
    values: NDArray[np.float64] = np.exp(KERNEL_BETA * (np.sqrt(inside) - 1)) * (inside > 0)
    return values


def kernel_transform(cycles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fourier transform of the spreading kernel along one axis, at frequencies in cycles a pixel, by quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    offsets = nodes * KERNEL / 2
    wave = np.cos(2 * np.pi * cycles[:, None] * offsets)
    transform: NDArray[np.float64] = wave @ (weights * KERNEL / 2 * _kernel(offsets))
    return transform


def fields(scatterers: Scatterers, forms: Tensor, pixels: int, number: int, structures: int) -> Tensor:
    """Sum up what the atoms of a slice add to each of some fields.

    Parameters
    ----------
    scatterers : Scatterers
        Atoms of structures; the first ``structures`` of them reach as far as this slice.
    forms : torch.Tensor
        ``(elements, fields, pixels, pixels // 2 + 1)``: Fourier transforms of one atom's fields, real and even, divided
        by that of the kernel.
    pixels : int
        Side of the grid.
    number : int
        The slice.
    structures : int
        For how many structures.

    Returns
    -------
    torch.Tensor
        ``(fields, structures, pixels, pixels)`` float32.
    """
    groups = slice(*scatterers.group_bounds[number : number + 2].tolist())
    atoms = slice(*scatterers.atom_bounds[number : number + 2].tolist())
    pixel = (scatterers.rows[atoms, :, None] * pixels + scatterers.columns[atoms, None]).ravel()
    weight = (scatterers.row_weights[atoms, :, None] * scatterers.column_weights[atoms, None]).ravel()
    spread = torch.zeros((groups.stop - groups.start) * pixels**2, device=weight.device)
    # On a processor one after the other, in their order: the last digits never change.
    spread.index_add_(0, pixel, weight)
    density = torch.fft.rfft2(spread.view(-1, pixels, pixels))
    spectrum = torch.zeros(forms.shape[1], structures, *density.shape[1:], dtype=density.dtype, device=density.device)
    for field, form in zip(spectrum, forms.unbind(1), strict=True):
        field.index_add_(0, scatterers.group_structure[groups], density * form[scatterers.group_form[groups]])
    summed: Tensor = torch.fft.irfft2(spectrum, s=(pixels, pixels))
    return summed
