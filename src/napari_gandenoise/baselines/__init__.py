"""Classical denoisers to compare with: an image and its noise in, its rate out.

Each is a plain function, `BASELINES` names them all.  BM3D needs the extra ``bm3d`` (non-commercial licence), wavelets
and the sparse dictionary the extra ``compare``.
"""

from __future__ import annotations

from napari_gandenoise.baselines.anscombe import anscombe, unbiased_inverse
from napari_gandenoise.baselines.binning import usual_bin
from napari_gandenoise.baselines.methods import bm3d, flat, gaussian_blur, nlm, tv, wavelet, wiener
from napari_gandenoise.baselines.oracle import OracleChoice, closest_to_truth, oracle_bin, oracle_blur, oracle_wiener
from napari_gandenoise.baselines.patches import low_rank_patches, sparse_dictionary
from napari_gandenoise.baselines.table import BASELINES, Baseline, Given

__all__ = [
    "BASELINES",
    "Baseline",
    "Given",
    "OracleChoice",
    "anscombe",
    "bm3d",
    "closest_to_truth",
    "flat",
    "gaussian_blur",
    "low_rank_patches",
    "nlm",
    "oracle_bin",
    "oracle_blur",
    "oracle_wiener",
    "sparse_dictionary",
    "tv",
    "unbiased_inverse",
    "usual_bin",
    "wavelet",
    "wiener",
]
