"""Make the data files behind `napari_gandenoise.simulate.samples` (needs the ``simulate`` extra).

Run ``python -m napari_gandenoise.simulate.make_samples`` to write them again; the scenes depend on `SEED` alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.settings.simulate import StructureConfig
from napari_gandenoise.simulate.conditions import ImagingConditions
from napari_gandenoise.simulate.generate import WAVE_SAMPLING_NM
from napari_gandenoise.simulate.multislice import exit_waves
from napari_gandenoise.simulate.optics import hrtem_images
from napari_gandenoise.simulate.resampling import resample
from napari_gandenoise.simulate.samples import DATA, MICROGRAPH, MOVIE, StoredScene
from napari_gandenoise.simulate.structures import INTERFACE_GAP, build_structure

__all__ = ["make_micrograph", "make_movie"]

# Far from the seeds of the training and held-out sets: no model has seen these structures.
SEED = 77
MICROGRAPH_STRUCTURE, MOVIE_STRUCTURE = 8, 3
FRAMES = 20
ROCKING_DEG, SLIDE_NM = 6.0, 0.35

PT_ON_CERIA = StructureConfig(
    metals=("Pt",),
    diameter_nm=(3.5, 4.5),
    zone_axes=((1, 1, 0),),
    support_zone_axes=((1, 1, 0),),
    supported_fraction=1.0,
    tilt_deg=0.5,
    truncation=(0.4, 0.7),
    support_thickness_nm=(3.0, 4.0),
    max_missing_columns=2,
    rotate_in_plane=False,
)
BLACK_ATOMS = ImagingConditions(
    energy_kev=300.0, cs_um=-9.0, defocus_nm=6.0, astigmatism_nm=0.5, astigmatism_angle=0.3,
    focal_spread_nm=4.0, aperture_mrad=18.0, blur_nm=0.025,
)  # fmt: skip
WHITE_ATOMS = BLACK_ATOMS._replace(cs_um=-13.0, defocus_nm=-7.0)


def _view(atoms: Any, conditions: ImagingConditions, pixels: int) -> NDArray[np.float32]:
    """Image a whole periodic cell on ``pixels`` a side, vacuum one, with the support at the bottom."""
    side = round(float(atoms.cell[0, 0]) / 10 / WAVE_SAMPLING_NM)
    image = hrtem_images(exit_waves([atoms], conditions.energy_kev, side), [conditions])
    view: NDArray[np.float32] = resample(image, pixels)[0].numpy()[::-1]
    return view


def make_micrograph() -> NDArray[np.float32]:
    """Clean image of a 4 nm Pt particle on CeO2 ``(Y, X)``: the stored cell, vacuum one."""
    box_nm = MICROGRAPH.cell * WAVE_SAMPLING_NM
    atoms = build_structure(PT_ON_CERIA, np.random.default_rng((SEED, MICROGRAPH_STRUCTURE)), box_nm)
    return _view(atoms, BLACK_ATOMS, MICROGRAPH.cell)


def make_movie() -> NDArray[np.float32]:
    """Clean frames ``(T, Y, X)`` of a 3 nm Pt particle that rocks and slides on CeO2."""
    config = PT_ON_CERIA.model_copy(update={"diameter_nm": (2.6, 3.0)})
    box_nm = MOVIE.cell * MOVIE.pixel_size_nm
    atoms = build_structure(config, np.random.default_rng((SEED, MOVIE_STRUCTURE)), box_nm)
    phases = 2 * np.pi * np.arange(FRAMES) / FRAMES
    return np.stack([_view(_moved(atoms, phase), WHITE_ATOMS, MOVIE.cell) for phase in phases])


def _moved(atoms: Any, phase: float) -> Any:
    """Rock the particle in the image plane and slide it along the terrace, without sinking into the support."""
    moved = atoms.copy()
    metal = np.asarray(moved.symbols) == "Pt"
    particle = moved[metal]
    top_of_support = moved.positions[~metal, 1].max()
    particle.rotate(ROCKING_DEG * np.sin(phase), "z", center=particle.positions.mean(axis=0))
    particle.positions[:, 0] += 10 * SLIDE_NM * np.sin(phase)
    particle.positions[:, 1] += top_of_support + INTERFACE_GAP - particle.positions[:, 1].min()
    moved.positions[metal] = particle.positions
    return moved


def _save(scene: StoredScene, pixels: NDArray[np.float32], folder: Path) -> Path:
    top = np.iinfo(scene.dtype).max
    quantised = np.rint(np.clip(pixels / scene.white, 0, 1) * top).astype(scene.dtype)
    path = folder / scene.file
    np.savez_compressed(path, pixels=quantised)
    return path


if __name__ == "__main__":
    for scene, make in ((MICROGRAPH, make_micrograph), (MOVIE, make_movie)):
        _save(scene, make(), DATA)
