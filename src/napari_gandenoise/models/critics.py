"""Discriminators of direct denoisers: they see images of any size and say how clean they look."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["Critic", "ImageDiscriminator", "PatchCritic", "PosteriorCritic"]

SLOPE = 0.2
ERRORS = 5.0  # times: a denoiser leaves about a fifth of the noise


class Critic(nn.Module):
    """CL(K), CBL(2K), CBL(8K), CBL(2K), CBR(K), CBR(K) of Gong, Liu, Lv, "Image denoising with GAN based model" (2020).

    The paper's batch norm would couple the images that a gradient penalty takes one by one (Gulrajani et al. 2017,
    section 4): each image is normalised by itself here.  The first four blocks halve the image; the score is the mean
    of a last convolution.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        k = width
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(channels, k, 4, 2, 1), nn.LeakyReLU(SLOPE)),
                _block(k, 2 * k, 2, nn.LeakyReLU(SLOPE)),
                _block(2 * k, 8 * k, 2, nn.LeakyReLU(SLOPE)),
                _block(8 * k, 2 * k, 2, nn.LeakyReLU(SLOPE)),
                _block(2 * k, k, 1, nn.ReLU()),
                _block(k, k, 1, nn.ReLU()),
            ]
        )
        self.score = nn.Conv2d(k, 1, 3, padding=1)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return what each block makes of images ``(N, C, H, W)``."""
        found = []
        for block in self.blocks:
            images = block(images)
            found.append(images)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Score images: ``(N,)``."""
        score: Tensor = self.score(self.features(images)[-1])
        return score.mean(dim=(1, 2, 3))


def _block(entering: int, leaving: int, stride: int, activation: nn.Module) -> nn.Sequential:
    kernel, padding = (4, 1) if stride == 2 else (3, 1)
    return nn.Sequential(nn.Conv2d(entering, leaving, kernel, stride, padding), nn.GroupNorm(1, leaving), activation)


class ImageDiscriminator(nn.Module):
    """Four strided convolutions with batch norm and a mean: clean or denoised, a logit ``(N,)``."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width]
        layers: list[nn.Module] = []
        for i, (entering, leaving) in enumerate(pairwise(widths)):
            layers.append(nn.Conv2d(entering, leaving, 4, 2, 1, bias=i == 0))
            if i:
                layers.append(nn.BatchNorm2d(leaving))
            layers.append(nn.LeakyReLU(SLOPE))
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        """Judge images ``(N, C, H, W)``."""
        logit: Tensor = self.layers(images)
        return torch.mean(logit, dim=(1, 2, 3))


class PatchCritic(nn.Module):
    """Score patches of a clean or restored image beside the noisy one: two scores of a place can be compared.

    The discriminator of Isola, Zhu, Zhou, Efros, "Image-to-image translation with conditional adversarial networks"
    (2017), section 3.2.2: strided convolutions of 4x4, each score looks at 70x70 pixels.  Without its batch norm, which
    would couple the images whose gradients are penalised one by one (Huang et al., "The GAN is dead; long live the
    GAN!" (2024), section 4, leave norms out, too).

    Parameters
    ----------
    channels : int
        Of an image.
    width : int
        Channels of the first convolution.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layers = _patches(2 * channels, width)

    def forward(self, images: Tensor, noisy: Tensor) -> Tensor:
        """Score clean or restored images.

        Parameters
        ----------
        images, noisy : Tensor
            ``(N, C, H, W)``, sides of 24 pixels at least; both are seen relative to level and scale of the noisy one.

        Returns
        -------
        Tensor
            ``(N, 1, h, w)``, a score a patch.
        """
        centre = noisy.mean(dim=(1, 2, 3), keepdim=True)
        scale = noisy.std(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
        scores: Tensor = self.layers(torch.cat([(part - centre) / scale for part in (images, noisy)], dim=1))
        return scores


class PosteriorCritic(nn.Module):
    """Score patches of what an image could be, beside what it was cleaned to, the noisy image, and how noisy that is.

    As `PatchCritic`; what differs between two such images is what they add to the cleaned one, so that is what it sees.

    Parameters
    ----------
    channels : int
        Of an image.
    width : int
        Channels of the first convolution.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layers = _patches(3 * channels + 1, width)

    def forward(self, images: Tensor, cleaned: Tensor, noisy: Tensor, strength: Tensor) -> Tensor:
        """Score images.

        Parameters
        ----------
        images, cleaned, noisy : Tensor
            ``(N, C, H, W)``, sides of 24 pixels at least.
        strength : Tensor
            ``(N, 1, 1, 1)`` or ``(N, 1, H, W)``: standard deviation of the noise.

        Returns
        -------
        Tensor
            ``(N, 1, h, w)``, a score a patch.
        """
        unit = strength.clamp(min=1e-3)
        centre = cleaned.mean(dim=(1, 2, 3), keepdim=True)
        scale = cleaned.std(dim=(1, 2, 3), keepdim=True) + unit / ERRORS
        seen = [ERRORS * (images - cleaned) / unit, (noisy - cleaned) / unit, (cleaned - centre) / scale]
        scores: Tensor = self.layers(torch.cat([*seen, unit.log10().expand_as(images[:, :1])], dim=1))
        return scores


def _patches(channels: int, width: int) -> nn.Sequential:
    """Strided convolutions whose scores look at 70x70 pixels each."""
    widths = [channels, width, 2 * width, 4 * width, 8 * width]
    layers: list[nn.Module] = []
    for i, (entering, leaving) in enumerate(pairwise(widths)):
        layers += [nn.Conv2d(entering, leaving, 4, 2 if i < 3 else 1, 1), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))
