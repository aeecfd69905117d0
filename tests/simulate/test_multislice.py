"""Exit waves against what is known of them: weak phase objects, free space, conservation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("ase")

from ase import Atoms

from napari_gandenoise.simulate.conditions import ImagingConditions
from napari_gandenoise.simulate.multislice import SLICE_NM, exit_waves
from napari_gandenoise.simulate.optics import hrtem_images
from napari_gandenoise.simulate.scattering import (
    POTENTIAL_V_NM2,
    interaction_constant,
    scattering_factors,
    wavelength_nm,
)

SIDE, PIXELS = 16.0, 150  # Å; a pixel of 10.7 pm, on which multislice computes too
CONDITIONS = ImagingConditions(
    energy_kev=300.0, cs_um=-5.0, defocus_nm=4.0, astigmatism_nm=0.0, astigmatism_angle=0.0,
    focal_spread_nm=3.0, aperture_mrad=20.0, blur_nm=0.02,
)  # fmt: skip


def atoms(symbols="Au", position=(8.0, 8.0), depth=2.0, z=1.0):
    return Atoms(symbols, [(*position, z)], cell=[SIDE, SIDE, depth], pbc=True)


def cluster(seed=0, count=40, symbols=("C", "Si"), depth=8.0):
    rng = np.random.default_rng(seed)
    positions = rng.uniform((4, 4, 0), (12, 12, depth), (count, 3))
    return Atoms(rng.choice(symbols, count), positions, cell=[SIDE, SIDE, depth], pbc=True)


def frequencies(pixels=PIXELS):
    """Along y and along x, 1/nm; and whether they are inside of what multislice keeps."""
    g = np.fft.fftfreq(pixels, SIDE / 10 / pixels)
    return g[:, None], g[None], np.hypot(g[:, None], g[None]) < 0.333 * pixels / (SIDE / 10)


def test_the_potential_of_an_atom_is_its_scattering_factor_at_its_place():
    x, y = 5.123, 9.87
    made = exit_waves([atoms("Pt", (x, y))], 300.0, PIXELS).projected_potential[0].numpy()
    gy, gx, within = frequencies()
    factor = scattering_factors([78], torch.from_numpy(np.hypot(gy, gx)))[0].numpy()
    expected = POTENTIAL_V_NM2 * factor * np.exp(-2j * np.pi * (gx * x + gy * y) / 10)
    spectrum = np.fft.fft2(made) * (SIDE / 10 / PIXELS) ** 2
    assert np.abs(spectrum - expected)[within].max() < 1e-4 * np.abs(expected).max()


def test_nothing_changes_nothing():
    vacuum, gold = Atoms(cell=[SIDE, SIDE, 6.0]), atoms("Au")
    waves = exit_waves([vacuum, gold, vacuum], 300.0, 64)
    for empty in (0, 2):
        torch.testing.assert_close(waves.waves[empty], torch.ones(64, 64, dtype=torch.complex64), atol=1e-5, rtol=0)
        assert waves.projected_potential[empty].abs().max() < 1e-5
    torch.testing.assert_close(waves.waves[1], exit_waves([gold], 300.0, 64).waves[0], atol=1e-5, rtol=0)
    alone = exit_waves([vacuum], 300.0, 64)
    torch.testing.assert_close(alone.waves[0], waves.waves[0], atol=1e-5, rtol=0)
    assert not alone.projected_potential.any()


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_a_shift_by_parts_of_a_pixel_is_a_fourier_shift(dx, dy):
    pixel = SIDE / PIXELS
    here, there = exit_waves(
        [atoms("Au", (8.0, 8.0)), atoms("Au", (8.0 + dx * pixel, 8.0 + dy * pixel))], 300.0, PIXELS
    ).waves.numpy()
    gy, gx, _ = frequencies()
    shift = np.exp(-2j * np.pi * (gx * dx + gy * dy) * pixel / 10)
    shifted = np.fft.ifft2(np.fft.fft2(here) * shift)
    assert np.abs(shifted - there).max() < 1e-3 * np.abs(here - 1).max()


def test_a_light_atom_is_a_weak_phase_object():
    made = exit_waves([atoms("H", depth=10 * SLICE_NM, z=5 * SLICE_NM)], 300.0, PIXELS)
    gy, gx, within = frequencies()
    # Back to the middle of the only slice, where the atom is: multislice let the wave run on to the exit surface.
    back = np.exp(1j * np.pi * wavelength_nm(300) * (gy**2 + gx**2) * SLICE_NM / 2) * within
    wave = np.fft.ifft2(np.fft.fft2(made.waves[0].numpy()) * back)
    phase = interaction_constant(300) * made.projected_potential[0].numpy()
    # The next order is half the square of the phase.
    assert np.abs(wave - (1 + 1j * phase)).max() < 0.6 * phase.max() ** 2
    assert np.abs(wave.imag - phase).max() < 0.02 * phase.max()


def test_a_heavy_atom_scatters_what_its_phase_shift_says_whatever_the_grid():
    """The grid cannot hold an atom of platinum, and yet a coarse one gives the wave of a fine one."""
    coarse, fine = (exit_waves([atoms("Pt")], 300.0, 80, step_nm=step).waves[0] for step in (0.02, 0.004))
    kept = torch.from_numpy(np.hypot(*np.meshgrid(*[np.fft.fftfreq(80)] * 2)) < 0.3)
    difference = (torch.fft.fft2(coarse - fine) * kept).abs().max()
    assert difference < 0.01 * (torch.fft.fft2(fine - 1) * kept).abs().max()


def test_no_electron_is_lost_where_none_scatters_beyond_the_band():
    vibrating = exit_waves([cluster()], 300.0, PIXELS, vibration_nm=0.02)
    assert float(vibrating.waves.abs().square().mean()) == pytest.approx(1, abs=1e-3)
    assert (vibrating.waves.abs().square() - 1).abs().max() > 0.05


def test_many_structures_at_once_are_each_as_alone():
    structures = [cluster(0, depth=4.0), cluster(1, symbols=("O", "Pt"), depth=11.0), cluster(2, 3, depth=7.3)]
    together = exit_waves(structures, 200.0, 60)
    for number, structure in enumerate(structures):
        alone = exit_waves([structure], 200.0, 60)
        torch.testing.assert_close(together.waves[number], alone.waves[0], atol=2e-5, rtol=0)
        torch.testing.assert_close(
            together.projected_potential[number], alone.projected_potential[0], atol=1e-3, rtol=1e-5
        )


def test_batches_of_any_size_go_through_together(monkeypatch):
    structures = [cluster(seed, 10, depth=3.0 + 2 * seed) for seed in range(3)]
    one_by_one = exit_waves(structures, 300.0, 50)
    monkeypatch.setattr("napari_gandenoise.simulate.multislice.PIXELS_AT_ONCE", {"cpu": 2**30})
    together = exit_waves(structures, 300.0, 50)
    torch.testing.assert_close(together.waves, one_by_one.waves, atol=2e-5, rtol=0)


def test_vacuum_in_front_changes_nothing_and_behind_it_is_defocus():
    structure = cluster()
    in_front, behind = structure.copy(), structure.copy()
    in_front.positions[:, 2] += 10.0
    for moved in (in_front, behind):
        moved.cell[2, 2] += 10.0
    waves = exit_waves([structure, in_front, behind], 300.0, PIXELS)
    torch.testing.assert_close(waves.waves[1], waves.waves[0], atol=1e-5, rtol=0)
    # Underfocus looks at a plane above the exit surface: 1 nm more finds the same one.
    images = hrtem_images(waves, [CONDITIONS, CONDITIONS, CONDITIONS._replace(defocus_nm=5.0)])
    torch.testing.assert_close(images[2], images[0], atol=1e-4, rtol=0)
    assert (hrtem_images(waves, [CONDITIONS] * 3)[2] - images[0]).abs().max() > 0.01


def test_atoms_that_move_are_smeared():
    rest, moving = (
        exit_waves([atoms()], 300.0, PIXELS, vibration_nm=u).projected_potential[0].numpy() for u in (0.0, {79: 0.01})
    )
    gy, gx, _ = frequencies()
    smeared = np.fft.ifft2(np.fft.fft2(rest) * np.exp(-2 * np.pi**2 * 0.01**2 * (gx**2 + gy**2))).real
    np.testing.assert_allclose(moving, smeared, atol=1e-4 * rest.max())
    other = exit_waves([atoms()], 300.0, PIXELS, vibration_nm={6: 0.01}).projected_potential[0].numpy()
    np.testing.assert_array_equal(other, rest)


@settings(max_examples=10, deadline=None)
@given(st.integers(16, 70), st.integers(1, 3), st.sampled_from([60.0, 300.0]))
def test_any_number_of_structures_on_any_grid(pixels, count, energy_kev):
    made = exit_waves([cluster(seed, 4) for seed in range(count)], energy_kev, pixels, step_nm=0.03)
    assert made.waves.shape == made.projected_potential.shape == (count, pixels, pixels)
    assert (made.waves.dtype, made.projected_potential.dtype) == (torch.complex64, torch.float32)
    assert made.pixel_size_nm == pytest.approx(SIDE / 10 / pixels)
    assert torch.view_as_real(made.waves).isfinite().all()


def test_an_empty_cell_is_vacuum():
    made = exit_waves([Atoms(cell=[SIDE, SIDE, 5.0], pbc=True)], 300.0, 40)
    torch.testing.assert_close(made.waves, torch.ones_like(made.waves), atol=1e-6, rtol=0)
    assert not made.projected_potential.any()


@pytest.mark.parametrize("cells", [[(16, 15, 4)], [(16, 16, 4), (17, 17, 4)], [((16, 0, 0), (1, 16, 0), (0, 0, 4))]])
def test_cells_that_a_beam_cannot_run_along_are_refused(cells):
    with pytest.raises(ValueError, match="orthogonal cells with square faces of one size"):
        exit_waves([Atoms("C", cell=cell) for cell in cells], 300.0, 20)
