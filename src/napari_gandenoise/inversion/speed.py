"""How long a gradient step takes on this machine: measured once per model, for the plan."""

from __future__ import annotations

import time
from functools import lru_cache

import torch

from napari_gandenoise.models import Model

__all__ = ["seconds_per_tile_step"]

SAMPLE = 32  # tiles


def seconds_per_tile_step(model: Model) -> float:
    """Seconds that one gradient step of one tile takes, the likelihood included."""
    return _measure(model, torch.get_num_threads())


@lru_cache(maxsize=8)
def _measure(model: Model, threads: int) -> float:  # noqa: ARG001 - other threads, another cache entry
    device = next(model.generator.parameters()).device
    latents = torch.zeros(SAMPLE, model.latent, device=device, requires_grad=True)
    for _ in range(2):  # the first warms up
        started = time.perf_counter()
        torch.autograd.grad(model.render(latents).square().sum(), latents)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    # The generator is about five eighths of a step.
    return 1.6 * (time.perf_counter() - started) / SAMPLE
