"""Electron splitting: halves are independent, and the better rate scores higher."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.noise.splitting import split_counts, split_score


@given(st.floats(0.05, 0.95), st.sampled_from([np.uint8, np.int64, np.float32]))
def test_no_electron_is_lost_or_counted_twice(share, dtype):
    counts = np.random.default_rng(0).poisson(3, (30, 30)).astype(dtype)

    kept, held = split_counts(counts, share, np.random.default_rng(1))

    np.testing.assert_array_equal(kept + held, counts)
    assert kept.min() >= 0
    assert held.min() >= 0


def test_kept_and_held_electrons_are_independent_thinned_poisson_counts():
    counts = np.random.default_rng(0).poisson(2.0, 400_000)

    kept, held = split_counts(counts, 0.7, np.random.default_rng(1))

    assert kept.mean() == pytest.approx(1.4, abs=0.01)
    assert kept.var() == pytest.approx(1.4, abs=0.02)
    assert held.var() == pytest.approx(0.6, abs=0.01)
    assert np.corrcoef(kept, held)[0, 1] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_the_true_rate_scores_the_information_it_holds_and_others_less(share):
    x = np.linspace(0, 40, 600)
    rate = np.tile(0.5 * (1 + 0.6 * np.cos(x)), (600, 1))
    counts = np.random.default_rng(0).poisson(rate)
    kept, held = split_counts(counts, share, np.random.default_rng(1))
    assert split_score(held, np.full(rate.shape, kept.mean()), share) == pytest.approx(0, abs=0.5)
    scores = [split_score(held, share * (0.5 + scale * (rate - 0.5)), share) for scale in (0.5, 1, 1.5)]
    # Mean of (λ/m) ln(λ/m) for the true rate, in nats per electron.
    relative = rate / rate.mean()
    assert scores[1] == pytest.approx(1e3 * (relative * np.log(relative)).mean(), rel=0.1)
    assert scores[1] > max(scores[0], scores[2])


@pytest.mark.parametrize("image", [np.full((4, 4), 0.5), np.full((4, 4), -1.0)])
def test_what_was_not_counted_cannot_be_split(image):
    with pytest.raises(GanDenoiseError, match="only where they were counted"):
        split_counts(image, 0.5, np.random.default_rng(0))
