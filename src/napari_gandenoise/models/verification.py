"""Try a model out: a file can be well formed and still hold networks that draw nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models.denoisers import UNet
from napari_gandenoise.models.file import AnyModel, DirectModel, Model

__all__ = ["verify_model"]

SAMPLES = 16
MIDDLE = {"template": 1.0, "absolute": 0.5, "standard": 0.0}  # of what a network sees
SIGNAL = 5.0  # what an encoder sees has noise of variance 1
SAME = 1e-3  # standard deviation between templates, of a range of 2, below which all are one picture


def verify_model(model: AnyModel) -> None:
    """Try a model: a latent GAN draws a few templates, a direct denoiser cleans tiles, and samples if it can.

    Parameters
    ----------
    model : Model
        As `load_model` returns it: its header, shapes and weights have been checked.

    Raises
    ------
    GanDenoiseError
        If what comes out is not finite, differs from one call to the next, or is always the same picture.
    """
    if isinstance(model, DirectModel):
        _verify_direct(model)
    else:
        _verify_latent(model)


def _verify_direct(model: DirectModel) -> None:
    generator = torch.Generator().manual_seed(0)
    strength = torch.full((SAMPLES, 1, 1, 1), sum(model.header.strength) / 2)
    noise = torch.randn(SAMPLES, model.channels, model.size, model.size, generator=generator)
    noisy = MIDDLE[model.header.intensity] + strength * noise
    # One by one: a stranger's network may be wide.
    parts = zip(noisy.split(1), strength.split(1), strict=True)
    cleaned = torch.cat([model.clean(tile, known, torch.zeros_like(known)) for tile, known in parts])
    if not torch.isfinite(cleaned).all():
        raise GanDenoiseError(f"{model.name} returns NaN or infinite values: train or download it again.")
    if torch.equal(cleaned, noisy):
        raise GanDenoiseError(f"{model.name} returns its input unchanged: train it again.")
    if model.sampler is not None:
        _verify_sampler(model, noisy[:1], strength[:1], generator)


@torch.no_grad()
def _verify_sampler(model: DirectModel, noisy: Tensor, strength: Tensor, generator: torch.Generator) -> None:
    assert isinstance(model.network, UNet)
    assert model.sampler is not None
    code, _ = model.network.encode(noisy, strength, torch.zeros_like(strength))
    shapes = model.sampler.shapes(*noisy.shape[2:])
    noise = [torch.randn(2, *shape, generator=generator) for shape in shapes]
    drawn = model.sampler(model.network, code, *model.network.decode(code), noise)
    if not torch.isfinite(drawn).all():
        raise GanDenoiseError(f"{model.name} draws samples with NaN or infinite values: train or download it again.")
    if torch.equal(drawn[0], drawn[1]):
        raise GanDenoiseError(f"{model.name} draws the same sample each time: train it again.")


def _verify_latent(model: Model) -> None:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(SAMPLES, model.latent, generator=generator)
    if model.header.prior == "uniform":
        latents = torch.rand(SAMPLES, model.latent, generator=generator) * 2 - 1
    with torch.no_grad():
        templates, again = model.render(latents), model.render(latents)
        if not torch.isfinite(templates).all():
            raise GanDenoiseError(f"{model.name} draws NaN or infinite values: train or download it again.")
        if not torch.equal(templates, again):
            raise GanDenoiseError(f"{model.name} draws a latent differently each time: do not use it.")
        if templates.std(dim=0).mean() < SAME:
            raise GanDenoiseError(f"{model.name} draws the same picture for every latent: train it again.")
        if model.encoder is not None:
            proposals = model.encoder(SIGNAL * templates)
            if not all(torch.isfinite(part).all() for part in proposals):
                raise GanDenoiseError(f"The encoder of {model.name} proposes NaN or infinite latents: train it again.")
        if model.discriminator is not None and not torch.isfinite(model.discriminator(templates)).all():
            raise GanDenoiseError(f"The discriminator of {model.name} says NaN or infinity: train it again.")
