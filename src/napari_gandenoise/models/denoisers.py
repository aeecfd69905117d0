"""Direct denoisers: networks that turn a noisy image into a clean one in a single forward pass.

- `UNet`: Ronneberger, Fischer, Brox (2015) with residual or gated blocks, on an image folded 2x2 into channels and with
  the noise strength as a further input (Zhang, Zuo, Zhang, "FFDNet" (2018), section 3).
- `EncoderDecoder`: the generator of Gong, Liu, Lv, "Image denoising with GAN based model".
- `DenoisingAutoencoder`: a bottleneck that is wider than the image has pixels, as in "A denoising GAN".
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_gandenoise.settings.networks import (
    AutoencoderArchitecture,
    Condition,
    DirectArchitecture,
    EncoderDecoderArchitecture,
    UNetArchitecture,
)
from napari_gandenoise.shrinkage import shrunken

__all__ = [
    "BLOCKS",
    "NORMS",
    "Code",
    "Denoiser",
    "DenoisingAutoencoder",
    "EncoderDecoder",
    "NoiseEstimator",
    "UNet",
    "gains_of",
    "make_denoiser",
    "repeated",
]

NORMS = (nn.LayerNorm, nn.BatchNorm2d)  # that there are in networks here
SLOPE = 0.2  # of the leaky ReLU
FAINT = 0.05  # relative intensity: noise weaker than this does not blow up the image that the network sees
ESTIMATED = 3  # numbers at each place: strength, correlation down and across
SQUARE = 4  # pixels along a side that energies are averaged over
LEAST_ENERGY = 1e-8  # of images of scale one: noise of a ten-thousandth is none
FAINTEST = 0.01  # strength below which a conditioned autoencoder falls back to its input


class Denoiser(nn.Module):
    """A network that cleans images ``(N, C, H, W)``, told what it was built to be told.

    Parameters
    ----------
    conditions : tuple of str
        Of "strength", "grain" and "estimated", in the order of the further input channels.
    """

    def __init__(self, conditions: tuple[Condition, ...]) -> None:
        super().__init__()
        self.conditions = conditions

    def forward(self, noisy: Tensor, strength: Tensor, grain: Tensor) -> Tensor:
        """Clean images.

        Parameters
        ----------
        noisy : Tensor
            ``(N, C, H, W)``; 1 is white, or the mean of a micrograph, or mean and scale are 0 and 1.
        strength : Tensor
            ``(N, 1, 1, 1)``, or ``(N, 1, H, W)`` for a U-Net: standard deviation of the noise, in the unit of
            ``noisy``; NaN where a network is to take its own estimate.
        grain : Tensor
            ``(N, 1, 1, 1)``: standard deviation of the Gaussian that the noise was blurred with, pixels.
        """
        raise NotImplementedError

    def told(self, strength: Tensor, grain: Tensor) -> list[Tensor]:
        """Return the condition channels ``(N, 1, 1, 1)``, or maps of strength, about as large as an image."""
        logarithm = (strength + 1e-3).log10()
        known = {"strength": logarithm, "estimated": logarithm, "grain": grain}
        return [known[name] for name in self.conditions]


class NoiseEstimator(nn.Module):
    """Estimate from an image how strong its noise is at each place, and how many pixels share it.

    Learnt filters, their mean energies and mean amplitudes over small squares, and a few convolutions on the
    logarithms: noise has the same energy all over its filters' outputs, structure in few places, and what ties
    neighbouring pixels shows in the ratios between filters.  As classical estimators do (Immerkær 1996), but with
    filters that have met the noise of scans and cameras.

    Parameters
    ----------
    channels : int
        Of the images.
    width : int
        Filters, and channels of the convolutions.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.filters = nn.Conv2d(channels, width, 5, padding=2, padding_mode="reflect", bias=False)
        self.near = nn.Conv2d(2 * width, width, 3, padding=1)
        self.wide = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, width, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, ESTIMATED, 1),
        )

    def forward(self, noisy: Tensor) -> Tensor:
        """Estimate.

        Parameters
        ----------
        noisy : Tensor
            ``(N, C, H, W)``, sides multiples of `SQUARE`; images a times as strong have estimates a times as large.

        Returns
        -------
        Tensor
            Logarithms of the strength and of the pixels down and across that share their noise, ``(N, 3, H, W)``,
            smooth.
        """
        found = self.filters(noisy - noisy.mean(dim=(2, 3), keepdim=True)).float()
        energy = functional.avg_pool2d(found.square(), SQUARE)
        amplitude = functional.avg_pool2d(found.abs(), SQUARE)
        logarithms = torch.cat([0.5 * (energy + LEAST_ENERGY).log(), (amplitude + LEAST_ENERGY**0.5).log()], dim=1)
        usual = logarithms.mean(dim=(1, 2, 3), keepdim=True)
        x = functional.leaky_relu(self.near(logarithms - usual), SLOPE)
        x = self.wide(functional.avg_pool2d(x, 2, ceil_mode=True)).float()
        smooth = functional.interpolate(x, size=noisy.shape[2:], mode="bilinear", align_corners=False)
        return torch.cat([smooth[:, :1] + usual, smooth[:, 1:]], dim=1)


