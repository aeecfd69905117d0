"""The study's own tests: digits that no training sees, descents that say where they went, and the quick tables."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

pytest.importorskip("ase")

from benchmarks.photographs import squared_error
from benchmarks.study import LBFGS, OTHERS, PUBLISHED, convergence, descend, held_out_digits, write_idx
from napari_gandenoise.models import load_model


def test_held_out_digits_are_spread_over_the_test_file_and_framed(tmp_path):
    levels = np.arange(0, 250, 10, np.uint8)[:, None, None]
    write_idx(tmp_path / "raw" / "t10k-images-idx3-ubyte", np.broadcast_to(levels, (25, 28, 28)))
    write_idx(tmp_path / "raw" / "train-images-idx3-ubyte", np.full((25, 28, 28), 255, np.uint8))

    digits = held_out_digits(tmp_path, 3)

    assert digits.shape == (3, 1, 32, 32)
    torch.testing.assert_close(digits[:, 0, 16, 16], torch.tensor([0, 120, 240]) / 255)
    assert not digits[:, :, :2].any()


def test_convergence_is_the_first_step_within_a_hundredth_of_the_last():
    errors = torch.tensor([[4.0, 8.0], [2.0, 1.0], [1.005, 1.0], [1.0, 1.0]])
    assert convergence(errors).tolist() == [2, 1]


@pytest.mark.parametrize(("name", "rate"), [PUBLISHED, *OTHERS])
def test_a_descent_gets_nearer_and_images_know_nothing_of_each_other(name, rate, tmp_path, write_tiny_model):
    model = load_model(write_tiny_model(tmp_path))
    true, start = model.draw_latents((2, 3), torch.Generator().manual_seed(1))
    images = (1 + model.render(true)) / 2

    run = descend(model, images, name, rate, start, 20)

    after = squared_error(model, run.latents, images)
    assert run.errors.shape == (20, 3)
    torch.testing.assert_close(run.errors[0], squared_error(model, start, images))
    assert (after < run.errors[0]).all()
    if name == LBFGS:
        assert (run.errors.diff(dim=0) <= 0).all()
    alone = descend(model, images[1:2], name, rate, start[1:2], 20)
    torch.testing.assert_close(alone.latents, run.latents[1:2], atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_the_quick_tables_of_the_study_train_their_own_model(tmp_path, quick):
    quick("study")

    def rows(name):
        return json.loads((tmp_path / f"{name}.json").read_text())["rows"]

    searches = {(row["test"], row["search"]): row for row in rows("study")}
    for test in ("1: drawn", "2: held out"):
        assert searches[test, "ours, proposed"]["PSNR"] < searches[test, "L-BFGS, from our proposal"]["PSNR"]
    drawn, held_out = rows("study_restarts")
    assert drawn["at step 10"] > drawn["at step 200"]
    assert held_out["best"] <= held_out["2 starts, 200 steps: loss, 1e-3"] <= held_out["worst"]
    assert len(rows("study_optimisers")) == 1 + len(OTHERS)
