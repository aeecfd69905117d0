"""Classical restoration: an image that measures as what was seen and is smooth, of low rank, or sparse.

All three alternate between a prior's shrinkage and the images that measure as what was seen; the shrinkage falls from
step to step.  For missing pixels and the nuclear norm that is soft-impute (Mazumder, Hastie, Tibshirani, J. Mach.
Learn. Res. 11 (2010) 2287, algorithm 1).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from napari_gandenoise.operators import Identity, Operator

__all__ = ["PRIORS", "low_rank", "restore_by", "sparse", "total_variation"]

Image = NDArray[np.float32]
STEPS = 60
FALL = 20.0  # the first shrinkage over the last


def total_variation(image: ArrayLike, strength: float) -> Image:
    """Shrink gradients (Chambolle, J. Math. Imaging Vis. 20 (2004) 89); scikit-image.

    Parameters
    ----------
    image : array_like
        ``(Y, X, C)`` from 0 to 1.
    strength : float
        Weight of the total variation.
    """
    from skimage.restoration import denoise_tv_chambolle

    smooth = denoise_tv_chambolle(np.asarray(image, np.float32), weight=strength, channel_axis=-1)
    return np.asarray(smooth, np.float32)


def low_rank(image: ArrayLike, strength: float) -> Image:
    """Shrink the singular values of the image, its channels side by side.

    Parameters
    ----------
    image : array_like
        ``(Y, X, C)``.
    strength : float
        Taken off each singular value.
    """
    pixels = np.asarray(image, np.float32)
    left, values, right = np.linalg.svd(pixels.reshape(len(pixels), -1), full_matrices=False)
    kept = left * np.maximum(values - strength, 0)
    return np.asarray(kept @ right, np.float32).reshape(pixels.shape)


def sparse(image: ArrayLike, strength: float) -> Image:
    """Shrink the coefficients of the cosine transform (Daubechies, Defrise, De Mol, CPAM 57 (2004) 1413).

    Parameters
    ----------
    image : array_like
        ``(Y, X, C)``.
    strength : float
        Taken off each coefficient's magnitude, but for the mean's.
    """
    coefficients = fft.dctn(np.asarray(image, np.float32), axes=(0, 1), norm="ortho")
    shrunk = np.sign(coefficients) * np.maximum(np.abs(coefficients) - strength, 0)
    shrunk[0, 0] = coefficients[0, 0]
    return np.asarray(fft.idctn(shrunk, axes=(0, 1), norm="ortho"), np.float32)


PRIORS: dict[str, Callable[[ArrayLike, float], Image]] = {
    "TV": total_variation,
    "low rank": low_rank,
    "sparse": sparse,
}


def restore_by(
    prior: Callable[[ArrayLike, float], Image], operator: Operator, seen: ArrayLike, strength: float
) -> Image:
    """Restore an image.

    Parameters
    ----------
    prior : callable
        One of `PRIORS`.
    operator : Operator
        What was done to the image.
    seen : array_like
        ``(Y', X', C')`` from 0 to 1.
    strength : float
        Last shrinkage.

    Returns
    -------
    ndarray
        ``(Y, X, C)``.
    """
    measured = torch.from_numpy(np.asarray(seen, np.float32)).permute(2, 0, 1)[None]
    image = operator.guess(measured)
    if isinstance(operator, Identity):  # there is nothing to alternate with
        return prior(_pixels(image), strength)
    for share in np.geomspace(FALL, 1, STEPS):
        shrunk = prior(_pixels(image), share * strength)
        image = operator.project(torch.from_numpy(shrunk).permute(2, 0, 1)[None], measured)
    return _pixels(image)


def _pixels(image: torch.Tensor) -> Image:
    return np.ascontiguousarray(image[0].permute(1, 2, 0).numpy(), np.float32)
