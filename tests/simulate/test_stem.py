"""Dark-field images against optics that is known in closed form, and atoms that are counted."""

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy import special

from napari_gandenoise.settings.stem import ProbeConfig
from napari_gandenoise.simulate.probe import ProbeConditions, draw_probe, probe_intensity
from napari_gandenoise.simulate.scattering import wavelength_nm
from napari_gandenoise.simulate.stem import cross_section, stem_images, z_exponent

PERFECT = ProbeConditions(
    energy_kev=200.0,
    convergence_mrad=25.0,
    cs_um=0.0,
    defocus_nm=0.0,
    astigmatism_nm=0.0,
    astigmatism_angle=0.0,
    source_nm=0.02,
    inner_mrad=70.0,
    outer_mrad=200.0,
    thermal_nm=0.007,
)


def atoms(symbols, positions, side=20.0, depth=10.0):
    return Atoms(symbols, positions=positions, cell=[side, side, depth])


@pytest.mark.parametrize("fields", [{}, {"defocus_nm": 8.0, "cs_um": 5.0, "astigmatism_nm": 3.0}])
def test_all_of_the_beam_is_in_the_probe(fields):
    probe = probe_intensity(PERFECT._replace(**fields), 256, 0.008)
    assert probe.sum() == pytest.approx(1, abs=1e-5)
    assert probe.min() > -1e-7


def test_a_perfect_probe_is_an_airy_disk():
    size = 0.004
    probe = probe_intensity(PERFECT._replace(source_nm=0.0), 1500, size)
    radius = np.arange(60) * size
    v = 2 * np.pi * radius * 0.025 / wavelength_nm(200)
    with np.errstate(invalid="ignore"):
        airy = np.where(v > 0, (2 * special.j1(v) / v) ** 2, 1)
    np.testing.assert_allclose(probe[0, :60] / probe[0, 0], airy, atol=2e-3)
    # The first dark ring: 0.61 λ / α.
    first = np.argmin(probe[0, :25]) * size
    assert first == pytest.approx(0.61 * wavelength_nm(200) / 0.025, abs=size)


def test_the_source_widens_the_probe():
    size, sigma = 0.005, 0.04
    sharp, wide = (probe_intensity(PERFECT._replace(source_nm=s), 800, size) for s in (0.0, sigma))
    x = torch.fft.fftfreq(800, 1 / 800) * size
    gauss = torch.exp(-0.5 * (x[:, None] ** 2 + x**2) / sigma**2)
    expected = torch.fft.irfft2(torch.fft.rfft2(sharp) * torch.fft.rfft2(gauss / gauss.sum()), (800, 800))
    torch.testing.assert_close(wide, expected, atol=1e-8, rtol=1e-3)


def test_underfocus_is_focus_further_down():
    below = probe_intensity(PERFECT._replace(defocus_nm=6.0), 256, 0.008, depth_nm=6.0)
    torch.testing.assert_close(below, probe_intensity(PERFECT, 256, 0.008))
    assert probe_intensity(PERFECT, 256, 0.008, depth_nm=6.0).max() < 0.7 * below.max()


def test_astigmatism_draws_the_probe_out_along_its_angle():
    x = torch.fft.fftfreq(256, 1 / 256)

    def width(probe, axis):
        return (probe.sum(1 - axis) * (x.abs() < 40) * x**2).sum()

    # Overfocus by the astigmatism's amount: the line along which rays meet lies across its angle or along it.
    at = PERFECT._replace(astigmatism_nm=8.0, defocus_nm=8.0)
    along, across = (probe_intensity(at._replace(astigmatism_angle=a), 256, 0.01) for a in (0.0, np.pi / 2))
    torch.testing.assert_close(along, across.T, atol=1e-7, rtol=1e-3)
    assert width(along, 0) > 3 * width(along, 1)


@pytest.mark.parametrize("symbol", ["C", "Sr", "Au"])
def test_a_single_atom_scatters_its_cross_section(symbol):
    image = stem_images([atoms(symbol, [(9.013, 11.37, 0.5)])], [PERFECT], 160)[0]
    expected = cross_section(torch.tensor([float(Atoms(symbol).numbers[0])]), PERFECT)
    assert image.sum() * (2.0 / 160) ** 2 == pytest.approx(expected.item(), rel=2e-3)


