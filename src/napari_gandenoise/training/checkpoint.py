"""Checkpoints: safetensors files with every state of a run, written whole or not at all, the latest ones kept."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.writing import written_whole

__all__ = ["Checkpoints", "Parts"]

Parts = Mapping[str, nn.Module | torch.optim.Optimizer]
NAME = re.compile(r"checkpoint-(\d{8,})\.safetensors")
RANDOM = "random"
VERSION = "2"  # of what a checkpoint holds


class Checkpoints:
    """The numbered checkpoints of an output folder.

    Parameters
    ----------
    folder : Path
        Where they lie.
    keep : int
        How many of them.
    seed : int
        Seed of the run.
    """

    def __init__(self, folder: Path, keep: int, seed: int = 0) -> None:
        self.folder = folder
        self.keep = keep
        self.seed = seed

    def paths(self) -> list[Path]:
        """Return all checkpoints, the oldest first."""
        found = self.folder.glob("checkpoint-*.safetensors")
        return sorted((path for path in found if NAME.fullmatch(path.name) and path.is_file()), key=_step)

    def path(self, step: int) -> Path:
        """Return the path of the checkpoint of a step."""
        return self.folder / f"checkpoint-{step:08d}.safetensors"

    def save(self, parts: Parts, random: Mapping[str, Tensor], step: int) -> Path:
        """Write states of networks and optimisers and of the random numbers; remove the oldest checkpoints.

        Raises
        ------
        FloatingPointError
            If a state holds NaN or infinity; nothing is written then.
        GanDenoiseError
            If the file cannot be written.
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
        about = {"version": VERSION, "step": str(step), "seed": str(self.seed), "groups": json.dumps(groups)}
        with written_whole(path) as temporary:
            save_file(own, temporary, metadata={**about, "sha256": _digest(own, about)})
        for old in self.paths()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def load(self, parts: Parts, wanted: Collection[str] = ()) -> tuple[int, dict[str, Tensor], list[Path]]:
        """Restore the newest checkpoint that can be read.

        Parameters
        ----------
        parts : mapping
            Networks and optimisers that get their states back.
        wanted : collection of str
            States of random numbers without which a checkpoint is damaged.

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
            If there are checkpoints but none can be read, or the newest is one of other networks, of another seed or
            of another version.
        """
        damaged: list[Path] = []
        for path in reversed(self.paths()):
            try:
                tensors, about = _read(path)
                groups, step, seed = json.loads(about["groups"]), _step(path), int(about["seed"])
                if not {f"{RANDOM}/{name}" for name in wanted} <= tensors.keys():
                    raise KeyError(RANDOM)
            except GanDenoiseError:
                raise
            except Exception:  # a damaged file can make the decoder fail in any way
                damaged.append(path)
                continue
            if seed != self.seed:
                raise GanDenoiseError(
                    f"The run in {self.folder} began with the seed {seed}, not {self.seed}: resume it with its own, or "
                    "choose another output folder."
                )
            try:
                _restore(parts, tensors, groups)
            except Exception:  # as what is in the file may be anything
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


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a checkpoint and see that not a byte of it has changed."""
    with safe_open(path, framework="pt") as file:
        about = dict(file.metadata())
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    if about.get("version", "1") != VERSION:
        raise GanDenoiseError(
            f"{path} cannot be resumed: another version of this package wrote it; resume with that one, or choose "
            "another output folder."
        )
    if about.pop("sha256") != _digest(tensors, about) or int(about["step"]) != _step(path):
        raise ValueError("it was changed")
    return tensors, about


def _digest(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> str:
    """Hash all that a checkpoint holds."""
    digest = sha256(json.dumps(about, sort_keys=True).encode())
    for key, value in sorted(tensors.items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


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
            own_groups = part.state_dict()["param_groups"]
            settings = _numbers_of(groups[name], own_groups)
            for group, own_group in zip(settings, own_groups, strict=True):
                group["params"] = own_group["params"]
            part.load_state_dict({"state": state, "param_groups": settings})
            _check_moments(part)
            _lay_out_like_parameters(part)


def _numbers_of(stored: Any, own: Any) -> Any:
    """Take the numbers among the settings of an optimiser from a checkpoint; all else stays as this run has it."""
    if isinstance(own, dict):
        return {key: _numbers_of(stored.get(key, value), value) for key, value in own.items()}
    if isinstance(own, list | tuple):
        return type(own)(_numbers_of(one, other) for one, other in zip(stored, own, strict=True))
    if isinstance(own, bool) or not isinstance(own, int | float):
        return own
    if isinstance(stored, bool) or not math.isfinite(stored):
        raise ValueError("no number")
    return stored


def _check_moments(optimiser: torch.optim.Optimizer) -> None:
    """Refuse states of parameters that are not all alike, or do not fit them."""
    entries = {frozenset(state) for state in optimiser.state.values()}
    fit = all(
        value.shape in (torch.Size(), parameter.shape)
        for parameter, state in optimiser.state.items()
        for value in state.values()
    )
    if len(entries) > 1 or not fit:
        raise ValueError("moments of other parameters")


def _lay_out_like_parameters(optimiser: torch.optim.Optimizer) -> None:
    """Give moments the memory layout of their parameters: sums in another order would round otherwise."""
    for parameter, state in optimiser.state.items():
        for key, value in state.items():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter).copy_(value).detach()
