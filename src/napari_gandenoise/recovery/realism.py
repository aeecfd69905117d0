"""What a discriminator says of images: Yeh et al. 2017, "Semantic image inpainting with deep generative models"."""

from __future__ import annotations

from torch import Tensor

__all__ = ["realism"]


def realism(logit: Tensor) -> Tensor:
    """Return ``log(1 - D) - log D`` of a discriminator's logit: small where it believes.

    With D the sigmoid of the logit both logarithms are softplus functions, whose difference is minus the logit: finite
    wherever the logit is.  Only differences of logits matter to its gradient, so that recipes whose discriminators
    compare (stable, wgan-gp) serve as well.
    """
    # log(1 - D) - log D = -softplus(l) + softplus(-l), and softplus(l) - softplus(-l) = l for every l.
    return -logit
