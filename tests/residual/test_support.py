"""What the counts say of a rate's structure, of which it is known whether they bear it out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from napari_gandenoise.residual import CELL, borne_out, support_of

SIDE = 160
LIMIT = float(stats.norm.isf(0.01 / (4 * (SIDE / CELL) ** 2)))


def lattice(contrast=0.5, mean=8.0, spacing=8.0, side=SIDE):
    y, x = np.mgrid[:side, :side] * (2 * np.pi / spacing)
    return torch.from_numpy(mean * (1 + contrast * np.cos(x) * np.cos(y)))[None].float()


def column(y, x, width=1.7, side=SIDE):
    rows, columns = np.mgrid[:side, :side]
    return torch.from_numpy(np.exp(-0.5 * ((rows - y) ** 2 + (columns - x) ** 2) / width**2)).float()


def counted(truth, seed=0):
    return torch.poisson(truth, generator=torch.Generator().manual_seed(seed))


def supported(counts, rate, read_variance=0.0):
    return support_of(counts, torch.ones(counts.shape[1:]), rate, read_variance)


@pytest.mark.parametrize("seed", range(4))
def test_the_truth_is_borne_out(seed):
    truth = lattice()
    found = supported(counted(truth, seed), truth)
    assert float(found.misfit.abs().max()) < LIMIT
    assert found.peak < 2
    assert abs(found.contrast) < 3 * found.contrast_error


def test_a_row_that_was_put_in_is_found_where_it_is():
    truth = lattice()
    row = sum(column(80, 40 + 9 * number) for number in range(8))
    found = supported(counted(truth), truth + 3 * row)
    place = np.unravel_index(int(found.misfit.argmin()), found.misfit.shape)
    assert float(found.misfit.min()) < -LIMIT
    assert abs(CELL * place[0] - 80) <= 6
    assert 34 <= CELL * place[1] <= 110


def test_a_column_that_was_left_out_is_found_where_it_is():
    truth = lattice(contrast=0.0) + 10 * column(60, 90)
    found = supported(counted(truth), lattice(contrast=0.0))
    place = np.unravel_index(int(found.misfit.argmax()), found.misfit.shape)
    assert float(found.misfit.max()) > LIMIT
    assert np.hypot(CELL * place[0] - 60, CELL * place[1] - 90) < 8


def test_a_lattice_that_was_left_out_shows_in_the_spectrum():
    truth = lattice(contrast=0.2)
    assert supported(counted(truth), torch.full_like(truth, float(truth.mean()))).peak > 20


def test_contrast_that_lacks_is_measured():
    truth, flat = lattice(mean=400.0), lattice(0.0, mean=400.0)
    found = supported(counted(truth), flat + 0.9 * (truth - flat))
    assert found.contrast == pytest.approx(0.1 / 0.9, abs=0.02)
    more = supported(counted(truth), flat + 1.1 * (truth - flat))
    assert more.contrast == pytest.approx(-0.1 / 1.1, abs=0.02)


def test_noise_of_a_camera_is_no_structure():
    truth, spread = lattice(), 3.0
    noisy = counted(truth) + spread * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    found = supported(noisy, truth, spread**2)
    assert float(found.misfit.abs().max()) < LIMIT
    assert found.peak < 2


def test_what_was_not_seen_says_nothing():
    truth = lattice()
    exposure = torch.ones(SIDE, SIDE)
    exposure[40:120, 30:70] = 0
    wrong = truth.clone()
    wrong[:, 60:100, 40:60] *= 3
    found = support_of(counted(truth) * exposure, exposure, wrong, 0.0)
    assert float(found.misfit.abs().max()) < LIMIT


def test_half_of_the_counts_bear_out_what_is_there_and_not_what_is_not():
    truth = lattice(contrast=0.0) + 14 * column(40, 40)
    shown = truth + 14 * column(100, 100)
    found = borne_out(shown, counted(truth), torch.ones(SIDE, SIDE), truth, 0.0)
    assert float(found[44:56, 44:56].min()) < -LIMIT  # in cells
    assert float(found[14:26, 14:26].min()) > -3


@pytest.mark.parametrize("shape", [(8, 8), (9, 31), (64, 7)])
def test_frames_of_any_size_are_judged(shape):
    rate = torch.full((1, *shape), 5.0)
    found = support_of(counted(rate), torch.ones(shape), rate, 0.0)
    assert torch.isfinite(found.misfit).all()
    assert np.isfinite([found.contrast, found.peak]).all()
    assert found.misfit.shape == (-(-shape[0] // CELL), -(-shape[1] // CELL))
