"""Frames of materials that no model here has met: six crystals, written as CIF files and read back as a user's.

Their structure types are none of the prototypes that training draws from (`napari_gandenoise.simulate.materials`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from napari_gandenoise.settings.simulate import ImagingConfig
from napari_gandenoise.settings.stem import ProbeConfig
from napari_gandenoise.settings.structures import CrystalConfig
from napari_gandenoise.simulate.conditions import draw_conditions
from napari_gandenoise.simulate.multislice import exit_waves
from napari_gandenoise.simulate.optics import hrtem_images
from napari_gandenoise.simulate.probe import draw_probe
from napari_gandenoise.simulate.stem import stem_images
from napari_gandenoise.simulate.structures import build_structure

__all__ = ["CRYSTALS", "DOSES", "PIXEL_NM", "Material", "write_cif", "clean_frame", "exposed"]

Mode = Literal["HRTEM", "HAADF"]
PIXEL_NM = 0.02
MARGIN = 24  # pixels on each side, where the periodic cell wraps around
SEED = 11
DOSES = (0.5, 5.0, 50.0)  # electrons a pixel, in the mean of a frame


class Material(NamedTuple):
    """A crystal as `ase.spacegroup.crystal` takes it: lengths in Å, angles in degrees."""

    symbols: tuple[str, ...]
    basis: tuple[tuple[float, float, float], ...]
    spacegroup: int
    cell: tuple[float, float, float, float, float, float]


# Wyckoff, Crystal Structures, second edition (1963 to 1968), volumes 1 and 2.
CRYSTALS = {
    "pyrite FeS2": Material(("Fe", "S"), ((0, 0, 0), (0.386, 0.386, 0.386)), 205, (5.4067,) * 3 + (90,) * 3),
    "corundum Al2O3": Material(
        ("Al", "O"), ((0, 0, 0.352), (0.306, 0, 0.25)), 167, (4.7628, 4.7628, 13.0032, 90, 90, 120)
    ),
    "cuprite Cu2O": Material(("Cu", "O"), ((0.25, 0.25, 0.25), (0, 0, 0)), 224, (4.2696,) * 3 + (90,) * 3),
    "anatase TiO2": Material(("Ti", "O"), ((0, 0, 0), (0, 0, 0.2066)), 141, (3.785, 3.785, 9.514, 90, 90, 90)),
    "bismuth telluride Bi2Te3": Material(
        ("Bi", "Te", "Te"), ((0, 0, 0.4001), (0, 0, 0), (0, 0, 0.2095)), 166, (4.3835, 4.3835, 30.487, 90, 90, 120)
    ),
    "calcite CaCO3": Material(
        ("Ca", "C", "O"), ((0, 0, 0), (0, 0, 0.25), (0.2578, 0, 0.25)), 167, (4.9898, 4.9898, 17.06, 90, 90, 120)
    ),
}


def write_cif(name: str, folder: Path) -> Path:
    """Write one of `CRYSTALS` into a folder."""
    from ase.io import write
    from ase.spacegroup import crystal

    symbols, basis, spacegroup, cell = CRYSTALS[name]
    path = folder / f"{name.split()[-1]}.cif"
    write(path, crystal(symbols, basis, spacegroup=spacegroup, cellpar=cell))
    return path


@cache
def clean_frame(name: str, mode: Mode, side: int, seed: int = SEED) -> NDArray[np.float32]:
    """Simulate a clean frame ``(side, side)`` of a material at `PIXEL_NM`, of mean 1."""
    rng = np.random.default_rng((seed, *name.encode()))
    pixels = side + 2 * MARGIN
    with TemporaryDirectory() as folder:
        source = CrystalConfig(cif=(write_cif(name, Path(folder)),))
        atoms = build_structure(source, rng, pixels * PIXEL_NM)
    device = torch.device("cpu")
    if mode == "HRTEM":
        imaging = ImagingConfig()
        waves = exit_waves([atoms], imaging.energy_kev, pixels, device)
        image = hrtem_images(waves, [draw_conditions(imaging, rng)])[0]
    else:
        image = stem_images([atoms], [draw_probe(ProbeConfig(), rng)], pixels, device)[0]
    cut = image[MARGIN : MARGIN + side, MARGIN : MARGIN + side].numpy()
    return np.asarray(cut / cut.mean(), np.float32)


def exposed(mode: Mode, dose: float, side: int, seed: int = SEED) -> Iterator[tuple[NDArray[Any], NDArray[np.float32]]]:
    """Yield counts and rate of a frame of every material, electrons a pixel."""
    for number, name in enumerate(CRYSTALS):
        rate = dose * clean_frame(name, mode, side, seed)
        yield np.random.default_rng((seed, number, int(10 * dose))).poisson(rate).astype(np.uint16), rate
