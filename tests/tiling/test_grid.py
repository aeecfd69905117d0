"""The grid: no electron is lost when counts are summed, and rates come back to where they were."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gandenoise.tiling import Frame, Grid, grid_counts, outside

sides = st.integers(8, 150)


@settings(deadline=None, max_examples=60)
@given(height=st.integers(1, 70), width=st.integers(1, 70), summed=st.integers(1, 9))
def test_summing_onto_the_grid_loses_no_electron(height, width, summed):
    counts = torch.poisson(torch.full((3, height, width), 2.0), generator=torch.Generator().manual_seed(height))
    sums, exposure = grid_counts(counts, summed)
    assert sums.shape[1:] == exposure.shape == (math.ceil(height / summed), math.ceil(width / summed))
    assert sums.sum().item() == pytest.approx(counts.sum().item(), rel=1e-5)
    assert exposure.sum().item() == pytest.approx(height * width, rel=1e-5)
    assert sums[2, 0, 0].item() == pytest.approx(counts[2, :summed, :summed].sum().item(), rel=1e-5, abs=1e-5)
    last = counts[2, summed * (sums.shape[1] - 1) :, summed * (sums.shape[2] - 1) :]
    assert sums[2, -1, -1].item() == pytest.approx(last.sum().item(), rel=1e-5, abs=1e-5)


@given(height=sides, width=sides, summed=st.integers(1, 6))
def test_upsampling_a_ramp_puts_every_pixel_where_it_was(height, width, summed):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ramp = 100 + y + 2 * x
    frame = Frame(torch.from_numpy(ramp)[None], Grid((height, width), summed))
    sums, exposure = frame.sums
    back = outside(frame.grid.fine(sums / exposure))
    assert back.shape == ramp.shape
    assert back.dtype == np.float32
    # Within two grid pixels of an edge the spline sees mirrored or partial sums.
    rim = 3 * summed
    inside = back[rim : height - rim, rim : width - rim] - ramp[rim : height - rim, rim : width - rim]
    assert np.abs(inside).max(initial=0) < 0.3 * summed


def test_upsampling_never_goes_below_zero():
    rate = torch.zeros(1, 8, 8)
    rate[0, 3, 3] = 1
    assert Grid((30, 31), 4).fine(rate).min() == 0
