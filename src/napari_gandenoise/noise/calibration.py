"""Estimate gain, offset and read noise from a single image.

A detector that counts gives ``image = gain · electrons + offset + read noise``, so that locally

    variance        = gain · (mean − offset) + read_noise²
    third cumulant  = gain² · (mean − offset)
    fourth cumulant = gain³ · (mean − offset)

The slope of variance over mean is the gain, and so is the ratio of the fourth to the third cumulant: the first needs
contrast in the scene, the second a low dose.  The third cumulant separates the offset from the read noise, which mean
and variance alone cannot.  The image is cut into blocks, all moments are averages over a block, and leaving
out one block at a time (the jackknife) says how sure each estimate is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import hypot, inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.micrograph import as_array
from napari_gandenoise.noise.defects import Defects, find_defects, level_spacing
from napari_gandenoise.noise.grain import estimate_grain, noise_spectrum
from napari_gandenoise.noise.holes import stand_in
from napari_gandenoise.noise.moments import (
    SIGMAS,
    Estimate,
    Moments,
    local_variance,
    measure,
    per_block,
    structure_free_order,
)
from napari_gandenoise.noise.units import LEAST
from napari_gandenoise.settings.noise import AnyNoise, Gaussian, Poisson, camera

__all__ = ["Calibration", "calibrate", "calibrate_colours"]

Array = NDArray[np.float64]

SMALLEST_SIDE = 32  # pixels: below, there are too few blocks to say how sure anything is
MOST_BLOCKS = 144  # of at most 128×128 pixels: enough for a gain to 1 %, in well under a second
LEAST_SPREAD = 1e-90  # whose square double precision holds
LARGEST_WHOLE = 2**22  # pixels of an image that defects are looked for in as a whole, not block by block
QUIET = 1e-3  # of the usual variance: a block with less holds no noise
FEWEST_BLOCKS = 8  # that a line of variance over mean is drawn through
STEADY = 0.06  # of the logarithm of the variance: chance alone makes blocks differ by that much
HALF = 0.5  # of the image must be believed
MUCH = 1e-3  # of the pixels saturated bend the line of variance over mean
MOST_COUNTS = 1e7  # electrons: single precision does not tell more of them apart


@dataclass(frozen=True, slots=True)
class Calibration:
    """What an image says about its detector.

    Attributes
    ----------
    noise : Poisson, PoissonGaussian or Gaussian
        The simplest model that agrees with the image.
    gain_error, offset_error : float
        Standard errors, in the units of ``noise.gain`` and ``noise.offset``; infinite where the image does not tell.
    confident : bool
        Whether the image alone decides; if not, the user should check the numbers.
    message : str
        One sentence for the user.
    correlated : bool
        Whether neighbouring pixels share their noise.
    grain : float
        If so, over how many pixels: the standard deviation of the Gaussian blur that makes white noise such noise.
    believed : float
        Share of the image that it rests on: places whose noise is not that of the others are left out.
    """

    noise: AnyNoise
    gain_error: float
    offset_error: float
    confident: bool
    message: str
    correlated: bool = False
    grain: float = 0.0
    believed: float = 1.0


def calibrate(image: ArrayLike, defects: Defects | None = None) -> Calibration:
    """Estimate how a detector made an image.

    Parameters
    ----------
    image : array_like
        ``(Y, X)``, or ``(T, Y, X)`` for a movie, in any units; whole frames of raw data work best.  A numpy or dask
        array; only the blocks that are looked at are loaded.
    defects : Defects, optional
        Of an image: its pixels that say nothing.  By default they are looked for.

    Returns
    -------
    Calibration
        The simplest noise model that agrees with the image, with standard errors.

    Raises
    ------
    GanDenoiseError
        If the image is no ``(Y, X)`` or ``(T, Y, X)`` array, or no pixel of it is finite.
    """
    image = as_array(image)
    blocks = _blocks(image)
    finite = blocks[np.isfinite(blocks)]
    if not finite.size:
        raise GanDenoiseError("The image has no finite pixel, so that there is nothing to calibrate.")
    if np.ptp(finite) and not LEAST_SPREAD < np.abs(finite).max() < 1 / LEAST_SPREAD:
        raise GanDenoiseError("The values of the image are too small or too large to compute with: scale them.")
    if np.ptp(finite) == 0:
        return _assumed("The image is constant, so its noise cannot be calibrated; assumed one unit per electron.")
    tame, clipped = _without_defects(image, blocks, defects)
    if not len(tame):
        return _assumed("No noise was found in the image; assumed one unit per electron.")
    found, believed = _calibrated(tame)
    return _supported(_possible(found, tame), believed * min(1.0, len(tame) / len(blocks)), clipped)


def _calibrated(blocks: Array) -> tuple[Calibration, float]:
    """Calibrate blocks that have no defects; return the share of them that it rests on, too."""
    if blocks.shape[1] < SMALLEST_SIDE:
        message = (
            f"The image is smaller than {SMALLEST_SIDE}×{SMALLEST_SIDE} pixels, too small to calibrate its noise; "
            "assumed one unit per electron."
        )
        return _assumed(message), 1.0
    order, white = structure_free_order(blocks - np.median(blocks))
    kept = _alike(blocks, order)
    if not kept.any():
        return _assumed("No noise was found in the image; assumed one unit per electron."), 1.0
    alike = blocks[kept]
    shared = None if white else _shared(alike)
    found = shared or _decide(measure(alike, order, white), level_spacing(blocks), float(blocks.min()))
    return found, float(kept.mean())


def _possible(found: Calibration, blocks: Array) -> Calibration:
    """Take counts for Gaussian noise where they would have to be negative, or far too many to tell them apart."""
    noise = found.noise
    if not isinstance(noise, Poisson):
        return found
    below, most = noise.offset - float(blocks.min()), float(blocks.max()) - noise.offset
    if below <= -LEAST * noise.gain and most < MOST_COUNTS * noise.gain:
        return found
    if below < SIGMAS * found.offset_error < inf:
        return replace(found, noise=camera(noise.gain, noise.offset, below / SIGMAS))
    variance = noise.gain * max(float(blocks.mean()) - noise.offset, 0.0)
    sigma = (
        sqrt(variance) if found.correlated and variance > 0 else max(_mixed_sigma(blocks), 1e-3 * float(np.ptp(blocks)))
    )
    message = (
        "The values are below zero, or too large to be counted, as after an offset was taken away: the noise is taken "
        f"as Gaussian, standard deviation {sigma:.3g}."
    )
    return replace(
        found, noise=Gaussian(sigma=sigma), gain_error=inf, offset_error=inf, confident=False, message=message
    )


def _mixed_sigma(planes: Array) -> float:
    """Return the standard deviation of noise by mixed second differences along the last two axes."""
    mixed = np.diff(np.diff(planes, 2, axis=-2), 2, axis=-1)
    # The mask (1, -2, 1) times itself has a norm of six; 0.6745 is the median deviation of a unit normal variable.
    return float(np.median(np.abs(mixed))) / 0.6745 / 6 if mixed.size else 0.0


def calibrate_colours(image: ArrayLike) -> Calibration:
    """Estimate the noise of a photograph, taken as Gaussian and alike in all channels.

    Its standard deviation is that of the image's mixed second differences, from which whatever varies linearly along
    rows or columns is gone (Immerkær, Comput. Vis. Image Underst. 64 (1996) 300, section 3; here with the median
    absolute deviation, which edges hardly move).

    Parameters
    ----------
    image : array_like
        ``(Y, X, C)``, in any units.

    Raises
    ------
    GanDenoiseError
        If the image is no ``(Y, X, C)`` array, or has pixels that are not finite.
    """
    pixels = np.asarray(image, dtype=np.float64)
    if pixels.ndim != 3 or min(pixels.shape[:2]) < 3:
        raise GanDenoiseError(f"The noise of colours is calibrated from (Y, X, C) of at least 3×3, not {pixels.shape}.")
    if not np.isfinite(pixels).all():
        raise GanDenoiseError("The image has NaN or infinite pixels; replace them before denoising.")
    sigma = _mixed_sigma(np.moveaxis(pixels, -1, 0))
    least = 1e-3 * float(np.ptp(pixels)) or 1.0
    if sigma < least:
        return Calibration(Gaussian(sigma=least), inf, inf, False, "There is hardly any noise to be seen.")
    message = f"Gaussian noise, standard deviation {sigma:.3g}."
    return Calibration(Gaussian(sigma=sigma), inf, inf, True, message, correlated=estimate_grain(pixels) > 0)


def _assumed(message: str) -> Calibration:
    return Calibration(Poisson(), inf, inf, False, message)


# --- what the image shows -------------------------------------------------------------------------------------------


def _blocks(image: Any) -> Array:
    """Cut up to `MOST_BLOCKS` evenly spread square blocks ``(N, n, n)`` from an image or a movie."""
    pixels = as_array(image)
    if np.dtype(pixels.dtype).kind not in "biuf":
        raise GanDenoiseError(f"Noise is calibrated from numbers, not from values of type {in_short(pixels.dtype)}.")
    if len(pixels.shape) not in (2, 3) or 0 in pixels.shape:
        raise GanDenoiseError(f"Noise is calibrated from an image (Y, X) or a movie (T, Y, X), not {pixels.shape}.")
    frames = pixels[None] if len(pixels.shape) == 2 else pixels
    count, height, width = frames.shape
    side = int(np.clip(min(height, width) // 8, SMALLEST_SIDE, 128))
    side = min(side, height, width)
    corners = [
        (t, y, x)
        for t in range(count)
        for y in range(0, height - side + 1, side)
        for x in range(0, width - side + 1, side)
    ]
    chosen = np.unique(np.linspace(0, len(corners) - 1, MOST_BLOCKS).round().astype(int))
    cut = [frames[t, y : y + side, x : x + side] for t, y, x in (corners[i] for i in chosen)]
    return np.stack([np.asarray(block, dtype=np.float64) for block in cut])


def _without_defects(image: Any, blocks: Array, defects: Defects | None) -> tuple[Array, float]:
    """Fill what says nothing, such as hot pixels, which would pass for a large gain; leave out blocks without noise.

    Returns
    -------
    blocks : ndarray
        ``(M, n, n)``, of ``(N, n, n)`` those that are left.
    clipped : float
        Share of the pixels that are saturated by noise alone.
    """
    if defects is None and len(np.shape(image)) == 2 and np.size(image) <= LARGEST_WHOLE:
        defects = find_defects(np.asarray(image))
    if defects is not None:
        # Lines that are missing as a whole are left out: what stands in for them would repeat the noise of others.
        known = ~defects.missing
        clear = stand_in(np.asarray(image), defects.missing)[known.any(axis=1)][:, known.any(axis=0)]
        return (blocks[:0] if defects.noiseless else _blocks(clear)), defects.touching / defects.missing.size
    tame, clipped = [], 0
    for block in blocks:
        found = find_defects(block)
        clipped += found.touching
        if not found.noiseless and not found.missing.all():
            tame.append(stand_in(block, found.missing))
    return (np.stack(tame) if tame else blocks[:0]), clipped / blocks.size


def _alike(blocks: Array, order: int) -> NDArray[np.bool_]:
    """Choose the blocks whose noise is of one detector: variances on one line over the mean.

    Text, borders filled with one value, and smoothed places lie far from it.
    """
    variance, mean = (per_block(part) for part in local_variance(blocks - np.median(blocks), order))
    kept: NDArray[np.bool_] = variance > QUIET * float(np.median(variance))
    if kept.sum() < FEWEST_BLOCKS:
        return kept
    for _ in range(3):
        design = np.stack([np.ones_like(mean), mean], axis=1)
        line, *_ = np.linalg.lstsq(design[kept] / variance[kept, None], np.ones(kept.sum()))
        expected = np.maximum(design @ line, np.median(variance[kept]) / 10)
        apart = np.log(np.maximum(variance, 1e-300) / expected)
        middle = np.median(apart[kept])
        spread = max(1.4826 * float(np.median(np.abs(apart[kept] - middle))), STEADY)
        kept = np.abs(apart - middle) < 5 * spread
        if kept.sum() < FEWEST_BLOCKS:
            return np.ones(len(blocks), bool)
    return kept


def _supported(found: Calibration, believed: float, clipped: float) -> Calibration:
    """Say what a calibration rests on, and trust it less if it is little."""
    message, confident = found.message, found.confident and believed >= HALF and clipped < MUCH
    if believed < 0.995:
        message += f" {100 * (1 - believed):.0f} % of the image, whose noise is another, was left out."
    if clipped:
        message += f" Noise has saturated {100 * clipped:.2g} % of the pixels."
    return replace(found, confident=confident, message=message, believed=believed)


# --- noise that neighbours share ------------------------------------------------------------------------------------


def _shared(blocks: Array) -> Calibration | None:
    """Calibrate by the noise of large sums, where neighbouring pixels share theirs; None if its spectrum is no such.

    A detector's point spread takes from the noise of single pixels, not from that of sums: the spectrum between the
    frequencies of the specimen and those that the blur has left nothing of tells what it tends to.
    """
    found = noise_spectrum(blocks)
    if found is None:
        return None
    variance, grain = found
    mean = float(blocks.mean())
    shares = f"Neighbouring pixels share their noise (as after a blur of {grain:.2g} pixels)"
    if mean > 0 and float(np.quantile(blocks, 0.001)) > -3 * sqrt(variance):
        noise: AnyNoise = Poisson(gain=variance / mean)
        message = f"{shares}: in sums of many pixels the gain is {variance / mean:.3g}, if there is no offset."
    else:
        noise = Gaussian(sigma=sqrt(variance))
        message = f"{shares}: in sums of many pixels it is Gaussian, standard deviation {sqrt(variance):.3g} a pixel."
    return Calibration(noise, inf, inf, False, message, correlated=True, grain=grain)


# --- the decision ---------------------------------------------------------------------------------------------------


def _decide(moments: Moments, step: float | None, lowest: float) -> Calibration:
    """Choose the simplest model that agrees with the moments: counts, gain only, no gain at all, a camera."""
    if step is not None and lowest >= 0 and _counts_by(moments, step):
        found = _counting(moments, step)
    elif moments.gain.value > SIGMAS * moments.gain.error:
        found = _gain_only(moments) if _passes_origin(moments) else _camera(moments)
    elif _ignores_signal(moments):
        found = _signal_independent(moments)
    else:
        found = _undecided(moments)
    return found if moments.white else _doubtful(found)


def _counts_by(moments: Moments, step: float) -> bool:
    """Whether levels spaced by ``step`` are single electrons: variance, mean and slope must say so too."""
    return moments.fano.agrees(step, within=0.05 * step) and moments.slope.agrees(step, within=0.25 * step)


def _passes_origin(moments: Moments) -> bool:
    """Whether variance is in proportion to the mean, and the third moment leaves no room for read noise."""
    gain = moments.fano
    return moments.gain.agrees(gain.value, within=0.05 * gain.value) and moments.skew.agrees(1.0, within=0.1)


def _ignores_signal(moments: Moments) -> bool:
    """Whether the noise is the same in bright and dark places, or the mean is no signal at all."""
    slope, fano = moments.slope, moments.fano
    if moments.mean.value <= 0:
        return True
    symmetric = abs(moments.skew.value) + SIGMAS * moments.skew.error < 0.5
    return symmetric or abs(slope.value) + SIGMAS * slope.error < 0.5 * fano.value


def _counting(moments: Moments, step: float) -> Calibration:
    gain, error = step, moments.fano.error
    sure = error < 0.1 * gain
    message = f"Counted electrons, gain {gain:.4g}{_hedge(sure)}."
    return Calibration(Poisson(gain=gain), error, _offset_error(moments), sure, message)


def _gain_only(moments: Moments) -> Calibration:
    gain = moments.fano
    sure = moments.gain.error < 0.15 * gain.value
    message = f"Gain {_with_error(gain)} without offset or read noise{_hedge(sure)}."
    return Calibration(Poisson(gain=gain.value), gain.error, _offset_error(moments), sure, message)


def _camera(moments: Moments) -> Calibration:
    gain, signal, read = moments.gain, moments.signal, moments.read_variance
    if read.value <= read.error or signal.value <= 0:
        # Read noise cannot be told from none: then the variance alone says how much of the mean is signal.
        value = moments.variance.value / gain.value
        signal = Estimate(value, hypot(value * gain.error, read.error) / gain.value)
        read = Estimate(0.0, read.error)
    offset = Estimate(moments.mean.value - signal.value, signal.error)
    noise = camera(gain.value, offset.value, sqrt(read.value))
    sure = gain.error < 0.15 * gain.value and offset.error < 0.25 * signal.value
    message = (
        f"Gain {_with_error(gain)}, offset {_with_error(offset)}, read noise {sqrt(read.value):.3g}{_hedge(sure)}."
    )
    return Calibration(noise, gain.error, offset.error, sure, message)


def _signal_independent(moments: Moments) -> Calibration:
    sigma = sqrt(moments.variance.value)
    message = f"The noise does not depend on the signal: Gaussian, standard deviation {sigma:.3g}."
    return Calibration(Gaussian(sigma=sigma), inf, inf, True, message)


def _undecided(moments: Moments) -> Calibration:
    """Assume no offset where the image has too little contrast to show one; a right third moment supports that."""
    gain = moments.fano
    sure = moments.skew.error < 0.1 and moments.skew.agrees(1.0)
    why = "" if sure else "; the image has too little contrast to tell gain from offset, so check the numbers"
    message = f"Gain {_with_error(gain)}, assuming no offset{why}."
    return Calibration(Poisson(gain=gain.value), gain.error, inf, sure, message)


def _doubtful(found: Calibration) -> Calibration:
    message = (
        "Neighbouring pixels share their noise, as in resampled or filtered images, so the calibration "
        "underestimates it; use raw data or give gain and offset."
    )
    return replace(found, confident=False, message=message, correlated=True)


def _offset_error(moments: Moments) -> float:
    """Give the standard error of an offset of zero: how well the line of variance over mean is known at its foot."""
    return moments.mean.value / moments.fano.value * moments.gain.error


def _with_error(estimate: Estimate) -> str:
    return f"{estimate.value:.3g} ± {estimate.error:.1g}"


def _hedge(sure: bool) -> str:
    return ", estimated from the image" if sure else "; the image shows it only roughly, so check the numbers"
