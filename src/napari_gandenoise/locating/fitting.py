"""Gaussians fitted to counts by the Poisson likelihood, all columns at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Fitted", "Windows", "fit", "gaussians"]

Array = NDArray[np.float64]

STEPS = 20  # Fisher scoring from a good start needs five
ENOUGH = 1e-4  # nats gained by a step: the rest is a hundredth of the error
MOST_DAMPING = 1e8
LEAST = 1e-4  # of the mean rate: no rate is lower


@dataclass(frozen=True)
class Windows:
    """What surrounds each of K places on the grid, P pixels each.

    Attributes
    ----------
    dy, dx : ndarray
        ``(K, P)``, from the place, grid pixels.
    counts, exposure, extra : ndarray
        ``(K, P)``: electrons, the share of a grid pixel that was exposed, and the variance of the read noise in
        electrons²; nothing is exposed outside of the frame or the window.
    drawn : ndarray
        ``(K, P)``, the denoised image, electrons per grid pixel.
    rows, columns : ndarray
        ``(K, P)``, where that is in the images; those outside of the frame are of its border.
    """

    dy: Array
    dx: Array
    counts: Array
    exposure: Array
    extra: Array
    drawn: Array
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    @classmethod
    def around(
        cls, places: Array, radius: float, counts: Array, exposure: Array, extra: Array, drawn: Array
    ) -> Windows:
        """Cut disks out of images ``(y, x)`` around places ``(K, 2)``."""
        half = int(np.ceil(radius))
        nearest = np.rint(places).astype(int)
        offset = np.mgrid[-half : half + 1, -half : half + 1].reshape(2, -1)
        offset = offset[:, np.hypot(*offset) <= radius + np.sqrt(0.5)]  # a place is within half a pixel of the nearest
        rows, columns = (nearest[:, axis, None] + offset[axis] for axis in (0, 1))
        dy, dx = rows - places[:, :1], columns - places[:, 1:]
        height, width = counts.shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width) & (np.hypot(dy, dx) <= radius)
        where = rows.clip(0, height - 1), columns.clip(0, width - 1)
        seen, open_to, more, shown = (np.where(inside, image[where], 0.0) for image in (counts, exposure, extra, drawn))
        return cls(dy, dx, seen, open_to, more, shown, *where)

    @property
    def pixels(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the windows are in the images, to index them with."""
        return self.rows, self.columns

    def some(self, which: NDArray[Any]) -> Windows:
        """Return the windows of some of the places."""
        return Windows(*(getattr(self, field.name)[which] for field in fields(self)))


@dataclass(frozen=True)
class Fitted:
    """Gaussians on planes.

    Attributes
    ----------
    values : ndarray
        ``(K, 7)``: height (electrons per grid pixel), y, x (grid pixels from the place), standard deviation (grid
        pixels), level, and slope of the plane along y and x.
    covariance : ndarray
        ``(K, 7, 7)``, the inverse of the Fisher information; zero of what was held.
    log_likelihood : ndarray
        ``(K,)``, nats, but for what depends on the counts alone.
    """

    values: Array
    covariance: Array
    log_likelihood: Array

    @property
    def errors(self) -> Array:
        """Standard errors ``(K, 7)``, those of Cramér and Rao."""
        errors: Array = np.sqrt(np.einsum("kii->ki", self.covariance).clip(min=0))
        return errors


def gaussians(windows: Windows, values: Array) -> Array:
    """Return the Gaussians ``(K, P)`` of values ``(K, 7)``."""
    square = (windows.dy - values[:, 1, None]) ** 2 + (windows.dx - values[:, 2, None]) ** 2
    bumps: Array = values[:, 0, None] * np.exp(-square / (2 * values[:, 3, None] ** 2))
    return bumps


