"""How networks move in a run: their learning rates, and the averages that follow them."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = ["follow", "learning_rate", "warmed_up"]

AVERAGE_EVERY = 4  # steps
WARM_UP = 200  # steps over which the learning rates rise


def warmed_up(rate: float, step: int) -> float:
    """Rise linearly over the first steps, then stay."""
    return rate * min(1.0, (step + 1) / WARM_UP)


def learning_rate(rate: float, step: int, steps: int) -> float:
    """Rise linearly over the first steps, then fall along a cosine to zero."""
    return warmed_up(rate * (0.5 + 0.5 * math.cos(math.pi * step / steps)), step)


@torch.no_grad()
def follow(mean: nn.Module, live: nn.Module, decay: float, step: int) -> None:
    """Move averages towards a network; early on they follow faster, and with decay 0 they are the network."""
    # Moved together for several steps: reading all weights at each would cost a twentieth of the time.
    if decay > 0 and step % AVERAGE_EVERY:
        return
    decay = min(decay, (1 + step) / (10 + step)) ** AVERAGE_EVERY
    pairs = zip(mean.state_dict().values(), live.state_dict().values(), strict=True)
    moving = [(average, now) for average, now in pairs if average.is_floating_point()]
    get_ema_multi_avg_fn(decay)([average for average, _ in moving], [now for _, now in moving], None)
