"""How far what a direct denoiser found is from the truth."""

from __future__ import annotations

from torch import Tensor

from napari_gandenoise.training.direct.exposure import Pairs

__all__ = ["estimate_loss", "likelihood_loss", "pixel_loss"]

LEAST_STRENGTH = 1e-3  # of the scale of an image
LEAST_RATE = 1e-3  # of the mean: below that a rate is no rate for the Poisson likelihood


def estimate_loss(estimated: Tensor, pairs: Pairs) -> Tensor:
    """Mean absolute error of estimated logarithms, as `NoiseEstimator` makes them."""
    strength = (estimated[:, :1] - pairs.strength.clamp(min=LEAST_STRENGTH).log()).abs().mean()
    shared = (estimated[:, 1:] - pairs.correlation.log()[..., None, None]).abs().mean()
    return strength + shared


def pixel_loss(cleaned: Tensor, pairs: Pairs) -> Tensor:
    """Mean squared error, each image's over the strength of its noise.

    Errors grow about like the square root of the strength, so that images of all doses have a say.
    """
    error = (cleaned - pairs.clean).square().mean(dim=(1, 2, 3), keepdim=True)
    return (error / pairs.strength.mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3)).mean()


def likelihood_loss(cleaned: Tensor, pairs: Pairs) -> Tensor:
    """Poisson deviance of the clean rate under the one found, nats a pixel: what new counts would say on average."""
    electrons = pairs.strength.square().clamp(min=1e-6).reciprocal()
    rate, clean = cleaned.clamp(min=LEAST_RATE), pairs.clean.clamp(min=LEAST_RATE)
    deviance = rate - clean - clean * (rate / clean).log()
    # Below the least rate the likelihood has no gradient: the way back is the squared distance.
    below = (LEAST_RATE - cleaned).clamp(min=0).square()
    weight = electrons * pairs.strength  # as in `pixel_loss`
    return (weight * (deviance + below)).mean()
