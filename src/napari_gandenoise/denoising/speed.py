"""How long a model takes on this machine: measured once per model, for the plan."""

from __future__ import annotations

import time
from functools import lru_cache

import torch

from napari_gandenoise.models import AnyModel, DirectModel, Model

__all__ = ["seconds_per_pixel", "seconds_per_tile_step"]

SAMPLE = 32  # tiles
MEASURED = 128  # side of the image whose pass is timed


def seconds_per_tile_step(model: Model) -> float:
    """Seconds that one gradient step of one tile takes, the likelihood included."""
    # The generator is about five eighths of a step.
    return 1.6 * _measure(model, torch.get_num_threads()) / SAMPLE


def seconds_per_pixel(model: DirectModel) -> float:
    """Seconds that a pass takes for each pixel of a block."""
    count, side = _shape(model)
    return _measure(model, torch.get_num_threads()) / (count * side**2)


@lru_cache(maxsize=16)
def _measure(model: AnyModel, threads: int) -> float:  # noqa: ARG001 - other threads, another cache entry
    """Seconds of a gradient step of some tiles, or of a pass over as many pixels; the first time warms up."""
    for _ in range(2):
        started = time.perf_counter()
        device = _pass(model) if isinstance(model, DirectModel) else _step(model)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _step(model: Model) -> torch.device:
    device = next(model.generator.parameters()).device
    latents = torch.zeros(SAMPLE, model.latent, device=device, requires_grad=True)
    torch.autograd.grad(model.render(latents).square().sum(), latents)
    return device


def _pass(model: DirectModel) -> torch.device:
    device = next(model.network.parameters()).device
    count, side = _shape(model)
    noisy = torch.rand(count, model.channels, side, side, device=device)
    strength = torch.full((count, 1, 1, 1), 0.1, device=device)
    model.clean(noisy, strength, torch.zeros_like(strength))
    return device


def _shape(model: DirectModel) -> tuple[int, int]:
    """Return number and side of the blocks that are timed; an autoencoder takes those of its own size alone."""
    count = max(1, (MEASURED // model.size) ** 2)
    return count, model.size if count > 1 else MEASURED
