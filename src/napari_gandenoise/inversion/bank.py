"""The template bank: prior samples rendered once per model and scored against all tiles in one matrix product."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pooch
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.inversion.presets import Preset
from napari_gandenoise.models.file import Model
from napari_gandenoise.writing import written_whole

__all__ = ["Bank", "bank_for", "effort_of", "template_bank"]


class Bank(NamedTuple):
    """Latents ``(B, d)`` and their templates ``(B, C * H * W)``, float32, each of zero mean."""

    latents: Tensor
    templates: Tensor

    def best(self, standardised: Tensor) -> Tensor:
        """Index ``(N,)`` of the template that explains each tile best, scale and contrast profiled out.

        For noise of unit variance the profiled log-likelihood ratio is the matched filter ``(t·y)² / (2 t·t)``, of
        which only positive correlations count.
        """
        norms = self.templates.square().sum(dim=1).clamp(min=1e-9).sqrt()
        return ((standardised.flatten(1) @ self.templates.T) / norms).argmax(dim=1)


def effort_of(model: Model, preset: Preset) -> Preset:
    """Return the effort that a preset is for a model."""
    return preset if model.encoder is not None and preset.propose else preset.without_encoder()


def bank_for(model: Model, preset: Preset) -> Bank | None:
    """Bank that a preset asks for."""
    count = effort_of(model, preset).bank
    return template_bank(model, count) if count else None


def template_bank(model: Model, count: int) -> Bank:
    """Bank of a model, from the cache on disk if it is there; a cache that cannot be written is done without."""
    path = Path(pooch.os_cache("napari-gandenoise")) / f"bank-{model.sha256[:16]}-{count}.safetensors"
    device = next(model.generator.parameters()).device
    if model.sha256 and path.exists():
        try:
            stored = load_file(path, device=str(device))
            return Bank(stored["latents"], stored["templates"].float())
        except (SafetensorError, KeyError, OSError):
            pass  # made anew below, and replaced
    latents = model.draw_latents((count,), torch.Generator().manual_seed(0)).to(device)
    with torch.no_grad():
        templates = torch.cat([model.render(part).flatten(1) for part in latents.split(256)])
    # Rounded as the cache stores them: the first run must find what the next one will.
    templates = (templates - templates.mean(dim=1, keepdim=True)).half().float()
    if model.sha256:
        _store(path, latents, templates)
    return Bank(latents, templates)


def _store(path: Path, latents: Tensor, templates: Tensor) -> None:
    # Without it the next run draws them again.
    with suppress(OSError, GanDenoiseError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            save_file({"latents": latents, "templates": templates.half()}, temporary)
