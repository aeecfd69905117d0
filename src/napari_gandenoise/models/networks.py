"""DCGAN networks: generator, discriminator, and the encoder that proposes latents for noisy tiles.

Radford, Metz, Chintala, "Unsupervised representation learning with deep convolutional generative adversarial
networks" (2016), section 3, for the generator and discriminator.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor, nn

from napari_gandenoise.settings.networks import Architecture

__all__ = ["Discriminator", "Encoder", "Generator", "standardise", "start_from_principal_components"]


def initialise(module: nn.Module) -> None:
    """Weights from N(0, 0.02), as DCGAN prescribes; batch-norm gains from N(1, 0.02)."""
    if any(weight.is_meta for weight in module.parameters(recurse=False)):
        return  # there will be others, from a file
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Generator(nn.Module):
    """Latent ``(N, d)`` to template ``(N, C, size, size)`` in [-1, 1].

    With ``principal`` the template is ``tanh(convolutions(z) + z B)``: the rows of ``B`` start as the data's principal
    components scaled by their standard deviations, and the convolutions start at zero and learn the rest.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        layers: list[nn.Module] = [nn.ConvTranspose2d(a.latent, a.widths[0], 4, 1, 0, bias=False)]
        layers += [nn.BatchNorm2d(a.widths[0]), nn.ReLU(inplace=True)]
        for coarse, fine in zip(a.widths, a.widths[1:], strict=False):
            layers += [nn.ConvTranspose2d(coarse, fine, 4, 2, 1, bias=False)]
            layers += [nn.BatchNorm2d(fine), nn.ReLU(inplace=True)]
        last = nn.ConvTranspose2d(a.widths[-1], a.channels, 4, 2, 1)
        self.layers = nn.Sequential(*layers, last)
        self.apply(initialise)
        self.shape = (a.channels, a.size, a.size)
        self.principal: nn.Linear | None = None
        if a.principal:
            self.principal = nn.Linear(a.latent, a.channels * a.size**2)
            nn.init.zeros_(self.principal.bias)
            nn.init.normal_(last.weight, 0.0, 0.002)

    def forward(self, latent: Tensor) -> Tensor:
        """Render latents."""
        image: Tensor = self.layers(latent[:, :, None, None])
        if self.principal is not None:
            image = image + self.principal(latent).view(-1, *self.shape)
        return image.tanh()


def _downsampling(a: Architecture, norm: bool) -> nn.Sequential:
    """Return the generator's mirror image: size down to 4x4."""
    layers: list[nn.Module] = []
    channels = a.channels
    for i, width in enumerate(reversed(a.widths)):
        layers.append(nn.Conv2d(channels, width, 4, 2, 1, bias=not norm or i == 0))
        if norm and i:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.LeakyReLU(0.2, inplace=True))
        channels = width
    return nn.Sequential(*layers)


class Discriminator(nn.Module):
    """Image ``(N, C, size, size)`` to logit ``(N,)``.

    Parameters
    ----------
    architecture : Architecture
        Shared with the generator, which it mirrors.
    norm : bool
        Batch norm, as DCGAN has it; off where a gradient penalty needs samples to be independent.
    """

    def __init__(self, architecture: Architecture, norm: bool) -> None:
        super().__init__()
        self.features = _downsampling(architecture, norm)
        self.head = nn.Conv2d(architecture.widths[0], 1, 4, 1, 0)
        self.apply(initialise)
        if not norm:
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d):
                    nn.init.kaiming_normal_(layer.weight, 0.2)

    def forward(self, image: Tensor) -> Tensor:
        """Score images."""
        logit: Tensor = self.head(self.features(image)).flatten()
        return logit


