"""Losses against the formulas of their papers, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from napari_gandenoise.training import losses


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_the_discriminator_wants_real_at_nine_tenths_and_fake_at_zero():
    real, fake = torch.tensor([1.5, -0.3]), torch.tensor([0.7])
    # -[0.9 log s(x) + 0.1 log(1 - s(x))] = softplus(x) - 0.9 x, and -log(1 - s(x)) = softplus(x)
    on_real = (softplus(1.5) - 0.9 * 1.5 + softplus(-0.3) + 0.9 * 0.3) / 2
    assert losses.bce_discriminator(real, fake).item() == pytest.approx(on_real + softplus(0.7), rel=1e-5)


def test_its_best_logit_for_real_images_is_that_of_nine_tenths():
    logit = torch.tensor([math.log(0.9 / 0.1)], requires_grad=True)
    (slope,) = torch.autograd.grad(losses.bce_discriminator(logit, torch.tensor([0.0])), logit)
    assert slope.item() == pytest.approx(0, abs=1e-6)


def test_the_generator_wants_its_images_taken_for_real():
    fake = torch.tensor([0.4, -2.0])
    assert losses.bce_generator(fake).item() == pytest.approx((softplus(-0.4) + softplus(2.0)) / 2, rel=1e-5)


def test_the_relativistic_loss_compares_each_logit_with_its_partner():
    better, worse = torch.tensor([2.0, 0.5]), torch.tensor([1.0, 3.0])
    assert losses.relativistic(better, worse).item() == pytest.approx((softplus(-1.0) + softplus(2.5)) / 2, rel=1e-5)
    shifted = losses.relativistic(better + 7, worse + 7)
    assert shifted.item() == pytest.approx(losses.relativistic(better, worse).item(), rel=1e-5)


def test_the_penalty_is_the_squared_gradient_norm():
    # f(x) = sum(w x²) / 2 has the gradient w x.
    weight = torch.arange(1.0, 5.0).view(1, 1, 2, 2)

    class Quadratic(nn.Module):
        def forward(self, x):
            return (weight * x.square()).sum(dim=(1, 2, 3)) / 2

    images = torch.stack([torch.ones(1, 2, 2), 2 * torch.ones(1, 2, 2)])
    expected = (1 + 4 + 9 + 16) * (1 + 4) / 2
    assert losses.zero_centred_penalty(Quadratic(), images).item() == pytest.approx(expected, rel=1e-6)


def test_the_penalty_can_be_trained_on():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Softplus(), nn.Linear(3, 1))
    losses.zero_centred_penalty(network, torch.randn(5, 1, 2, 2)).backward()
    assert network[1].weight.grad.abs().sum() > 0


def test_the_evidence_loss_is_the_share_of_nats_that_is_lost():
    template, rendered = torch.full((1, 1, 4, 4), 0.5), torch.full((1, 1, 4, 4), 0.3)
    weight, mean, log_variance = (
        torch.full((1, 1, 1, 1), 40.0),
        torch.tensor([[1.0, -2.0]]),
        torch.tensor([[0.0, -1.0]]),
    )
    lost = 0.5 * 40 * 16 * 0.2**2
    carried = 0.5 * 40 * 16 * 0.5**2
    divergence = 0.5 * ((1 + 1 - 1 - 0) + (4 + math.exp(-1) - 1 + 1))
    loss = losses.evidence_loss(template, rendered, weight, mean, log_variance)
    assert loss.item() == pytest.approx((lost + divergence) / (carried + 50), rel=1e-5)


def test_the_second_order_of_the_deviance_is_what_is_lost():
    """For a small contrast the expected Poisson log-likelihood lost by t' for t is s c² (t - t')² / 2."""
    s, c, t, other = 100.0, 0.05, 0.6, 0.2
    mean, wrong = s * (1 + c * t), s * (1 + c * other)
    exact = mean * math.log(mean / wrong) - (mean - wrong)
    one = torch.full((1, 1, 1, 1), 1.0)
    none = torch.zeros(1, 1)
    loss = losses.evidence_loss(t * one, other * one, s * c**2 * one, none, none)
    assert loss.item() * (0.5 * s * c**2 * t**2 + 50) == pytest.approx(exact, rel=0.05)


def test_the_critic_wants_real_high_and_generated_low():
    real, fake = torch.tensor([2.0, 4.0]), torch.tensor([1.0, -2.0])
    assert losses.wasserstein_critic(real, fake).item() == pytest.approx(-0.5 - 3)
    assert losses.wasserstein_generator(fake).item() == pytest.approx(0.5)


def test_the_interpolation_penalty_wants_a_gradient_of_one_between_the_images():
    # f(x) = sum(x²) / 2 has the gradient x, so the norm is that of the interpolate.
    class Square(nn.Module):
        def forward(self, x):
            return x.square().sum(dim=(1, 2, 3)) / 2

    real, fake = torch.full((2, 1, 2, 2), 2.0), torch.zeros(2, 1, 2, 2)
    mix = torch.tensor([0.25, 1.0]).view(2, 1, 1, 1)
    # Interpolates of 0.5 and 2 in four pixels have the norms 1 and 4.
    expected = (0 + 3**2) / 2
    assert losses.interpolation_penalty(Square(), real, fake, mix).item() == pytest.approx(expected, rel=1e-6)


def test_the_latent_loss_is_that_of_a_gaussian():
    latents, mean = torch.randn(4, 3), torch.randn(4, 3)
    log_variance = torch.randn(4, 3)
    gaussian = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = -(gaussian.log_prob(latents) + 0.5 * math.log(2 * math.pi)).mean()
    assert losses.latent_loss(latents, mean, log_variance).item() == pytest.approx(expected.item(), rel=1e-5)
