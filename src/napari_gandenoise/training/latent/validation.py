"""Validation while training: what the samples and the range of the generator are like, against held-out tiles."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from napari_gandenoise.datasets.tiles import PEAK, Tiles
from napari_gandenoise.models.networks import Encoder, Generator
from napari_gandenoise.orientation import PERIODS, tile_mask
from napari_gandenoise.settings.train import TrainConfig
from napari_gandenoise.training.draws import Draws
from napari_gandenoise.training.programme import SHOWN, TrainPreview

__all__ = ["Validation", "fringes", "inversion_psnr", "radial_spectrum", "spectrum_distance"]

INVERTED, INVERSION_STEPS, INVERSION_RATE = 8, 40, 0.1
POWER_FLOOR = 1e-6  # of the strongest radius: below that there is nothing but rounding
# A fringe is a spectral peak this much above the mean over all lattice frequencies; noise reaches about 8.
FRINGE = 20.0


class Validation:
    """Compare networks with held-out tiles, always the same ones and with the same latents.

    Parameters
    ----------
    config : TrainConfig
        The run.
    held_out : Tiles
        Normalised tiles on the device that computes.
    pixel_size_nm : float, optional
        Turns fringe spacings from pixels into nm.
    """

    def __init__(self, config: TrainConfig, held_out: Tiles, pixel_size_nm: float | None) -> None:
        self.config = config
        self.held_out = held_out
        self.pixel_size_nm = pixel_size_nm
        device = held_out.template.device
        self.inside = tile_mask(config.tiles.pose, config.architecture.size, device)
        draws = Draws(config.seed, device)
        self.latents = draws.latents(max(SHOWN, len(held_out.template)), config.architecture.latent, config.prior)

    @torch.no_grad()
    def preview(self, generator: Generator) -> TrainPreview:
        """Render samples to be shown beside real tiles."""
        samples = generator(self.latents[:SHOWN]).float() * self.inside
        return TrainPreview(samples.cpu().numpy(), self.held_out.template[:SHOWN].cpu().numpy())

    def measure(self, generator: Generator, encoder: Encoder | None) -> dict[str, float]:
        """Return the figures of validation.

        Parameters
        ----------
        generator, encoder : Generator and Encoder, optional
            In evaluation mode; an encoder that is trained says where the inversion starts.

        Returns
        -------
        dict
            "validation spectrum" (dB, `spectrum_distance`); "validation PSNR" (dB, `inversion_psnr`); for oriented
            tiles also "validation fringes" and "validation spacing" (nm, or pixels) of the samples, and both of the
            held-out tiles.
        """
        real = self.held_out.template
        with torch.no_grad():
            samples = generator(self.latents[: len(real)]).float() * self.inside
        values = {
            "validation spectrum": spectrum_distance(samples, real),
            "validation PSNR": self._psnr(generator, encoder),
        }
        if self.config.tiles.pose == "oriented":
            for suffix, tiles in (("", samples), (", held out", real)):
                share, period = fringes(tiles)
                values[f"validation fringes{suffix}"] = share
                if share:
                    values[f"validation spacing{suffix}"] = period * (self.pixel_size_nm or 1.0)
        return values

    def _psnr(self, generator: Generator, encoder: Encoder | None) -> float:
        tiles = Tiles(*(part[:INVERTED] for part in self.held_out))
        start = torch.zeros(len(tiles.template), self.config.architecture.latent, device=self.inside.device)
        if encoder is not None:
            amplitude = (self.config.dose[1] * tiles.mean).sqrt() * tiles.contrast
            known = amplitude if self.config.tiles.intensity == "absolute" else None
            with torch.no_grad():
                start, _ = encoder(tiles.template * amplitude, known)
        peak = 2.0 if self.config.tiles.intensity == "absolute" else 2 * PEAK
        uniform = self.config.prior == "uniform"
        return inversion_psnr(generator, tiles.template, start.float(), self.inside, peak, uniform)


def radial_spectrum(tiles: Tensor) -> Tensor:
    """Mean power of tiles ``(N, C, H, W)`` at the Fourier radii 1, 2, ... ``H/2``; Hann window, mean removed."""
    size = tiles.shape[-1]
    window = torch.hann_window(size, periodic=False, device=tiles.device)
    centred = tiles - tiles.mean(dim=(2, 3), keepdim=True)
    power = torch.fft.fft2(centred * window * window[:, None]).abs().square().mean(dim=(0, 1))
    frequency = torch.fft.fftfreq(size, 1 / size, device=tiles.device)
    radius = torch.hypot(frequency[:, None], frequency[None, :]).round().long().flatten()
    sums = torch.zeros(size, device=tiles.device).index_add_(0, radius, power.flatten())
    cells = torch.zeros(size, device=tiles.device).index_add_(0, radius, torch.ones_like(power).flatten())
    return (sums / cells.clamp(min=1))[1 : size // 2 + 1]


def spectrum_distance(samples: Tensor, real: Tensor) -> float:
    """Root-mean-square logarithmic ratio of two radial power spectra, dB; 0 for equal ones."""
    generated, wanted = radial_spectrum(samples), radial_spectrum(real)
    floor = POWER_FLOOR * wanted.max() + torch.finfo(torch.float32).tiny
    ratio = 10 * torch.log10((generated + floor) / (wanted + floor))
    return float(ratio.square().mean().sqrt())


def fringes(tiles: Tensor) -> tuple[float, float]:
    """Share of tiles ``(N, 1, H, W)`` that show lattice fringes, and their mean period in pixels (NaN without any)."""
    size = 2 * tiles.shape[-1]
    window = torch.hann_window(tiles.shape[-1], periodic=False, device=tiles.device)
    centred = (tiles - tiles.mean(dim=(2, 3), keepdim=True))[:, 0] * window * window[:, None]
    power = torch.fft.rfft2(centred, s=(size, size)).abs().square()
    fy = torch.fft.fftfreq(size, 1 / size, device=tiles.device)[:, None].expand(power.shape[1:])
    fx = torch.fft.rfftfreq(size, 1 / size, device=tiles.device)[None, :].expand(power.shape[1:])
    radius = torch.hypot(fx, fy) / size
    lattice = (radius > 1 / PERIODS[1]) & (radius < 1 / PERIODS[0])
    strongest, place = power[:, lattice].max(dim=1)
    # A fringe is a summit; what falls off from the origin is a shape.
    below = ((0.75 * f[lattice][place]).round().long() for f in (fy, fx))
    summit = strongest > power[torch.arange(len(power), device=tiles.device), *below]
    seen = summit & (strongest > FRINGE * power[:, lattice].mean(dim=1))
    periods = 1 / radius[lattice][place]
    return float(seen.float().mean()), float(periods[seen].mean()) if seen.any() else math.nan


def inversion_psnr(
    generator: Generator, templates: Tensor, start: Tensor, inside: Tensor, peak: float, clamp: bool = False
) -> float:
    """Invert noise-free templates by Adam on their squared error, and score what the generator draws.

    Parameters
    ----------
    generator : Generator
        In evaluation mode.
    templates : Tensor
        ``(N, C, H, W)``.
    start : Tensor
        Latents to start from, ``(N, d)``.
    inside : Tensor
        ``(H, W)``, the part of a tile that counts.
    peak : float
        Range of the templates.
    clamp : bool
        Keep latents within [-1, 1], the range of the uniform prior.

    Returns
    -------
    float
        Peak signal-to-noise ratio of all tiles together, dB.
    """
    latents = start.clone().requires_grad_(True)
    adam = torch.optim.Adam([latents], lr=INVERSION_RATE)
    for _ in range(INVERSION_STEPS):
        loss = ((generator(latents).float() - templates) * inside).square().mean()
        (latents.grad,) = torch.autograd.grad(loss, latents)
        adam.step()
        if clamp:
            latents.data.clamp_(-1, 1)
    with torch.no_grad():
        error = ((generator(latents).float() - templates) * inside).square().sum()
        pixels = inside.sum() * templates.shape[0] * templates.shape[1]
        return float(10 * torch.log10(peak**2 / (error / pixels).clamp(min=1e-12)))
