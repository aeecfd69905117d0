"""Ready-made samples: a low-dose micrograph and a short movie, each with its clean truth.

The files hold one clean periodic multislice cell each (`napari_gandenoise.simulate.make_samples` made them).  A
microscope passes no spatial frequency beyond its aperture, so the stored grid is coarse and Fourier interpolation
to the camera's grid is exact.  Noise is drawn when a sample opens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.settings.noise import Poisson

__all__ = ["sample_micrograph", "sample_movie", "sample_movie_truth", "sample_truth"]

DATA = Path(__file__).parent / "data"
VACUUM = 0.45  # electrons per pixel
UPSAMPLING = 3


@dataclass(frozen=True)
class StoredScene:
    """A clean periodic cell in a file: its grid, the intensity of the largest integer, what is cut out of it.

    Attributes
    ----------
    cell : int
        Side of the stored periodic cell, pixels.
    field : int
        Side of the opened image, stored pixels; the rest of the cell shows its wrap-around and is cut off.
    pixel_size_nm : float
        Stored pixel size, nm.
    white : float
        Intensity relative to vacuum that the largest integer stands for.
    """

    file: str
    dtype: type[np.unsignedinteger]
    cell: int
    field: int
    pixel_size_nm: float
    white: float


MICROGRAPH = StoredScene("pt_ceo2_micrograph.npz", np.uint16, 448, 400, 0.0183, 4.0)
MOVIE = StoredScene("pt_ceo2_movie.npz", np.uint8, 240, 200, 0.02745, 2.55)


def sample_truth() -> Micrograph:
    """Clean rate of the sample micrograph.

    Returns
    -------
    Micrograph
        ``(1200, 1200)`` float32, expected electrons per pixel (0.45 in vacuum), 6.1 pm/pixel: a 4 nm Pt particle
        along [110] on CeO2, black atoms.
    """
    return _truth(MICROGRAPH, "Pt on CeO2 · truth")


def sample_micrograph(seed: int = 0) -> Micrograph:
    """Sample micrograph as an electron-counting camera records it.

    Parameters
    ----------
    seed : int
        Seed of the noise.

    Returns
    -------
    Micrograph
        ``(1200, 1200)`` uint16 electron counts, 6.1 pm/pixel.
    """
    return _counted(sample_truth(), seed, "Pt on CeO2")


def sample_movie_truth() -> Micrograph:
    """Clean frames of the sample movie.

    Returns
    -------
    Micrograph
        ``(20, 600, 600)`` float32, expected electrons per pixel (0.45 in vacuum), 9.15 pm/pixel: a 3 nm Pt particle
        that rocks and slides on CeO2, white atoms.
    """
    return _truth(MOVIE, "Pt on CeO2, movie · truth")


def sample_movie(seed: int = 0) -> tuple[Micrograph, Micrograph]:
    """Sample movie, noisy and clean.

    Parameters
    ----------
    seed : int
        Seed of the noise.

    Returns
    -------
    tuple of Micrograph
        Electron counts ``(20, 600, 600)`` uint16, and `sample_movie_truth`.
    """
    truth = sample_movie_truth()
    return _counted(truth, seed, "Pt on CeO2, movie"), truth


def _truth(scene: StoredScene, name: str) -> Micrograph:
    with np.load(DATA / scene.file, allow_pickle=False) as stored:
        pixels = stored["pixels"] * np.float32(VACUUM * scene.white / np.iinfo(scene.dtype).max)
    fine = _fourier_upsample(pixels, UPSAMPLING)
    margin = UPSAMPLING * (scene.cell - scene.field) // 2
    inside = slice(margin, margin + UPSAMPLING * scene.field)
    rate = np.maximum(fine[..., inside, inside], 0)
    return Micrograph(rate, pixel_size_nm=scene.pixel_size_nm / UPSAMPLING, name=name)


def _counted(truth: Micrograph, seed: int, name: str) -> Micrograph:
    camera = Poisson()
    counts = camera.sample(truth.pixels, np.random.default_rng(seed)).astype(np.uint16)
    return Micrograph(counts, pixel_size_nm=truth.pixel_size_nm, noise=camera, name=name)


def _fourier_upsample(cells: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Interpolate periodic images ``(..., Y, X)`` by an integer factor; every stored pixel keeps its value."""
    height, width = cells.shape[-2:]
    spectrum = fft.fftshift(fft.fft2(cells), axes=(-2, -1))
    rows, columns = height * (factor - 1) // 2, width * (factor - 1) // 2
    padding = [(0, 0)] * (cells.ndim - 2) + [(rows, rows), (columns, columns)]
    wide = fft.ifftshift(np.pad(spectrum, padding), axes=(-2, -1))
    return np.asarray(fft.ifft2(wide).real * factor**2, np.float32)
