"""What is around an engine is the same for all engines, and an engine need only draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from napari_gandenoise.denoising.frame import frame_steps
from napari_gandenoise.denoising.run import run_steps
from napari_gandenoise.progress import Progress, drain
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.noise import Poisson
from napari_gandenoise.tiling import Drawn, Frame, Grid, outside

CPU = torch.device("cpu")


@dataclass
class Constant:
    """An engine that draws the same rate whatever it is shown."""

    grid: Grid
    rate: torch.Tensor
    kept: float = 0.0
    finely: bool = False

    def draw(self, frame, before=None):  # noqa: ARG002 - an `Engine`
        yield Progress("draw", 1, 1)
        return Drawn(self.rate, self.grid.fine_means(self.rate) if self.finely else None, self.kept)


@pytest.fixture
def scene(make_scene, rng):
    """A rate on the input's pixels, counts of it, and its means over the pixels of a grid of 2 x 2 sums."""
    rate = (6 * make_scene(160, spacing=18.0)).astype(np.float32)
    grid = Grid(rate.shape, 2.0)
    frame = Frame.of(rng.poisson(rate).astype(np.float32), grid, CPU)
    return rate, frame, grid.means(torch.from_numpy(rate)[None])


def test_the_truth_is_left_as_it_is_and_fits(scene):
    rate, frame, means = scene
    result = drain(frame_steps(Constant(frame.grid, means), frame, residual_step=False))
    np.testing.assert_allclose(outside(result.rate), rate, atol=0.05 * rate.mean())
    assert result.deviance == pytest.approx(1, abs=0.05)
    assert result.residual_share == 0
    assert result.fit_map.shape == rate.shape
    assert float(result.fit_map.max()) < 4.5


@pytest.mark.parametrize("finely", [False, True])
def test_what_an_engine_has_left_out_the_residual_step_adds(scene, finely):
    rate, frame, means = scene
    flat = torch.full_like(means, float(means.mean()))
    alone, stepped = (
        drain(frame_steps(Constant(frame.grid, flat, finely=finely), frame, residual_step=step))
        for step in (False, True)
    )
    errors = [np.square(outside(result.rate) - rate).mean() for result in (alone, stepped)]
    assert errors[1] < 0.3 * errors[0]
    assert alone.deviance > stepped.deviance
    assert stepped.residual_share > 0


def test_an_engine_that_keeps_all_of_its_rate_has_the_last_word(scene):
    _, frame, means = scene
    flat = torch.full_like(means, float(means.mean()))
    result = drain(frame_steps(Constant(frame.grid, flat, kept=1.0), frame, residual_step=True))
    assert result.residual_share == 0
    torch.testing.assert_close(result.rate, torch.full_like(frame.counts, float(means.mean())))


def test_any_engine_denoises_movies_in_the_units_of_their_files(rng):
    """Whatever draws: units, report, maps and uncertainty are made around it."""
    level = 5.0
    movie = (3 * rng.poisson(level, (2, 64, 64)) + 10).astype(np.float32)
    config = DenoiseConfig(model="hrtem", pixel_size_nm=0.0244, noise=Poisson(gain=3, offset=10), replicates=2)

    def make(model, work, settings):
        return Constant(work.grid, torch.full((1, *work.grid.sides), level))

    result = drain(run_steps(movie, config, make, residual_step=False))
    np.testing.assert_allclose(result.rate, 3 * level + 10)
    np.testing.assert_allclose(result.residual, movie - 25)
    assert result.latents == []
    assert result.report["frames"] == 2
    assert result.report["deviance"] == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(result.uncertainty, 0, atol=1e-5)
