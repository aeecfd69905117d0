"""Denoisers of patches: of low rank within a neighbourhood, or sparse in a dictionary that is learnt from the image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from napari_gandenoise.baselines.binning import COUNTS, denoise_stabilised
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import NoiseModel

__all__ = ["low_rank_patches", "sparse_dictionary"]

Array = NDArray[np.float64]

SIDE = 7  # of a patch, pixels
NEIGHBOURHOOD = 40  # pixels: 1,156 patches
ATOMS = 128
STRIDE = 2  # between patches of the dictionary: coding takes most of the time
LEARNT_FROM = 20_000  # patches
SEED = 0  # of the choice of patches, and of learning
THRESHOLD = float(np.sqrt(2 * np.log(ATOMS)))  # of a code while learning: few of as many noises are larger
FIT = 1.15  # a code may miss its patch by this much noise; Elad and Aharon's gain


def low_rank_patches(image: ArrayLike, bin_factor: int = 1, *, noise: NoiseModel = COUNTS) -> NDArray[np.float32]:
    """Shrink the singular values of the patches of each neighbourhood, on variance-stabilised sums.

    Parameters
    ----------
    image : array_like
        ``(Y, X)`` or ``(Y, X, 3)``, at least 7 pixels a side after summing.
    bin_factor : int
        Sum blocks of this side first.
    noise : NoiseModel
        Of the image; sets the shrinkage.

    Returns
    -------
    ndarray of float32
        Rate in the image's shape and units.

    Notes
    -----
    Local patches as in Deledalle, Salmon, Dalalyan, "Image denoising with patch based PCA: local versus global" (BMVC
    2011); the shrinkage is optimal for the squared error: Gavish, Donoho, "Optimal shrinkage of singular
    values", IEEE Trans. Inf. Theory 63 (2017) 2137.
    """
    return denoise_stabilised(image, bin_factor, _shrink_neighbourhoods, noise)


def sparse_dictionary(image: ArrayLike, bin_factor: int = 1, *, noise: NoiseModel = COUNTS) -> NDArray[np.float32]:
    """Code patches by a few atoms of a dictionary that is learnt from them (scikit-learn), on stabilised sums.

    Parameters
    ----------
    image, bin_factor, noise
        As for `low_rank_patches`; the noise sets how well a code must fit.

    Raises
    ------
    GanDenoiseError
        If scikit-learn is missing.

    Notes
    -----
    Elad, Aharon, IEEE Trans. Image Process. 15 (2006) 3736, with online learning (Mairal et al., ICML 2009) in place
    of K-SVD.
    """
    try:
        from sklearn.decomposition import MiniBatchDictionaryLearning
        from sklearn.linear_model import orthogonal_mp_gram
    except ImportError as missing:
        raise GanDenoiseError(
            "The sparse dictionary needs the package scikit-learn: "
            "install it with `pip install napari-gandenoise[compare]`."
        ) from missing

    def denoise(stabilised: Array) -> Array:
        rows, columns = (_starts(side, SIDE, STRIDE) for side in stabilised.shape[:2])
        patches = _patches(stabilised)[rows][:, columns].reshape(len(rows) * len(columns), -1)
        means = patches.mean(axis=1, keepdims=True)
        centred = patches - means
        random = np.random.default_rng(SEED)
        learnt_from = random.permutation(len(centred))[:LEARNT_FROM]
        learner = MiniBatchDictionaryLearning(
            min(ATOMS, len(learnt_from)), alpha=THRESHOLD, batch_size=256, max_iter=10, random_state=SEED, n_jobs=1
        )
        atoms = learner.fit(centred[learnt_from]).components_
        atoms /= np.maximum(np.linalg.norm(atoms, axis=1, keepdims=True), 1e-12)
        squares = np.square(centred).sum(axis=1)
        missed = FIT**2 * patches.shape[1]
        codes = orthogonal_mp_gram(atoms @ atoms.T, atoms @ centred.T, tol=missed, norms_squared=squares)
        return _average(stabilised, codes.T @ atoms + means, rows, columns)

    return denoise_stabilised(image, bin_factor, denoise, noise)


def _shrink_neighbourhoods(image: Array) -> Array:
    total, weight = np.zeros_like(image), np.zeros(image.shape[:2])
    for box in _neighbourhoods(image.shape[:2]):
        within = image[box]
        patches = _patches(within)
        rows, columns = (np.arange(side) for side in patches.shape[:2])
        flat = patches.reshape(len(rows) * len(columns), -1)
        mean = flat.mean(axis=0)
        shrunk = mean + _shrink(flat - mean)
        total[box] += _average(within, shrunk, rows, columns)
        weight[box] += 1
    return total / weight.reshape(*weight.shape, *(1,) * (image.ndim - 2))


def _shrink(patches: Array) -> Array:
    """Shrink the singular values of ``(n, d)`` patches with noise of standard deviation one."""
    count, size = patches.shape
    squares, directions = np.linalg.eigh(patches.T @ patches / count)
    ratio = size / count
    squares = np.maximum(squares, 1e-12)
    kept = np.sqrt(np.maximum((squares - ratio - 1) ** 2 - 4 * ratio, 0)) * (squares > (1 + np.sqrt(ratio)) ** 2)
    # The optimal shrinkage over the singular value itself.
    shrunk: Array = patches @ (directions * (kept / squares)) @ directions.T
    return shrunk


def _neighbourhoods(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    for row in _starts(shape[0], NEIGHBOURHOOD, NEIGHBOURHOOD // 2):
        for column in _starts(shape[1], NEIGHBOURHOOD, NEIGHBOURHOOD // 2):
            yield slice(row, row + NEIGHBOURHOOD), slice(column, column + NEIGHBOURHOOD)


def _starts(side: int, length: int, stride: int) -> NDArray[np.int64]:
    """Return where pieces of a length begin so that they cover a side."""
    last = max(side - length, 0)
    return np.unique(np.append(np.arange(0, last, stride), last))


def _patches(image: Array) -> Array:
    """View the patches of an image, ``(rows, columns, SIDE, SIDE[, channels])``."""
    if min(image.shape[:2]) < SIDE:
        raise GanDenoiseError(f"The image is too small: after summing it must have at least {SIDE} pixels a side.")
    windows = sliding_window_view(image, (SIDE, SIDE), axis=(0, 1))
    return np.moveaxis(windows, 2, -1) if image.ndim == 3 else windows


def _average(image: Array, patches: Array, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Array:
    """Put patches back where they begin, ``(rows * columns, d)``, and average where they overlap."""
    shaped = patches.reshape(len(rows), len(columns), SIDE, SIDE, *image.shape[2:])
    total, weight = np.zeros_like(image), np.zeros(image.shape[:2])
    for y in range(SIDE):
        for x in range(SIDE):
            place = np.ix_(rows + y, columns + x)
            total[place] += shaped[:, :, y, x]
            weight[place] += 1
    return total / weight.reshape(*weight.shape, *(1,) * (image.ndim - 2))
