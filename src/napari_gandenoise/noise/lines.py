"""Lines of a scan that share their noise: jitter, fly-back and flicker move or shade a whole line at once.

Along a line such noise is smooth, from line to line it is white.  Neighbouring pixels of a column therefore tell
nothing of it, which is why `napari_gandenoise.noise.grain` does not see it, but all pixels of a line do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal.windows import blackmanharris

__all__ = ["lines_share_noise"]

SIDE = 512  # pixels, of the middle that is looked at
SMALLEST = 64
ALONG, ATHWART = 0.1, 0.2  # cycles a pixel: smooth along a line, and finer from line to line than most specimens
# Between what frames of a camera and scans without distortion have at any dose, about one, and a real bright field.
LEAST = 1.2
ERRORS = 5.0  # standard errors of small images


def lines_share_noise(image: NDArray[Any]) -> bool:
    """Say whether the lines of an image, its rows, have noise of their own.

    The power of what is smooth along rows and fine from row to row is compared with that of the same turned by a
    right angle.  Of both the median over the fine frequencies is taken, which does not see the spots of a lattice.

    Parameters
    ----------
    image : ndarray
        ``(Y, X)``, finite, in any units.
    """
    if min(image.shape) < SMALLEST:
        return False
    top, left = (max(0, (side - SIDE) // 2) for side in image.shape)
    part = np.asarray(image[top : top + SIDE, left : left + SIDE], np.float64)
    window = np.outer(*(blackmanharris(side) for side in part.shape))  # spots of a lattice do not leak
    seen = (part - part.mean()) * window
    power = np.square(np.abs(np.fft.fft2(seen)))
    rows, cells = _median_power(power)
    columns, _ = _median_power(power.T)
    # Some electrons in a dark frame are all there is to tell its lines by, however many pixels it has.
    events = np.square(np.square(seen).sum()) / max(float((seen**4).sum()), 1e-300)
    # Of two medians of means of exponential numbers, a window's neighbours hanging together.
    error = float(np.sqrt(2 * (np.pi / 2) * 2.0**2 * 2 / max(min(cells, events), 1)))
    return bool(rows > max(LEAST, 1 + ERRORS * error) * columns)


def _median_power(power: NDArray[np.float64]) -> tuple[float, int]:
    """Return the power of what is smooth along rows, its median over what is fine from row to row, and of how many."""
    athwart, along = (np.abs(np.fft.fftfreq(side)) for side in power.shape)
    band = power[athwart > ATHWART][:, along < ALONG]
    return float(np.median(band.mean(axis=1))), band.size
