"""Classical denoisers to compare with: electron counts ``(Y, X)`` in, rate ``(Y, X)`` out.

`bm3d_gaussian` is for photographs with Gaussian noise.  Both kinds of BM3D need the extra ``bm3d`` (non-commercial
licence); `tv` and `nlm` are the free alternatives.  For restoration, `restore_by` takes a prior and an operator.
"""

from __future__ import annotations

from napari_gandenoise.baselines.anscombe import anscombe, unbiased_inverse
from napari_gandenoise.baselines.methods import bm3d, bm3d_gaussian, flat, gaussian_blur, nlm, tv
from napari_gandenoise.baselines.oracle import OracleChoice, oracle_bin, oracle_blur
from napari_gandenoise.baselines.restoring import PRIORS, low_rank, restore_by, sparse, total_variation

__all__ = [
    "PRIORS",
    "OracleChoice",
    "anscombe",
    "bm3d",
    "bm3d_gaussian",
    "flat",
    "gaussian_blur",
    "low_rank",
    "nlm",
    "oracle_bin",
    "oracle_blur",
    "restore_by",
    "sparse",
    "total_variation",
    "tv",
    "unbiased_inverse",
]
