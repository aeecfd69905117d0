"""What the loop asks of whatever it trains: stages that update networks, their states, their validation, the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_gandenoise.datasets.tiles import Tiles
from napari_gandenoise.models import AnyModel
from napari_gandenoise.training.checkpoint import Parts

__all__ = ["SHOWN", "Programme", "Stage", "TrainPreview"]

SHOWN = 16  # tiles in a preview


class TrainPreview(NamedTuple):
    """Generated templates and real ones beside them, ``(16, C, H, W)`` float32 within [-1, 1]."""

    samples: NDArray[np.float32]
    real: NDArray[np.float32]


class Stage(Protocol):
    """Part of a run with a learning rate schedule of its own.

    Attributes
    ----------
    name : str
        What progress calls it.
    first : int
        Steps of the run before it.
    steps : int
        Its own steps.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def first(self) -> int: ...  # noqa: D102
    @property
    def steps(self) -> int: ...  # noqa: D102

    def rate(self, step: int) -> float:
        """Learning rate at a step of the stage."""

    def update(self, step: int) -> dict[str, Tensor]:
        """Take a step; return losses."""


class Programme(Protocol):
    """Networks and what is done with them."""

    def parts(self) -> Parts:
        """Return what has a state."""

    def networks(self) -> list[nn.Module]:
        """Return all networks."""

    def start(self, tiles: Tiles) -> None:
        """Begin, with a look at the first tiles."""

    def resumed(self) -> None:
        """Complete what a checkpoint has restored."""

    def hold_out(self, tiles: Tiles) -> None:
        """Keep tiles for validation."""

    def stages(self) -> Iterator[Stage]:
        """Make each stage when its turn has come."""

    def preview(self) -> TrainPreview:
        """Show what the networks make now."""

    def measure(self, stage: Stage) -> dict[str, float]:
        """Validate."""

    def alarm(self, step: int, values: dict[str, float]) -> str:
        """Return what there is to say about the values of a step; mostly nothing."""

    def model(self, stage: Stage, step: int, metrics: dict[str, float]) -> AnyModel:
        """Return the model as it is now, for its file."""
