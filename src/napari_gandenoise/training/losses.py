"""Losses of generator, discriminator and encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "bce_discriminator",
    "bce_generator",
    "evidence_loss",
    "frozen",
    "interpolation_penalty",
    "latent_loss",
    "relativistic",
    "smoothness",
    "wasserstein_critic",
    "wasserstein_generator",
    "zero_centred_penalty",
]

REAL_TARGET = 0.9  # one-sided label smoothing: Salimans et al. 2016, section 3.4


def bce_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Binary cross-entropy of the discriminator's logits, real targets 0.9."""
    on_real = functional.binary_cross_entropy_with_logits(real, torch.full_like(real, REAL_TARGET))
    return on_real + functional.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))


def bce_generator(fake: Tensor) -> Tensor:
    """Non-saturating generator loss: Goodfellow et al. 2014, section 3."""
    return functional.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))


def relativistic(better: Tensor, worse: Tensor) -> Tensor:
    """Relativistic pairing loss: each logit is compared with its partner's (Huang et al. 2024, "R3GAN", equation 2)."""
    return functional.softplus(worse - better).mean()


def zero_centred_penalty(discriminator: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Mean squared gradient norm of the discriminator at the images (R1 on real, R2 on generated ones)."""
    images = images.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return gradient.float().square().sum(dim=(1, 2, 3)).mean()


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """Wasserstein distance to be maximised, with a minus: Gulrajani et al. 2017, algorithm 1, without the penalty."""
    return fake.mean() - real.mean()


def wasserstein_generator(fake: Tensor) -> Tensor:
    """Mean score with a minus: Gulrajani et al. 2017, algorithm 1."""
    return -fake.mean()


def interpolation_penalty(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Mean squared deviation of the critic's gradient norm from one, between real and generated images.

    Gulrajani et al. 2017, equation 3.  The critic must have no batch norm, which would couple the images.

    Parameters
    ----------
    real, fake : Tensor
        ``(N, C, H, W)``.
    mix : Tensor
        ``(N, 1, 1, 1)``, uniform on [0, 1]: the share of the real image.
    """
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.float().square().sum(dim=(1, 2, 3)).sqrt() - 1).square().mean()


def latent_loss(latents: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Negative log-likelihood of latents under the Gaussian that the encoder proposes, nats a latent.

    Parameters
    ----------
    latents, mean, log_variance : Tensor
        ``(N, d)``.
    """
    return 0.5 * ((latents - mean).square() * (-log_variance).exp() + log_variance).mean()


def evidence_loss(template: Tensor, rendered: Tensor, weight: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Negative evidence lower bound of fresh counts, as a share of the evidence that the tile carries.

    For counts of mean ``s (1 + c t)`` the expected log-likelihood lost by rendering ``t'`` in place of ``t`` is
    ``sum s c² (t - t')² / 2`` (second order of the Poisson deviance); the latent costs its Kullback-Leibler divergence
    from N(0, 1) (Kingma, Welling 2014, appendix B).

    Parameters
    ----------
    template, rendered : Tensor
        ``(N, C, H, W)``.
    weight : Tensor
        ``s c²``, ``(N, 1, 1, 1)``, electrons per pixel.
    mean, log_variance : Tensor
        Gaussian proposed by the encoder, ``(N, d)``.

    Returns
    -------
    Tensor
        Scalar; 1 is the loss of an empty template at high dose.
    """
    lost = 0.5 * (weight * (template - rendered).square()).sum(dim=(1, 2, 3))
    carried = 0.5 * (weight * template.square()).sum(dim=(1, 2, 3))
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
    # 50 nats: below that a tile is nearly empty and must not dominate.
    return ((lost + divergence) / (carried + 50)).mean()


def smoothness(images: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels of images ``(N, C, H, W)``."""
    return (images.diff(dim=2).square().mean() + images.diff(dim=3).square().mean()) / 2


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Compute no gradients of weights: half of a backward pass, and none that DDP would take for its own."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
