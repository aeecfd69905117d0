"""Uncertainty: how much a result would change if the same rate were counted again.

The parametric bootstrap (Efron, Tibshirani, "An introduction to the bootstrap" (1993), section 6.5): counts are drawn
from the rate that was found, and the whole run is repeated on them.  The root mean square difference to that rate
is the standard error, wherever it comes from: latents, search, or residual step.  Structure that the first run has
missed, the repetitions cannot miss again; a factor learnt on simulations makes up for that on average.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_gandenoise.denoising.engine import Engine
from napari_gandenoise.denoising.frame import frame_steps
from napari_gandenoise.progress import Progress, Steps, instead
from napari_gandenoise.tiling import Frame, outside

__all__ = ["uncertainty_steps"]

# Grid pixels over which squared differences are averaged: few repetitions say little about a single pixel.
SMOOTHED = 2.0


def uncertainty_steps(
    engine: Engine,
    frame: Frame,
    rate: NDArray[np.float32],
    replicates: int,
    random: np.random.Generator,
    residual_step: bool,
) -> Steps[NDArray[np.float32]]:
    """Estimate the standard error of a rate from repeated runs on counts drawn from it.

    Parameters
    ----------
    engine : Engine
        What has found the rate.
    frame : Frame
        In which it has found it.
    rate : ndarray
        ``(Y, X)`` or ``(Y, X, C)``, electrons per input pixel.
    replicates : int
        Repetitions; their standard error is uncertain by about a quarter with 8.
    random : numpy.random.Generator
        Source of the counts.
    residual_step : bool
        Whether the rate was corrected.

    Yields
    ------
    Progress
        Stage "uncertainty", in percent.

    Returns
    -------
    ndarray
        ``(Y, X)``, electrons per input pixel, before any calibration; colours are pooled.
    """
    total = np.zeros(rate.shape, np.float64)
    expected, often = np.maximum(rate, 0), _often(frame, rate)
    for done in range(replicates):
        # Of a mean over frames each has its own noise.
        counts = random.poisson(expected * often) / often
        counts = counts + np.sqrt(frame.read_variance / often) * random.standard_normal(rate.shape)
        # Pictures of simulated counts would only confuse.
        percent = Progress("uncertainty", 100 * done // replicates, 100)
        repeated = yield from instead(
            frame_steps(engine, frame.again(counts.astype(np.float32)), residual_step), percent
        )
        total += np.square(outside(repeated.rate) - rate, dtype=np.float64)
    yield Progress("uncertainty", 100, 100)
    pooled = (total / replicates).reshape(*rate.shape[:2], -1).mean(axis=-1)
    variance = ndimage.gaussian_filter(pooled, SMOOTHED * engine.grid.summed)
    error: NDArray[np.float32] = np.sqrt(np.maximum(variance, 0)).astype(np.float32)
    return error


def _often(frame: Frame, rate: NDArray[np.float32]) -> NDArray[np.float32] | float:
    """Return how many frames each pixel's counts are a mean of, in the shape of the rate."""
    if frame.exposed is None:
        return 1.0
    often = frame.exposed.clamp(min=1).cpu().numpy()
    return often if rate.ndim == 2 else often[..., np.newaxis]
