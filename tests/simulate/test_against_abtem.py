"""Our images beside those of abTEM: another multislice, by other people, on a grid that is fine enough for it.

abTEM places atoms between pixels by linear interpolation and samples their potentials, so that on the grid of an image
it is far from what it tends to.  It is given two or three times our pixels a side, and crystals whose atoms lie on
them.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("abtem")

import abtem
from abtem.parametrizations import LobatoParametrization
from ase import Atoms
from ase.build import bulk, cut
from ase.data import atomic_numbers

from napari_gandenoise.settings.simulate import StructureConfig
from napari_gandenoise.simulate.conditions import ImagingConditions
from napari_gandenoise.simulate.multislice import exit_waves
from napari_gandenoise.simulate.optics import hrtem_images
from napari_gandenoise.simulate.resampling import resample
from napari_gandenoise.simulate.structures import build_structure

pytestmark = pytest.mark.slow

BLACK = ImagingConditions(
    energy_kev=300.0, cs_um=-9.0, defocus_nm=6.0, astigmatism_nm=0.5, astigmatism_angle=0.3,
    focal_spread_nm=4.0, aperture_mrad=18.0, blur_nm=0.0,
)  # fmt: skip
WHITE = BLACK._replace(cs_um=-13.0, defocus_nm=-7.0)
FAR = BLACK._replace(
    cs_um=5.0, defocus_nm=15.0, astigmatism_nm=2.0, focal_spread_nm=3.0, aperture_mrad=22.0,
    coma_nm=50.0, coma_angle=1.0, trefoil_nm=30.0, trefoil_angle=0.5, angular_spread_mrad=0.2,
)  # fmt: skip


def platinum_on_ceria(_):
    config = StructureConfig(
        metals=("Pt",), diameter_nm=(2.5, 3.0), zone_axes=((1, 1, 0),), support_zone_axes=((1, 1, 0),),
        supported_fraction=1.0, tilt_deg=0.5, support_thickness_nm=(3.0, 4.0), rotate_in_plane=False,
    )  # fmt: skip
    return build_structure(config, np.random.default_rng(8), 4.0)


def slab(unit, side, depth, pixels):
    """Repeat a cell to a square of ``side`` Å, strained by less than a percent, its first atom on a pixel."""
    lengths = unit.cell.lengths()
    atoms = unit.repeat((*(round(side / length) for length in lengths[:2]), round(depth / lengths[2])))
    atoms.set_cell([side, side, atoms.cell.lengths()[2]], scale_atoms=True)
    atoms.positions += [side / pixels * 10, side / pixels * 7, 0.5]
    atoms.cell[2, 2] += 1.0
    return atoms


def perovskite(pixels):
    inside = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    return slab(Atoms("SrTiO3", scaled_positions=inside, cell=[3.905] * 3), 3 * 3.905, 180.0, pixels)


def gold(pixels):
    return slab(bulk("Au", cubic=True, a=4.08), 12.24, 40.0, pixels)


def silicon_110(pixels):
    unit = cut(bulk("Si", cubic=True, a=5.431), a=(1, -1, 0), b=(0, 0, 1), c=(1, 1, 0))
    unit = Atoms(unit.symbols, scaled_positions=unit.get_scaled_positions(), cell=unit.cell.lengths())
    return slab(unit, 11.0, 200.0, pixels)


def graphene(pixels):
    bond = 1.42
    places = [(0, 0, 1), (0, bond, 1), (bond * np.sqrt(3) / 2, 1.5 * bond, 1), (bond * np.sqrt(3) / 2, 2.5 * bond, 1)]
    return slab(Atoms("C4", places, cell=[bond * np.sqrt(3), 3 * bond, 2.0]), 17.1, 2.0, pixels)


def judged(atoms, energy_kev, pixels, conditions, vibration):
    """Images by abTEM, on its own grid."""
    potential = abtem.Potential(
        atoms, gpts=pixels, slice_thickness=1.0, projection="infinite",
        parametrization=LobatoParametrization(sigmas={symbol: 10 * u for symbol, u in vibration.items()}),
    )  # fmt: skip
    wave = abtem.PlaneWave(energy=energy_kev * 1e3).multislice(potential.build(lazy=False), lazy=False)
    images = []
    for c in conditions:
        lens = abtem.CTF(
            energy=energy_kev * 1e3, semiangle_cutoff=c.aperture_mrad, soft=True, Cs=c.cs_um * 1e4,
            defocus=c.defocus_nm * 10, astigmatism=c.astigmatism_nm * 10, astigmatism_angle=c.astigmatism_angle,
            C21=c.coma_nm * 10, phi21=c.coma_angle, C23=c.trefoil_nm * 10, phi23=c.trefoil_angle,
            focal_spread=c.focal_spread_nm * 10, angular_spread=c.angular_spread_mrad,
        )  # fmt: skip
        images.append(np.asarray(wave.apply_ctf(lens).intensity().array, np.float32).T)
    return torch.from_numpy(np.stack(images))


PT_CEO2 = {"Pt": 0.007, "Ce": 0.007, "O": 0.007}
SRTIO3 = {"Sr": 0.008, "Ti": 0.007, "O": 0.008}
CASES = {  # structure, keV, vibration (nm), aperture (mrad), pixels of the judge, ours, and how ours are computed
    "3 nm Pt on CeO2": (platinum_on_ceria, 300.0, PT_CEO2, None, 480, 220, {}),
    # Exactly along its axis, what adds up over so many planes depends on where they lie in the slices.
    "18 nm SrTiO3 [001]": (perovskite, 300.0, SRTIO3, None, 192, 64, {"slice_nm": 0.1, "step_nm": 0.009}),
    "4 nm Au [001]": (gold, 300.0, {"Au": 0.0085}, None, 192, 72, {"slice_nm": 0.1}),
    "20 nm Si [110]": (silicon_110, 200.0, {"Si": 0.0075}, None, 160, 60, {}),
    "graphene": (graphene, 80.0, {}, 35.0, 240, 94, {}),
}


@pytest.mark.parametrize(
    ("build", "energy_kev", "vibration", "aperture", "judge_pixels", "pixels", "finer"), CASES.values(), ids=CASES
)
def test_images_agree(build, energy_kev, vibration, aperture, judge_pixels, pixels, finer):
    atoms = build(judge_pixels)
    conditions = [
        c._replace(energy_kev=energy_kev, aperture_mrad=aperture or c.aperture_mrad) for c in (BLACK, WHITE, FAR)
    ]
    by_number = {atomic_numbers[symbol]: u for symbol, u in vibration.items()}
    ours = hrtem_images(exit_waves([atoms], energy_kev, pixels, vibration_nm=by_number, **finer), conditions)
    theirs = resample(judged(atoms, energy_kev, judge_pixels, conditions, vibration), pixels)
    for our, their in zip(ours.double(), theirs.double(), strict=True):
        assert their.std() > 0.01
        assert float(torch.corrcoef(torch.stack([our.ravel(), their.ravel()]))[0, 1]) >= 0.995
        assert float((our - their).square().mean().sqrt()) <= 0.02
