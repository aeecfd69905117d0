"""The search: orientations from counts, candidates in order."""

from __future__ import annotations

import math

import pytest
import torch

from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.search import Candidates, find_angles, propose
from napari_gandenoise.tiling import Frame, Grid, lay_out


def make_candidates(values) -> Candidates:
    values = torch.tensor(values)
    tiles, kept = values.shape
    latents = values[:, :, None].expand(tiles, kept, 5)
    return Candidates(latents, latents + 1, 10 * values, values)


def test_the_best_are_kept_in_order_with_all_that_belongs_to_them():
    kept = make_candidates([[3.0, 1.0, 2.0], [5.0, 9.0, 4.0]]).keep(2)
    assert kept.values.tolist() == [[1, 2], [4, 5]]
    assert kept.latents[:, :, 0].tolist() == [[1, 2], [4, 5]]
    assert kept.spread[:, :, 3].tolist() == [[2, 3], [5, 6]]
    assert kept.angles.tolist() == [[10, 20], [40, 50]]


def test_merged_sets_compete():
    merged = make_candidates([[3.0], [5.0]]).merge(make_candidates([[1.0], [6.0]]))
    assert merged.keep(1).values.tolist() == [[1], [5]]


@pytest.mark.parametrize("angle", [-1.1, 0.2, 1.3])
@pytest.mark.parametrize("read_variance", [0.0, 0.3])
def test_orientations_are_read_off_the_counts(generator, angle, read_variance):
    pixel_nm, model_nm = 0.0061, 0.0244
    y, x = (torch.arange(300) * pixel_nm for _ in range(2))
    along = math.cos(angle) * x[None, :] + math.sin(angle) * y[:, None]
    counts = torch.poisson(0.45 * (1 + 0.3 * torch.cos(2 * math.pi * along / 0.2265)), generator=generator)[None]
    counts = counts + read_variance**0.5 * torch.randn(counts.shape, generator=generator)
    tiles = lay_out(Grid((300, 300), model_nm / pixel_nm), 64, 30)
    middle = ((tiles.centres - tiles.centres.mean(dim=0)).norm(dim=1)).argmin()[None]
    found = find_angles(Frame(counts, tiles.grid, read_variance), tiles, middle, 1).item()
    assert abs(math.degrees(math.remainder(found - angle, math.pi))) < 2.5


def test_random_samples_and_the_encoder_propose_side_by_side(model, generator, expose):
    rate = 0.45 * (1 + 0.5 * model.render(torch.randn(3, model.latent, generator=generator)))
    objective, angles = Objective.of(model, expose(rate, generator), 0.0), torch.tensor([0.1, 0.2, 0.3])
    random = torch.randn(3, 7, model.latent, generator=generator)
    both = propose(objective, None, angles, random)
    assert both.values.shape == (3, 8)
    assert torch.equal(both.latents[:, 1:], random)
    assert torch.equal(both.angles, angles[:, None].expand(3, 8))
    study = propose(objective, None, angles, random, encode=False)
    assert torch.equal(study.latents, random)
    assert (study.spread == 1).all()
