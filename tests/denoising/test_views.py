"""Views of a frame: all orientations, no electron lost, and each turned back to where it came from."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gandenoise.denoising.views import View, views_of
from napari_gandenoise.models import load_model
from napari_gandenoise.tiling import Frame, Grid


def views(summed_ratio: float, count: int, intensity: str = "template") -> list[View]:
    model = load_model("hrtem-unet")
    model = replace(model, header=model.header.model_copy(update={"intensity": intensity}))
    return views_of(model, Grid((1200, 1200), summed_ratio), count)


@settings(deadline=None)
@given(turns=st.integers(0, 3), mirrored=st.booleans(), height=st.integers(1, 6), width=st.integers(1, 6))
def test_turning_back_undoes_turning(turns, mirrored, height, width):
    image = torch.arange(2.0 * height * width).reshape(2, height, width)
    view = View(1, (0, 0), turns, mirrored)
    assert torch.equal(view.turned_back(view.turned(image)), image)


@settings(deadline=None)
@given(
    summed=st.integers(1, 5), down=st.integers(0, 4), right=st.integers(0, 4),
    height=st.integers(1, 23), width=st.integers(1, 23), holes=st.booleans(),
)  # fmt: skip
def test_no_electron_is_lost_or_counted_twice(summed, down, right, height, width, holes):
    generator = torch.Generator().manual_seed(height * width)
    counts = torch.poisson(torch.full((1, height, width), 3.0), generator=generator)
    exposed = (torch.rand(height, width, generator=generator) < 0.5).float() if holes else None
    seen = torch.ones(height, width) if exposed is None else exposed
    frame = Frame(counts, Grid((height, width), summed), exposed=exposed)
    sums, exposure = View(summed, (down % summed, right % summed)).sums(frame)
    # Sums are means times a number: they round.
    torch.testing.assert_close(sums.sum(), (counts * seen).sum())
    torch.testing.assert_close(exposure.sum(), seen.sum())


@pytest.mark.parametrize("count", [1, 4, 8, 16])
def test_a_micrograph_is_seen_differently_each_time(count):
    seen = views(4.0, count)
    assert seen[0] == View(4)
    assert len(set(seen)) == count
    if count >= 4:
        assert {view.turns for view in seen} == {0, 1, 2, 3}
        assert sorted(view.summed for view in seen) == [4] * (count // 2) + [5] * (count // 2)
        assert all(view.shift[0] in (0, view.summed // 2) for view in seen)
    if count == 16:
        assert len({(view.turns, view.mirrored, view.summed) for view in seen}) == 16


@pytest.mark.parametrize(("ratio", "sides"), [(1.0, {1}), (1.4, {1}), (1.6, {2}), (2.4, {2, 3}), (4.0, {4, 5})])
def test_a_coarser_grid_is_taken_where_the_model_knows_that_scale(ratio, sides):
    assert {view.summed for view in views(ratio, 8)} == sides


def test_an_image_that_is_not_summed_has_eight_views():
    assert len(views(1.0, 16)) == 8


def test_a_photograph_has_an_up_and_a_down():
    seen = views(1.0, 16, "absolute")
    assert len(seen) == 4
    image = torch.arange(6.0).reshape(1, 2, 3)
    assert {tuple(view.turned(image).shape) for view in seen} == {(1, 2, 3)}
