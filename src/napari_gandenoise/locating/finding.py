"""Where a denoised image shows columns, and what they look like there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage, spatial
from skimage.morphology import reconstruction

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import Columns
from napari_gandenoise.locating.fitting import Array, Fitted, Windows, fit, gaussians

__all__ = ["Drawn", "find", "shares"]

LOWEST = 0.4  # of the least height of a sure column: what is lower is not looked at
PROMINENT = 0.1  # of its height, that a top stands above the way to any higher one: else it is part of a fringe
FAR = 3  # standard deviations: beyond, a column adds nothing
RADIUS = 0.55  # of the spacing: window of a column
WIDTH, SPREAD = 0.22, 0.1  # of the spacing: standard deviation of a column, and how far it may differ
REACH = 0.3  # of the spacing: how far a fit may go from a top
FINE = 0.15  # of the spacing: what tops are smoothed by before they are judged
SAME = 0.4  # of the spacing, within which a column of a sample is one of the image
ROUNDS = 2  # in which neighbours are taken from each other


@dataclass(frozen=True)
class Drawn:
    """Columns as a denoised image shows them.

    Attributes
    ----------
    places : ndarray
        ``(K, 2)``, tops ``(y, x)`` on the grid.
    fitted : Fitted
        Gaussians from there, on a level.
    spacing : float
        Distance of nearest neighbours, grid pixels: the tenth percentile.
    sign : int
        1 if they are bright, -1 if they are dark.
    shown : Columns
        How such columns are found in another image of the same view.
    """

    places: Array
    fitted: Fitted
    spacing: float
    sign: int
    shown: Columns

    @property
    def radius(self) -> float:
        """Radius of a column's window, grid pixels."""
        return RADIUS * self.spacing


def find(image: Array, contrast: str = "auto") -> Drawn | None:
    """Find columns in a denoised image.

    Parameters
    ----------
    image : ndarray
        ``(y, x)``, electrons per grid pixel.
    contrast : str
        "bright", "dark", or "auto" for the sharper of the two.

    Returns
    -------
    Drawn or None
        None if there are no columns.
    """
    try:
        shown = Columns.of(image)
    except GanDenoiseError:
        return None
    shown = replace(shown, height=LOWEST * shown.height, dark=shown.dark if contrast == "auto" else contrast == "dark")
    sign = -1 if shown.dark else 1
    places = _prominent(sign * image, shown.find(image), shown.spacing)
    if not len(places):
        return None
    return Drawn(places, _described(image, places, shown.spacing, sign), shown.spacing, sign, shown)


def shares(drawn: Drawn, samples: Iterable[Array]) -> Array:
    """Return in what share of samples of an image each column that it shows is shown, too.

    Parameters
    ----------
    drawn : Drawn
        K columns of the image.
    samples : iterable of ndarray
        ``(y, x)``, what the image could be.

    Returns
    -------
    ndarray
        ``(K,)``; NaN without samples.
    """
    found = []
    for sample in samples:
        places = _prominent(drawn.sign * sample, drawn.shown.find(sample), drawn.spacing)
        apart = spatial.cKDTree(places).query(drawn.places)[0] if len(places) else np.inf
        found.append(np.broadcast_to(apart < SAME * drawn.spacing, len(drawn.places)))
    return np.mean(found, axis=0) if found else np.full(len(drawn.places), np.nan)


def _prominent(image: Array, places: Array, spacing: float) -> Array:
    """Leave out tops that hardly stand above the way to a higher one."""
    band = ndimage.gaussian_filter(image, FINE * spacing) - ndimage.gaussian_filter(image, spacing)
    height = np.maximum(band, 0)
    dome = height - reconstruction((1 - PROMINENT) * height, height)
    # A top lies between pixels: the highest of those around it is meant.
    around = ndimage.maximum_filter(np.where(height > 0, dome / np.maximum(height, 1e-12), 0), 3)
    rows, columns = np.rint(places).astype(int).T
    kept: Array = places[around[rows, columns] >= 0.9 * PROMINENT]
    return kept


def _described(image: Array, places: Array, spacing: float, sign: int) -> Fitted:
    """Fit a Gaussian and a level to the image around each top, neighbours taken away."""
    shown = np.ones_like(image)
    windows = Windows.around(places, RADIUS * spacing, image, shown, np.zeros_like(image), image)
    start = np.zeros((len(places), 7))
    rim = np.where(windows.exposure > 0, sign * windows.drawn, np.inf)
    start[:, 4] = sign * np.percentile(rim, 10, axis=1)
    rows, columns = np.rint(places).astype(int).T
    start[:, 0] = image[rows, columns] - start[:, 4]
    start[:, 3] = WIDTH * spacing
    reach = np.array([np.inf, REACH * spacing, REACH * spacing, SPREAD * spacing, np.inf, 0, 0])
    free = (0, 1, 2, 3, 4)
    fitted = fit(windows, start, free, np.zeros_like(image[:1, :1]), reach)
    for _ in range(ROUNDS - 1):
        others = _neighbours(places, fitted.values, windows, image.shape)
        fitted = fit(windows, fitted.values, free, others, reach)
    return fitted


def _neighbours(places: Array, values: Array, windows: Windows, shape: tuple[int, ...]) -> Array:
    """Return what the other columns add to the windows of each, ``(K, P)``."""
    zeros = np.zeros(shape)
    wide = Windows.around(places, FAR * float(values[:, 3].max()), zeros, zeros + 1, zeros, zeros)
    bumps = np.where(wide.exposure > 0, gaussians(wide, values), 0.0)
    total = np.zeros(shape)
    np.add.at(total, wide.pixels, bumps)
    others: Array = total[windows.pixels] - gaussians(windows, values)
    return others