class Residual(nn.Module):
    """Two convolutions beside a path of their own: ``x + conv(relu(conv(relu(x))))``."""

    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(entering, leaving, 3, padding=1)
        self.second = nn.Conv2d(leaving, leaving, 3, padding=1)
        self.path = nn.Conv2d(entering, leaving, 1) if entering != leaving else nn.Identity()
        # Each block starts as its path alone: deep networks without normalisation train from there.
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Add what the two convolutions find."""
        found: Tensor = self.second(functional.relu(self.first(functional.relu(x))))
        beside: Tensor = self.path(x)
        return found + beside


class Gated(nn.Module):
    """The block of Chen, Chu, Zhang, Sun, "Simple baselines for image restoration" (2022), section 4 and figure 3c.

    One product of two halves takes the place of each activation.  The paper's channel attention is left out: it
    averages over the image, so that a tile in training and a frame in use would see different things.
    """

    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.path = nn.Conv2d(entering, leaving, 1) if entering != leaving else nn.Identity()
        self.near_norm, self.point_norm = nn.LayerNorm(leaving), nn.LayerNorm(leaving)
        self.near = nn.Sequential(
            nn.Conv2d(leaving, 2 * leaving, 1), nn.Conv2d(2 * leaving, 2 * leaving, 3, padding=1, groups=2 * leaving)
        )
        self.near_out = nn.Conv2d(leaving, leaving, 1)
        self.point = nn.Conv2d(leaving, 2 * leaving, 1)
        self.point_out = nn.Conv2d(leaving, leaving, 1)
        for last in (self.near_out, self.point_out):  # as for `Residual`
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Add what the neighbours say, then what each pixel makes of it."""
        x = self.path(x)
        x = x + self.near_out(_gate(self.near(_normed(self.near_norm, x))))
        made: Tensor = self.point_out(_gate(self.point(_normed(self.point_norm, x))))
        return x + made


