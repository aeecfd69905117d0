"""Images of the incoherent model against multislice with frozen phonons (abTEM) as the judge."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import mx2
from numpy.typing import NDArray
from scipy import constants, ndimage

from napari_gandenoise.simulate.probe import ProbeConditions
from napari_gandenoise.simulate.scattering import wavelength_nm
from napari_gandenoise.simulate.stem import cross_section, stem_images

abtem = pytest.importorskip("abtem")
pytestmark = pytest.mark.slow

VIBRATION_NM = 0.008
SOURCE_NM = 0.03
PIXELS = 96


class Judged(NamedTuple):
    """A structure, its probe, and what abTEM's detectors saw: rings of one mrad at points ``(Y, X)`` of a patch."""

    atoms: Atoms
    conditions: ProbeConditions
    patch_nm: tuple[float, float]
    rings: NDArray[np.float32]

    def judge(self, inner: int, outer: int) -> NDArray[np.float32]:
        return self.blurred(self.rings[..., inner:outer].sum(-1))

    def ours(self, inner: float, outer: float) -> NDArray[np.float32]:
        """Take our image, without source, at the points of the scan, between its pixels by its Fourier series."""
        given = self.conditions._replace(inner_mrad=inner, outer_mrad=outer)
        image = stem_images([self.atoms], [given], PIXELS)[0].numpy()
        side = self.atoms.cell[0, 0] / 10
        waves = []
        for points, length in zip(self.rings.shape[:2], self.patch_nm[::-1], strict=True):
            place = np.arange(points) * length / points
            waves.append(np.exp(2j * np.pi * np.outer(place / side, np.fft.fftfreq(PIXELS, 1 / PIXELS))))
        return self.blurred((waves[0] @ np.fft.fft2(image) @ waves[1].T).real / PIXELS**2)

    def blurred(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Blur by the source; the patch is a whole number of unit cells."""
        step = [length / points for length, points in zip(self.patch_nm[::-1], image.shape, strict=True)]
        return ndimage.gaussian_filter(image, SOURCE_NM / np.array(step), mode="wrap")


def scanned(atoms, gpts, patch, points, phonons, energy, convergence):
    """Scan a patch from the cell's corner, Å and points along x and y."""
    phonons = abtem.FrozenPhonons(atoms, phonons, 10 * VIBRATION_NM, seed=1)
    potential = abtem.Potential(phonons, gpts=gpts, slice_thickness=2.0, projection="infinite")
    probe = abtem.Probe(energy=energy * 1e3, semiangle_cutoff=convergence)
    rings = probe.scan(
        potential,
        scan=abtem.GridScan(start=(0, 0), end=patch, gpts=points),
        detectors=abtem.FlexibleAnnularDetector(),
        max_batch=20,
    ).compute(progress_bar=False, scheduler="single-threaded")
    conditions = ProbeConditions(energy, convergence, 0, 0, 0, 0, 0, 80, 150, VIBRATION_NM)
    return Judged(atoms, conditions, (patch[0] / 10, patch[1] / 10), np.asarray(rings.array)[..., 0].swapaxes(0, 1))


@pytest.fixture(scope="module")
def titanate():
    """SrTiO3 [001], 5 nm."""
    a = 3.905
    places = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    atoms = Atoms("SrTiO3", scaled_positions=places, cell=[a] * 3).repeat((3, 3, 13))
    return scanned(atoms, 224, (a, a), (14, 14), 2, 200, 21)


@pytest.fixture(scope="module")
def gold():
    """Au [110], 6 nm, strained by a few percent into a square cell."""
    a = 4.078
    b = a / np.sqrt(2)
    atoms = Atoms("Au2", positions=[(0, 0, 0), (a / 2, b / 2, b / 2)], cell=[a, b, b]).repeat((3, 4, 21))
    atoms.set_cell([12, 12, 21 * b], scale_atoms=True)
    return scanned(atoms, 200, (4, 3), (20, 15), 1, 300, 25)


@pytest.fixture(scope="module")
def sulphide():
    """A layer of MoS2, strained by 4 % into a square cell."""
    layer = mx2("MoS2", a=3.18, size=(1, 1, 1), vacuum=2)
    layer = abtem.orthogonalize_cell(layer).repeat((5, 3, 1))
    layer.set_cell([16.2, 16.2, layer.cell[2, 2]], scale_atoms=True)
    return scanned(layer, 256, (3.24, 5.4), (10, 16), 3, 80, 30)


@pytest.mark.parametrize(
    ("name", "inner", "outer", "least"),
    [("titanate", 80, 145, 0.99), ("gold", 60, 100, 0.98), ("sulphide", 80, 170, 0.98)],
)
def test_dark_field_images_correlate_with_multislice(request, name, inner, outer, least):
    judged = request.getfixturevalue(name)
    ours, judge = judged.ours(inner, outer), judged.judge(inner, outer)
    assert np.corrcoef(ours.ravel(), judge.ravel())[0, 1] > least
    # Channelling along a zone axis brings up to twice as much.
    assert 0.5 < ours.mean() / judge.mean() < 1.2


@pytest.mark.parametrize(("name", "inner", "outer"), [("titanate", 0, 7), ("titanate", 10, 21), ("gold", 12, 25)])
def test_bright_field_images_correlate_with_multislice(request, name, inner, outer):
    """Gold's inner cone is left out: one state of its vibration, all that there is time for, says little of it."""
    judged = request.getfixturevalue(name)
    ours, judge = judged.ours(inner, outer), judged.judge(inner, outer)
    assert np.corrcoef(ours.ravel(), judge.ravel())[0, 1] > 0.95
    # Relative to vacuum, where the detector has its share of the cone's area, to the nearest of few points of the wave.
    share = (outer**2 - inner**2) / judged.conditions.convergence_mrad**2
    assert ours.mean() == pytest.approx(judge.mean() / share, rel=0.15)
    assert ours.std() == pytest.approx(judge.std() / share, rel=0.25)


def test_columns_compare_as_in_multislice(titanate):
    """Sr at the corner, Ti and O in the middle, O half-way."""
    ours, judge = titanate.ours(80, 145), titanate.judge(80, 145)
    assert ours[7, 7] / ours[0, 0] == pytest.approx(judge[7, 7] / judge[0, 0], abs=0.1)
    assert ours[0, 7] / ours[0, 0] == pytest.approx(judge[0, 7] / judge[0, 0], abs=0.1)


@pytest.mark.parametrize(("energy", "inner"), [(80, 50), (200, 60), (200, 90), (300, 70)])
def test_cross_sections_are_those_of_published_scattering_factors(energy, inner):
    """f(k) of Lobato and Van Dyck (2014) as abTEM has it, integrated over the annulus (first Born approximation)."""
    table = abtem.parametrizations.LobatoParametrization()
    wavelength = 10 * wavelength_nm(energy)
    k = np.linspace(inner, 200, 2000) / 1e3 / wavelength
    gamma = 1 + energy * 1e3 * constants.e / (constants.m_e * constants.c**2)
    given = ProbeConditions(energy, 25, 0, 0, 0, 0, 0, inner, 200, 0)
    for symbol in ("C", "Si", "Cu", "Sr", "Ce", "Au"):
        factor = gamma * table.get_function("scattering_factor", symbol)(k**2)
        expected = wavelength**2 * np.trapezoid(factor**2 * 2 * np.pi * k, k) / 100
        number = torch.tensor([float(Atoms(symbol).numbers[0])])
        assert cross_section(number, given).item() == pytest.approx(expected, rel=0.12), symbol
