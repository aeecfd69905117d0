"""Baselines at their best setting, chosen **with the truth**: upper limits for tables, nothing a user can run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_gandenoise.baselines.methods import gaussian_blur

__all__ = ["BINS", "SIGMAS", "OracleChoice", "oracle_bin", "oracle_blur"]

BINS = tuple(range(1, 11))
Setting = TypeVar("Setting", int, float)
SIGMAS = tuple(np.geomspace(1, 32, 21).round(2).tolist())


class OracleChoice(NamedTuple):
    """The setting closest to the truth and its rate ``(Y, X)``."""

    setting: float
    rate: NDArray[np.float32]


def oracle_bin(
    method: Callable[[ArrayLike, int], NDArray[np.float32]],
    counts: ArrayLike,
    truth: ArrayLike,
    bins: Iterable[int] = BINS,
) -> OracleChoice:
    """Run ``method(counts, bin_factor)`` for every bin factor and keep the closest to the truth.

    Parameters
    ----------
    method : callable
        `bm3d`, `nlm` or `tv`.
    counts, truth : array_like
        Electrons per pixel ``(Y, X)``: noisy, and the rate they were drawn from.
    bins : iterable of int
        Bin factors to try.
    """
    return _closest(lambda bin_factor: method(counts, bin_factor), truth, bins)


def oracle_blur(counts: ArrayLike, truth: ArrayLike, sigmas: Iterable[float] = SIGMAS) -> OracleChoice:
    """Blur with every ``sigma`` (pixels) and keep the one closest to the truth."""
    return _closest(lambda sigma: gaussian_blur(counts, sigma), truth, sigmas)


def _closest(
    run: Callable[[Setting], NDArray[np.float32]], truth: ArrayLike, settings: Iterable[Setting]
) -> OracleChoice:
    # Least squared error is largest PSNR, whatever the data range.
    return min(
        (OracleChoice(setting, run(setting)) for setting in settings),
        key=lambda choice: float(np.mean((choice.rate - np.asarray(truth, np.float64)) ** 2)),
    )
