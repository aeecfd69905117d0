"""Checkpoints: one safetensors file with every state of a run, replaced atomically."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_gandenoise.errors import GanDenoiseError

__all__ = ["load_checkpoint", "save_checkpoint"]

Parts = dict[str, nn.Module | torch.optim.Optimizer]


def save_checkpoint(path: Path, parts: Parts, step: int) -> None:
    """Write the states of networks and optimisers; a kill at any moment leaves the old file or the new one."""
    tensors: dict[str, Tensor] = {}
    groups: dict[str, Any] = {}
    for name, part in parts.items():
        if isinstance(part, nn.Module):
            tensors |= {f"{name}/{key}": value.clone().contiguous() for key, value in part.state_dict().items()}
        else:
            state = part.state_dict()
            groups[name] = state["param_groups"]
            for index, entries in state["state"].items():
                tensors |= {f"{name}/{index}/{key}": value.clone().contiguous() for key, value in entries.items()}
    temporary = path.with_suffix(".partial")
    save_file(tensors, temporary, metadata={"step": str(step), "groups": json.dumps(groups)})
    temporary.replace(path)


def load_checkpoint(path: Path, parts: Parts) -> int:
    """Restore states written by `save_checkpoint`; return the step.

    Raises
    ------
    GanDenoiseError
        If the file is damaged or was written by a run of other networks.
    """
    try:
        return _restore(path, parts)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError):
        raise GanDenoiseError(
            f"{path} cannot be resumed: it is damaged or belongs to other networks; start the run anew."
        ) from None


def _restore(path: Path, parts: Parts) -> int:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    groups = json.loads(metadata["groups"])
    for name, part in parts.items():
        own = {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}
        if isinstance(part, nn.Module):
            part.load_state_dict(own)
        else:
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in own.items():
                index, entry = key.split("/")
                state.setdefault(int(index), {})[entry] = value
            part.load_state_dict({"state": state, "param_groups": groups[name]})
    return int(metadata["step"])
