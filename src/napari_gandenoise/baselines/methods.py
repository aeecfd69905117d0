"""Classical denoisers of electron counts, each a plain function from counts to rate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_gandenoise.baselines.anscombe import anscombe, unbiased_inverse
from napari_gandenoise.baselines.binning import checked_counts, denoise_binned
from napari_gandenoise.errors import GanDenoiseError

__all__ = ["bm3d", "bm3d_gaussian", "flat", "gaussian_blur", "nlm", "tv"]


def flat(counts: ArrayLike) -> NDArray[np.float32]:
    """Return the mean rate everywhere: the row that shows what a PSNR is worth without any structure."""
    image = checked_counts(counts)
    return np.full(image.shape, image.mean(), np.float32)


def gaussian_blur(counts: ArrayLike, sigma: float) -> NDArray[np.float32]:
    """Blur by a Gaussian of ``sigma`` pixels."""
    blurred: NDArray[np.float32] = ndimage.gaussian_filter(checked_counts(counts), sigma).astype(np.float32)
    return blurred


def bm3d(counts: ArrayLike, bin_factor: int = 1, *, threads: int = 0) -> NDArray[np.float32]:
    """BM3D on Anscombe counts with the exact unbiased inverse.

    Parameters
    ----------
    counts : array_like
        Electrons per pixel ``(Y, X)``.
    bin_factor : int
        Sum blocks of this side first; 1 is full sampling.
    threads : int
        Threads of the bm3d package; 0 takes all cores, 1 makes the result repeatable to the last bit.

    Returns
    -------
    ndarray of float32
        Rate ``(Y, X)`` in electrons per pixel.

    Raises
    ------
    GanDenoiseError
        If the bm3d package is missing: its licence allows non-commercial use only, so it is an extra.

    Notes
    -----
    Dabov et al., IEEE Trans. Image Process. 16 (2007) 2080; the bm3d package runs with its profile "np".
    """
    package = _bm3d_package()
    profile = package.BM3DProfile()
    profile.num_threads = threads

    def denoise(summed: NDArray[np.float64]) -> NDArray[np.float64]:
        return unbiased_inverse(package.bm3d(anscombe(summed), 1.0, profile))

    return denoise_binned(counts, bin_factor, denoise)


def bm3d_gaussian(image: ArrayLike, sigma: float, *, threads: int = 0) -> NDArray[np.float32]:
    """BM3D for Gaussian noise of known standard deviation; colours are denoised together (C-BM3D).

    Parameters
    ----------
    image : array_like
        ``(Y, X)`` or ``(Y, X, 3)``, any units.
    sigma : float
        Standard deviation of the noise, in the same units.
    threads : int
        Threads of the bm3d package; 0 takes all cores, 1 makes the result repeatable to the last bit.

    Returns
    -------
    ndarray of float32
        The image's shape and units.

    Raises
    ------
    GanDenoiseError
        If the bm3d package is missing.

    Notes
    -----
    Dabov et al., "Color image denoising via sparse 3D collaborative filtering with grouping constraint in
    luminance-chrominance space", ICIP 2007; the bm3d package runs with its profile "np".
    """
    package = _bm3d_package()
    profile = package.BM3DProfile()
    profile.num_threads = threads
    noisy = np.asarray(image, np.float64)
    denoise = package.bm3d_rgb if noisy.ndim == 3 else package.bm3d
    denoised: NDArray[np.float32] = denoise(noisy, sigma, profile).astype(np.float32)
    return denoised


def nlm(counts: ArrayLike, bin_factor: int = 1, *, strength: float = 0.5) -> NDArray[np.float32]:
    """Non-local means (scikit-image) on Anscombe counts.

    Parameters
    ----------
    counts : array_like
        Electrons per pixel ``(Y, X)``.
    bin_factor : int
        Sum blocks of this side first.
    strength : float
        Filter strength ``h`` in units of the noise's standard deviation.
    """
    from skimage.restoration import denoise_nl_means

    def denoise(summed: NDArray[np.float64]) -> NDArray[np.float64]:
        estimate = denoise_nl_means(
            anscombe(summed), patch_size=7, patch_distance=11, h=strength, sigma=1.0, fast_mode=True
        )
        return unbiased_inverse(estimate)

    return denoise_binned(counts, bin_factor, denoise)


def tv(counts: ArrayLike, bin_factor: int = 1, *, weight: float = 0.7) -> NDArray[np.float32]:
    """Total variation (Chambolle, scikit-image) on Anscombe counts.

    Parameters
    ----------
    counts : array_like
        Electrons per pixel ``(Y, X)``.
    bin_factor : int
        Sum blocks of this side first.
    weight : float
        Weight of the variation against the fit, in units of the noise's standard deviation.
    """
    from skimage.restoration import denoise_tv_chambolle

    def denoise(summed: NDArray[np.float64]) -> NDArray[np.float64]:
        # The default tolerance stops far from the minimum on noise this strong.
        estimate = denoise_tv_chambolle(  # type: ignore[no-untyped-call]
            anscombe(summed), weight=weight, eps=1e-6, max_num_iter=500
        )
        return unbiased_inverse(estimate)

    return denoise_binned(counts, bin_factor, denoise)


def _bm3d_package() -> Any:
    try:
        import bm3d as package
    except ImportError as missing:
        raise GanDenoiseError(
            "BM3D needs the package bm3d, which is free for non-commercial use only: "
            "install it with `pip install napari-gandenoise[bm3d]`, or use tv or nlm."
        ) from missing
    return package
