"""Images of simple waves, against the theory of the weak phase object and textbook transfer functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_gandenoise.simulate.conditions import ImagingConditions
from napari_gandenoise.simulate.multislice import ExitWaves
from napari_gandenoise.simulate.optics import hrtem_images, transfer_function
from napari_gandenoise.simulate.resampling import crop_to_grid, resample
from napari_gandenoise.simulate.scattering import wavelength_nm

SIDE, SIZE = 128, 0.02  # pixels, nm
PERFECT = ImagingConditions(
    energy_kev=300.0, cs_um=0.0, defocus_nm=0.0, astigmatism_nm=0.0, astigmatism_angle=0.0,
    focal_spread_nm=0.0, aperture_mrad=60.0, blur_nm=0.0,
)  # fmt: skip
WAVELENGTH = wavelength_nm(300)


def wave_of(amplitudes):
    values = torch.from_numpy(np.asarray(amplitudes, np.complex64))[None]
    return ExitWaves(values, torch.zeros(values.shape), SIZE)


def chi(conditions, ax, ay):
    """Aberration function at scattering angles, rad, written with polar angles as in textbooks."""
    a, phi = np.hypot(ax, ay), np.arctan2(ay, ax)
    path = (
        -conditions.defocus_nm * a**2 / 2
        + 1e3 * conditions.cs_um * a**4 / 4
        + conditions.astigmatism_nm * a**2 / 2 * np.cos(2 * (phi - conditions.astigmatism_angle))
        + conditions.coma_nm * a**3 / 3 * np.cos(phi - conditions.coma_angle)
        + conditions.trefoil_nm * a**3 / 3 * np.cos(3 * (phi - conditions.trefoil_angle))
    )
    return 2 * np.pi / WAVELENGTH * path


def angles():
    g = np.fft.fftfreq(SIDE, SIZE)
    return WAVELENGTH * g[None], WAVELENGTH * g[:, None]


ABERRATED = PERFECT._replace(
    cs_um=8.0, defocus_nm=-6.0, astigmatism_nm=3.0, astigmatism_angle=0.4,
    coma_nm=40.0, coma_angle=2.0, trefoil_nm=60.0, trefoil_angle=0.7,
)  # fmt: skip


def test_vacuum_is_one_under_all_conditions():
    images = hrtem_images(wave_of(np.ones((SIDE, SIDE))), [PERFECT, ABERRATED._replace(blur_nm=0.05)])
    torch.testing.assert_close(images, torch.ones_like(images), atol=1e-6, rtol=0)


def test_a_perfect_lens_shows_the_intensity_of_the_wave():
    x = np.arange(SIDE) * SIZE
    wave = np.ones((SIDE, 1)) * (1 + 0.5j * np.sin(2 * np.pi * x * 5 / (SIDE * SIZE)))
    image = hrtem_images(wave_of(wave), [PERFECT])[0]
    np.testing.assert_allclose(image, np.abs(wave) ** 2, atol=1e-5)


@pytest.mark.parametrize(("nx", "ny"), [(6, 0), (0, 9), (7, -12)])
def test_a_weak_fringe_has_the_contrast_that_theory_says(nx, ny):
    """I = 1 + 2 φ sin χ, times the envelopes of focal spread, angles and blur."""
    conditions = PERFECT._replace(
        cs_um=-12.0, defocus_nm=9.0, astigmatism_nm=2.0, astigmatism_angle=1.1, focal_spread_nm=5.0,
        angular_spread_mrad=0.5, blur_nm=0.03,
    )  # fmt: skip
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    fringe = 1e-3 * np.cos(2 * np.pi * (nx * x + ny * y))
    image = hrtem_images(wave_of(1 + 1j * fringe), [conditions])[0].numpy()
    gx, gy = nx / (SIDE * SIZE), ny / (SIDE * SIZE)
    ax, ay = WAVELENGTH * gx, WAVELENGTH * gy
    step = 1e-6
    slope = [
        (chi(conditions, ax + dx, ay + dy) - chi(conditions, ax - dx, ay - dy)) / (2 * step)
        for dx, dy in ((step, 0), (0, step))
    ]
    envelope = (
        np.exp(-((np.pi * 5.0 * (ax**2 + ay**2) / (2 * WAVELENGTH)) ** 2))
        * np.exp(-((0.5e-3 / 2) ** 2) * (slope[0] ** 2 + slope[1] ** 2))
        * np.exp(-2 * np.pi**2 * 0.03**2 * (gx**2 + gy**2))
    )
    expected = 2 * np.sin(chi(conditions, ax, ay)) * envelope * fringe
    np.testing.assert_allclose(image - image.mean(), expected, atol=0.01 * np.abs(expected).max() + 2e-6)


def test_the_transfer_function_has_all_aberrations():
    transfer = transfer_function([ABERRATED], SIDE, SIZE)[0].numpy()
    inside = np.hypot(*angles()) < 0.04
    np.testing.assert_allclose(transfer[inside], np.exp(-1j * chi(ABERRATED, *angles()))[inside], atol=2e-4)


def test_angles_of_the_illumination_damp_by_the_slope_of_the_aberrations():
    conditions, step = ABERRATED._replace(angular_spread_mrad=0.4), 1e-6
    ax, ay = angles()
    across = (chi(ABERRATED, ax + step, ay) - chi(ABERRATED, ax - step, ay)) / (2 * step)
    along = (chi(ABERRATED, ax, ay + step) - chi(ABERRATED, ax, ay - step)) / (2 * step)
    expected = np.exp(-((0.4e-3 / 2) ** 2) * (across**2 + along**2))
    inside = np.hypot(ax, ay) < 0.04
    attenuation = transfer_function([conditions], SIDE, SIZE)[0].abs().numpy()
    np.testing.assert_allclose(attenuation[inside], expected[inside], atol=1e-4)
    assert expected[inside].min() < 0.9


def test_the_aperture_passes_what_is_inside_it():
    passed = transfer_function([PERFECT._replace(aperture_mrad=15.0)], SIDE, SIZE)[0].abs().numpy()
    ax, ay = angles()
    pixel = WAVELENGTH / (SIDE * SIZE)
    angle = np.hypot(ax, ay)
    assert (passed[angle < 15e-3 - pixel] == 1).all()
    assert (passed[angle > 15e-3 + pixel] == 0).all()
    assert passed.sum() == pytest.approx(np.pi * (15e-3 / pixel) ** 2, rel=0.01)


def test_one_wave_under_many_conditions_is_each_alone():
    rng = np.random.default_rng(0)
    wave = wave_of(1 + 0.2 * (rng.normal(size=(SIDE, SIDE)) + 1j * rng.normal(size=(SIDE, SIDE))))
    conditions = [ABERRATED._replace(defocus_nm=f, energy_kev=e, aperture_mrad=20) for f, e in ((3, 300), (-8, 80))]
    together = hrtem_images(wave, conditions)
    for image, condition in zip(together, conditions, strict=True):
        torch.testing.assert_close(image, hrtem_images(wave, [condition])[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pixels", [40, 55, 64, 100, 129])
def test_resampling_is_exact_for_waves_that_both_grids_hold(pixels):
    def pattern(side):
        y, x = np.mgrid[:side, :side] / side
        return 1 + np.cos(2 * np.pi * (3 * x - 7 * y)) + 0.5 * np.sin(2 * np.pi * (11 * x + 2 * y))

    for factor in (1, 1j):
        given = torch.from_numpy(factor * pattern(64))[None].to(torch.complex64 if factor == 1j else torch.float32)
        np.testing.assert_allclose(resample(given, pixels)[0], factor * pattern(pixels), atol=1e-5)


def test_the_centre_is_cut_out():
    y, x = np.mgrid[:60, :60]
    image = torch.from_numpy(np.exp(-((x - 30) ** 2 + (y - 30) ** 2) / 40.0).astype(np.float32))[None]
    cut = crop_to_grid(image, 0.02, 0.01, 40)[0]
    assert cut.shape == (40, 40)
    assert np.unravel_index(int(cut.argmax()), cut.shape) == (20, 20)
    assert cut.min() >= 0