class Encoder(nn.Module):
    """Noisy tile ``(N, C, size, size)`` to mean and log-variance of its latent, ``(N, d)`` each.

    Tiles are standardised so that noise has unit variance; their own variance then tells how much signal there is.
    A linear path starts as the Wiener estimate in the principal components: each coefficient is shrunk by
    ``sigmoid(2 log(amplitude) + 2 log(component's standard deviation))``.  Convolutions learn the rest.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        self.features = _downsampling(a, norm=True)
        squeezed = a.widths[0] // 2
        self.features.append(nn.Conv2d(a.widths[0], squeezed, 1))
        self.features.append(nn.LeakyReLU(0.2, inplace=True))
        self.head = nn.Linear(squeezed * 16, 2 * a.latent)
        self.apply(initialise)
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, 0.2)
        nn.init.zeros_(self.head.weight)
        self.project = nn.Linear(a.channels * a.size**2, a.latent)
        nn.init.normal_(self.project.weight, 0.0, a.size**-1.0)
        self.snr = nn.Linear(1, a.latent)
        nn.init.constant_(self.snr.weight, 2.0)
        self.template_power = nn.Parameter(torch.tensor(0.04), requires_grad=False)

    def forward(self, tile: Tensor, amplitude: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Propose a Gaussian in latent space for each tile.

        Parameters
        ----------
        tile : Tensor
            ``(N, C, size, size)``, standardised.
        amplitude : Tensor, optional
            What a template of one is worth in a standardised tile, ``(N, 1, 1, 1)``: the square root of the level where
            contrast is known, as it is for absolute tiles.  By default it is taken from the tile's variance.
        """
        if amplitude is None:
            signal = (tile.square().mean(dim=(1, 2, 3), keepdim=True) - 1).clamp(min=1e-3)
            amplitude = (signal / self.template_power).sqrt()
        scaled = tile / (amplitude.square() + 1).sqrt()
        correction, log_variance = self.head(self.features(scaled).flatten(1)).float().chunk(2, dim=1)
        shrink = self.snr(amplitude.log().flatten(1)).float()
        mean = self.project((tile / amplitude).flatten(1)).float() * shrink.sigmoid() + correction
        return mean, (nn.functional.logsigmoid(-shrink) + log_variance).clamp(-12, 4)


def standardise(counts: Tensor, inside: Tensor, level: Tensor | None = None) -> Tensor:
    """Make the encoder's input: a flat tile subtracted, Poisson noise scaled to unit variance, zero outside the mask.

    Parameters
    ----------
    counts : Tensor
        ``(N, C, H, W)``, electrons per pixel.
    inside : Tensor
        ``(H, W)``, the part of a tile that counts: `napari_gandenoise.orientation.tile_mask`.
    level : Tensor, optional
        Electrons per pixel of the flat tile, ``(N, 1, 1, 1)``: dose times mean, where both are known (absolute tiles).
        By default the tile's own mean.
    """
    if level is None:
        level = (counts * inside).sum(dim=(1, 2, 3), keepdim=True) / (inside.sum() * counts.shape[1])
    level = level.clamp(min=1e-3)
    return (counts - level) / level.sqrt() * inside


def start_from_principal_components(
    generator: Generator, encoder: Encoder, templates: Tensor, deviation: float = 1.0
) -> None:
    """Set the linear paths of both networks from data.

    Parameters
    ----------
    templates : Tensor
        ``(M, C, size, size)`` clean templates, M a few times the latent's length or more.
    deviation : float
        Standard deviation of a latent under its prior.
    """
    if generator.principal is None:
        raise ValueError("the architecture has no principal path; set principal: true.")
    data = templates.flatten(1)
    middle = data.mean(dim=0)
    latent = generator.principal.in_features
    _, singular, components = torch.svd_lowrank(data - middle, q=min(latent + 20, *data.shape), niter=6)
    found = min(latent, len(singular))
    basis = components[:, :found]
    deviations = singular[:found] / len(data) ** 0.5
    # Few or flat data have fewer components than latents: those beyond carry nothing, and are not divided by it.
    deviations = deviations.clamp(min=max(1e-3 * float(deviations[0]), 1e-4)) / deviation
    with torch.no_grad():
        generator.principal.weight.mul_(1e-3)[:, :found] = basis * deviations
        generator.principal.bias.copy_(middle)
        encoder.project.weight[:found] = (basis / deviations).T
        encoder.project.bias[:found] = -(middle @ basis) / deviations
        encoder.snr.bias.fill_(2 * log(deviations[-1] * deviation))
        encoder.snr.bias[:found] = 2 * (deviations * deviation).log()
        encoder.head.bias.chunk(2)[1].fill_(2 * log(deviation))
