"""The benchmarks of the inversion of single tiles, and the second-order steps they hold against the package's own."""

from __future__ import annotations

import json

import pytest
import torch

pytest.importorskip("ase")

from benchmarks.heldout import Frame
from benchmarks.heldout_tiles import draw_counts, expected_tiles
from benchmarks.optimisers import correlation
from benchmarks.second_order import fisher_scoring, lbfgs
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.presets import PRESETS
from napari_gandenoise.inversion.refine import refine
from napari_gandenoise.models import load_model
from napari_gandenoise.orientation import disk
from napari_gandenoise.simulate.samples import sample_truth
from napari_gandenoise.tiling import TileCounts


@pytest.fixture(scope="module")
def model():
    return load_model("hrtem")


@pytest.fixture
def objective(model):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        rate = 0.45 * (1 + 0.8 * model.render(torch.randn(3, model.latent, generator=generator)))
    exposure = 16 * (disk(model.size) > 0.5).float().expand_as(rate)
    return Objective.of(model, TileCounts(torch.poisson(exposure * rate, generator=generator), exposure), 0.0)


@pytest.fixture
def start(model):
    return torch.randn(3, model.latent, generator=torch.Generator().manual_seed(4))


def test_l_bfgs_never_makes_a_tile_worse_and_all_in_all_ends_below_as_many_steps_of_adam(objective, start):
    spread = torch.ones_like(start)
    *_, adam = refine(objective, start, spread, 30, 0.2)
    with torch.no_grad():
        before = objective(start)
    for state in lbfgs(objective, start, spread, 30):
        assert (state.values <= before).all()
        before = state.values
    with torch.no_grad():
        torch.testing.assert_close(objective(state.latents), state.values)
        # Each may end in a valley of its own.
        assert state.values.sum() < objective(adam.latents).sum()


def test_tiles_of_a_batch_know_nothing_of_each_other(objective, start):
    spread = torch.ones_like(start)
    *_, together = lbfgs(objective, start, spread, 8)
    *_, alone = lbfgs(objective.select(torch.tensor([1])), start[1:2], spread[1:2], 8)
    torch.testing.assert_close(together.values[1:2], alone.values, atol=0.1, rtol=1e-3)


@pytest.mark.slow
def test_fisher_scoring_never_makes_a_tile_worse(objective, start):
    with torch.no_grad():
        before = objective(start)
    for state in fisher_scoring(objective, start, 3):
        assert (state.values <= before).all()
        before = state.values
    with torch.no_grad():
        assert (before < objective(start) - 10).all()


def test_correlation_sees_neither_scale_nor_what_was_not_exposed():
    generator = torch.Generator().manual_seed(0)
    image, other = torch.rand(2, 4, 1, 8, 8, generator=generator)
    exposure = torch.ones(4, 1, 8, 8)
    exposure[..., :3] = 0
    spoilt = torch.where(exposure > 0, 3 * image + 1, other)
    torch.testing.assert_close(correlation(image, spoilt, exposure), torch.ones(4))
    torch.testing.assert_close(correlation(image, -image, exposure), -torch.ones(4))
    assert (correlation(image, other, exposure).abs() < 0.9).all()


def test_tiles_of_a_frame_hold_its_electrons_where_its_structure_is(model):
    sample = sample_truth()
    truth = sample.pixels[300:900, 300:900]
    frame = Frame(0, "black", truth, truth)
    tiles = expected_tiles(model, [frame, frame], 2, sample.pixel_size_nm)
    assert tiles.counts.shape == (4, 1, 64, 64)
    rate = tiles.counts.sum((1, 2, 3)) / tiles.exposure.sum((1, 2, 3))
    assert ((rate > truth.min()) & (rate < truth.max())).all()
    torch.testing.assert_close(tiles.counts[:2], tiles.counts[2:])
    drawn = draw_counts(tiles, 10.0, 1).counts
    assert drawn.sum().item() == pytest.approx(10 * tiles.counts.sum().item(), rel=0.02)
    assert torch.equal(drawn, drawn.round())


@pytest.mark.slow
def test_the_quick_study_has_a_row_for_every_optimiser_rate_and_schedule(tmp_path, quick):
    quick("optimisers")

    rows = json.loads((tmp_path / "optimisers.json").read_text())["rows"]
    assert len(rows) == (3 + 3 + 4) * 3 + 3
    assert len({(row["optimiser"], row["learning rate"], row["schedule"]) for row in rows}) == len(rows)
    assert all(row["evaluations a tile"] >= 5 and row["seconds a tile"] > 0 for row in rows)
    alike = json.loads((tmp_path / "optimisers_alike.json").read_text())["rows"]
    assert [row["dose"] for row in alike] == [0.1, 0.3, 1.0, 3.0, 10.0]
    assert alike[-1]["best to that at the highest dose"] == pytest.approx(1)
    assert alike[-1]["main road to the truth"] > alike[0]["main road to the truth"]


@pytest.mark.slow
def test_the_quick_comparison_of_roads_measures_all_against_ours(tmp_path, quick):
    quick("inversion_speed")

    rows = {row["road"]: row for row in json.loads((tmp_path / "inversion_speed.json").read_text())["rows"]}
    assert rows["ours: encoder, refine"]["tiles at the mark, %"] == 100
    assert rows["ours: encoder, refine"]["times ours"] == 1
    assert rows[f"encoder, L-BFGS, {PRESETS['balanced'].refine} steps"]["end above the mark, nats"] < 0
    assert rows["random latents, CSGM loop"]["end above the mark, nats"] > 0
    assert all(row["seconds until then"] > 0 for row in rows.values())
    retired = json.loads((tmp_path / "inversion_retirement.json").read_text())["rows"]
    assert [row["steps of"] for row in retired] == ["balanced"] * 2 + ["thorough"] * 2
    for everything, fewer in (retired[:2], retired[2:]):
        assert fewer["evaluations a tile"] <= everything["evaluations a tile"]
        assert everything["lost, nats"] == 0
        assert -1 < fewer["lost, nats"] < 10
