"""Half precision where the processor has matrix units for it: several times faster, and far below the noise."""

from __future__ import annotations

import torch

__all__ = ["half_precision"]


def half_precision(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 on GPUs and on CPUs with AMX tiles; elsewhere a context that does nothing."""
    helps = device.type == "cuda" or torch.cpu.get_capabilities().get("amx_bf16", False)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bool(helps))
