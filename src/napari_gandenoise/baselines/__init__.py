"""Classical denoisers to compare with: electron counts ``(Y, X)`` in, rate ``(Y, X)`` out.

`bm3d` needs the extra ``bm3d`` (non-commercial licence); `tv` and `nlm` are the free alternatives.
"""

from __future__ import annotations

from napari_gandenoise.baselines.anscombe import anscombe, unbiased_inverse
from napari_gandenoise.baselines.methods import bm3d, flat, gaussian_blur, nlm, tv
from napari_gandenoise.baselines.oracle import OracleChoice, oracle_bin, oracle_blur

__all__ = [
    "OracleChoice",
    "anscombe",
    "bm3d",
    "flat",
    "gaussian_blur",
    "nlm",
    "oracle_bin",
    "oracle_blur",
    "tv",
    "unbiased_inverse",
]
