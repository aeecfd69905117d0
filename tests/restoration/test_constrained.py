"""Constrained generation: the objective, the layout, and what the search finds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_gandenoise.models import load_model
from napari_gandenoise.operators import Decimate, Identity, Mask
from napari_gandenoise.progress import drain
from napari_gandenoise.restoration.constrained import Constraint, Restorer, cut, lay_out_restored


@pytest.fixture
def photos(tmp_path, write_photograph_model):
    return load_model(write_photograph_model(tmp_path, discriminator=True))


def restorer(model, seen, operator, factor=1, **fields) -> Restorer:
    layout = lay_out_restored(tuple(seen.shape[1:]), model.size, factor)
    settings = {
        "norm": 1.0, "prior": 0.01, "agreement": 0.2, "restarts": 6, "steps": 120,
        "generator": torch.Generator().manual_seed(0), **fields,
    }  # fmt: skip
    return Restorer(model=model, layout=layout, operator=operator, seen=seen, **settings)


def test_the_objective_is_the_sum_of_its_parts(photos):
    latents = torch.randn(2, 6, generator=torch.Generator().manual_seed(4))
    seen, inside = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(5)), torch.ones(2, 1, 32, 32)
    inside[..., :5] = 0
    drawn = photos.render(latents)

    def value(norm=1.0, prior=0.0, extra=None):
        return Constraint(photos, Identity(), seen, inside, norm, prior, extra)(latents)

    apart = (drawn - (2 * seen - 1)).abs() * inside
    assert torch.allclose(value(), apart.sum((1, 2, 3)), rtol=1e-4)
    assert torch.allclose(value(norm=1.5), apart.pow(1.5).sum((1, 2, 3)), rtol=1e-4)
    assert torch.allclose(value(prior=2.0) - value(), latents.square().sum(1), rtol=1e-3)
    brightness = value(extra=lambda images: 100 * images.mean((1, 2, 3))) - value()
    assert torch.allclose(brightness, 100 * drawn.mean((1, 2, 3)), rtol=1e-2, atol=1e-2)


def test_the_gradient_is_finite_where_the_image_fits_exactly(photos):
    latents = torch.randn(1, 6, generator=torch.Generator().manual_seed(4)).requires_grad_(True)
    seen = ((1 + photos.render(latents)) / 2).detach()
    for norm in (1.0, 1.5, 2.0):
        value = Constraint(photos, Identity(), seen, torch.ones(1, 1, 32, 32), norm, 0.0)(latents).sum()
        (gradient,) = torch.autograd.grad(value, latents)
        assert torch.isfinite(gradient).all()


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 2, 4]))
def test_tiles_cover_the_restored_image_and_begin_on_whole_input_pixels(height, width, factor):
    layout = lay_out_restored((height, width), 32, factor)
    corners = layout.centres - 15.5
    assert torch.equal(corners, (corners / factor).round() * factor)
    covered = torch.zeros(factor * height, factor * width)
    for y, x in corners.long().tolist():
        covered[max(0, y) : y + 32, max(0, x) : x + 32] = 1
    assert covered.all()


def test_squares_are_cut_where_they_lie_and_zero_outside():
    frame = torch.arange(12.0).view(1, 3, 4) + 1
    (square,) = cut(frame, torch.tensor([[-1, 2]]), 3)
    assert square.tolist() == [[[0, 0, 0], [3, 4, 0], [7, 8, 0]]]


@pytest.mark.parametrize("operator", [Identity(), Decimate(4)])
def test_an_image_that_can_be_drawn_is_found(photos, operator):
    truth = (1 + photos.render(torch.randn(1, 6, generator=torch.Generator().manual_seed(2)))) / 2
    factor = 4 if isinstance(operator, Decimate) else 1
    found = drain(restorer(photos, operator(truth)[0], operator, factor).run())
    assert found.image.shape == truth.shape[1:]
    assert float((found.image - truth[0]).square().mean()) < 1e-3 < float(truth.var())
    assert found.tile_steps == 6 * 12 + 120


def test_more_restarts_never_end_higher_by_much(photos):
    """The best of several starts goes on; the first is among them."""
    seen = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(7))
    few, many = (drain(restorer(photos, seen, Identity(), restarts=n).run()).loss for n in (1, 8))
    assert many < 1.02 * few


def test_what_else_images_shall_be_good_for_is_heeded(photos):
    """As constrained generation asks a discriminator, whose logit is large where it believes."""
    seen = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(7))
    believed = [None, lambda images: -300 * photos.discriminator(images)]
    plain, real = (drain(restorer(photos, seen, Identity(), extra=extra).run()) for extra in believed)
    logits = [float(photos.discriminator(photos.render(found.latents))) for found in (plain, real)]
    assert logits[1] > logits[0]


def test_neighbours_agree_on_what_nobody_saw(photos):
    """Two tiles overlap in a hole: with agreement they draw it more alike."""
    seen = torch.rand(3, 32, 48, generator=torch.Generator().manual_seed(8))
    known = torch.ones(1, 1, 32, 48)
    known[..., 16:32] = 0
    apart = []
    for weight in (0.0, 5.0):
        found = drain(restorer(photos, seen, Mask(known), agreement=weight).run())
        images = photos.render(found.latents)
        apart.append(float((images[0, :, :, 16:] - images[1, :, :, :16]).abs().mean()))
    assert apart[1] < 0.8 * apart[0]


@pytest.mark.usefixtures("hurried_clock")
def test_events_count_up_and_previews_have_the_shape_of_the_result(photos):
    seen = torch.rand(3, 20, 50, generator=torch.Generator().manual_seed(8))
    events = list(restorer(photos, seen, Identity(), steps=10).run())
    for stage in ("start", "brief", "refine"):
        done = [event.done for event in events if event.stage == stage]
        assert done == sorted(done)
        assert all(event.done <= event.total for event in events)
    shapes = {tuple(event.preview.shape) for event in events if event.preview is not None}
    assert shapes == {(3, 20, 50)}
