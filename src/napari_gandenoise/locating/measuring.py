"""What the counts of a frame say of the columns that its denoised image shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_gandenoise.locating.finding import Drawn
from napari_gandenoise.locating.fitting import Array, Fitted, Windows, fit, gaussians

__all__ = ["Counted", "Measured", "measure"]

REACH = 0.4  # of the spacing: how far the counts may move a column
DRAWN_ERROR = 0.02  # of the spacing, along each axis: what a drawn place is trusted to, chosen on simulation seed 3
HEIGHT, LEVEL = 0, 4  # among the values of a fit
PLACE = (1, 2)


@dataclass(frozen=True)
class Counted:
    """The counts of a frame on a grid, and the denoised image there.

    Attributes
    ----------
    electrons, exposure, extra : ndarray
        ``(y, x)``: electrons, share of each grid pixel that was exposed, and variance of its read noise, electrons².
    rate : ndarray
        ``(y, x)``, denoised, electrons per grid pixel.
    """

    electrons: Array
    exposure: Array
    extra: Array
    rate: Array


@dataclass(frozen=True)
class Measured:
    """Columns as the counts show them.

    Attributes
    ----------
    drawn : Drawn
        As the denoised image shows them.
    fitted : Fitted
        Height, place and level by the counts.
    gain : ndarray
        ``(K,)``, log-likelihood of the column against none, a level alone, nats; negative where the counts show the
        opposite.
    seen : ndarray
        ``(K,)``, height of the column where it is drawn, in standard errors.
    expected : ndarray
        ``(K,)``, what that would be if the counts were as drawn.
    """

    drawn: Drawn
    fitted: Fitted
    gain: Array
    seen: Array
    expected: Array

    @property
    def counted(self) -> Array:
        """Where the columns are by the counts alone, ``(K, 2)`` on the grid."""
        places: Array = self.drawn.places + self.fitted.values[:, PLACE]
        return places

    @property
    def places(self) -> Array:
        """Where the columns are, ``(K, 2)`` on the grid: as drawn, and as counted where the counts are surer."""
        error = self.fitted.errors[:, PLACE] ** 2
        shown = self.drawn.places + self.drawn.fitted.values[:, PLACE]
        trust = (DRAWN_ERROR * self.drawn.spacing) ** 2
        # Counts that say nothing of a place have no error, either.
        places: Array = shown + np.where(error > 0, trust / (trust + error), 0) * (self.counted - shown)
        return places


def measure(counted: Counted, drawn: Drawn) -> Measured:
    """Fit the columns of a denoised image to the counts.

    What else is in each window, neighbours and background, is taken as drawn, but for its level.
    """
    windows = Windows.around(
        drawn.places, drawn.radius, counted.electrons, counted.exposure, counted.extra, counted.rate
    )
    shown = drawn.fitted.values
    around = windows.drawn - gaussians(windows, shown)
    start = shown.copy()
    start[:, LEVEL:] = 0
    reach = np.full(7, np.inf)
    reach[list(PLACE)] = REACH * drawn.spacing
    column = fit(windows, start, (HEIGHT, *PLACE, LEVEL), around, reach)
    there = fit(windows, start, (HEIGHT, LEVEL), around, reach)
    none = fit(windows, start * (np.arange(7) != HEIGHT), (LEVEL,), around, reach)
    height, error = there.values[:, HEIGHT], np.maximum(there.errors[:, HEIGHT], 1e-12)
    gain = (column.log_likelihood - none.log_likelihood) * np.sign(column.values[:, HEIGHT] * drawn.sign)
    return Measured(drawn, column, gain, drawn.sign * height / error, drawn.sign * shown[:, HEIGHT] / error)
