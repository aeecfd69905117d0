"""The bundled model, and tiles that are drawn from it."""

from __future__ import annotations

import pytest
import torch

from napari_gandenoise.models import load_model
from napari_gandenoise.orientation import disk
from napari_gandenoise.tiling import TileCounts


@pytest.fixture(scope="session")
def model():
    return load_model("hrtem")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


@pytest.fixture
def expose():
    """Counts of rates ``(N, 1, H, W)`` with 16 input pixels a bin; noise-free unless a generator is given."""

    def make(rate: torch.Tensor, generator: torch.Generator | None = None) -> TileCounts:
        exposure = 16 * (disk(rate.shape[-1]) > 0.5).float().expand_as(rate)
        counts = exposure * rate
        return TileCounts(torch.poisson(counts, generator=generator) if generator else counts, exposure)

    return make
