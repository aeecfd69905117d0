"""Where networks compute."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from napari_gandenoise.errors import GanDenoiseError

__all__ = ["choose_device", "device_line", "ran_out"]


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


def ran_out(error: BaseException) -> bool:
    """Whether an error means that memory ran out; of a processor's torch says so in a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error)


def device_line(device: str) -> str:
    """Say where a run will compute: ``CPU, 2 cores`` or ``CUDA: NVIDIA H200``."""
    import psutil  # only for this

    if device in ("auto", "cuda") and torch.cuda.is_available():
        count = torch.cuda.device_count()
        more = f" and {count - 1} more (torchrun uses all)" if count > 1 else ""
        return f"CUDA: {torch.cuda.get_device_name(0)}{more}"
    if device == "cuda":
        return "There is no CUDA GPU here."
    if device in ("auto", "mps") and torch.backends.mps.is_available():
        return "MPS: the GPU of this Mac"
    if device == "mps":
        return "There is no Apple GPU here."
    cores = psutil.cpu_count(logical=False) or 1
    return f"CPU, {cores} core{'s' if cores > 1 else ''}"