def _slopes(windows: Windows, values: Array, picked: list[int]) -> Array:
    """Return the derivatives of the rate ``(K, P, n)`` by some of the values."""
    height, y, x, width = (values[:, i, None] for i in range(4))
    down, across = windows.dy - y, windows.dx - x
    shape = np.exp(-(down**2 + across**2) / (2 * width**2))
    bump = height * shape
    of_each = (
        lambda: shape,
        lambda: bump * down / width**2,
        lambda: bump * across / width**2,
        lambda: bump * (down**2 + across**2) / width**3,
        lambda: 1.0,
        lambda: windows.dy,
        lambda: windows.dx,
    )
    slopes = np.empty((*shape.shape, len(picked)))
    for place, which in enumerate(picked):
        slopes[..., place] = of_each[which]()
    return slopes


def fit(windows: Windows, start: Array, free: tuple[int, ...], around: Array, reach: Array) -> Fitted:
    """Find the most likely Gaussians by Fisher scoring, damped where a step does not help.

    Parameters
    ----------
    windows : Windows
        Of K places.
    start : ndarray
        ``(K, 7)``, as in `Fitted`.
    free : tuple of int
        Which of the seven are fitted; the others stay.
    around : ndarray
        ``(K, P)``, what else adds to the rate, electrons per grid pixel.
    reach : ndarray
        ``(7,)``, how far a value may go from where it started.
    """
    picked, around = list(free), np.broadcast_to(around, windows.counts.shape)
    values = np.clip(start, start - reach, start + reach)
    low, high = start - reach, start + reach
    damping, moving = np.full(len(start), 1e-3), np.arange(len(start))
    likelihood, score, information = _look(windows, values, around, picked)
    for _ in range(STEPS):
        if not len(moving):
            break
        damped = information[moving] + _damping(information[moving], damping[moving])
        tried = values[moving]
        tried[:, picked] += np.linalg.solve(damped, score[moving][..., None])[..., 0]
        tried = np.clip(tried, low[moving], high[moving])
        then = _look(windows.some(moving), tried, around[moving], picked)
        gained = then[0] - likelihood[moving]
        better = gained > 0
        taken = moving[better]
        values[taken] = tried[better]
        likelihood[taken], score[taken], information[taken] = (found[better] for found in then)
        damping[moving] = np.where(better, damping[moving] / 5, damping[moving] * 8)
        moving = moving[np.where(better, gained > ENOUGH, damping[moving] < MOST_DAMPING)]
    covariance = np.zeros((len(start), 7, 7))
    covariance[np.ix_(range(len(start)), picked, picked)] = np.linalg.pinv(information, hermitian=True)
    return Fitted(values, covariance, likelihood)


def _damping(information: Array, damping: Array) -> Array:
    diagonal = np.einsum("kii->ki", information)
    eye: Array = np.eye(information.shape[-1])
    added: Array = (damping[:, None] * diagonal + 1e-12)[:, :, None] * eye
    return added


def _look(windows: Windows, values: Array, around: Array, picked: list[int]) -> tuple[Array, Array, Array]:
    """Return likelihood, score and Fisher information of values."""
    plane = values[:, 4, None] + values[:, 5, None] * windows.dy + values[:, 6, None] * windows.dx
    least = LEAST * windows.drawn.mean() + 1e-12
    rate = np.maximum(gaussians(windows, values) + plane + around, least)
    expected = windows.exposure * rate + windows.extra
    seen = windows.exposure > 0
    expected = np.where(seen, expected, 1.0)
    counts = np.where(seen, np.maximum(windows.counts + windows.extra, 0), 0.0)
    likelihood = np.where(seen, counts * np.log(expected) - expected, 0).sum(axis=1)
    slopes = _slopes(windows, values, picked) * windows.exposure[..., None]
    score = (np.where(seen, counts / expected - 1, 0)[:, None] @ slopes)[:, 0]
    weight = np.where(seen, 1 / expected, 0)
    information = np.swapaxes(slopes * weight[..., None], 1, 2) @ slopes
    return likelihood, score, information