def _normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Norm the channels of each pixel."""
    normed: Tensor = norm(x.permute(0, 2, 3, 1))
    return normed.permute(0, 3, 1, 2)


def _gate(x: Tensor) -> Tensor:
    half, gate = x.chunk(2, dim=1)
    return half * gate


BLOCKS: dict[str, type[Residual] | type[Gated]] = {"residual": Residual, "gated": Gated}


class Code(NamedTuple):
    """What a U-Net has made of noisy images on its way down.

    Attributes
    ----------
    start : Tensor
        What it takes the noise from, ``(N, C, H, W)``.
    strength : Tensor
        Unit of the noise that it predicts, ``(N, 1, 1, 1)`` or ``(N, 1, H, W)``.
    skipped : tuple of Tensor
        What the way up is given beside, the finest level first.
    bottom : Tensor
        The coarsest level.
    """

    start: Tensor
    strength: Tensor
    skipped: tuple[Tensor, ...]
    bottom: Tensor


def repeated(code: Code, count: int) -> Code:
    """Repeat what was made of images, all of them after all of them."""
    return Code(
        code.start.repeat(count, 1, 1, 1),
        code.strength.repeat(count, 1, 1, 1),
        tuple(level.repeat(count, 1, 1, 1) for level in code.skipped),
        code.bottom.repeat(count, 1, 1, 1),
    )


class UNet(Denoiser):
    """Predict the noise in units of its own standard deviation and subtract it; no noise leaves the image as it is.

    With windows, what it predicts is the error of a Fourier shrinkage, whose estimates it sees beside the image.  With
    the condition "estimated" it takes the strength from a `NoiseEstimator` of its own.
    """

    def __init__(self, architecture: UNetArchitecture) -> None:
        super().__init__(architecture.conditions)
        widths, channels = architecture.widths, architecture.channels
        self.windows = architecture.windows
        estimates = "estimated" in self.conditions
        self.estimator = NoiseEstimator(architecture.channels, architecture.estimator) if estimates else None
        self.knows = estimates or "strength" in self.conditions
        images = 1 + (len(self.windows) + 1 if self.windows else 0)
        block, depth = BLOCKS[architecture.block], architecture.depth

        def blocks(entering: int, width: int, count: int) -> nn.Sequential:
            return nn.Sequential(block(entering, width), *(block(width, width) for _ in range(count - 1)))

        told = len(self.conditions) + (ESTIMATED - 1 if estimates else 0)
        self.enter = nn.Conv2d(4 * channels * images + told, widths[0], 3, padding=1)
        self.down = nn.ModuleList(blocks(w, w, depth) for w in widths[:-1])
        self.coarser = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairwise(widths))
        self.bottom = blocks(widths[-1], widths[-1], 2 * depth)
        self.finer = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(blocks(2 * w, w, depth) for w in widths[:-1])
        self.leave = nn.Conv2d(widths[0], 4 * channels, 3, padding=1)

    def forward(self, noisy: Tensor, strength: Tensor, grain: Tensor) -> Tensor:
        """Clean images; see `Denoiser.forward`."""
        return self.with_estimate(noisy, strength, grain)[0]

    def with_estimate(self, noisy: Tensor, strength: Tensor, grain: Tensor) -> tuple[Tensor, Tensor]:
        """Clean images, and estimate their noise beside it.

        Returns
        -------
        cleaned : Tensor
            As `forward` returns it.
        estimated : Tensor
            What the network's `NoiseEstimator` finds, ``(N, 3, H, W)``; of a network without one ``(N, 0, H, W)``.
            What the denoiser makes of an estimate does not train the estimator.
        """
        code, estimated = self.encode(noisy, strength, grain)
        return self.decode(code)[0], estimated

    def encode(self, noisy: Tensor, strength: Tensor, grain: Tensor) -> tuple[Code, Tensor]:
        """Go the way down; return also what `with_estimate` does."""
        if self.estimator is None:
            return self._coded(noisy, strength, self.told(strength, grain)), noisy[:, :0]
        estimated: Tensor = self.estimator(noisy)
        found = estimated.detach()
        strength = torch.where(strength.isnan(), found[:, :1].exp(), strength)
        return self._coded(noisy, strength, [*self.told(strength, grain), found[:, 1:]]), estimated

    def decode(self, code: Code) -> tuple[Tensor, Tensor]:
        """Go the way up; return clean images, and the features ``(N, width, H / 2, W / 2)`` that they are made of."""
        x, skipped = code.bottom, list(code.skipped)
        for block, finer in zip(reversed(self.up), reversed(self.finer), strict=True):
            x = block(torch.cat([finer(x), skipped.pop()], dim=1))
        noise: Tensor = functional.pixel_shuffle(self.leave(functional.relu(x)), 2)
        return code.start - noise * code.strength, x

    def _shrunken(self, noisy: Tensor, strength: Tensor) -> list[Tensor]:
        return shrunken(noisy, strength.mean(dim=(2, 3), keepdim=True), self.windows) if self.windows else []

    def _coded(self, noisy: Tensor, strength: Tensor, known: list[Tensor]) -> Code:
        scale = (strength.square() + FAINT**2).sqrt() if self.knows else torch.ones_like(noisy[:, :1, :1, :1])
        centre = noisy.mean(dim=(2, 3), keepdim=True)
        seen: list[Tensor] = [noisy, *self._shrunken(noisy, strength)]
        folded = functional.pixel_unshuffle((torch.cat(seen, dim=1) - centre.repeat(1, len(seen), 1, 1)) / scale, 2)
        told = [_folded_like(part, folded) for part in known]
        x = self.enter(torch.cat([folded, *told], dim=1))
        skipped = []
        for block, coarser in zip(self.down, self.coarser, strict=True):
            x = block(x)
            skipped.append(x)
            x = coarser(x)
        unit = strength if self.knows else torch.ones_like(strength)
        return Code(seen[-1], unit, tuple(skipped), self.bottom(x))


def _folded_like(part: Tensor, folded: Tensor) -> Tensor:
    """Bring what a network is told to the size of a folded image: a number for each image, or a map."""
    if part.shape[2:] == (1, 1):
        return part.expand(-1, -1, *folded.shape[2:])
    return functional.avg_pool2d(part, 2)


def _cbl(entering: int, leaving: int) -> nn.Sequential:
    """Convolution, batch norm, leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(entering, leaving, 3, padding=1, bias=False), nn.BatchNorm2d(leaving), nn.LeakyReLU(SLOPE)
    )


