"""Several processes on one run: each computes its share of every batch, PyTorch averages the gradients.

Started by ``torchrun``, which sets RANK, LOCAL_RANK and WORLD_SIZE; without it there is one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from napari_gandenoise.errors import GanDenoiseError

__all__ = ["Ranks"]

SEED_STEP = 7919  # between the seeds of two ranks


@dataclass(frozen=True)
class Ranks:
    """One process among those of the run.

    Attributes
    ----------
    rank, local_rank : int
        Its number, and its number on this machine; rank 0 writes the files and yields the events.
    size : int
        How many there are.
    """

    rank: int = 0
    local_rank: int = 0
    size: int = 1

    @classmethod
    def from_environment(cls) -> Ranks:
        """Read what ``torchrun`` has set."""
        if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
            return cls()
        rank = int(os.environ["RANK"])
        return cls(rank, int(os.environ.get("LOCAL_RANK", rank)), int(os.environ["WORLD_SIZE"]))

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Connect the processes, and let go of them at the end."""
        if self.size == 1:
            yield
            return
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def seed(self, seed: int) -> int:
        """Seed of this process's own random numbers."""
        return seed + SEED_STEP * self.rank

    def share(self, batch: int) -> int:
        """Tiles of a batch that this process computes.

        Raises
        ------
        GanDenoiseError
            If the batch cannot be shared out evenly.
        """
        if batch % self.size:
            raise GanDenoiseError(
                f"A batch of {batch} cannot be shared by {self.size} processes: make it a multiple of {self.size}."
            )
        return batch // self.size

    def wrap(self, module: nn.Module, device: torch.device) -> nn.Module:
        """Have the gradients of a module averaged over all processes; its forward must lead to one backward."""
        if self.size == 1:
            return module
        return DistributedDataParallel(module, device_ids=[device.index] if device.type == "cuda" else None)

    def agree(self, networks: Iterable[nn.Module]) -> None:
        """Give all processes the parameters and statistics of the first."""
        if self.size == 1:
            return
        for network in networks:
            for value in network.state_dict().values():
                # Broadcast wants dense tensors; those in channels_last are none.
                dense = value.contiguous()
                distributed.broadcast(dense, 0)
                value.copy_(dense)

    def first_says(self, flag: bool, device: torch.device) -> bool:
        """Tell all processes what the first one has decided."""
        if self.size == 1:
            return flag
        message = torch.tensor([flag], dtype=torch.uint8, device=_talking(device))
        distributed.broadcast(message, 0)
        return bool(message.item())

    def gather(self, state: Tensor, device: torch.device) -> list[Tensor]:
        """Collect a tensor of one shape from all processes, in order, on the CPU."""
        if self.size == 1:
            return [state]
        state = state.to(_talking(device))
        parts = [torch.empty_like(state) for _ in range(self.size)]
        distributed.all_gather(parts, state)
        return [part.cpu() for part in parts]


def _talking(device: torch.device) -> torch.device:
    """Where tensors must lie to be sent."""
    return device if device.type == "cuda" else torch.device("cpu")
