"""Discriminators of direct denoisers: they see images of any size and say how clean they look."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["Critic", "ImageDiscriminator"]

SLOPE = 0.2


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
