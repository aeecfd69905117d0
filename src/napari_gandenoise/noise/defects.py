"""Pixels that say nothing of the specimen: found by local evidence, before anything is made of an image.

A microscope's point spread reaches the neighbours of a pixel, and noise rarely exceeds them by much.  Spikes of X-rays,
hot and dead pixels, and columns or rows that a detector has lost stand alone.  How far chance reaches is read off the
image: the margin by which local maxima exceed their neighbours, in units of the local noise, decays at least
exponentially, as it does for every log-concave noise (counts, cameras, Gaussian), so that a margin beyond what one
in a thousand such images has is no chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb, inf, log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Defects", "find_defects", "level_spacing"]

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

RARE = 1e-3  # of images without defects in which a pixel or a line is taken for one
AROUND = 15  # pixels: a square whose noise is that of the pixel in its middle
# The light of a pixel above that of the brightest one so far away, over the latter: at a distance of one pixel a point
# spread of a full width of 1.3 pixels has as much, at two pixels one of 1.8; 0 is for a pixel beside its like.
SHARPEST = {0: 4.0, 1: 4.0, 2: 30.0}
MARGIN = {0: 4.0, 1: 1.0, 2: 4.0}  # over what chance reaches: pairs and groups of counts are no spikes
PASSES = 3  # a pixel beside a defect is seen once the defect is known
MOST = 0.02  # share of the pixels: more are the image
SAME = 3.0  # as many more pixels at the end of the scale as at each level before it are clipped
FEWEST = 6  # pixels at the end of the scale that hang together: a clipped place, else noise that has touched the end
BLANK = 16  # pixels all of whose neighbours are equal, hanging together
IMPOSSIBLE = 1e-9  # the chance of lines of one value at a border
LEVELS = 4096  # an image with more distinct values than this does not show single electrons
ORDER = 4  # of second differences along both axes: a lattice of 12 pixels has 1e-9 of its contrast left
ROUNDING = 3e-7  # of the image's range: single precision has as much, noise blurred by two pixels hardly more
LEAST_MARGIN = 6.0  # standard deviations of the noise above all neighbours
MEDIAN_SQUARE = 0.455  # median of the square of a unit normal variable
LOOKED_AT = 512  # pixels along a side that tell whether there is noise
TAIL_OF = 8  # margins, at least, that tell how far chance reaches


@dataclass(frozen=True)
class Defects:
    """Pixels of a frame that say nothing.

    Attributes
    ----------
    missing : ndarray of bool
        ``(Y, X)``, all of them.
    outliers : int
        Pixels that stand out alone.
    columns, rows : tuple of int
        Lines that stand out as a whole.
    clipped : int
        Pixels at the end of the scale, whether missing or not.
    touching : int
        Those of them, scattered or on a rim, that noise has brought there.
    blank : int
        Pixels of areas that hold one value.
    unknown : int
        Pixels that are no numbers.
    noiseless : bool
        Whether the rest shows no noise.
    areas : ndarray of bool or None
        ``(Y, X)``, the blank pixels: labels, scale bars, filled borders.
    """

    missing: Mask
    outliers: int = 0
    columns: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    clipped: int = 0
    blank: int = 0
    unknown: int = 0
    touching: int = 0
    noiseless: bool = False
    areas: Mask | None = None

    def __bool__(self) -> bool:
        return bool(self.outliers or self.columns or self.rows or self.clipped or self.blank or self.unknown)

    def __or__(self, other: Defects) -> Defects:
        """Put what was found in two frames together; what is missing in either is missing."""
        return Defects(
            self.missing | other.missing,
            self.outliers + other.outliers,
            tuple(sorted({*self.columns, *other.columns})),
            tuple(sorted({*self.rows, *other.rows})),
            self.clipped + other.clipped,
            self.blank + other.blank,
            self.unknown + other.unknown,
            self.touching + other.touching,
            self.noiseless and other.noiseless,
        )

    def counts(self) -> dict[str, int | list[int]]:
        """Return the numbers, ready for JSON."""
        return {
            "outliers": self.outliers,
            "columns": list(self.columns),
            "rows": list(self.rows),
            "clipped": self.clipped,
            "blank": self.blank,
            "unknown": self.unknown,
        }

    def sentence(self, frames: int = 1) -> str:
        """Name them, those of several frames together; empty if there are none."""
        named = [_plural(self.outliers, "outlier"), _lines("column", self.columns), _lines("row", self.rows)]
        named += [_plural(self.blank, "blank pixel"), _plural(self.unknown, "pixel") + " without a value"]
        found = [name for name, number in zip(named, self._numbers(), strict=True) if number]
        parts = []
        if found:
            parts.append(f"{_listed(found).capitalize()} left out.")
        if self.clipped:
            share = self.clipped / self.missing.size / frames
            parts.append(f"{100 * share:.2g} % of the pixels are saturated: the image is darker there than it was.")
        return " ".join(parts)

    def _numbers(self) -> tuple[int, ...]:
        return self.outliers, len(self.columns), len(self.rows), self.blank, self.unknown


def find_defects(frame: NDArray[Any], *, alone: bool = True) -> Defects:
    """Find the pixels of a frame that say nothing.

    Parameters
    ----------
    frame : ndarray
        ``(Y, X)``, any units, integer or floating point; pixels may be NaN or infinite.
    alone : bool
        Whether to look for more than pixels that are no numbers.
    """
    pixels, unknown = _centred(frame)
    if unknown.all() or min(pixels.shape) < 3:
        return Defects(unknown, unknown=int(unknown.sum()))
    if not alone:
        return Defects(unknown, unknown=int(unknown.sum()), noiseless=_noiseless(pixels, ~unknown))
    blank = _blank(pixels, unknown)
    known = ~(unknown | blank)
    if _noiseless(pixels, known):
        return Defects(unknown, unknown=int(unknown.sum()), noiseless=True)
    clipped = _clipped(pixels, known)
    known &= ~_together(clipped, FEWEST)
    solid = ndimage.binary_opening(clipped, np.ones((3, 3)))
    spacing = level_spacing(pixels[known]) or 0.0
    outliers = _outliers(pixels, known, spacing)
    known &= ~outliers
    columns, rows = _bad_lines(pixels, known), _bad_lines(pixels.T, known.T)
    known[:, list(columns)] = False
    known[list(rows)] = False
    clip, empty, lost, touching = (int(area.sum()) for area in (clipped, blank, unknown, clipped & ~solid))
    areas = blank if empty else None
    return Defects(~known, int(outliers.sum()), columns, rows, clip, empty, lost, touching, areas=areas)


def level_spacing(values: NDArray[Any]) -> float | None:
    """Find the spacing of the levels of an image that shows single electrons, or None if its levels are not even.

    Parameters
    ----------
    values : ndarray
        Finite pixels, any shape.
    """
    levels = np.unique(values).astype(np.float64)
    if not 2 <= levels.size <= LEVELS:
        return None
    spacing = float(np.diff(levels).min())
    steps = (levels - levels[0]) / spacing
    # float32 images of counts carry rounding errors of their own
    return spacing if np.abs(steps - steps.round()).max() < 1e-3 else None


def _centred(frame: NDArray[Any]) -> tuple[Array, Mask]:
    """Return the frame from -1 to 1, its median at zero: float32 holds that whatever the units; and what is unknown."""
    pixels = np.asarray(frame, np.float64)
    unknown = ~np.isfinite(pixels)
    if unknown.all():
        return np.zeros(pixels.shape, np.float32), unknown
    pixels = np.where(unknown, 0.0, pixels)
    pixels /= np.abs(pixels).max() or 1.0  # before anything else: the difference of the largest numbers is none
    apart = np.where(unknown, 0.0, pixels - np.median(pixels[~unknown]))
    return (apart / (np.abs(apart).max() or 1.0)).astype(np.float32), unknown


# --- areas ----------------------------------------------------------------------------------------------------------


def _blank(pixels: Array, unknown: Mask) -> Mask:
    """Find areas of one value that no noise has touched.

    Zero counts in an empty place are data.  Areas of the lowest value are blank only where they are whole lines at a
    border whose neighbours nearly all have counts.
    """
    if not (pixels[1:] == pixels[:-1]).any():
        return np.zeros(pixels.shape, bool)
    even = ndimage.maximum_filter(pixels, 3) == ndimage.minimum_filter(pixels, 3)
    low, high = pixels[~unknown].min(), pixels[~unknown].max()  # what is highest is saturated
    core = _together(even & (pixels > low) & (pixels < high) & ~ndimage.binary_dilation(unknown), BLANK)
    rim = ndimage.maximum_filter(np.where(core, pixels, -np.inf), 3) == pixels
    blank: Mask = core | rim
    for turned, found in ((pixels, blank), (pixels.T, blank.T)):
        _mark_border(turned, found)
        _mark_border(turned[::-1], found[::-1])
    return blank & ~unknown


def _mark_border(pixels: Array, found: Mask) -> None:
    """Mark lines of one value at the top, if chance would hardly make them of the pixels that follow."""
    lines = int((np.ptp(pixels, axis=1) > 0).argmax())
    if lines:
        after = pixels[lines : lines + 8]
        share = max(float((after == pixels[0, 0]).mean()), 1 / after.size)
        if lines * pixels.shape[1] * log(1 / share) > log(1 / IMPOSSIBLE):
            found[:lines] = True


def _noiseless(pixels: Array, known: Mask) -> bool:
    """Whether differences of a high order, which are those of noise whatever the scene, are those of rounding.

    Where all is of the lowest value nothing may have been counted: such places do not tell.
    """
    if not known.any() or np.ptp(pixels[known]) == 0:
        return True
    low, high = np.percentile(pixels[known], (1, 99))
    part, there = _middle(pixels), _middle(known)
    weights = np.array([comb(2 * ORDER, k) * (-1.0) ** k for k in range(2 * ORDER + 1)])
    response = ndimage.convolve1d(ndimage.convolve1d(part.astype(np.float64), weights, axis=0), weights, axis=1)
    counted = ndimage.maximum_filter(part, 2 * ORDER + 1) > pixels[known].min()
    telling = response[ndimage.minimum_filter(there, 2 * ORDER + 1) & counted]
    rough = float(np.median(np.abs(telling))) / float(np.square(weights).sum()) if telling.size else inf
    return rough < ROUNDING * float(high - low)


def _middle(image: NDArray[Any]) -> NDArray[Any]:
    """Cut out the middle of a large image."""
    height, width = (max(0, side - LOOKED_AT) // 2 for side in image.shape)
    return image[height : height + LOOKED_AT, width : width + LOOKED_AT]


def _together(mask: Mask, fewest: int) -> Mask:
    """Keep what hangs together in large enough pieces."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if not count:
        return mask
    large = np.bincount(labels.ravel()) >= fewest
    large[0] = False
    kept: Mask = large[labels]
    return kept


