"""Spectra by rings: white noise is flat, a wave is where it belongs, and the error is 0 and 1 at its ends."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gandenoise.evaluation import radial_spectrum, spectrum_error


@pytest.mark.parametrize("shape", [(200, 200), (151, 240)])
def test_white_noise_has_its_variance_in_every_ring(shape):
    frequency, power = radial_spectrum(np.random.default_rng(0).normal(5, 3, shape))

    assert frequency[0] == 1 / min(shape)
    assert frequency[-1] == pytest.approx(0.5, abs=1 / min(shape))
    assert power[len(power) // 4 :].mean() == pytest.approx(9, rel=0.05)


def test_a_wave_is_at_its_frequency():
    y, x = np.indices((160, 200))
    frequency, power = radial_spectrum(np.cos(2 * np.pi * (0.12 * x + 0.16 * y)))

    assert frequency[np.argmax(power)] == pytest.approx(0.2, abs=1 / 160)


def test_the_error_is_zero_for_the_truth_one_for_a_flat_image_and_the_contrast_lost_between():
    truth = np.random.default_rng(1).normal(2, 1, (96, 128))

    assert spectrum_error(truth, truth) == 0
    assert spectrum_error(truth, np.full_like(truth, 2)) == pytest.approx(1)
    assert spectrum_error(truth, 0.7 * truth) == pytest.approx(0.3)
    assert spectrum_error(truth, truth + np.random.default_rng(2).normal(0, 1, truth.shape)) > 0.2


def test_the_channels_of_a_colour_image_are_averaged():
    grey = np.random.default_rng(3).normal(2, 1, (40, 50))
    colours = np.stack([grey + 1, grey, grey - 1], axis=-1)

    np.testing.assert_allclose(radial_spectrum(colours)[1], radial_spectrum(grey)[1])
