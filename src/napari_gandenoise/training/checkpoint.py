"""Checkpoints: safetensors files with every state of a run, written whole or not at all, the latest ones kept."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_gandenoise.errors import GanDenoiseError

__all__ = ["Checkpoints", "Parts", "written_whole"]

Parts = Mapping[str, nn.Module | torch.optim.Optimizer]
NAME = re.compile(r"checkpoint-(\d{8,})\.safetensors")
RANDOM = "random"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path that takes the place of ``path`` once it is written and on the disk.

    A kill or a power cut at any moment leaves the old file or the new one.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        yield temporary
        _to_disk(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # only there can a folder be opened, to have its entries written
        _to_disk(path.parent)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Checkpoints:
    """The numbered checkpoints of an output folder.

    Parameters
    ----------
    folder : Path
        Where they lie.
    keep : int
        How many of them.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def paths(self) -> list[Path]:
        """Return all checkpoints, the oldest first."""
        found = self.folder.glob("checkpoint-*.safetensors")
        return sorted((path for path in found if NAME.fullmatch(path.name)), key=_step)

    def path(self, step: int) -> Path:
        """Return the path of the checkpoint of a step."""
        return self.folder / f"checkpoint-{step:08d}.safetensors"

    def save(self, parts: Parts, random: Mapping[str, Tensor], step: int) -> Path:
        """Write states of networks and optimisers and of the random numbers; remove the oldest checkpoints.

        Raises
        ------
        FloatingPointError
            If a state holds NaN or infinity; nothing is written then.
        """
        tensors: dict[str, Tensor] = {f"{RANDOM}/{name}": state for name, state in random.items()}
        groups: dict[str, Any] = {}
        for name, part in parts.items():
            if isinstance(part, nn.Module):
                tensors |= {f"{name}/{key}": value for key, value in part.state_dict().items()}
            else:
                state = part.state_dict()
                groups[name] = state["param_groups"]
                tensors |= {f"{name}/{i}/{k}": v for i, entries in state["state"].items() for k, v in entries.items()}
        bad = [key for key, value in tensors.items() if value.is_floating_point() and not value.isfinite().all()]
        if bad:
            raise FloatingPointError(bad[0])
        # Cloned and made dense: safetensors refuses tensors that share memory or have gaps.
        own = {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}
        path = self.path(step)
        with written_whole(path) as temporary:
            save_file(own, temporary, metadata={"step": str(step), "groups": json.dumps(groups)})
        for old in self.paths()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def load(self, parts: Parts) -> tuple[int, dict[str, Tensor], list[Path]]:
        """Restore the newest checkpoint that can be read.

        Returns
        -------
        step : int
            Its step; 0 if there is no checkpoint at all.
        random : dict
            States of the random numbers.
        damaged : list of Path
            Newer checkpoints that could not be read.

        Raises
        ------
        GanDenoiseError
            If there are checkpoints but none can be read, or the newest is one of other networks.
        """
        damaged: list[Path] = []
        for path in reversed(self.paths()):
            try:
                tensors, groups, step = _read(path)
            except (SafetensorError, OSError, KeyError, TypeError, ValueError):
                damaged.append(path)
                continue
            try:
                _restore(parts, tensors, groups)
            except (KeyError, TypeError, ValueError, RuntimeError):
                raise GanDenoiseError(
                    f"{path} cannot be resumed: it belongs to other networks; resume with the config of that run, or "
                    "choose another output folder."
                ) from None
            random = {k.removeprefix(f"{RANDOM}/"): v for k, v in tensors.items() if k.startswith(f"{RANDOM}/")}
            return step, random, damaged
        if damaged:
            raise GanDenoiseError(f"{damaged[0]} cannot be resumed: it is damaged, as are all others; start anew.")
        return 0, {}, []


def _step(path: Path) -> int:
    found = NAME.fullmatch(path.name)
    return int(found[1]) if found else -1


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], int]:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    return tensors, json.loads(metadata["groups"]), int(metadata["step"])


def _restore(parts: Parts, tensors: dict[str, Tensor], groups: dict[str, Any]) -> None:
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
            _lay_out_like_parameters(part)


def _lay_out_like_parameters(optimiser: torch.optim.Optimizer) -> None:
    """Give moments the memory layout of their parameters: sums in another order would round otherwise."""
    for parameter, state in optimiser.state.items():
        for key, value in state.items():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter).copy_(value).detach()