def _clipped(pixels: Array, known: Mask) -> Mask:
    """Find pixels at the end of the scale: far more have the largest value than each of those just below it."""
    values = pixels[known]
    if values.size == 0:
        return np.zeros(pixels.shape, bool)
    end: Mask = (pixels == values.max()) & known
    number = int(end.sum())
    if number >= FEWEST:
        before = np.unique(values, return_counts=True)[1][-6:-1]
        if before.size and number > SAME * before.max():
            return end
    return np.zeros(pixels.shape, bool)


# --- lines ----------------------------------------------------------------------------------------------------------


def _bad_lines(pixels: Array, known: Mask) -> tuple[int, ...]:
    """Find columns, alone or in pairs, that stand out from both sides as a whole."""
    if min(pixels.shape) < AROUND or not known.any():
        return ()
    seen = known.sum(axis=0)
    weight = np.maximum(seen, 1)
    limits = np.percentile(pixels[known], (0.1, 99.9))
    level = np.where(known, np.clip(pixels, *limits), 0).sum(axis=0) / weight
    error = np.sqrt(np.where(known, _rough(np.clip(pixels, *limits)), 0).sum(axis=0)) / weight
    error = ndimage.uniform_filter(error, AROUND)  # a bad column shall not excuse itself
    error = np.maximum(error, max(float(np.median(error)) / 10, float(np.finfo(np.float32).tiny)))
    found = np.zeros(len(level), bool)
    for sign in (1, -1):
        for wide in (1, 2):
            first = _standing_out(sign * level, error, wide)
            for extra in range(wide):
                found[extra:] |= first[: len(level) - extra]
    found &= seen > 0
    return tuple(np.flatnonzero(found).tolist()) if found.sum() <= max(2, MOST * len(found)) else ()


