"""Where networks compute."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from napari_gandenoise.errors import GanDenoiseError

__all__ = ["choose_device"]


def choose_device(name: str, preferred: Sequence[str] = ("cuda", "cpu")) -> torch.device:
    """Turn the settings' word into a device.

    Parameters
    ----------
    name : str
        auto, cpu, cuda or mps.
    preferred : sequence of str
        For auto: the kinds of device that will do, the best first; the processor should be among them.

    Raises
    ------
    GanDenoiseError
        If this machine has no such device.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind = next(kind for kind in preferred if there[kind]) if name == "auto" else name
    if not there[kind]:
        raise GanDenoiseError(f"There is no {kind.upper()} device on this machine: choose device auto or cpu.")
    return torch.device(kind)
