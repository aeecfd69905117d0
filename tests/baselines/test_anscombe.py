from __future__ import annotations

import numpy as np
import pytest

from napari_gandenoise.baselines import anscombe, unbiased_inverse


@pytest.mark.parametrize("rate", [0.05, 0.45, 3.0, 40.0, 350.0, 5000.0])
def test_mean_of_transformed_counts_inverts_to_the_rate(rate):
    counts = np.random.default_rng(0).poisson(rate, 400_000)

    recovered = unbiased_inverse(anscombe(counts).mean())

    assert recovered == pytest.approx(rate, abs=5 * np.sqrt(rate / counts.size))


def test_variance_is_about_one_above_a_few_electrons():
    counts = np.random.default_rng(0).poisson(10, 200_000)

    assert anscombe(counts).var() == pytest.approx(1, abs=0.03)


def test_nothing_is_no_electron():
    assert unbiased_inverse(anscombe(0)) == 0
    assert unbiased_inverse(0.5) == 0


def test_inverse_rises_through_the_end_of_its_table():
    transformed = np.linspace(1.3, 60, 5000)

    assert (np.diff(unbiased_inverse(transformed)) > 0).all()
