"""How long a run has been at work: for runs that have so many seconds, whatever the speed."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["Clock"]

WORKED, ENDED = "worked", "ended/"


class Clock:
    """Seconds that a run has worked; those in which it waits to be asked for the next event do not count.

    Parameters
    ----------
    seconds : float, optional
        What the run has; without, steps decide on its end.

    Attributes
    ----------
    worked : float
        Seconds of work until the last look, also before an interruption.
    ended : dict
        Steps that stages had taken when their time was over, by the stages' names.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = seconds
        self.worked = 0.0
        self.ended: dict[str, int] = {}

    def share(self, begin: float, until: float) -> float:
        """Return how much is over of a part of the time, both ends of which are shares of the whole."""
        if self.seconds is None:
            return 0.0
        return min(1.0, max(0.0, (self.worked / self.seconds - begin) / (until - begin)))

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps."""
        if self.seconds is None:
            return {}
        worked = {WORKED: torch.tensor(self.worked, dtype=torch.float64)}
        return worked | {ENDED + name: torch.tensor(steps) for name, steps in self.ended.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a checkpoint."""
        if WORKED in state:
            self.worked = float(state[WORKED])
        self.ended = {name.removeprefix(ENDED): int(steps) for name, steps in state.items() if name.startswith(ENDED)}
