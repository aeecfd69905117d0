"""Classical denoisers, each a plain function from an image and its noise to a rate.

Where nothing else is said, an image counts electrons per pixel, ``(Y, X)`` or ``(Y, X, 3)``, and so does the rate.
Settings named *tuned* were chosen once, on simulation seed 3, by ``python -m benchmarks.baseline_settings``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage

from napari_gandenoise.baselines.binning import COUNTS, checked_image, denoise_binned, denoise_stabilised
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import NoiseModel
from napari_gandenoise.settings.noise import Gaussian

__all__ = ["bm3d", "flat", "gaussian_blur", "nlm", "tv", "wavelet", "wiener"]


def flat(image: ArrayLike) -> NDArray[np.float32]:
    """Return the mean (of each channel) everywhere: the row that shows what a PSNR is worth without any structure."""
    pixels = checked_image(image)
    return np.broadcast_to(pixels.mean(axis=(0, 1)), pixels.shape).astype(np.float32)


def gaussian_blur(image: ArrayLike, sigma: float) -> NDArray[np.float32]:
    """Blur by a Gaussian of ``sigma`` pixels."""
    blurred: NDArray[np.float32] = ndimage.gaussian_filter(checked_image(image), sigma, axes=(0, 1)).astype(np.float32)
    return blurred


def bm3d(image: ArrayLike, bin_factor: int = 1, *, noise: NoiseModel = COUNTS, threads: int = 0) -> NDArray[np.float32]:
    """BM3D on variance-stabilised sums with the exact unbiased inverse; colours are denoised together (C-BM3D).

    Parameters
    ----------
    image : array_like
        ``(Y, X)`` or ``(Y, X, 3)``.
    bin_factor : int
        Sum blocks of this side first; 1 is full sampling.
    noise : NoiseModel
        Of the image; sets the strength.
    threads : int
        Threads of the bm3d package; 0 takes all cores, 1 makes the result repeatable to the last bit.

    Returns
    -------
    ndarray of float32
        Rate in the image's shape and units.

    Raises
    ------
    GanDenoiseError
        If the bm3d package is missing: its licence allows non-commercial use only, so it is an extra.

    Notes
    -----
    Dabov et al., IEEE Trans. Image Process. 16 (2007) 2080; colours: "Color image denoising via sparse 3D collaborative
    filtering with grouping constraint in luminance-chrominance space", ICIP 2007.  The package runs with its profile
    "np".
    """
    package = _bm3d_package()
    profile = package.BM3DProfile()
    profile.num_threads = threads

    def denoise(stabilised: NDArray[np.float64]) -> NDArray[np.float64]:
        run = package.bm3d_rgb if stabilised.ndim == 3 else package.bm3d
        estimate: NDArray[np.float64] = run(stabilised, 1.0, profile)
        return estimate

    return denoise_stabilised(image, bin_factor, denoise, noise)


def nlm(
    image: ArrayLike, bin_factor: int = 1, *, noise: NoiseModel = COUNTS, strength: float = 0.5
) -> NDArray[np.float32]:
    """Non-local means (scikit-image) on variance-stabilised sums.

    Parameters
    ----------
    image, bin_factor, noise
        As for `bm3d`.
    strength : float
        Filter strength ``h`` in units of the noise's standard deviation, tuned to 0.1 dB.

    Notes
    -----
    Buades, Coll, Morel, CVPR 2005.
    """
    from skimage.restoration import denoise_nl_means

    def denoise(stabilised: NDArray[np.float64]) -> NDArray[np.float64]:
        estimate: NDArray[np.float64] = denoise_nl_means(
            stabilised,
            patch_size=7,
            patch_distance=11,
            h=strength,
            sigma=1.0,
            fast_mode=True,
            channel_axis=_channels(stabilised),
        )
        return estimate

    return denoise_stabilised(image, bin_factor, denoise, noise)


def tv(
    image: ArrayLike, bin_factor: int = 1, *, noise: NoiseModel = COUNTS, weight: float = 0.7
) -> NDArray[np.float32]:
    """Total variation (Chambolle, scikit-image) on variance-stabilised sums.

    Parameters
    ----------
    image, bin_factor, noise
        As for `bm3d`.
    weight : float
        Weight of the variation against the fit, in units of the noise's standard deviation, tuned to 0.1 dB.

    Notes
    -----
    Chambolle, J. Math. Imaging Vis. 20 (2004) 89.
    """
    from skimage.restoration import denoise_tv_chambolle

    def denoise(stabilised: NDArray[np.float64]) -> NDArray[np.float64]:
        # The default tolerance stops far from the minimum on noise this strong.
        estimate: NDArray[np.float64] = denoise_tv_chambolle(
            stabilised, weight=weight, eps=1e-6, max_num_iter=500, channel_axis=_channels(stabilised)
        )
        return estimate

    return denoise_stabilised(image, bin_factor, denoise, noise)


def wavelet(image: ArrayLike, bin_factor: int = 1, *, noise: NoiseModel = COUNTS) -> NDArray[np.float32]:
    """Soft thresholds of wavelet coefficients (BayesShrink, scikit-image), averaged over 4 x 4 shifts.

    Parameters
    ----------
    image, bin_factor, noise
        As for `bm3d`; the noise sets the thresholds.

    Raises
    ------
    GanDenoiseError
        If PyWavelets is missing.

    Notes
    -----
    Chang, Yu, Vetterli, IEEE Trans. Image Process. 9 (2000) 1532; shifts: Coifman, Donoho, "Translation-invariant
    de-noising" (1995).
    """
    try:
        import pywt  # noqa: F401 - scikit-image wants it
    except ImportError as missing:
        raise GanDenoiseError(
            "Wavelets need the package PyWavelets: install it with `pip install napari-gandenoise[compare]`."
        ) from missing
    from skimage.restoration import cycle_spin, denoise_wavelet

    def denoise(stabilised: NDArray[np.float64]) -> NDArray[np.float64]:
        channels = _channels(stabilised)
        shrink = partial(denoise_wavelet, sigma=1.0, wavelet="sym4", rescale_sigma=False, channel_axis=channels)
        estimate: NDArray[np.float64] = cycle_spin(stabilised, shrink, max_shifts=3, workers=1, channel_axis=channels)
        return estimate

    return denoise_stabilised(image, bin_factor, denoise, noise)


def wiener(
    image: ArrayLike, bin_factor: int = 1, *, noise: NoiseModel = COUNTS, smoothing: float = 1.5
) -> NDArray[np.float32]:
    """Wiener filter whose signal spectrum is estimated: the smoothed periodogram less the noise that the model knows.

    Parameters
    ----------
    image, bin_factor, noise
        As for `bm3d`.
    smoothing : float
        Standard deviation in frequency steps of the Gaussian that smooths the periodogram, tuned.

    Notes
    -----
    As for lattice images: Kilaas, J. Microsc. 190 (1998) 45, with known instead of radially averaged noise.
    """

    def denoise(summed: NDArray[np.float64]) -> NDArray[np.float64]:
        level = bin_factor**2 * noise.read_variance
        # The noise of counts is white on average, and its power their mean.
        power = level if isinstance(noise, Gaussian) else max(float(summed.mean()), 0) + level
        mean = summed.mean(axis=(0, 1))
        spectrum = fft.fft2(summed - mean, axes=(0, 1))
        periodogram = np.square(np.abs(spectrum)) / (summed.shape[0] * summed.shape[1])
        smooth = ndimage.gaussian_filter(periodogram, smoothing, mode="wrap", axes=(0, 1))
        signal = np.maximum(smooth - power, 0)
        filtered: NDArray[np.float64] = mean + fft.ifft2(spectrum * signal / (signal + power), axes=(0, 1)).real
        return filtered

    return denoise_binned(image, bin_factor, denoise, noise)


def _channels(image: NDArray[np.float64]) -> int | None:
    return -1 if image.ndim == 3 else None


def _bm3d_package() -> Any:
    try:
        import bm3d as package
    except ImportError as missing:
        raise GanDenoiseError(
            "BM3D needs the package bm3d, which is free for non-commercial use only: "
            "install it with `pip install napari-gandenoise[bm3d]`, or use tv or nlm."
        ) from missing
    return package
