"""A branch beside a U-Net that draws what its image could be: ``m(y) + r(y, z)``, ``m`` the U-Net, ``z`` noise.

After Bendel, Ahmad, Schniter, "A regularized conditional GAN for posterior sampling in image recovery problems"
(2023), and Ohayon, Adrai, Vaksman, Elad, Milanfar, "High perceptual quality image denoising with a posterior sampling
CGAN" (2021).  Noise enters at every level of the decoder, each channel with a scale of its own as in Karras, Laine,
Aila, "A style-based generator architecture for generative adversarial networks" (2019), section 3.2, but one that the
features of the place decide: where the counts leave nothing open, nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_gandenoise.models.denoisers import BLOCKS, Code, UNet, repeated
from napari_gandenoise.settings.networks import UNetArchitecture

__all__ = ["Sampler"]

FOLDED = 2  # pixels along a side that a U-Net folds into channels
FAINT = 0.01  # of the noise when training begins: at exactly none, the loss has no slope that asks for more


class Strewn(nn.Module):
    """Noise strewn over features, each channel at each place as much as these say."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.scale = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.scale.weight)
        nn.init.constant_(self.scale.bias, FAINT)  # type: ignore[arg-type]

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """Add it."""
        normed = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        strewn: Tensor = x + self.scale(normed) * noise
        return strewn


class Sampler(nn.Module):
    """The branch: scales of the noise at all levels, a finest level of the decoder of its own, and a gate.

    The rest of the decoder is the U-Net's, which stays as it is.  The gate says by the features that the clean image
    is made of how far, place by place, a draw may be from it: not at all in vacuum.

    Parameters
    ----------
    architecture : UNetArchitecture
        Of the U-Net.
    """

    def __init__(self, architecture: UNetArchitecture) -> None:
        super().__init__()
        widths, block = architecture.widths, BLOCKS[architecture.block]
        self.widths = tuple(reversed(widths))
        self.strewn = nn.ModuleList(Strewn(width) for width in self.widths)
        self.finer = nn.ConvTranspose2d(widths[1], widths[0], 2, 2)
        first, others = block(2 * widths[0], widths[0]), range(architecture.depth - 1)
        self.up = nn.Sequential(first, *(block(widths[0], widths[0]) for _ in others))
        self.leave = nn.Conv2d(widths[0], FOLDED**2 * architecture.channels, 3, padding=1)
        self.norm, self.gate = nn.LayerNorm(widths[0]), nn.Conv2d(widths[0], 1, 3, padding=1)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)  # type: ignore[arg-type]

    def begin_with(self, network: UNet) -> None:
        """Take the finest level of a U-Net for a start."""
        for own, other in ((self.finer, network.finer[0]), (self.up, network.up[0]), (self.leave, network.leave)):
            own.load_state_dict(other.state_dict())

    def shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """Shapes ``(C, h, w)`` of the noise of a draw, the coarsest level first, for an image of so many pixels."""
        levels = [FOLDED * 2**level for level in reversed(range(len(self.widths)))]
        return [(wide, height // side, width // side) for wide, side in zip(self.widths, levels, strict=True)]

    def forward(self, network: UNet, code: Code, cleaned: Tensor, features: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Draw what images could be.

        Parameters
        ----------
        network : UNet
            The one that this is a branch of.
        code, cleaned, features : Code, Tensor, Tensor
            What it has made of N noisy images.
        noise : sequence of Tensor
            Standard normal, ``(P * N, *shape)`` for each of `shapes`: P draws of all images, one after the other.

        Returns
        -------
        Tensor
            ``(P * N, C, H, W)``: by how much they are off the clean ones, ``r(y, z)``.
        """
        count = len(noise[0]) // len(cleaned)
        code = repeated(code, count)
        finer = [*reversed(network.finer[1:]), self.finer]
        blocks = [*reversed(network.up[1:]), self.up]
        x, skipped = self.strewn[0](code.bottom, noise[0]), list(code.skipped)
        for up, block, strewn, drawn in zip(finer, blocks, self.strewn[1:], noise[1:], strict=True):
            x = strewn(block(torch.cat([up(x), skipped.pop()], dim=1)), drawn)
        found = functional.pixel_shuffle(self.leave(functional.relu(x)), FOLDED)
        apart = code.start - found * code.strength - cleaned.repeat(count, 1, 1, 1)
        return apart * self._opened(features).repeat(count, 1, 1, 1)

    def _opened(self, features: Tensor) -> Tensor:
        """Return how wide the gate is at each pixel, ``(N, 1, H, W)``."""
        normed = self.norm(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        opened: Tensor = functional.interpolate(self.gate(normed), scale_factor=FOLDED, mode="nearest").exp()
        return opened