def _standing_out(level: Array, error: Array, wide: int) -> Mask:
    """Say where so many columns, from one on, exceed those on both sides by more than chance, and not as a plane does.

    A bright plane of the specimen is blurred into the columns beside it, a bad column is not.
    """
    margin = 2 + wide
    padded = np.pad(level, margin, mode="reflect")

    def at(shift: int) -> Array:
        return padded[margin + shift : margin + shift + len(level)]

    near = np.maximum(at(-1), at(wide))
    far = np.maximum(at(-2), at(wide + 1))
    excess = (np.minimum(at(0), at(wide - 1)) - near) / error
    limit = _reach(excess)
    return (excess > limit) & (excess > SHARPEST[1] * ((near - far) / error - limit / 3))


# --- single pixels --------------------------------------------------------------------------------------------------


class _Peaks(NamedTuple):
    """Local maxima of an image: their places, and what lies around each.

    What is around is the brightest pixel, and the mean of those that are darker: beside the peak (1), beside it but for
    one pixel, which may be its like (0), and at a distance of two pixels (2).
    """

    places: tuple[NDArray[Any], ...]
    around: dict[int, tuple[Array, Array]]

    @classmethod
    def of(cls, pixels: Array, known: Mask) -> _Peaks:
        """Find them among the pixels that are known, and compare them with those."""
        image = np.where(known, pixels, -np.inf)
        padded = np.pad(image, 2, mode="reflect")
        places = np.nonzero((image == ndimage.maximum_filter(image, 3)) & (image > _surpassed(padded)) & known)
        near, far = _ring(padded, places, 1), _ring(padded, places, 2)
        return cls(places, {0: _beside(near, 1), 1: _beside(near, 0), 2: _beside(far, 0)})


