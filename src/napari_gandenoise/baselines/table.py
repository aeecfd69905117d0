"""The baselines by name: what a comparison, the command line and the panel offer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.baselines.binning import checked_image
from napari_gandenoise.baselines.methods import bm3d, flat, gaussian_blur, nlm, tv, wavelet, wiener
from napari_gandenoise.baselines.oracle import OracleChoice, oracle_bin, oracle_blur, oracle_wiener
from napari_gandenoise.baselines.patches import low_rank_patches, sparse_dictionary
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import NoiseModel
from napari_gandenoise.settings.compare import BASELINES as TITLES

__all__ = ["BASELINES", "Baseline", "Given"]

Image = NDArray[np.float32]
BLUR = 0.8  # standard deviation in sides of a bin, tuned: python -m benchmarks.baseline_settings
NOISE, TUNED, TRUTH = "from the noise model", "tuned once, on simulation seed 3", "chosen by the truth"
TRIED = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14)  # bin factors
SMALLEST = 24  # sums along the shorter side, below which an oracle tries no larger bin


class Given(NamedTuple):
    """What a baseline is given.

    Attributes
    ----------
    image : ndarray
        ``(Y, X)`` or ``(Y, X, 3)``, input units.
    noise : NoiseModel
        Of the image.
    bin_factor : int
        Side of the blocks that are summed.
    truth : ndarray or None
        The rate in input units, for oracles.
    """

    image: NDArray[np.generic]
    noise: NoiseModel
    bin_factor: int = 1
    truth: NDArray[np.generic] | None = None


@dataclass(frozen=True)
class Baseline:
    """A classical denoiser.

    Attributes
    ----------
    name : str
        What settings call it.
    apply : callable
        Takes `Given`, returns the setting used and the rate, in input units.
    strength : str
        Where its strength comes from.
    setting : str
        How the setting reads, with a place for the number.
    extra : str or None
        The extra of this package that it needs.
    oracle : bool
        Whether it looks at the truth.
    """

    name: str
    apply: Callable[[Given], OracleChoice]
    strength: str
    setting: str = "{0:g} × {0:g} summed"
    extra: str | None = None
    oracle: bool = False

    @property
    def title(self) -> str:
        """What tables call it."""
        return TITLES[self.name]

    def run(self, given: Given) -> OracleChoice:
        """Denoise.

        Raises
        ------
        GanDenoiseError
            If an oracle has no truth, a package is missing, or the image does not fit.
        """
        if self.oracle and given.truth is None:
            raise GanDenoiseError(f"{self.title} needs the truth, and none was given.")
        return self.apply(given)


def _binned(method: Callable[..., Image]) -> Callable[[Given], OracleChoice]:
    def apply(given: Given) -> OracleChoice:
        return OracleChoice(given.bin_factor, method(given.image, given.bin_factor, noise=given.noise))

    return apply


def _best_bin(method: Callable[..., Image]) -> Callable[[Given], OracleChoice]:
    def apply(given: Given) -> OracleChoice:
        # Far below the usual factor an oversampled image is never best, and slow.
        least, most = (given.bin_factor + 1) // 2, max(given.bin_factor, min(given.image.shape[:2]) // SMALLEST)
        bins = [factor for factor in TRIED if least <= factor <= most]
        return oracle_bin(partial(method, noise=given.noise), given.image, _truth(given), bins)

    return apply


def _untouched(given: Given) -> OracleChoice:
    return OracleChoice(0, checked_image(given.image).astype(np.float32))


def _flat(given: Given) -> OracleChoice:
    return OracleChoice(0, flat(given.image))


def _blur(given: Given) -> OracleChoice:
    sigma = BLUR * given.bin_factor
    return OracleChoice(sigma, gaussian_blur(given.image, sigma))


def _best_blur(given: Given) -> OracleChoice:
    return oracle_blur(given.image, _truth(given))


def _best_wiener(given: Given) -> OracleChoice:
    return OracleChoice(0, oracle_wiener(given.image, _truth(given), given.noise))


def _truth(given: Given) -> NDArray[np.generic]:
    assert given.truth is not None
    return given.truth


BASELINES = {
    baseline.name: baseline
    for baseline in (
        Baseline("noisy", _untouched, "", ""),
        Baseline("flat", _flat, "", ""),
        Baseline("gaussian", _blur, TUNED, "σ = {:.2g} pixels"),
        Baseline("wiener", _binned(wiener), f"{NOISE}; smoothing {TUNED}"),
        Baseline("tv", _binned(tv), TUNED),
        Baseline("wavelet", _binned(wavelet), NOISE, extra="compare"),
        Baseline("nlm", _binned(nlm), TUNED),
        Baseline("low-rank", _binned(low_rank_patches), NOISE),
        Baseline("sparse", _binned(sparse_dictionary), NOISE, extra="compare"),
        Baseline("bm3d", _binned(bm3d), NOISE, extra="bm3d"),
        Baseline("gaussian-oracle", _best_blur, TRUTH, "σ = {:.2g} pixels", oracle=True),
        Baseline("wiener-oracle", _best_wiener, TRUTH, "", oracle=True),
        Baseline("tv-oracle", _best_bin(tv), TRUTH, oracle=True),
        Baseline("nlm-oracle", _best_bin(nlm), TRUTH, oracle=True),
        Baseline("bm3d-oracle", _best_bin(bm3d), TRUTH, extra="bm3d", oracle=True),
    )
}