class _ResidualCBL(nn.Module):
    """RBL: a convolution with batch norm, added to its input before the leaky ReLU."""

    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(entering, leaving, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(leaving)
        self.path = nn.Conv2d(entering, leaving, 1, bias=False) if entering != leaving else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Add, then cut."""
        found: Tensor = self.norm(self.convolution(x)) + self.path(x)
        return functional.leaky_relu(found, SLOPE)


class EncoderDecoder(Denoiser):
    """Twelve blocks: CBL(K) x4, CBL(K/2), CBL(1), RBL(K/2), RBL(K) x4, RBL(C); they predict the noise.

    The paper leaves open where images shrink and grow: here after the blocks 2 and 4 by pooling, and before the blocks
    8 and 10 by interpolation, which is where its skips leave (2, 4) and arrive (10, 8).  The last block has neither
    norm nor ReLU, since noise has both signs and any size.
    """

    def __init__(self, architecture: EncoderDecoderArchitecture) -> None:
        super().__init__(architecture.conditions)
        k, c = architecture.width, architecture.channels
        entering = c + len(self.conditions)
        self.encoder = nn.ModuleList([_cbl(entering, k), _cbl(k, k), _cbl(k, k), _cbl(k, k)])
        self.middle = nn.Sequential(_cbl(k, k // 2), _cbl(k // 2, 1), _ResidualCBL(1, k // 2))
        self.decoder = nn.ModuleList(
            [_ResidualCBL(k // 2 + k, k), _ResidualCBL(k, k), _ResidualCBL(k + k, k), _ResidualCBL(k, k)]
        )
        self.leave = nn.Conv2d(k, c, 3, padding=1)

    def forward(self, noisy: Tensor, strength: Tensor, grain: Tensor) -> Tensor:
        """Clean images; see `Denoiser.forward`."""
        told = [part.expand(-1, 1, *noisy.shape[2:]) for part in self.told(strength, grain)]
        second = self.encoder[1](self.encoder[0](torch.cat([noisy, *told], dim=1)))
        fourth = self.encoder[3](self.encoder[2](functional.max_pool2d(second, 2)))
        x = self.middle(functional.max_pool2d(fourth, 2))
        x = self.decoder[0](torch.cat([_grow(x), fourth], dim=1))
        x = self.decoder[1](x)
        x = self.decoder[2](torch.cat([_grow(x), second], dim=1))
        noise: Tensor = self.leave(self.decoder[3](x))
        return noisy - noise * (strength if "strength" in self.conditions else 1.0)


def _grow(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


class DenoisingAutoencoder(Denoiser):
    """Convolutions to an over-complete code and back; the output is a sigmoid.

    Told the strength of the noise, it returns its input where there is none: ``x + w (f(x) - x)`` with a weight that
    falls to zero with the strength.
    """

    def __init__(self, architecture: AutoencoderArchitecture) -> None:
        super().__init__(architecture.conditions)
        a, side = architecture, architecture.size // 4
        first, second, third = a.filters
        entering = a.channels + len(self.conditions)
        self.encoder = nn.Sequential(
            _cbl(entering, first),
            nn.MaxPool2d(2),
            _cbl(first, second),
            nn.MaxPool2d(2),
            _cbl(second, third),
            nn.Flatten(),
            nn.Linear(third * side**2, a.latent),
            nn.LeakyReLU(SLOPE),
        )
        self.decoder = nn.Sequential(
            nn.Linear(a.latent, third * side**2),
            nn.LeakyReLU(SLOPE),
            nn.Unflatten(1, (third, side, side)),
            _cbl(third, second),
            nn.Upsample(scale_factor=2),
            _cbl(second, first),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(first, a.channels, 3, padding=1),
        )

    def forward(self, noisy: Tensor, strength: Tensor, grain: Tensor) -> Tensor:
        """Clean images of the chunk's size; see `Denoiser.forward`."""
        told = [part.expand(-1, 1, *noisy.shape[2:]) for part in self.told(strength, grain)]
        clean: Tensor = self.decoder(self.encoder(torch.cat([noisy, *told], dim=1))).sigmoid()
        if "strength" not in self.conditions:
            return clean
        return noisy + (strength / FAINTEST).clamp(max=1) * (clean - noisy)


def gains_of(network: nn.Module) -> list[nn.Parameter]:
    """List the gains and biases of a network's normalisations."""
    norms = (part for part in network.modules() if isinstance(part, NORMS))
    return [weight for part in norms for weight in part.parameters()]


def make_denoiser(architecture: DirectArchitecture) -> Denoiser:
    """Build the network of an architecture."""
    match architecture:
        case UNetArchitecture():
            return UNet(architecture)
        case EncoderDecoderArchitecture():
            return EncoderDecoder(architecture)
        case AutoencoderArchitecture():
            return DenoisingAutoencoder(architecture)