def _surpassed(padded: Array) -> Array:
    """Return what a pixel must exceed to stand out at any distance: of single electrons most are alike."""
    first, second = np.full((2, padded.shape[0] - 4, padded.shape[1] - 4), -np.inf, np.float32)
    for part in _shifted(padded, 1):
        np.maximum(second, np.minimum(first, part), out=second)
        np.maximum(first, part, out=first)
    far = first
    far.fill(-np.inf)
    for part in _shifted(padded, 2):
        np.maximum(far, part, out=far)
    lower: Array = np.minimum(second, far)
    return lower


def _shifted(padded: Array, distance: int) -> Iterator[Array]:
    height, width = (side - 4 for side in padded.shape)
    for down, right in _offsets(distance):
        yield padded[2 + down : 2 + down + height, 2 + right : 2 + right + width]


def _offsets(distance: int) -> list[tuple[int, int]]:
    reach = range(-distance, distance + 1)
    return [(down, right) for down in reach for right in reach if max(abs(down), abs(right)) == distance]


class _Ring(NamedTuple):
    """The pixels at one distance of some places: their sum and number, and the two brightest."""

    total: Array
    number: Array
    brightest: tuple[Array, Array]


def _ring(padded: Array, places: tuple[NDArray[Any], ...], distance: int) -> _Ring:
    y, x = places
    first = np.full(len(y), -np.inf, np.float32)
    second, total, number = first.copy(), np.zeros_like(first), np.zeros_like(first)
    for down, right in _offsets(distance):
        part = padded[y + 2 + down, x + 2 + right]
        seen = np.isfinite(part)
        second = np.maximum(second, np.minimum(first, part))
        first = np.maximum(first, part)
        total += np.where(seen, part, 0)
        number += seen
    return _Ring(total, number, (first, second))


def _beside(ring: _Ring, skipped: int) -> tuple[Array, Array]:
    """Return the brightest pixel after so many are skipped, infinite if there is none, and the mean of the darker."""
    few = ring.number < skipped + 2
    brighter = sum((np.where(few, 0, value) for value in ring.brightest[: skipped + 1]), np.zeros_like(ring.total))
    darker = (ring.total - brighter) / np.maximum(ring.number - skipped - 1, 1)
    return np.where(few, np.inf, ring.brightest[skipped]), darker.astype(np.float32)