def test_atoms_compare_by_a_power_of_their_number():
    pair = stem_images([atoms("C", [(10, 10, 0.5)]), atoms("Mo", [(10, 10, 0.5)])], [PERFECT] * 2, 100)
    # Little enough of each is scattered that a lost beam does not matter.
    assert pair[1].sum() / pair[0].sum() == pytest.approx((42 / 6) ** z_exponent(200, 70), rel=1e-4)


def test_thin_objects_add_up():
    first, second = [(5.0, 5.0, 0.5)], [(14.2, 13.9, 0.5)]
    both = [atoms("Si", first), atoms("Si", second), atoms("Si2", first + second)]
    images = stem_images(both, [PERFECT] * 3, 120)
    torch.testing.assert_close(images[2], images[0] + images[1], atol=1e-3 * float(images[2].max()), rtol=0)


def test_atoms_move_by_parts_of_a_pixel():
    pixels, side = 64, 2.0
    x = (torch.arange(pixels) + 0.0) * side / pixels
    for shift in (0.0, 0.13, 0.25, 0.31):
        place = (9.0 + shift, 11.0 - shift)
        image = stem_images([atoms("Au", [(*place, 0.5)])], [PERFECT], pixels)[0]
        centre = (image.sum(0) @ x / image.sum(), image.sum(1) @ x / image.sum())
        # Half a picometre.
        assert np.allclose(centre, np.array(place) / 10, atol=5e-4)


def test_a_coarse_scan_looks_at_points():
    structure = atoms("Au", [(7.7, 12.1, 0.5)])
    fine = stem_images([structure], [PERFECT], 120)[0]
    coarse = stem_images([structure], [PERFECT], 30)[0]
    torch.testing.assert_close(coarse, fine[::4, ::4], atol=1e-3 * float(fine.max()), rtol=1e-2)


def test_images_know_nothing_of_their_batch():
    rng = np.random.default_rng(2)
    structures = [atoms("Pt30", rng.uniform(0, 20, (30, 3)) * (1, 1, 0.5)) for _ in range(3)]
    structures[1].cell[:] = np.diag([24.0, 24.0, 10.0])
    conditions = [draw_probe(ProbeConfig(), rng)._replace(energy_kev=300.0, convergence_mrad=c) for c in (20, 30, 25)]
    together = stem_images(structures, conditions, 96)
    for structure, given, image in zip(structures, conditions, together, strict=True):
        alone = stem_images([structure], [given], 96)[0]
        torch.testing.assert_close(image, alone, atol=2e-3 * float(alone.max()), rtol=0)


def test_x_runs_along_lines():
    image = stem_images([atoms("Au", [(15.0, 5.0, 0.5)])], [PERFECT], 80)[0]
    assert divmod(int(image.argmax()), 80) == (20, 60)


def test_a_column_saturates_and_its_surroundings_gain():
    """The mean over all positions of the beam counts atoms; the maximum grows by less and less."""
    columns = [
        atoms(f"Au{n}", [(10, 10, 0.2 + 2.88 * i) for i in range(n)], depth=2.88 * 20 + 1) for n in (1, 5, 10, 20)
    ]
    # A probe with little convergence, in focus all along.
    given = PERFECT._replace(convergence_mrad=10.0)
    images = stem_images(columns, [given] * 4, 100)
    sums = images.sum((1, 2))
    torch.testing.assert_close(sums / sums[0], torch.tensor([1.0, 5.0, 10.0, 20.0]), rtol=1e-3, atol=0)
    peaks = images.amax((1, 2)) / torch.tensor([1, 5, 10, 20])
    assert (torch.diff(peaks) < 0).all()


def test_vacuum_is_dark():
    assert not stem_images([atoms("", [])], [PERFECT], 40).any()


def test_draws_lie_in_their_ranges(rng):
    config = ProbeConfig()
    for given in (draw_probe(config, rng) for _ in range(50)):
        for name, (low, high) in config.model_dump().items():
            assert low <= getattr(given, name) <= high
        assert 0 <= given.astigmatism_angle < np.pi
