"""Operators: what their properties as measurements must be, at any shape."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_gandenoise.operators import Decimate, Identity, Luminance, Mask, Operator, Quantise

sides = st.integers(1, 6)
seeds = st.integers(0, 2**31)


@st.composite
def cases(draw) -> tuple[Operator, torch.Tensor, torch.Tensor]:
    """An operator, and two images ``(N, 3, H, W)`` from 0 to 1 that it can measure."""
    generator = torch.Generator().manual_seed(draw(seeds))
    factor = draw(st.sampled_from([2, 4]))
    shape = (draw(st.integers(1, 3)), 3, factor * draw(sides), factor * draw(sides))
    known = (torch.rand(shape[0], 1, *shape[2:], generator=generator) < 0.7).float()
    known[:, :, 0, 0] = 1
    operator = draw(
        st.sampled_from([Mask(known), Luminance(), Decimate(factor), Quantise(draw(st.integers(2, 256))), Identity()])
    )
    return operator, torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)


@given(cases())
def test_an_image_does_not_miss_its_own_measurement(case):
    operator, image, _ = case
    assert operator.misfit(image, operator(image)).abs().max() < 1e-6


@given(cases())
def test_a_projected_image_measures_as_was_seen(case):
    operator, image, other = case
    seen = operator(image)
    projected = operator.project(other, seen)
    assert projected.shape == other.shape
    if not isinstance(operator, Identity):  # which sees noise, and forgives it
        assert operator.misfit(projected, seen).abs().max() < 1e-5
    assert torch.allclose(operator.project(projected, seen), projected, atol=1e-5)


@given(cases())
def test_the_guess_is_an_image(case):
    operator, image, _ = case
    guess = operator.guess(operator(image))
    assert guess.shape == image.shape
    assert torch.isfinite(guess).all()


@given(cases())
def test_the_misfit_of_another_image_pulls_it_closer(case):
    operator, image, other = case
    seen, wrong = operator(image), other.clone().requires_grad_(True)
    loss = operator.misfit(wrong, seen).square().sum()
    if loss.detach() < 1e-6:
        return
    (gradient,) = torch.autograd.grad(loss, wrong)
    step = 0.01 * float(loss.detach()) / float(gradient.square().sum())
    assert operator.misfit(other - step * gradient, seen).square().sum() < loss


@given(cases())
def test_measuring_twice_is_measuring_once(case):
    operator, image, _ = case
    if isinstance(operator, Mask | Quantise):
        assert torch.equal(operator(operator(image)), operator(image))


@given(sides, sides, st.sampled_from([2, 4]), seeds)
def test_decimation_and_spreading_are_adjoint(height, width, factor, seed):
    """<A x, y> = <x, y spread evenly over its squares>."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(2, 1, factor * height, factor * width, generator=generator)
    y = torch.rand(2, 1, height, width, generator=generator)
    spread = y.repeat_interleave(factor, 2).repeat_interleave(factor, 3) / factor**2
    assert torch.allclose((Decimate(factor)(x) * y).sum(), (x * spread).sum(), rtol=1e-4)


def test_luminance_is_the_value_channel_and_keeps_the_hue():
    from skimage.color import hsv2rgb, rgb2hsv

    image = torch.rand(1, 3, 6, 5, generator=torch.Generator().manual_seed(1))
    hsv = rgb2hsv(image[0].permute(1, 2, 0).numpy())
    assert torch.allclose(Luminance()(image)[0, 0], torch.from_numpy(hsv[..., 2]).float())
    hsv[..., 2] = 0.5
    wanted = torch.from_numpy(hsv2rgb(hsv)).permute(2, 0, 1).float()
    assert torch.allclose(Luminance().project(image, torch.full((1, 1, 6, 5), 0.5))[0], wanted, atol=1e-5)


def test_black_has_no_hue_and_becomes_grey():
    seen = torch.tensor([[[[0.0, 0.7]]]])
    assert torch.equal(Luminance().project(torch.zeros(1, 3, 1, 2), seen), seen.expand(1, 3, 1, 2))


def test_levels_are_evenly_spaced_from_black_to_white():
    image = torch.tensor([0.0, 0.12, 0.13, 0.5, 0.87, 0.88, 1.0]).view(1, 1, 1, 7)
    assert Quantise(5)(image).flatten().tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1]


def test_what_lies_within_half_a_step_fits():
    seen = torch.full((1, 1, 1, 3), 0.5)
    misfit = Quantise(5).misfit(torch.tensor([0.4, 0.6, 0.7]).view(1, 1, 1, 3), seen)
    assert torch.allclose(misfit.flatten(), torch.tensor([0.0, 0.0, 0.075]), atol=1e-6)