def _outliers(pixels: Array, known: Mask, spacing: float) -> Mask:
    """Find pixels that exceed their neighbours, or stay below them, by more than chance."""
    known = known.copy()
    found = np.zeros(pixels.shape, bool)
    limits: dict[tuple[int, int], float] = {}
    calm = _calm_noise(pixels, spacing)
    for _ in range(PASSES):
        peaks = {sign: _Peaks.of(sign * pixels, known) for sign in (1, -1)}
        noise = _local_noise(pixels, known, peaks, spacing)
        new = np.zeros(pixels.shape, bool)
        for sign, (places, around) in peaks.items():
            for distance, (highest, others) in around.items():
                excess = sign * pixels[places] - highest
                limit = limits.setdefault((sign, distance), MARGIN[distance] * _reach(excess / noise[places]))
                if limit == inf:
                    continue
                bright = highest - others - limit / 3 * calm[places]
                new[places] |= (excess > limit * noise[places]) & (excess > SHARPEST[distance] * bright)
        if not new.any():
            break
        known[new], found[new] = False, True
    return found if found.mean() <= MOST else np.zeros(pixels.shape, bool)


def _local_noise(pixels: Array, known: Mask, peaks: dict[int, _Peaks], spacing: float) -> Array:
    """Return the standard deviation of what is rough around each pixel, single pixels apart: at least the noise."""
    tame = np.where(known, pixels, np.median(pixels[known])).astype(np.float32)
    for sign, (places, around) in peaks.items():
        highest = around[0][0]  # of a pair of spikes neither shall make its surroundings seem noisy
        tame[places] = np.where(np.isfinite(highest), sign * highest, tame[places])
    variance = ndimage.uniform_filter(_rough(tame), AROUND)
    noise: Array = np.sqrt(np.maximum(variance, _least_variance(variance, spacing))).astype(np.float32)
    return noise


def _calm_noise(pixels: Array, spacing: float) -> Array:
    """Return the standard deviation of the noise around each pixel, details of the specimen apart."""
    height, width = pixels.shape
    padded = np.pad(_rough(pixels), ((0, -height % AROUND), (0, -width % AROUND)), mode="edge")
    down, across = (side // AROUND for side in padded.shape)
    blocks = padded.reshape(down, AROUND, across, AROUND).swapaxes(1, 2).reshape(down, across, -1)
    variance = np.median(blocks, axis=-1) / MEDIAN_SQUARE
    least = _least_variance(variance, spacing)
    noise: Array = np.sqrt(np.maximum(variance, least)).repeat(AROUND, 0).repeat(AROUND, 1).astype(np.float32)
    return noise[:height, :width]


def _rough(pixels: Array) -> Array:
    """Square the mixed differences of neighbours: on average the variance of white noise, and little of a slope."""
    mixed = np.diff(np.diff(pixels, axis=0, append=pixels[-2:-1]), axis=1)
    squared: Array = np.square(np.concatenate([mixed, mixed[:, -1:]], axis=1)) / 4
    return squared


def _least_variance(variance: NDArray[Any], spacing: float) -> float:
    """Return what no noise is below: that of a count where there are few, or a share of the image's."""
    return max(float(np.mean(variance)) / 100, spacing**2 / 4, float(np.finfo(np.float32).tiny))


def _reach(excess: NDArray[Any]) -> float:
    """Return the margin that chance exceeds in one of a thousand images, by the tail that most margins make."""
    margins = excess[(excess > 0) & np.isfinite(excess)]
    if margins.size < TAIL_OF:
        return inf
    middle, *higher = np.percentile(margins, (50, 80, 90, 95))
    scale = max((value - middle) / log(0.5 / rest) for value, rest in zip(higher, (0.2, 0.1, 0.05), strict=True))
    return max(LEAST_MARGIN, float(middle + max(scale, middle / 2) * log(0.5 * margins.size / RARE)))


def _plural(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def _lines(name: str, which: tuple[int, ...]) -> str:
    return f"{name}{'' if len(which) == 1 else 's'} {_listed([str(i) for i in which[:5]])}" + (
        f" and {len(which) - 5} more" if len(which) > 5 else ""
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
