"""The samples that open from napari's menu: what a user may rely on, checked against the physics."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import signal

from napari_gandenoise.simulate.samples import (
    VACUUM,
    sample_micrograph,
    sample_movie,
    sample_movie_truth,
    sample_truth,
)

WAVELENGTH_NM = 1.9687e-3  # 300 kV electrons
APERTURE_RAD = 18e-3


def test_micrograph_matches_its_description():
    truth, noisy = sample_truth(), sample_micrograph()
    assert truth.pixels.shape == noisy.pixels.shape == (1200, 1200)
    assert truth.pixel_size_nm == noisy.pixel_size_nm == pytest.approx(0.0061)
    # The top right corner is vacuum, at least one aperture blur away from the particle.
    assert truth.pixels[:100, -100:].mean() == pytest.approx(VACUUM, rel=0.01)
    assert truth.pixels.min() >= 0


def test_micrograph_noise_is_poisson():
    truth, noisy = sample_truth().pixels.astype(float), sample_micrograph(seed=3).pixels
    assert np.issubdtype(noisy.dtype, np.integer)
    # Pearson's statistic per pixel has mean 1 and variance 2 + 1/rate for Poisson counts.
    pearson = (noisy - truth) ** 2 / truth
    spread = np.sqrt(np.mean(2 + 1 / truth) / truth.size)
    assert abs(pearson.mean() - 1) < 5 * spread
    assert abs(noisy.mean() - truth.mean()) < 5 * np.sqrt(truth.mean() / truth.size)


def test_noise_depends_on_the_seed_alone():
    first, again, other = (sample_micrograph(seed).pixels for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_truth_holds_no_detail_beyond_the_aperture():
    truth = sample_truth()
    window = signal.windows.blackmanharris(1200)
    power = np.abs(np.fft.fft2((truth.pixels - truth.pixels.mean()) * np.outer(window, window))) ** 2
    frequency = np.fft.fftfreq(1200, truth.pixel_size_nm)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    # Intensity is a product of two waves: twice the aperture, and two bins of the window's width.
    limit = 2 * APERTURE_RAD / WAVELENGTH_NM + 4 / (1200 * truth.pixel_size_nm)
    assert power[radius > limit].sum() < 1e-5 * power.sum()
    # ... and the lattice is there: Pt (111) planes stand 0.2265 nm apart.
    assert power[abs(radius - 1 / 0.2265) < 0.2].sum() > 1e-3 * power.sum()


def test_movie_particle_moves_and_support_stays():
    noisy, truth = sample_movie()
    assert noisy.pixels.shape == truth.pixels.shape == (20, 600, 600)
    assert truth.pixel_size_nm == pytest.approx(0.00915)
    motion = truth.pixels.std(axis=0)
    assert motion[150:330].max() > 0.1 * VACUUM
    assert motion[-100:].mean() < 0.01 * VACUUM
    assert abs(noisy.pixels.mean() - truth.pixels.mean()) < 5 * np.sqrt(VACUUM / truth.pixels.size)


def test_samples_open_without_the_simulator():
    code = (
        "import sys; from napari_gandenoise.simulate.samples import sample_micrograph; sample_micrograph();"
        "sys.exit(any(m in sys.modules for m in ('abtem', 'ase', 'torch', 'napari', 'qtpy')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_simulator_makes_the_stored_scenes():
    """They were made by another multislice (abTEM, on the images' own grid): alike, not the same."""
    pytest.importorskip("ase")
    from napari_gandenoise.simulate.make_samples import make_micrograph
    from napari_gandenoise.simulate.samples import MICROGRAPH

    made = make_micrograph()
    margin = (MICROGRAPH.cell - MICROGRAPH.field) // 2
    inside = slice(margin, margin + MICROGRAPH.field)
    # Fourier interpolation keeps the stored pixels, so every third one is comparable.
    stored = sample_truth().pixels[::3, ::3] / VACUUM
    difference = stored - made[inside, inside]
    assert np.corrcoef(stored.ravel(), made[inside, inside].ravel())[0, 1] > 0.98
    assert np.sqrt(np.mean(difference**2)) < 0.05


def test_movie_truth_alone_is_the_movies_truth():
    np.testing.assert_array_equal(sample_movie_truth().pixels, sample_movie(seed=5)[1].pixels)
