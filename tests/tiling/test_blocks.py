"""Blocks: an image of any size is covered by whole ones, and put together without seams."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gandenoise.progress import drain, relay
from napari_gandenoise.tiling import Blocks, block_steps
from napari_gandenoise.tiling import blocks as blocks_module


def test_blocks_that_are_left_alone_give_the_image_back():
    image = torch.rand(2, 100, 77, generator=torch.Generator().manual_seed(0))
    same = drain(block_steps(image, Blocks(32, 8, 4), lambda blocks, _: blocks, 32**2))
    assert torch.allclose(same, image, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    batch=st.integers(1, 5),
    overlap=st.integers(0, 15),
    multiple=st.sampled_from([1, 4, 16]),
)
def test_an_image_of_any_size_is_covered_by_whole_blocks(height, width, batch, overlap, multiple):
    image = torch.rand(1, height, width, generator=torch.Generator().manual_seed(0))
    shapes = []

    def halved(blocks, _):
        shapes.append(blocks.shape)
        return blocks / 2

    blocks = Blocks(16, overlap, multiple)
    result = drain(block_steps(image, blocks, halved, batch * 256))
    assert torch.allclose(result, image / 2, atol=1e-5)
    assert sum(shape[0] for shape in shapes) == blocks.count((height, width))
    for count, _, *sides in shapes:
        assert count * sides[0] * sides[1] <= batch * 256
        assert all(side <= 16 and side % multiple == 0 for side in sides)


def test_blocks_that_disagree_are_blended_without_a_seam():
    # Each block adds a constant of its own: the result must pass from one to the next without a jump.
    image = torch.zeros(1, 64, 400)
    levels = iter(range(100))

    def shifted(blocks, _):
        return blocks + torch.tensor([float(next(levels)) for _ in blocks]).view(-1, 1, 1, 1)

    result = drain(block_steps(image, Blocks(64, 32, 8), shifted, 64**2))
    steps = result.diff(dim=2).abs().max()
    assert steps < 0.1


def test_rows_of_blocks_that_are_done_show_in_the_preview(monkeypatch):
    monkeypatch.setattr(blocks_module, "PREVIEW_SECONDS", 0.0)
    image = torch.rand(3, 100, 60, generator=torch.Generator().manual_seed(3))
    steps = block_steps(image, Blocks(32, 8, 4), lambda blocks, _: blocks / 2, 32**2)
    previews = []

    def keep(event):
        previews.extend([] if event.preview is None else [event.preview])
        return event

    result = drain(relay(steps, keep))
    assert len(previews) == 3  # four rows of blocks
    for preview in previews:
        done = int((preview[0] == result[0]).all(dim=1).sum())
        assert 0 < done < 100
        assert torch.equal(preview[:, :done], result[:, :done])
        assert torch.equal(preview[:, done:], image[:, done:])
