"""What denoises frames: anything that turns a frame of electrons into a drawn rate, and nothing else."""

from __future__ import annotations

from typing import Protocol

from napari_gandenoise.progress import Steps
from napari_gandenoise.tiling import Drawn, Frame, Grid, Latents

__all__ = ["Engine"]


class Engine(Protocol):
    """A model with its effort, for the frames of one grid, one after the other."""

    @property
    def grid(self) -> Grid:
        """How frames are summed."""

    def draw(self, frame: Frame, before: Latents | None = None) -> Steps[Drawn]:
        """Draw the rate of a frame.

        Parameters
        ----------
        frame : Frame
            The counts, on the device that computes.
        before : Latents, optional
            What was found in the frame before, for engines that search.

        Yields
        ------
        Progress
            Previews are float32 ``(Y, X)`` or ``(Y, X, C)``, electrons per input pixel.
        """
