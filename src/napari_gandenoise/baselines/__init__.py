"""Classical denoisers to compare with: electron counts ``(Y, X)`` in, rate ``(Y, X)`` out.

`bm3d_gaussian` is for photographs with Gaussian noise.  Both kinds of BM3D need the extra ``bm3d`` (non-commercial
licence); `tv` and `nlm` are the free alternatives.
"""

from __future__ import annotations

from napari_gandenoise.baselines.anscombe import anscombe, unbiased_inverse
from napari_gandenoise.baselines.methods import bm3d, bm3d_gaussian, flat, gaussian_blur, nlm, tv
from napari_gandenoise.baselines.oracle import OracleChoice, oracle_bin, oracle_blur

__all__ = [
    "OracleChoice",
    "anscombe",
    "bm3d",
    "bm3d_gaussian",
    "flat",
    "gaussian_blur",
    "nlm",
    "oracle_bin",
    "oracle_blur",
    "tv",
    "unbiased_inverse",
]
