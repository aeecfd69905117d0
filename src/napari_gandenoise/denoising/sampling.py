"""The pixel size of an image that does not state it, or states one that its lattice belies: from its spectrum.

The spots of a lattice lie at the inverse of its plane spacings.  The pixel size at which most of their power belongs to
spacings that the model has learnt is the likeliest.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

__all__ = ["Sampling", "doubt", "find_sampling"]

# Lattice constants, nm, of the metals and the oxide that the bundled models know (Swanson, Tatge, Standard X-ray
# Diffraction Powder Patterns, NBS Circular 539 (1953), volume 1), and h² + k² + l² of their strongest planes.
METALS_NM, METAL_PLANES = (0.3924, 0.4078, 0.3890), (3, 4, 8)
OXIDE_NM, OXIDE_PLANES = 0.5411, (3, 4, 8, 11)
# A metal on the oxide, each.
SPACINGS_NM = tuple(
    np.array([metal / n**0.5 for n in METAL_PLANES] + [OXIDE_NM / n**0.5 for n in OXIDE_PLANES]) for metal in METALS_NM
)
SIDE = 512  # pixels of the part that is looked at
RARE = 6.0  # nats beyond the largest of as many noise powers: one spot in 400 such images
MOST_SPOTS = 24
CLOSE = 0.025  # of a spacing: strain, distortion and the width of a spot
FACTOR = 2.2  # between a stated pixel size and the likeliest one: less is no mistake of units or magnification
MIDDLE_NM = 0.217  # spacing of the spot in the middle of all, on simulation seed 3
SPREAD = 0.15  # of the logarithm of the pixel size that the middle of all spots tells
FEWEST_SPOTS = 3  # that may belie a pixel size
BELIED = 0.1  # of the power, at most, that a wrong pixel size puts on known spacings
SURE = 0.3  # of the power of all spots must belong to known spacings


@dataclass(frozen=True)
class Sampling:
    """A pixel size that was not stated.

    Attributes
    ----------
    pixel_size_nm : float
        The likeliest.
    reason : str
        What says so: the rest of a sentence.
    """

    pixel_size_nm: float
    reason: str

    def sentence(self) -> str:
        """Say what is assumed."""
        size = f"{1e3 * self.pixel_size_nm:.3g} pm"
        return f"The pixel size is not known: {size} is a guess, {self.reason}; set the pixel size if you know it."


def find_sampling(image: NDArray[Any], limits_nm: tuple[float, float]) -> Sampling | None:
    """Find the pixel size at which the lattice of an image has spacings that the bundled models know.

    Parameters
    ----------
    image : ndarray
        ``(Y, X)``, finite, any units.
    limits_nm : tuple of float
        The smallest and the largest that it may be.

    Returns
    -------
    Sampling or None
        None if no such lattice is seen.
    """
    spots = _spots(image)
    best = _best(spots, limits_nm) if len(spots) else None
    if best is None or best[1] < SURE:
        return None
    return Sampling(best[0], "at which the lattice in the image has known spacings")


def doubt(image: NDArray[Any], stated_nm: float, limits_nm: tuple[float, float]) -> str:
    """Doubt a stated pixel size that the lattice of an image belies.

    Parameters
    ----------
    image, limits_nm
        As for `find_sampling`.
    stated_nm : float
        What the file or the user says.

    Returns
    -------
    str
        One sentence; empty if the pixel size may be right.
    """
    spots = _spots(image)
    best = _best(spots, limits_nm) if len(spots) >= FEWEST_SPOTS else None
    if best is None or best[1] < SURE or max(best[0] / stated_nm, stated_nm / best[0]) < FACTOR:
        return ""
    if _share(spots, stated_nm) > BELIED:
        return ""
    stated, found = (f"{1e3 * size:.2g} pm" for size in (stated_nm, best[0]))
    return f"With pixels of {stated} the lattice in the image has no known spacing: did you mean about {found}?"


def _spots(image: NDArray[Any]) -> NDArray[np.float64]:
    """Return frequencies (cycles per pixel) and powers of the strongest spots of the spectrum, ``(N, 2)``."""
    start = [max(0, (length - SIDE) // 2) for length in image.shape]
    part = np.asarray(image[start[0] : start[0] + SIDE, start[1] : start[1] + SIDE], np.float64)
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in part.shape))
    power = np.square(np.abs(fft.rfft2((part - np.average(part, weights=window)) * window)))
    frequency = np.hypot(fft.fftfreq(part.shape[0])[:, None], fft.rfftfreq(part.shape[1])[None])
    ring = np.rint(frequency * min(part.shape)).astype(int)
    # The median of an exponential distribution is log 2 of its mean: spots do not move it.
    usual = ndimage.median(power, ring, np.arange(ring.max() + 1)) / log(2)
    relative = power / np.maximum(usual, np.finfo(np.float64).tiny)[ring]
    peak = (relative == ndimage.maximum_filter(relative, 5)) & (relative > log(power.size) + RARE)
    peak &= (frequency > 4 / min(part.shape)) & (frequency < 0.5)
    rows, columns = np.nonzero(peak)
    order = np.argsort(power[rows, columns])[::-1][:MOST_SPOTS]
    rows, columns = rows[order], columns[order]
    return np.stack([frequency[rows, columns], power[rows, columns] ** 0.5], axis=1)


def _best(spots: NDArray[np.float64], limits_nm: tuple[float, float]) -> tuple[float, float] | None:
    """Return the likeliest pixel size, and the share of the spots that then lies on known spacings.

    Spacings of several crystals are dense enough for matches by chance: those count for less the further they put the
    middle of all spots from the middle of all spacings.
    """
    known = np.concatenate(SPACINGS_NM)
    usual = float(np.median(spots[:, 0])) * MIDDLE_NM
    tried = np.unique(np.outer(spots[:, 0], known))
    tried = tried[(tried >= limits_nm[0]) & (tried <= limits_nm[1])]
    if not tried.size:
        return None
    shares = np.array([_share(spots, size) for size in tried])
    best = int(np.argmax(shares * np.exp(-0.5 * np.square(np.log(tried / usual) / SPREAD))))
    return float(tried[best]), float(shares[best])


def _share(spots: NDArray[np.float64], size_nm: float) -> float:
    """Return the share of the spots' amplitude that lies on known spacings."""
    spacings = size_nm / spots[:, :1]
    near = [np.abs(spacings / known - 1).min(axis=1) < CLOSE for known in SPACINGS_NM]
    return float(max(spots[some, 1].sum() for some in near) / spots[:, 1].sum())
